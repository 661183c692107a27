"""The control plane as the data plane sees it: reads lab.privatelink and ministack's elbv2 and ec2, changes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from ministack.services import alb, ec2  # type: ignore[import-untyped]

from lab import privatelink
from lab.network.control import load_balancers
from lab.network.topology import Admission, Balancer, Check, Listener, Target, Topology, Vpc
from lab.privatelink.rules.model import Endpoint

# ministack 1.5.33: stores by account and region ("scoped"); records have the shapes of the API.
_balancers = alb._lbs
_attributes = alb._lb_attrs
_listeners = alb._listeners
_target_groups = alb._tgs
_targets = alb._targets
_instances = ec2._instances
_groups = ec2._security_groups
_vpcs = ec2._vpcs
_subnets = ec2._subnets

_PROTOCOLS = {"TCP", "TCP_UDP"}
"""Listener protocols carried; a TLS listener, which ends TLS in the load balancer, is not."""
_CROSS_ZONE = {"Key": "load_balancing.cross_zone.enabled", "Value": "true"}
_ANYWHERE = "0.0.0.0/0"


def topology() -> Topology:
    """One look; safe in any thread (ministack's stores copy themselves before they are walked)."""
    endpoints = privatelink.endpoints()
    balancers = tuple(_network_balancers(privatelink.private_names()))
    known = {arn for endpoint in endpoints for arn in endpoint.load_balancer_arns} | {one.arn for one in balancers}
    listeners = tuple(
        Listener(record["LoadBalancerArn"], int(record["Port"]), *_behind(record))
        for record in _listeners.all_values()
        if record["LoadBalancerArn"] in known and record["Protocol"].upper() in _PROTOCOLS
    )
    return Topology(endpoints, listeners, balancers, _admissions(endpoints), _blocks())


def registered(arn: str) -> tuple[Target, ...] | None:
    """The targets of a target group; None if there is no such group."""
    account, region = load_balancers.scope(arn)
    group = _target_groups.get_scoped(account, region, arn)
    if group is None:
        return None
    return tuple(
        _target(record["Id"], int(record.get("Port") or group["Port"]), account, region, group.get("VpcId"))
        for record in list(_targets.get_scoped(account, region, arn, ()))
    )


def _network_balancers(names: Mapping[str, tuple[str, ...]]) -> Iterator[Balancer]:
    for record in _balancers.all_values():
        if record["Type"] == "network":
            arn = record["LoadBalancerArn"]
            account, _ = load_balancers.scope(arn)
            yield Balancer(
                arn,
                record["DNSName"],
                Vpc(account, record["VpcId"]),
                load_balancers.addresses(arn),
                _CROSS_ZONE in _attributes.get_scoped(account, None, arn, []),
                names.get(arn, ()),
            )


def _behind(listener: Mapping[str, Any]) -> tuple[tuple[Target, ...], Check]:
    """The targets of a listener, and how their health is checked."""
    found: list[Target] = []
    check = Check()
    for arn in (action.get("TargetGroupArn") for action in listener["DefaultActions"]):
        found.extend(registered(arn) or () if arn else ())
        if arn and (group := _target_groups.get_scoped(*load_balancers.scope(arn), arn)):
            port = str(group["HealthCheckPort"])
            check = Check(group["HealthCheckProtocol"], group["HealthCheckPath"], int(port) if port.isdigit() else None)
    return tuple(found), check


def _target(target_id: str, port: int, account: str, region: str, vpc_id: str | None) -> Target:
    if not target_id.startswith("i-"):
        return _address(target_id, port, account, region, vpc_id)
    record = _instances.get_scoped(account, region, target_id)
    if record is None or (vpc_id and record.get("VpcId") != vpc_id):
        return Target(target_id, port, False)
    is_up = record["State"]["Name"] == "running"
    return Target(target_id, port, is_up, record["PrivateIpAddress"], record["Placement"]["AvailabilityZone"], is_up)


def _address(address: str, port: int, account: str, region: str, vpc_id: str | None) -> Target:
    """An IPv4 address as target, always up as far as EC2 knows; its zone is that of its subnet in the group's VPC."""
    try:
        at = IPv4Address(address)
    except ValueError:
        return Target(address, port, False)
    subnets = (one for one in _subnets.values_scoped(account, region) if one["VpcId"] == vpc_id)
    zones = (one["AvailabilityZone"] for one in subnets if at in IPv4Network(one["CidrBlock"], strict=False))
    served = any(
        (one["VpcId"], one["PrivateIpAddress"], one["State"]["Name"]) == (vpc_id, address, "running")
        for one in _instances.values_scoped(account, region)
    )
    return Target(address, port, True, address, next(zones, ""), served)


def _admissions(endpoints: Sequence[Endpoint]) -> dict[str, tuple[Admission, ...]]:
    return {
        group_id: tuple(_rules(_groups.get_scoped(endpoint.owner, endpoint.region, group_id) or {}))
        for endpoint in endpoints
        for group_id in endpoint.security_group_ids
    }


def _rules(group: Mapping[str, Any]) -> Iterator[Admission]:
    """The rules for TCP over IPv4. One that names a group admits the whole VPC: its members are not known apart."""
    for rule in group.get("IpPermissions", ()):
        protocol = str(rule["IpProtocol"])
        if protocol not in ("tcp", "6", "-1"):
            continue
        ports = (0, 65535) if protocol == "-1" else (int(rule.get("FromPort", 0)), int(rule.get("ToPort", 65535)))
        for block in rule.get("IpRanges", ()):
            yield Admission(block["CidrIp"], *ports)
        if rule.get("UserIdGroupPairs"):
            yield Admission(_ANYWHERE, *ports)


def _blocks() -> dict[Vpc, tuple[str, ...]]:
    found = {Vpc(account, vpc_id): [record["CidrBlock"]] for (account, _, vpc_id), record in _vpcs.all_items()}
    for (account, _, _), record in _subnets.all_items():
        found.get(Vpc(account, record["VpcId"]), []).append(record["CidrBlock"])
    return {vpc: (blocks[0], *sorted(blocks[1:])) for vpc, blocks in found.items()}
