"""Addresses and names, asked of the DNS server and from inside a function."""

import socket
from dataclasses import replace

import pytest

from lab.harness.process import free_port
from lab.launch import Launch
from lab.network.topology import Vpc
from tests.unit.lab.loopback.conftest import CONSUMER, SHOP, SUFFIX, World, function

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
