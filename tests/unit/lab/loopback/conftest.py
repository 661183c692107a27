"""The loopback plane on real sockets, with the control plane's state given."""

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

from lab.harness.process import free_port
from lab.network.loopback.plane import LoopbackPlane
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
