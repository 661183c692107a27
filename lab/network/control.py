"""The control plane as the data plane sees it: reads lab.privatelink and ministack's elbv2 and ec2, changes nothing.

Every private name of ministack that this module uses stands in the block below.
"""

from collections.abc import Mapping
from typing import Any

from ministack.services import alb, ec2  # type: ignore[import-untyped]

from lab import privatelink
from lab.network.topology import Listener, Target, Topology

# ministack 1.5.33: stores by account and region ("scoped"); records have the shapes of the API.
_listeners = alb._listeners
_target_groups = alb._tgs
_targets = alb._targets
_instances = ec2._instances

_PROTOCOLS = {"TCP", "TCP_UDP"}
"""Listener protocols carried; a TLS listener, which ends TLS in the load balancer, is not."""


def topology() -> Topology:
    """One look; safe in any thread (ministack's stores copy themselves before they are walked)."""
    endpoints = privatelink.endpoints()
    balancers = {arn for endpoint in endpoints for arn in endpoint.load_balancer_arns}
    listeners = tuple(
        Listener(record["LoadBalancerArn"], int(record["Port"]), _targets_of(record))
        for record in _listeners.all_values()
        if record["LoadBalancerArn"] in balancers and record["Protocol"].upper() in _PROTOCOLS
    )
    return Topology(endpoints, listeners)


def registered(arn: str) -> tuple[Target, ...] | None:
    """The targets of a target group; None if there is no such group."""
    # A malformed ARN is that of no group.
    region, account = (arn.split(":") + [""] * 5)[3:5]
    group = _target_groups.get_scoped(account, region, arn)
    if group is None:
        return None
    return tuple(
        Target(
            record["Id"],
            int(record.get("Port") or group["Port"]),
            _is_up(record["Id"], account, region, group.get("VpcId")),
        )
        for record in list(_targets.get_scoped(account, region, arn, ()))
    )


def _targets_of(listener: Mapping[str, Any]) -> tuple[Target, ...]:
    found: list[Target] = []
    for arn in (action.get("TargetGroupArn") for action in listener["DefaultActions"]):
        found.extend(registered(arn) or () if arn else ())
    return tuple(found)


def _is_up(target_id: str, account: str, region: str, vpc_id: str | None) -> bool:
    if not target_id.startswith("i-"):
        return True
    record = _instances.get_scoped(account, region, target_id)
    if record is None or (vpc_id and record.get("VpcId") != vpc_id):
        return False
    return bool(record["State"]["Name"] == "running")
