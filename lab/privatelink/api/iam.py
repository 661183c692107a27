"""IAM for PrivateLink under AUTH=true: which resources a call is judged on, and their tags.

Resources are those of AWS's service authorization reference for EC2. ministack's own names used here:
core.iam_actions.extract_resource_arn and .verified_access_resource_arns (looked up at each request; the first names
the resource of a call, the second, for EC2 calls, the further ones), services.tagging.resource_tags (likewise),
services.ec2._tags and ._guess_resource_type. `ec2:ResourceTag/…` and the `ec2:Vpce…` condition keys are not known.
"""

from collections.abc import Mapping
from typing import Any

from lab.privatelink.ministack import flat
from lab.privatelink.rules.state import State

_ON_SERVICE = {
    "AcceptVpcEndpointConnections",
    "RejectVpcEndpointConnections",
    "CreateVpcEndpointConnectionNotification",
    "DescribeVpcEndpointServicePermissions",
    "ModifyVpcEndpointServiceConfiguration",
    "ModifyVpcEndpointServicePermissions",
    "StartVpcEndpointServicePrivateDnsVerification",
    "DeleteVpcEndpointServiceConfigurations",
}
_ON_NOTIFICATION = {"ModifyVpcEndpointConnectionNotification", "DeleteVpcEndpointConnectionNotifications"}
_ON_ANYTHING = {"CreateTags", "DeleteTags"}
_TYPES = {
    "vpce-svc-": "vpc-endpoint-service",
    "vpce-con-": "vpc-endpoint-connection",
    "vpce-nfn-": "vpc-endpoint-connection-notification",
}


def resources(state: State, query: Mapping[str, str], region: str, account: str) -> list[str]:
    """The ARNs that a call of ours is judged on, each by itself; none if the call is not ours."""
    from ministack.services import ec2  # type: ignore[import-untyped]

    action = query.get("Action", "")
    if action == "CreateVpcEndpointServiceConfiguration":
        return [f"arn:aws:ec2:{region}:{account}:vpc-endpoint-service/*"]
    if action in _ON_SERVICE:
        ids = _values(query, "ServiceId") or _values(query, "VpcEndpointId")
    elif action in _ON_NOTIFICATION:
        asked = _values(query, "ConnectionNotificationId")
        ids = [state.notifications[i].source_id for i in asked if i in state.notifications]
    else:
        ids = _values(query, "ResourceId") if action in _ON_ANYTHING else []
    return [f"arn:aws:ec2:{region}:{account}:{ec2._guess_resource_type(i)}/{i}" for i in ids]


def _values(query: Mapping[str, str], name: str) -> list[str]:
    return [value for key, value in query.items() if key == name or key.startswith(f"{name}.")]


def _tags(arn: str) -> dict[str, str] | None:
    """The tags of an EC2 resource, found by its id: every call of a role that depends on tags asks for them."""
    from ministack.services import ec2

    _, _, _, region, account, resource = arn.split(":", 5)
    pairs = ec2._tags.get_scoped(account, region, resource.rpartition("/")[2])
    return None if pairs is None else {pair["Key"]: pair["Value"] for pair in pairs}


def install(state: State) -> None:
    """Teach ministack's IAM the resources, its EC2 their types, and both their tags."""
    from ministack.core import iam_actions  # type: ignore[import-untyped]
    from ministack.services import ec2, tagging

    first, others, guess, tags = (
        iam_actions.extract_resource_arn,
        iam_actions.verified_access_resource_arns,
        ec2._guess_resource_type,
        tagging.resource_tags,
    )

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: Any, query: Any, region: str, account: str
    ) -> Any:
        ours = resources(state, flat(query), region, account) if service == "ec2" else []
        return ours[0] if ours else first(service, method, path, headers, body, query, region, account)

    def verified_access_resource_arns(query: Any, region: str, account: str) -> Any:
        return resources(state, flat(query), region, account) or others(query, region, account)

    def guess_resource_type(resource_id: str) -> Any:
        return next((kind for prefix, kind in _TYPES.items() if resource_id.startswith(prefix)), guess(resource_id))

    def resource_tags(arn: str) -> Any:
        return _tags(arn) if arn.startswith("arn:aws:ec2:") else tags(arn)

    iam_actions.extract_resource_arn = extract_resource_arn
    iam_actions.verified_access_resource_arns = verified_access_resource_arns
    ec2._guess_resource_type = guess_resource_type
    tagging.resource_tags = resource_tags
