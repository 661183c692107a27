"""The loopback plane: names, packets and providers' servers, on real sockets, with the control plane's state given."""

import asyncio
import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dnslib import RCODE, DNSRecord  # type: ignore[import-untyped]

from lab.functions.launch import Launch
from lab.harness.process import free_port
from lab.network.loopback.listening import ListeningSocket
from lab.network.loopback.plane import LoopbackPlane
from lab.network.loopback.proxy import ProxiedConnection
from lab.network.topology import Listener, Target, Topology, Vpc, vpc_of
from lab.privatelink.rules.model import Address, Endpoint

NLB = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/net/shop/1"
CONSUMER = "222222222222"
SUFFIX = "vpce-svc-0123.eu-west-1.vpce.amazonaws.com"
SHOP = Endpoint(
    endpoint_id="vpce-1",
    owner=CONSUMER,
    region="eu-west-1",
    vpc_id="vpc-1",
    service_id="vpce-svc-0123",
    service_owner="111111111111",
    load_balancer_arns=(NLB,),
    state="available",
    dns_names=(f"vpce-1-x.{SUFFIX}", f"vpce-1-x-eu-west-1a.{SUFFIX}", f"vpce-1-x-eu-west-1b.{SUFFIX}"),
    addresses=(
        Address("subnet-a", "eu-west-1a", "10.0.0.5", "eni-a"),
        Address("subnet-b", "eu-west-1b", "10.0.1.5", "eni-b"),
    ),
    security_group_ids=(),
    private_dns_name="shop.example.com",
)
WEB = Target("i-web", 80, up=True)
NOT_YET = 0.3
"""Seconds after which what has not come is taken not to come."""


