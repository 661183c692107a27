"""The network between VPCs: a switch in a namespace of its own, to which every VPC has one cable.

VPCs' CIDRs may overlap, so packets travel under addresses of 198.18.0.0/15, which is kept for tests of networks
(RFC 2544) and no VPC has: 198.18.X.Y for a VPC, 198.19.X.Y for a load balancer's node.
"""

import ipaddress
import itertools
from collections.abc import Hashable

from lab.network.namespaces.kernel import Namespace

BLOCK = "198.18.0.0/15"
CABLE = "ens5"
"""The only interface of a VPC's namespace but for lo; an EC2 instance's is called so, too."""
_NOBODY = "198.19.255.254"
"""Where all other packets go: a gateway whose hardware address does not exist."""


class Fabric:
    """The switch, and the addresses on it. Raises KernelError if the machine has no namespaces, bridge or veth."""

    def __init__(self) -> None:
        self.namespace = Namespace()
        self._vpcs = map(str, ipaddress.IPv4Network("198.18.0.0/16").hosts())
        self._nodes = map(str, ipaddress.IPv4Network("198.19.0.0/16").hosts())
        self._fronts: dict[Hashable, str] = {}
        self._cables = itertools.count()
        ip(self.namespace, "link add name switch type bridge", "link set switch addrgenmode none up")

    def connect(self, namespace: Namespace, client: str) -> str:
        """Connect a VPC whose processes have the address `client`; the VPC's address on the switch."""
        cable, address = f"vpc{next(self._cables)}", next(self._vpcs)
        ip(
            self.namespace,
            f"link add name {cable} type veth peer name {CABLE} netns {namespace.path}",
            f"link set {cable} addrgenmode none master switch up",
        )
        ip(
            namespace,
            "link set lo up",
            # Without an address of its own IPv6 leads nowhere.
            f"link set {CABLE} addrgenmode none up",
            f"address add {address}/15 dev {CABLE}",
            f"address add {client}/32 dev {CABLE}",
            f"neighbour add {_NOBODY} lladdr 02:00:00:00:00:01 dev {CABLE} nud permanent",
            f"route add default via {_NOBODY} dev {CABLE} src {client}",
        )
        return address

    def front(self, node: Hashable) -> str:
        """The address on the switch of a load balancer's node; the same for the same node."""
        if node not in self._fronts:
            self._fronts[node] = next(self._nodes)
        return self._fronts[node]

    def close(self) -> None:
        """Let go of it."""
        self.namespace.close()


def ip(namespace: Namespace, *commands: str) -> None:
    """Commands of ip(8) inside a namespace. Raises KernelError at the first that fails."""
    if commands:
        namespace.run("ip", "-batch", "-", text="".join(f"{command}\n" for command in commands))
