"""What a data plane is built from: VPCs, endpoints with their security groups, balancers, listeners and targets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lab.privatelink.rules.model import Address, Endpoint

Place = tuple[str, int]
"""A host (an IPv4 literal) and a TCP port."""


class Vpc(NamedTuple):
    """A VPC; with its owner, because ministack gives every account's default VPC the same id."""

    owner: str
    vpc_id: str


@dataclass(frozen=True)
class Target:
    """A registered target: an instance id or an address, its port, and whether it is up as far as EC2 knows.

    `address` and `zone` say where it is; `served` whether a running instance has the address.
    """

    id: str
    port: int
    up: bool
    address: str = ""
    zone: str = ""
    served: bool = False

    @property
    def is_instance(self) -> bool:
        return self.id.startswith("i-")


@dataclass(frozen=True)
class Check:
    """How a target group's health is checked: TCP, HTTP or HTTPS, the path, and a port unless it is the target's."""

    protocol: str = "TCP"
    path: str = "/"
    port: int | None = None


@dataclass(frozen=True)
class Listener:
    """A TCP listener of a Network Load Balancer with the targets of its target group."""

    balancer: str
    port: int
    targets: tuple[Target, ...]
    check: Check = Check()


@dataclass(frozen=True)
class Balancer:
    """A Network Load Balancer: its DNS name, its VPC, its address in each zone, and its cross-zone attribute.

    `names` are the private DNS names of the services that it serves.
    """

    arn: str
    name: str
    vpc: Vpc
    addresses: tuple[Address, ...]
    cross_zone: bool = False
    names: tuple[str, ...] = ()


class Admission(NamedTuple):
    """An ingress rule for TCP of a security group: the block that may send, and the first and last port."""

    cidr: str
    first: int
    last: int


@dataclass(frozen=True)
class Topology:
    """One look at the control plane; two equal looks need no work.

    `groups` are the rules of each security group that an endpoint uses, `subnets` the blocks of each VPC's subnets,
    after that of the VPC. `faults` is the names (lab.story.faults) of the faults that are to be in force.
    """

    endpoints: tuple[Endpoint, ...] = ()
    listeners: tuple[Listener, ...] = ()
    balancers: tuple[Balancer, ...] = ()
    groups: Mapping[str, tuple[Admission, ...]] = field(default_factory=dict)
    subnets: Mapping[Vpc, tuple[str, ...]] = field(default_factory=dict)
    faults: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Route:
    """What happens at one endpoint address and port: dropped unless open, else carried to one of the targets."""

    open: bool
    targets: tuple[Target, ...]


def vpc_of(endpoint: Endpoint) -> Vpc:
    """The consumer's VPC."""
    return Vpc(endpoint.owner, endpoint.vpc_id)


def vpc_of_function(config: Mapping[str, Any]) -> Vpc | None:
    """The VPC a Lambda function lives in; None without subnets.

    ministack accepts subnets that do not exist (AWS refuses them) and then leaves VpcId empty: such a function lives in
    an empty VPC of its own.
    """
    vpc = config.get("VpcConfig") or {}
    subnets = vpc.get("SubnetIds") or []
    if not subnets:
        return None
    owner = str(config["FunctionArn"]).split(":")[4]
    return Vpc(owner, str(vpc.get("VpcId") or subnets[0]))


def routes(topology: Topology, address: Callable[[Endpoint, str], str]) -> dict[Place, Route]:
    """A route for each endpoint address and each listener port of its service's load balancers.

    `address(endpoint, subnet_id)` is the plane's own address of an endpoint in a subnet. Only in the state `available`
    does anything pass: "Pending or Rejected" connections time out (AWS re:Post, connect-endpoint-service-vpc). Targets
    of every zone are used, as with cross-zone load balancing on; a zone without a healthy target is not shown.
    """
    found: dict[Place, Route] = {}
    behind: dict[str, list[Listener]] = {}
    for listener in topology.listeners:
        behind.setdefault(listener.balancer, []).append(listener)
    for endpoint in topology.endpoints:
        is_open = endpoint.state.lower() == "available"
        for listener in (known for arn in endpoint.load_balancer_arns for known in behind.get(arn, ())):
            for subnet in endpoint.addresses:
                place = (address(endpoint, subnet.subnet_id), listener.port)
                others = found[place].targets if place in found else ()
                found[place] = Route(is_open, others + listener.targets)
    return found