class World:
    """A control plane in memory with its plane: change what is there, then `look`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.endpoints: tuple[Endpoint, ...] = (SHOP,)
        self.targets: tuple[Target, ...] = (WEB,)
        self.is_broken = False
        self.failures = threading.Semaphore(0)
        self.plane = LoopbackPlane(self.topology)

    def topology(self) -> Topology:
        if self.is_broken:
            self.failures.release()
            raise RuntimeError("the control plane is broken")
        return Topology(self.endpoints, (Listener(NLB, self.port, self.targets),))

    def change(self, state: str | None = None, targets: tuple[Target, ...] | None = None) -> None:
        self.targets = self.targets if targets is None else targets
        self.endpoints = tuple(replace(one, state=state or one.state) for one in self.endpoints)
        self.plane.refresh()

    def address(self, subnet_id: str = "subnet-a", endpoint: Endpoint = SHOP) -> str:
        return self.plane.addresses.endpoint(vpc_of(endpoint), endpoint.endpoint_id, subnet_id)

    def connect(self, seconds: float = 10) -> socket.socket:
        return socket.create_connection((self.address(), self.port), timeout=seconds)

    def get(self, address: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection(address or self.address(), self.port, timeout=10)
        try:
            connection.request("GET", "/any")
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def ask(self, name: str, kind: str = "A", vpc: Vpc | None = None) -> tuple[str, list[str]]:
        """Response code and addresses that the DNS server of a VPC gives."""
        host, port = self.plane.environment(vpc or vpc_of(SHOP))["LAB_RESOLVER"].split(":")
        reply = DNSRecord.parse(DNSRecord.question(name, kind).send(host, int(port), timeout=5))
        return RCODE[reply.header.rcode], [str(one.rdata) for one in reply.rr]

    def run(self, program: str, **environment: str) -> str:
        """What a Python process prints that was started as a Lambda function of the consumer's VPC is."""
        launch = self.plane.launch(function("subnet-a"))
        (self.folder / "program.py").write_text(program)
        process = subprocess.run(
            [*launch.prefix, sys.executable, "-S", "-m", "program"],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(launch.python_path),
                **launch.environment,
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout.strip()


def function(*subnets: str) -> dict[str, Any]:
    """The configuration of a Lambda function as ministack keeps it."""
    return {
        "FunctionArn": f"arn:aws:lambda:eu-west-1:{CONSUMER}:function:canary",
        "VpcConfig": {"SubnetIds": list(subnets), "SecurityGroupIds": [], "VpcId": "vpc-1" if subnets else ""},
    }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.plane.start()
    made.plane.refresh()
    yield made
    made.plane.stop()


@contextmanager
def serving(talk: Callable[[socket.socket], object]) -> Iterator[Target]:
    """A target on the loopback address: a server that holds one conversation."""

    def converse() -> None:
        connection, _ = listener.accept()
        with connection:
            talk(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=converse, daemon=True)
        thread.start()
        yield Target("127.0.0.1", listener.getsockname()[1], up=True)
        thread.join(10)


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def send_much(connection: socket.socket) -> None:
    """Much more than all buffers on the way hold; the timeout is that of each piece."""
    for _ in range(200):
        connection.sendall(bytes(1_000_000))


# What passes


def test_an_available_endpoint_leads_to_the_server_of_the_running_instance(world: World) -> None:
    assert world.get() == (200, "hello from i-web\n")
    assert world.get(world.address("subnet-b")) == (200, "hello from i-web\n")


@pytest.mark.parametrize("state", ["pendingAcceptance", "pending", "rejected", "deleting", "failed"])
def test_a_connect_times_out_unless_the_state_is_available(world: World, state: str) -> None:
    world.change(state)
    with pytest.raises(TimeoutError):
        world.connect(NOT_YET)


def test_an_accepted_endpoint_answers_the_next_connect(world: World) -> None:
    world.change("pendingAcceptance")
    world.change("available")
    assert world.get()[0] == 200


def test_a_connect_that_waited_for_the_acceptance_succeeds_when_it_comes(world: World) -> None:
    world.change("pendingAcceptance")
    with socket.socket() as waiting:
        waiting.setblocking(False)
        assert waiting.connect_ex((world.address(), world.port)) != 0
        world.change("available")
        waiting.settimeout(10)
        waiting.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert read_all(waiting).startswith(b"HTTP/1.1 200 ")


def test_bytes_pass_both_ways_in_order_and_the_end_of_one_way_leaves_the_other_open(world: World) -> None:
    sent = os.urandom(4_000_000)

    def echo(connection: socket.socket) -> None:
        connection.sendall(read_all(connection))

    with serving(echo) as target:
        world.change(targets=(target,))
        with world.connect() as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == sent


def test_a_server_that_does_not_read_makes_the_client_wait(world: World) -> None:
    is_over = threading.Event()
    with serving(lambda connection: is_over.wait(20)) as target:
        world.change(targets=(target,))
        with world.connect(NOT_YET) as client, pytest.raises(TimeoutError):
            send_much(client)
        is_over.set()


def test_an_opened_gate_keeps_a_burst_of_clients_and_shows_nothing_of_its_own() -> None:
    listener = ListeningSocket(("127.0.0.2", 0))
    listener.open()
    clients = [socket.create_connection(listener.place, timeout=10) for _ in range(20)]
    accepted = [one for one in (listener.accept() for _ in range(22)) if one is not None]
    assert [one.getpeername() for one in accepted] == [one.getsockname() for one in clients]
    listener.close()
    for one in clients + accepted:
        one.close()


def test_a_gate_that_was_open_leaves_every_port_of_its_address_free() -> None:
    listener = ListeningSocket(("127.0.0.2", 0))
    plug = listener._plug
    assert plug is not None
    port = plug.getsockname()[1]
    listener.open()
    listener.accept()
    listener.close()
    ListeningSocket(("127.0.0.2", port)).close()


# What is cut


def test_a_rejected_connection_hangs_without_a_reset_and_goes_on_when_it_is_accepted_again(world: World) -> None:
    with world.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        world.change("rejected")
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        client.settimeout(NOT_YET)
        with pytest.raises(TimeoutError):
            client.recv(65536)
        world.change("available")
        client.settimeout(10)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_what_the_provider_sends_after_the_cut_does_not_arrive(world: World) -> None:
    is_cut = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"before")
        is_cut.wait(10)
        connection.sendall(b"after")

    with serving(talk) as target:
        world.change(targets=(target,))
        with world.connect() as client:
            assert client.recv(100) == b"before"
            world.change("rejected")
            is_cut.set()
            client.settimeout(NOT_YET)
            with pytest.raises(TimeoutError):
                client.recv(100)


def test_a_connection_of_a_deleted_endpoint_hangs_and_its_address_answers_no_more(world: World) -> None:
    with world.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        world.endpoints = ()
        world.plane.refresh()
        client.settimeout(NOT_YET)
        with pytest.raises(TimeoutError):
            client.recv(65536)
    with pytest.raises(ConnectionRefusedError):
        world.connect()


# Targets and listeners


@pytest.mark.parametrize(
    "targets",
    [
        (),
        (replace(WEB, up=False),),
        (Target("127.0.0.1", free_port(), up=True),),
    ],
    ids=["none", "stopped instance", "nothing listens"],
)
def test_without_a_healthy_target_a_connection_is_accepted_and_reset(world: World, targets: tuple[Target, ...]) -> None:
    world.change(targets=targets)
    # The reset may overtake the connect.
    with pytest.raises(ConnectionResetError), world.connect() as client:
        client.recv(1)


