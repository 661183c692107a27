"""What each VPC's namespace must do, as a pure function of the control plane and of the targets' health."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from lab.network.topology import Admission, Balancer, Check, Listener, Place, Target, Topology, Vpc, vpc_of
from lab.privatelink.rules.model import Address, Endpoint

Healthy = Callable[[Vpc, Target, Check], bool]
Front = Callable[[tuple[str, str]], str]


class Interface(NamedTuple):
    """An endpoint's network interface: closed, it drops all; open, `admitted` senders reach `front` (None: nothing)."""

    address: str
    is_open: bool
    admitted: tuple[Admission, ...]
    front: str | None


class Forward(NamedTuple):
    """What happens at one port of some addresses: carried to one of the places, dropped with None; () is a reset."""

    addresses: tuple[str, ...]
    port: int
    places: tuple[Place, ...] | None


class Host(NamedTuple):
    """A server that runs: its name, place and health check, and the names that its certificate is for (HTTP: None)."""

    name: str
    place: Place
    names: tuple[str, ...] | None


@dataclass
class Plan:
    """One VPC. `nodes` are the load balancers' own addresses by those on the switch; the addresses `down` drop all."""

    interfaces: list[Interface] = field(default_factory=list)
    forwards: list[Forward] = field(default_factory=list)
    nodes: dict[str, str] = field(default_factory=dict)
    hosts: set[Host] = field(default_factory=set)
    down: set[str] = field(default_factory=set)

    @property
    def addresses(self) -> set[str]:
        """The addresses that the namespace has, but for its client's."""
        return {*self.nodes, *self.nodes.values(), *(host.place[0] for host in self.hosts)}


def plans(topology: Topology, healthy: Healthy, zones_down: Set[str], front: Front) -> dict[Vpc, Plan]:
    """The plan of every VPC with an endpoint or a Network Load Balancer.

    `front((ARN, zone))` is the address on the switch of a load balancer's node.
    """
    found: dict[Vpc, Plan] = {}
    balancers = {balancer.arn: balancer for balancer in topology.balancers}
    neighbours: dict[tuple[str, str], list[str]] = {}
    for endpoint in topology.endpoints:
        plan = found.setdefault(vpc_of(endpoint), Plan())
        for address in endpoint.addresses:
            node = _node(endpoint, address, balancers)
            # An endpoint in the load balancer's own VPC needs no switch.
            if node and node.vpc == vpc_of(endpoint):
                neighbours.setdefault((node.arn, address.zone), []).append(address.ip)
            plan.interfaces.append(_interface(topology, endpoint, address, node, zones_down, front))
    for balancer in topology.balancers:
        plan = found.setdefault(balancer.vpc, Plan())
        _add_balancer(plan, topology, balancer, healthy, zones_down, front, neighbours)
    return found


def complaints(topology: Topology) -> list[str]:
    """What is missing in what is deployed, which AWS shows by resets alone: a sentence each."""
    listened = {listener.balancer for listener in topology.listeners}
    behind = {arn: one.service_id for one in topology.endpoints for arn in one.load_balancer_arns}
    return [
        f"load balancer {arn} has no TCP listener: every connection to {behind[arn]} is reset"
        for arn in sorted(behind.keys() - listened)
    ]


def _node(endpoint: Endpoint, address: Address, balancers: Mapping[str, Balancer]) -> Balancer | None:
    """The first of the service's load balancers that is in the zone of an endpoint's address."""
    known = (balancers.get(arn) for arn in endpoint.load_balancer_arns)
    return next((one for one in known if one and any(at.zone == address.zone for at in one.addresses)), None)


def _interface(
    topology: Topology,
    endpoint: Endpoint,
    address: Address,
    node: Balancer | None,
    zones_down: Set[str],
    front: Front,
) -> Interface:
    """Only in the state `available` anything passes: "Pending or Rejected" connections time out (AWS re:Post,
    connect-endpoint-service-vpc)."""
    is_open = endpoint.state.lower() == "available" and address.zone not in zones_down
    admitted = tuple(rule for group in endpoint.security_group_ids for rule in topology.groups.get(group, ()))
    is_far = node is not None and node.vpc != vpc_of(endpoint)
    return Interface(
        address.ip, is_open and node is not None, admitted, front((node.arn, address.zone)) if node and is_far else None
    )


def _add_balancer(
    plan: Plan,
    topology: Topology,
    balancer: Balancer,
    healthy: Healthy,
    zones_down: Set[str],
    front: Front,
    neighbours: Mapping[tuple[str, str], list[str]],
) -> None:
    """Put a load balancer and its targets into its VPC's plan."""
    listeners = [one for one in topology.listeners if one.balancer == balancer.arn]
    for listener in listeners:
        plan.hosts.update(_hosts(listener, balancer.names))
        plan.down.update(target.address for target in listener.targets if target.zone in zones_down)
    for address in balancer.addresses:
        key = (balancer.arn, address.zone)
        plan.nodes[front(key)] = address.ip
        for listener in listeners:

            def is_healthy(target: Target, check: Check = listener.check) -> bool:
                return target.zone not in zones_down and healthy(balancer.vpc, target, check)

            targets = reached(listener.targets, address.zone, balancer.cross_zone, is_healthy)
            is_down = targets is None or address.zone in zones_down
            places = None if is_down else tuple((target.address, target.port) for target in targets or ())
            plan.forwards.append(Forward((address.ip, front(key), *neighbours.get(key, ())), listener.port, places))


def reached(
    targets: Iterable[Target], zone: str, cross_zone: bool, healthy: Callable[[Target], bool]
) -> tuple[Target, ...] | None:
    """The targets among which a load balancer's node in `zone` chooses.

    () where none is registered and running: the node resets. With none healthy all are used: "fail open" (NLB user
    guide, health checks). Without cross-zone load balancing a node uses those of its zone; None where that leaves none
    but another zone has some: dropped (unconfirmed; AWS's answer is that DNS no longer names such a node).
    """
    running = tuple(target for target in targets if target.up)
    used = tuple(filter(healthy, running)) or running
    if cross_zone or not used:
        return used
    return tuple(target for target in used if target.zone == zone) or None


def _hosts(listener: Listener, names: tuple[str, ...]) -> Iterator[Host]:
    """The servers of the targets that run, at the port of the health check, too; checked over HTTPS, they serve it."""
    for target in listener.targets:
        for port in {target.port, listener.check.port or target.port} if target.served else ():
            yield Host(target.id, (target.address, port), names if listener.check.protocol == "HTTPS" else None)
