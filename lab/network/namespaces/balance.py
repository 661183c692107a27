"""Which targets a node of a Network Load Balancer chooses among."""

from collections.abc import Callable, Iterable

from lab.network.topology import Target


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