def test_no_target_beyond_the_loopback_addresses_is_connected_to(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        # To Linux this address is the machine's own, too.
        world.change(targets=(Target("0.0.0.0", server.getsockname()[1], up=True),))  # noqa: S104
        with pytest.raises(ConnectionResetError), world.connect() as client:
            client.recv(1)


def test_an_unhealthy_target_is_passed_over(world: World) -> None:
    world.change(targets=(replace(WEB, id="i-gone", up=False), Target("127.0.0.1", free_port(), up=True), WEB))
    assert {world.get() for _ in range(3)} == {(200, "hello from i-web\n")}


def test_healthy_targets_take_turns(world: World) -> None:
    world.change(targets=(WEB, replace(WEB, id="i-other")))
    assert {world.get()[1] for _ in range(2)} == {"hello from i-web\n", "hello from i-other\n"}


def test_a_stopped_instance_drops_its_connections_and_answers_again_after_its_start(world: World) -> None:
    with world.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        world.change(targets=(replace(WEB, up=False),))
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    world.change(targets=(WEB,))
    assert world.get()[0] == 200


def test_a_port_without_a_listener_is_refused(world: World) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((world.address(), free_port()), timeout=10)


def test_a_port_that_cannot_be_opened_is_reported_once_with_its_cure(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:  # noqa: S104
        world.port = other.getsockname()[1]
        world.plane.refresh()
        world.change("rejected")
    reports = [record.getMessage() for record in caplog.records if record.name == "lab.network"]
    assert len(reports) == 1
    assert f"port {world.port}," in reports[0]
    assert "another port" in reports[0]


# Addresses and names


def test_every_endpoint_and_subnet_and_every_lab_has_an_address_of_its_own(world: World) -> None:
    twin = replace(SHOP, endpoint_id="vpce-2")
    elsewhere = replace(SHOP, vpc_id="vpc-2")
    other_lab = World(world.folder)
    addresses = [
        owner.address(subnet.subnet_id, endpoint)
        for owner in (world, other_lab)
        for endpoint in (SHOP, twin, elsewhere)
        for subnet in endpoint.addresses
    ]
    other_lab.plane.start()
    other_lab.plane.stop()
    assert len(set(addresses)) == len(addresses)
    assert all(address.startswith("127.") for address in addresses)


@pytest.mark.parametrize("state", ["pendingAcceptance", "available", "rejected"])
def test_the_regional_name_means_every_address_and_a_zonal_name_one_in_any_state(world: World, state: str) -> None:
    world.change(state)
    first, second = world.address("subnet-a"), world.address("subnet-b")
    assert [world.ask(name) for name in SHOP.dns_names] == [
        ("NOERROR", [first, second]),
        ("NOERROR", [first]),
        ("NOERROR", [second]),
    ]


def test_names_resolve_in_any_case_and_from_any_vpc_but_the_private_one_only_in_its_own(world: World) -> None:
    elsewhere = Vpc(CONSUMER, "vpc-2")
    both = [world.address("subnet-a"), world.address("subnet-b")]
    assert world.ask(SHOP.dns_names[0].upper(), vpc=elsewhere) == ("NOERROR", both)
    assert world.ask("shop.example.com") == ("NOERROR", both)
    assert world.ask("shop.example.com", vpc=elsewhere) == ("NXDOMAIN", [])


def test_unknown_endpoints_do_not_exist_and_the_rest_of_the_internet_is_refused(world: World) -> None:
    assert world.ask(f"vpce-2-x.{SUFFIX}") == ("NXDOMAIN", [])
    assert world.ask("example.org") == ("REFUSED", [])


def test_an_endpoint_has_no_ipv6_address(world: World) -> None:
    assert world.ask(SHOP.dns_names[0], "AAAA") == ("NOERROR", [])


def test_the_name_of_a_deleted_endpoint_is_gone(world: World) -> None:
    world.endpoints = ()
    world.plane.refresh()
    assert world.ask(SHOP.dns_names[0]) == ("NXDOMAIN", [])


# Inside a function


def test_a_function_outside_any_vpc_starts_as_it_is(world: World) -> None:
    assert world.plane.launch(function()) == Launch()


def test_a_function_in_the_vpc_reaches_the_endpoint_by_its_name(world: World) -> None:
    url = f"http://{SHOP.dns_names[0]}:{world.port}/"
    program = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=10).read().decode())"
    assert world.run(program) == "hello from i-web"


def test_asyncio_in_a_function_reaches_the_endpoint_by_its_name(world: World) -> None:
    program = f"""
import asyncio
async def main():
    reader, writer = await asyncio.open_connection({SHOP.dns_names[1]!r}, {world.port})
    writer.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
    print((await reader.read()).decode().splitlines()[0])
    writer.close()
asyncio.run(main())"""
    assert world.run(program) == "HTTP/1.1 200 OK"


