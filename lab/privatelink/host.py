"""ministack as this package sees it: every one of its names that is used, private ones included, is on this page.

The exceptions are the two dispatch points that authorization.py replaces; it names them at its top.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import ministack.core.iam_evaluator as iam  # type: ignore[import-untyped]
import ministack.core.responses as scope  # type: ignore[import-untyped]
import ministack.services.alb as alb  # type: ignore[import-untyped]
import ministack.services.cloudformation.provisioners as provisioners  # type: ignore[import-untyped]
import ministack.services.ec2 as ec2  # type: ignore[import-untyped]
import ministack.services.eventbridge as eventbridge  # type: ignore[import-untyped]
import ministack.services.sns as sns  # type: ignore[import-untyped]

from lab.privatelink import shapes
from lab.privatelink.model import Address, Caller, Connection, Refusal, Subnet

Answer = tuple[int, dict[str, str], bytes]
Action = Callable[[Mapping[str, Any]], Answer]

ACTIONS: dict[str, Action] = ec2._ACTION_MAP
RESOURCE_TYPES: dict[str, dict[str, Any]] = provisioners._RESOURCE_HANDLERS
STACK_TAGS: dict[str, tuple[str, str]] = provisioners._STACK_TAG_PROPERTY
ORIGINALS: Mapping[str, Action] = dict(ec2._ACTION_MAP)


def caller() -> Caller:
    """Who makes the current request."""
    return Caller(scope.get_account_id(), scope.get_region(), iam.caller_arn())


def acting(account: str, region: str) -> AbstractContextManager[None]:
    """Outside a request: act in that account and Region."""
    context: AbstractContextManager[None] = scope.request_scope(account, region)
    return context


def call(action: str, arguments: Mapping[str, Any], actions: Mapping[str, Action] = ACTIONS) -> dict[str, Any]:
    """Call an EC2 action as the current caller, in boto3's spelling. Raises Refusal."""
    ec2._ensure_defaults_initialized()
    status, _, body = actions[action](shapes.query(action, arguments))
    return shapes.values(action, status, body)


def tags(account: str, region: str, resource_id: str) -> dict[str, str]:
    """The tags that the account has put on the resource."""
    return {t["Key"]: t.get("Value", "") for t in ec2._tags.get_scoped(account, region, resource_id) or ()}


def tag(account: str, region: str, resource_id: str, given: Mapping[str, str]) -> None:
    """Tag a new resource."""
    if given:
        pairs = [{"Key": key, "Value": value} for key, value in given.items()]
        ec2._tags.set_scoped(account, region, resource_id, pairs)


def untag(account: str, region: str, resource_id: str) -> None:
    """Drop the tags of a resource that is gone."""
    ec2._tags.pop_scoped(account, region, resource_id, None)


def subnet(owner: Caller, vpc_id: str, subnet_id: str) -> Subnet:
    """A subnet of the VPC and the addresses in it that network interfaces and instances hold."""
    record = ec2._subnets.get_scoped(owner.account, owner.region, subnet_id)
    if record is None or record["VpcId"] != vpc_id:
        raise Refusal("InvalidSubnetId.NotFound", f"The subnet ID '{subnet_id}' does not exist in VPC '{vpc_id}'")
    holders = (
        *ec2._network_interfaces.values_scoped(owner.account, owner.region),
        *ec2._instances.values_scoped(owner.account, owner.region),
    )
    taken = frozenset(h["PrivateIpAddress"] for h in holders if h.get("SubnetId") == subnet_id and _has_address(h))
    return Subnet(subnet_id, vpc_id, record["AvailabilityZone"], record["CidrBlock"], taken)


def _has_address(holder: Mapping[str, Any]) -> bool:
    return bool(holder.get("PrivateIpAddress"))


def default_security_group(owner: Caller, vpc_id: str) -> str:
    """The default security group of the VPC. Raises Refusal InvalidVpcId.NotFound."""
    record = ec2._vpcs.get_scoped(owner.account, owner.region, vpc_id)
    if record is None:
        raise Refusal("InvalidVpcId.NotFound", f"The Vpc Id {vpc_id} does not exist")
    return str(record["DefaultSecurityGroupId"])


