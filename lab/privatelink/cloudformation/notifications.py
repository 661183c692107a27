"""AWS::EC2::VPCEndpointConnectionNotification."""

from lab.privatelink import ministack
from lab.privatelink.cloudformation.properties import Made, Properties, given, succeeded


def create(logical_id: str, properties: Properties, stack_name: str) -> Made:
    """A notification about the service or the endpoint that the properties name."""
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


def update(notification_id: str, old: Properties, new: Properties, stack_name: str) -> Made:
    """Topic and events change in place; another service or endpoint is a replacement."""
    if any(old.get(name) != new.get(name) for name in ("ServiceId", "VPCEndpointId")):
        return create("", new, stack_name)
    arguments = given(
        ConnectionNotificationId=notification_id,
        ConnectionNotificationArn=new["ConnectionNotificationArn"],
        ConnectionEvents=list(new["ConnectionEvents"]),
    )
    ministack.call("ModifyVpcEndpointConnectionNotification", arguments)
    return _notification(notification_id)


def delete(notification_id: str, properties: Properties) -> None:
    """Delete the notification; it may be gone with its service."""
    answer = ministack.call(
        "DeleteVpcEndpointConnectionNotifications", {"ConnectionNotificationIds": [notification_id]}
    )
    succeeded(answer, gone=("InvalidConnectionNotification",))