RESOLVE = """
import socket
try:
    print(*sorted({entry[4][0] for entry in socket.getaddrinfo(%r, 80, %s)}))
except socket.gaierror as error:
    print({getattr(socket, name): name for name in dir(socket) if name.startswith("EAI_")}[error.errno])"""


@pytest.mark.parametrize(
    ("name", "family", "expected"),
    [
        (f"vpce-2-x.{SUFFIX}", "0", "EAI_NONAME"),
        ("example.org", "0", "EAI_AGAIN"),
        (SHOP.dns_names[0], "socket.AF_INET6", "EAI_NODATA"),
        ("x" * 64 + ".vpce.amazonaws.com", "0", "EAI_NONAME"),
        ("192.0.2.1", "0", "192.0.2.1"),
        ("localhost", "socket.AF_INET", "127.0.0.1"),
    ],
)
def test_names_fail_in_a_function_as_with_glibc(world: World, name: str, family: str, expected: str) -> None:
    assert world.run(RESOLVE % (name, family)) == expected


def test_a_name_is_a_temporary_failure_when_no_dns_server_answers(world: World) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        server = "{}:{}".format(*silent.getsockname())
        assert world.run(RESOLVE % (SHOP.dns_names[0], "0"), LAB_RESOLVER=server) == "EAI_AGAIN"


def test_every_way_to_resolve_gives_the_same_addresses(world: World) -> None:
    name = SHOP.dns_names[0]
    program = f"import socket; print(socket.gethostbyname({name!r}), *socket.gethostbyname_ex({name!r})[2])"
    first, second = world.address("subnet-a"), world.address("subnet-b")
    assert world.run(program) == f"{first} {first} {second}"


CONNECT = """
import socket
try:
    socket.create_connection((%r, %d), timeout=0.3)
    print("connected")
except OSError as error:
    print(type(error).__name__)"""


def test_a_function_in_the_vpc_has_no_way_out_but_the_runtime_api(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert world.run(CONNECT % ("127.0.0.1", port)) == "TimeoutError"
        assert world.run(CONNECT % ("127.0.0.1", port), AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{port}") == "connected"
    assert world.run(CONNECT % ("192.0.2.1", 443)) == "TimeoutError"
    assert world.run(CONNECT % ("::1", 443)) == "OSError"


def test_a_function_does_not_reach_the_endpoint_of_another_vpc(world: World) -> None:
    world.endpoints = (replace(SHOP, vpc_id="vpc-2"),)
    world.plane.refresh()
    assert world.get(world.address(endpoint=world.endpoints[0]))[0] == 200
    assert world.run(CONNECT % (SHOP.dns_names[0], world.port)) == "TimeoutError"


def test_connect_ex_gives_the_errors_that_connect_raises(world: World) -> None:
    program = f"""
import errno, socket
for family, address in ((socket.AF_INET, ({world.address()!r}, {free_port()})), (socket.AF_INET6, ("::1", 1))):
    print(errno.errorcode[socket.socket(family).connect_ex(address)])"""
    assert world.run(program).split() == ["ECONNREFUSED", "ENETUNREACH"]


# Following


def test_a_change_is_seen_without_being_told(world: World) -> None:
    world.endpoints = (replace(SHOP, state="pendingAcceptance"),)
    world.plane.refresh()
    world.endpoints = (SHOP,)
    assert world.get()[0] == 200


def test_a_look_that_fails_is_reported_once_and_does_not_end_the_plane(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.change("pendingAcceptance")
    world.is_broken = True
    # When the third look begins, the second has been dealt with.
    assert all(world.failures.acquire(timeout=10) for _ in range(3))
    assert len([record for record in caplog.records if record.name == "lab.network"]) == 1
    world.endpoints = (SHOP,)
    world.is_broken = False
    assert world.get()[0] == 200


def test_a_stopped_plane_resets_its_connections_listens_no_more_and_ends_its_thread(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.plane.start()
    world.plane.refresh()
    with world.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        world.plane.stop()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        world.connect()
    assert "lab-network" not in {thread.name for thread in threading.enumerate()}


def test_what_arrives_before_the_other_side_is_connected_is_carried_when_it_is() -> None:
    """Python 3.11.2 reads a socket that was paused while it was made."""

    async def early() -> bytes:
        ended: list[ProxiedConnection] = []
        connection = ProxiedConnection(ended.append)
        connection._client.data_received(b"early")
        (client, far_client), (target, far_target) = socket.socketpair(), socket.socketpair()
        with far_client, far_target:
            await connection.join(client, target)
            far_target.setblocking(False)
            return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(far_target, 5), 5)

    assert asyncio.run(early()) == b"early"