def group_name(owner: Caller, group_id: str) -> str | None:
    """The name of a security group, None if it does not exist (any more: ministack deletes groups in use)."""
    record = ec2._security_groups.get_scoped(owner.account, owner.region, group_id) or {}
    return record.get("GroupName")


def require_groups(owner: Caller, group_ids: Sequence[str]) -> None:
    """Raises Refusal InvalidSecurityGroupId.NotFound for a security group that does not exist."""
    for group_id in group_ids:
        if group_name(owner, group_id) is None:
            raise Refusal("InvalidSecurityGroupId.NotFound", f"The security group ID '{group_id}' does not exist")


def zones(owner: Caller, load_balancer_arns: Sequence[str]) -> tuple[str, ...]:
    """The zones that the load balancers stand in; all of the Region where ministack does not know their subnets."""
    found = set()
    for arn in load_balancer_arns:
        balancer = alb._lbs.get_scoped(owner.account, owner.region, arn) or {}
        for subnet_id in balancer.get("Subnets") or ():
            if record := ec2._subnets.get_scoped(owner.account, owner.region, subnet_id):
                found.add(record["AvailabilityZone"])
    return tuple(sorted(found)) or tuple(f"{owner.region}{letter}" for letter in "abc")


def zone_id(zone: str) -> str:
    """The id of a zone, as euw1-az1; zone names mean the same in every account of the lab."""
    return str(ec2._az_id_for_zone_name(zone))


def show_interfaces(owner: Caller, connection: Connection) -> None:
    """Let DescribeNetworkInterfaces show those of an endpoint, and no others of it."""
    hide_interfaces(connection)
    for address in connection.addresses:
        ec2._network_interfaces.set_scoped(
            owner.account, owner.region, address.interface_id, _interface(owner, connection, address)
        )


def hide_interfaces(connection: Connection) -> None:
    """Forget the network interfaces of an endpoint."""
    description = f"VPC Endpoint Interface {connection.endpoint_id}"
    for interface_id, record in ec2._network_interfaces.items_scoped(connection.owner, connection.region):
        if record["Description"] == description:
            ec2._network_interfaces.pop_scoped(connection.owner, connection.region, interface_id, None)


def _interface(owner: Caller, connection: Connection, address: Address) -> dict[str, Any]:
    groups = [{"GroupId": g, "GroupName": group_name(owner, g) or g} for g in connection.security_group_ids]
    return {
        "NetworkInterfaceId": address.interface_id,
        "SubnetId": address.subnet_id,
        "VpcId": connection.vpc_id,
        "AvailabilityZone": address.zone,
        "Description": f"VPC Endpoint Interface {connection.endpoint_id}",
        "OwnerId": connection.owner,
        "Status": "in-use",
        "PrivateIpAddress": address.ip,
        "InterfaceType": "vpc_endpoint",
        "SourceDestCheck": True,
        "MacAddress": "02:" + ":".join(address.interface_id[-10:][i : i + 2] for i in range(0, 10, 2)),
        "Groups": groups,
        "Attachment": None,
    }


def put_event(account: str, region: str, source: str, detail_type: str, detail: str) -> None:
    """Put an event of an AWS service on the account's default bus."""
    entry = {"Source": source, "DetailType": detail_type, "Detail": detail, "EventBusName": "default"}
    with acting(account, region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def topic_admits(topic_arn: str, service: str, source_arn: str, source_account: str) -> bool:
    """Whether the topic's policy lets the AWS service publish for that source.

    ministack's own check (sns.topic_policy_allows) counts the default policy, whose aws:SourceOwner condition no
    service but S3 is known to meet; that AWS would refuse PrivateLink there is unconfirmed, and the strict side.
    """
    found = sns.topic_policy_for_arn(topic_arn)
    context = iam.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="sns:Publish",
        resource_arn=topic_arn,
        region=scope.get_region(),
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": source_account},
    )
    return bool(found and iam.evaluate_resource_policy(found[0], context, service=service).decision == "Allow")


def publish(topic_arn: str, message: str, subject: str) -> None:
    """Publish to a topic of whatever account, as an AWS service would; nothing happens if it does not exist."""
    sns.publish_internal(topic_arn, message, subject)
