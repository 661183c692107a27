"""The network that ministack knows, as this package sees it: subnets, security groups, zones, network interfaces."""

from collections.abc import Mapping, Sequence
from typing import Any

from ministack.services import alb, ec2  # type: ignore[import-untyped]

from lab.privatelink.rules.model import Address, Caller, Connection, Refusal, Subnet

# ministack 1.5.33: stores by account and region ("scoped"); records have the shapes of the API.
_balancers = alb._lbs
_groups = ec2._security_groups
_instances = ec2._instances
_interfaces = ec2._network_interfaces
_subnets = ec2._subnets
_vpcs = ec2._vpcs
_zone_id = ec2._az_id_for_zone_name


def subnet(owner: Caller, vpc_id: str, subnet_id: str) -> Subnet:
    """A subnet of the VPC. Raises Refusal InvalidSubnetId.NotFound, also for another VPC's."""
    record = _subnets.get_scoped(owner.account, owner.region, subnet_id)
    if record is None or record["VpcId"] != vpc_id:
        raise Refusal("InvalidSubnetId.NotFound", f"The subnet ID '{subnet_id}' does not exist in VPC '{vpc_id}'")
    zone, cidr = record["AvailabilityZone"], record["CidrBlock"]
    return Subnet(subnet_id, vpc_id, zone, cidr, taken(owner.account, owner.region, subnet_id))


def taken(account: str, region: str, subnet_id: str) -> frozenset[str]:
    """The addresses of a subnet that network interfaces and instances hold."""
    holders = (*_interfaces.values_scoped(account, region), *_instances.values_scoped(account, region))
    return frozenset(h["PrivateIpAddress"] for h in holders if h.get("SubnetId") == subnet_id and _has_address(h))


def _has_address(holder: Mapping[str, Any]) -> bool:
    is_gone = holder.get("State", {}).get("Name") == "terminated"
    return bool(holder.get("PrivateIpAddress")) and not is_gone


def default_security_group(owner: Caller, vpc_id: str) -> str:
    """The default security group of the VPC. Raises Refusal InvalidVpcId.NotFound."""
    record = _vpcs.get_scoped(owner.account, owner.region, vpc_id)
    if record is None:
        raise Refusal("InvalidVpcId.NotFound", f"The Vpc Id {vpc_id} does not exist")
    return str(record["DefaultSecurityGroupId"])


def group_name(owner: Caller, group_id: str) -> str | None:
    """The name of a security group, None if it does not exist (any more: ministack deletes groups in use)."""
    record = _groups.get_scoped(owner.account, owner.region, group_id) or {}
    return record.get("GroupName")


def require_groups(owner: Caller, vpc_id: str, group_ids: Sequence[str]) -> None:
    """Raises Refusal InvalidSecurityGroupId.NotFound for an unknown group, InvalidParameter for another VPC's.

    The words for the latter are those of RunInstances, which names the subnet: unconfirmed for endpoints.
    """
    for group_id in group_ids:
        record = _groups.get_scoped(owner.account, owner.region, group_id)
        if record is None:
            raise Refusal("InvalidSecurityGroupId.NotFound", f"The security group ID '{group_id}' does not exist")
        if record["VpcId"] != vpc_id:
            message = f"Security group {group_id} and VPC {vpc_id} belong to different networks."
            raise Refusal("InvalidParameter", message)


def require_dns(owner: Caller, vpc_id: str) -> None:
    """Raises Refusal InvalidParameter for a VPC in which a private DNS name could not resolve."""
    record = _vpcs.get_scoped(owner.account, owner.region, vpc_id) or {}
    # What a VPC has by default (VPC guide, "DNS attributes"); ministack keeps only what was set.
    if not (record.get("EnableDnsSupport", True) and record.get("EnableDnsHostnames", False)):
        raise Refusal(
            "InvalidParameter",
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for "
            f"{vpc_id}",
        )


def zones(owner: Caller, load_balancer_arns: Sequence[str]) -> tuple[str, ...]:
    """The zones that the load balancers are in; all of the Region where ministack does not know their subnets."""
    found = set()
    for arn in load_balancer_arns:
        balancer = _balancers.get_scoped(owner.account, owner.region, arn) or {}
        for subnet_id in balancer.get("Subnets") or ():
            if record := _subnets.get_scoped(owner.account, owner.region, subnet_id):
                found.add(record["AvailabilityZone"])
    return tuple(sorted(found)) or tuple(f"{owner.region}{letter}" for letter in "abc")


def zone_id(zone: str) -> str:
    """The id of a zone, as euw1-az1; zone names mean the same in every account of the lab."""
    return str(_zone_id(zone))


def show_interfaces(owner: Caller, connection: Connection) -> None:
    """Let DescribeNetworkInterfaces show those of an endpoint."""
    groups = [{"GroupId": g, "GroupName": group_name(owner, g) or g} for g in connection.security_group_ids]
    for address in connection.addresses:
        record = interface(
            "vpc_endpoint", _description(connection), connection.owner, connection.vpc_id, address, groups
        )
        _interfaces.set_scoped(owner.account, owner.region, address.interface_id, record)


def hide_interfaces(connection: Connection) -> None:
    """Forget the network interfaces of an endpoint."""
    for interface_id, record in _interfaces.items_scoped(connection.owner, connection.region):
        if record["Description"] == _description(connection):
            _interfaces.pop_scoped(connection.owner, connection.region, interface_id, None)


def _description(connection: Connection) -> str:
    return f"VPC Endpoint Interface {connection.endpoint_id}"


def interface(
    kind: str, description: str, owner: str, vpc_id: str, address: Address, groups: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    """ministack's record of a network interface that AWS makes for one of its services."""
    return {
        "NetworkInterfaceId": address.interface_id,
        "SubnetId": address.subnet_id,
        "VpcId": vpc_id,
        "AvailabilityZone": address.zone,
        "Description": description,
        "OwnerId": owner,
        "Status": "in-use",
        "PrivateIpAddress": address.ip,
        "InterfaceType": kind,
        "SourceDestCheck": True,
        "MacAddress": "02:" + ":".join(address.interface_id[-10:][i : i + 2] for i in range(0, 10, 2)),
        "Groups": list(groups),
        "Attachment": None,
    }
