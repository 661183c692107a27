"""CloudFormation's PrivateLink types, each made of the EC2 calls that it stands for.

An endpoint is complete as soon as it exists: CloudFormation does not wait for its acceptance.
What AWS replaces (schema: createOnlyProperties) is created anew, and the engine deletes its predecessor.
"""

from typing import Any

from lab.privatelink import ministack
from lab.privatelink.cloudformation.endpoints import Endpoints
from lab.privatelink.cloudformation.properties import Made, Properties, changes, flag, given, retag, succeeded, tagged
from lab.privatelink.rules.state import State


def install(state: State) -> None:
    """Teach CloudFormation the types; endpoints on AWS's own services stay with ministack's handler."""
    endpoints = Endpoints(state, ministack.RESOURCE_TYPES["AWS::EC2::VPCEndpoint"])
    ministack.RESOURCE_TYPES.update(
        {
            "AWS::EC2::VPCEndpointService": _handler(create_service, update_service, delete_service),
            "AWS::EC2::VPCEndpointServicePermissions": _handler(permit, update_permissions, forbid),
            "AWS::EC2::VPCEndpointConnectionNotification": _handler(notify, update_notification, delete_notification),
            "AWS::EC2::VPCEndpoint": _handler(endpoints.create, endpoints.update, endpoints.delete),
        }
    )
    ministack.STACK_TAGS["AWS::EC2::VPCEndpointService"] = ("Tags", "list")


def _handler(create: Any, update: Any, delete: Any) -> dict[str, Any]:
    return {"create": create, "update": update, "delete": delete}


def create_service(logical_id: str, properties: Properties, stack_name: str) -> Made:
    """AWS::EC2::VPCEndpointService."""
    arguments = given(
        NetworkLoadBalancerArns=properties.get("NetworkLoadBalancerArns"),
        GatewayLoadBalancerArns=properties.get("GatewayLoadBalancerArns"),
        PrivateDnsName=properties.get("PrivateDnsName"),
        TagSpecifications=tagged(properties, "vpc-endpoint-service"),
    )
    arguments["AcceptanceRequired"] = flag(properties, "AcceptanceRequired", True)
    service = ministack.call("CreateVpcEndpointServiceConfiguration", arguments)["ServiceConfiguration"]
    return _service(service["ServiceId"])


def _service(service_id: str) -> Made:
    return service_id, {"ServiceId": service_id}


def update_service(service_id: str, old: Properties, new: Properties, stack_name: str) -> Made:
    """Everything about a service changes in place."""
    added, removed = changes("NetworkLoadBalancerArns", old, new)
    renamed = old.get("PrivateDnsName") != new.get("PrivateDnsName")
    arguments = given(
        ServiceId=service_id,
        AddNetworkLoadBalancerArns=added,
        RemoveNetworkLoadBalancerArns=removed,
        PrivateDnsName=new.get("PrivateDnsName") if renamed else None,
        RemovePrivateDnsName=True if renamed and not new.get("PrivateDnsName") else None,
    )
    arguments["AcceptanceRequired"] = flag(new, "AcceptanceRequired", True)
    ministack.call("ModifyVpcEndpointServiceConfiguration", arguments)
    retag(service_id, old, new)
    return _service(service_id)


def delete_service(service_id: str, properties: Properties) -> None:
    """Fails while the service has connections, as on AWS."""
    answer = ministack.call("DeleteVpcEndpointServiceConfigurations", {"ServiceIds": [service_id]})
    succeeded(answer, gone=("InvalidVpcEndpointServiceId.NotFound",))


def permit(logical_id: str, properties: Properties, stack_name: str) -> Made:
    """AWS::EC2::VPCEndpointServicePermissions; its Ref is the service's id."""
    return _permit(properties["ServiceId"], list(properties.get("AllowedPrincipals") or ()), [])


def _permit(service_id: str, add: list[str], remove: list[str]) -> Made:
    arguments = given(ServiceId=service_id, AddAllowedPrincipals=add, RemoveAllowedPrincipals=remove)
    ministack.call("ModifyVpcEndpointServicePermissions", arguments)
    return service_id, {}


def update_permissions(service_id: str, old: Properties, new: Properties, stack_name: str) -> Made:
    """The principals change in place; another service is a replacement."""
    if new["ServiceId"] != service_id:
        return permit("", new, stack_name)
    return _permit(service_id, *changes("AllowedPrincipals", old, new))


def forbid(service_id: str, properties: Properties) -> None:
    """Take back what was permitted."""
    known = ministack.call("DescribeVpcEndpointServiceConfigurations", {})["ServiceConfigurations"]
    if service_id in {service["ServiceId"] for service in known}:
        _permit(service_id, [], list(properties.get("AllowedPrincipals") or ()))


def notify(logical_id: str, properties: Properties, stack_name: str) -> Made:
    """AWS::EC2::VPCEndpointConnectionNotification."""
    arguments = given(
        ServiceId=properties.get("ServiceId"),
        VpcEndpointId=properties.get("VPCEndpointId"),
        ConnectionNotificationArn=properties["ConnectionNotificationArn"],
        ConnectionEvents=list(properties["ConnectionEvents"]),
    )
    made = ministack.call("CreateVpcEndpointConnectionNotification", arguments)["ConnectionNotification"]
    return _notification(made["ConnectionNotificationId"])


def _notification(notification_id: str) -> Made:
    return notification_id, {"VPCEndpointConnectionNotificationId": notification_id}


def update_notification(notification_id: str, old: Properties, new: Properties, stack_name: str) -> Made:
    """Topic and events change in place; another service or endpoint is a replacement."""
    if any(old.get(name) != new.get(name) for name in ("ServiceId", "VPCEndpointId")):
        return notify("", new, stack_name)
    arguments = given(
        ConnectionNotificationId=notification_id,
        ConnectionNotificationArn=new["ConnectionNotificationArn"],
        ConnectionEvents=list(new["ConnectionEvents"]),
    )
    ministack.call("ModifyVpcEndpointConnectionNotification", arguments)
    return _notification(notification_id)


def delete_notification(notification_id: str, properties: Properties) -> None:
    """Delete the notification; it may be gone with its service."""
    answer = ministack.call(
        "DeleteVpcEndpointConnectionNotifications", {"ConnectionNotificationIds": [notification_id]}
    )
    succeeded(answer, gone=("InvalidConnectionNotification",))
