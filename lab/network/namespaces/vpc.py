"""One VPC's namespace: its cable, addresses, DNS server and rules, and what starts a command in it."""

import asyncio
import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lab.network.dns import Resolver, Zone
from lab.network.namespaces.fabric import CABLE, Fabric, ip
from lab.network.namespaces.kernel import KernelError, Namespace
from lab.network.namespaces.plan import Forward, Interface, Plan
from lab.network.namespaces.rules import ruleset
from lab.network.namespaces.traffic import ACCOUNTING, FLOWS, Meter
from lab.network.plane import Usage
from lab.network.topology import Admission, Vpc
from lab.privatelink.rules.model import Endpoint

_NOWHERE = "10.255.255.0/24"
"""The block of a VPC that does not exist: ministack lets functions name its subnets."""
_MOUNT = 'mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/nsswitch.conf" /etc/nsswitch.conf'
_FILES = {
    "resolv.conf": "nameserver {}\noptions timeout:1 attempts:2\n",
    # Without the daemons that other machines ask first: they would answer from outside, through a socket in the file
    # system.
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


_TOOLS = {"ip": "iproute2", "nft": "nftables", "unshare": "util-linux", "nsenter": "util-linux", "mount": "mount"}
_FORWARD = Forward(("192.0.2.2", "198.19.0.1"), 80, (("192.0.2.3", 80),))
_NODES = {"198.19.0.1": "192.0.2.2"}


class VpcNamespace:
    """The namespace of `vpc`, whose own block and its subnets' are `blocks`. Raises KernelError."""

    def __init__(self, fabric: Fabric, vpc: Vpc, blocks: Sequence[str], folder: Path) -> None:
        known = (*blocks, *blocks[:1], _NOWHERE, _NOWHERE)
        own, first = (ipaddress.IPv4Network(block, strict=False) for block in known[:2])
        self.network = Namespace()
        self.link = fabric.connect(self.network, str(first[-2]))
        # Base plus two, as on AWS.
        self._resolver = str(own[2])
        self._vpc, self._folder = vpc, folder / f"{vpc.owner}-{vpc.vpc_id}"
        self._addresses: set[str] = set()
        self._rules = ""
        self._meter = Meter()
        self._dns: asyncio.DatagramTransport | None = None
        self._folder.mkdir(exist_ok=True)
        for name, text in _FILES.items():
            (self._folder / name).write_text(text.format(self._resolver))

    @property
    def inner(self) -> tuple[str, ...]:
        """What goes before a command that is started in the namespace, so that it finds the VPC's DNS server."""
        return ("unshare", "--mount", "--", "sh", "-c", f'{_MOUNT} && exec "$@"', str(self._folder))

    @property
    def outer(self) -> tuple[str, ...]:
        """What goes before a command that is started elsewhere on this machine, by the same user."""
        return ("nsenter", *_user(), f"--net={self.network.path}", "--", *self.inner)

    async def open(self, zone: Callable[[], Zone]) -> None:
        """Start the DNS server, and count bytes."""
        self.network.inside(lambda: Path(ACCOUNTING).write_text("1"))
        self.set_addresses({self._resolver})
        sock = self.network.inside(self._bind)
        self._dns, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Resolver(self._vpc, zone), sock=sock
        )

    def usage(self, endpoints: Iterable[Endpoint]) -> list[Usage]:
        """What passed through these endpoints, which are in this VPC, since the last call."""
        return list(self._meter.usage(self.network.inside(lambda: Path(FLOWS).read_text()), endpoints))

    def set_addresses(self, addresses: set[str]) -> None:
        """Have these addresses, beside the client's and the DNS server's, and no others."""
        wanted = addresses | {self._resolver}
        added, removed = sorted(wanted - self._addresses), sorted(self._addresses - wanted)
        ip(
            self.network,
            *(f"address add {address}/32 dev {CABLE}" for address in added),
            *(f"address delete {address}/32 dev {CABLE}" for address in removed),
        )
        self._addresses = wanted

    def rule(self, rules: str) -> None:
        """Have these rules of nftables."""
        if rules != self._rules:
            self.network.run("nft", "-f", "-", text=rules)
            self._rules = rules

    def close(self) -> None:
        """Let go of it; it ends with the last process inside."""
        if self._dns:
            self._dns.close()
        self.network.close()

    def _bind(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((self._resolver, 53))
        return sock


def require_machine(fabric: Fabric, folder: Path) -> None:
    """Try everything that a plane needs of this machine. Raises KernelError with what is missing and how to get it."""
    if tools := [tool for tool, package in _TOOLS.items() if not shutil.which(tool)]:
        packages = " ".join(dict.fromkeys(_TOOLS[tool] for tool in tools))
        raise KernelError(f"{', '.join(tools)} not found (Debian: apt-get install {packages})")
    plan = Plan([Interface("192.0.2.1", True, (Admission("0.0.0.0/0", 0, 65535),), "198.19.0.1")], [_FORWARD], _NODES)
    namespace = VpcNamespace(fabric, Vpc("000000000000", "vpc-rehearsal"), (), folder)
    try:
        namespace.set_addresses(plan.addresses)
        namespace.rule(ruleset(plan, namespace.link, 1, lossy=True, dns_down=True))
        namespace.network.run(*namespace.inner, "true")
    finally:
        namespace.close()


def _user() -> tuple[str, ...]:
    """What enters the user namespace of a lab that was started without privileges."""
    if os.environ.get("LAB_UNPRIVILEGED") != "1":
        return ()
    return (f"--user=/proc/{os.getpid()}/ns/user", "--preserve-credentials")
