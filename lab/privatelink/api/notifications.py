"""Connection notifications: the EC2 actions on them, and their way to SNS."""

import json
import logging

from lab.iam import permissions
from lab.privatelink import ministack
from lab.privatelink.api import listing
from lab.privatelink.api.fields import Values, unsuccessful
from lab.privatelink.rules import notifications
from lab.privatelink.rules.model import Caller, ConnectionEvent, Notification
from lab.privatelink.rules.state import State

PUBLISHER = "vpce.amazonaws.com"
log = logging.getLogger(__name__)


def create(state: State, caller: Caller, request: Values) -> Values:
    """CreateVpcEndpointConnectionNotification. The topic is not looked at before the first event."""
    made = notifications.create(
        state,
        caller,
        topic_arn=request["ConnectionNotificationArn"],
        events=request.get("ConnectionEvents", []),
        service_id=request.get("ServiceId", ""),
        endpoint_id=request.get("VpcEndpointId", ""),
    )
    return {"ConnectionNotification": _shown(made), "ClientToken": request.get("ClientToken")}


def _is_of_service(notification: Notification) -> bool:
    return notification.source_id.startswith("vpce-svc-")


def _shown(notification: Notification) -> Values:
    of_service = _is_of_service(notification)
    return {
        "ConnectionNotificationId": notification.notification_id,
        "ServiceId" if of_service else "VpcEndpointId": notification.source_id,
        "ConnectionNotificationType": "Topic",
        "ConnectionNotificationArn": notification.topic_arn,
        "ConnectionEvents": notification.events,
        "ConnectionNotificationState": "Enabled",
        "ServiceRegion": notification.region,
    }


def describe(state: State, caller: Caller, request: Values) -> Values:
    """DescribeVpcEndpointConnectionNotifications."""
    wanted = request.get("ConnectionNotificationId")
    if wanted:
        with state.lock:
            notifications.find(state, caller, wanted)
    own = [n for n in notifications.owned(state, caller) if wanted in (None, n.notification_id)]
    found = listing.chosen(own, request.get("Filters", ()), _facts)
    shown, token = listing.page(found, request, lambda n: n.notification_id)
    return {"ConnectionNotificationSet": [_shown(n) for n in shown], "NextToken": token}


def _facts(notification: Notification) -> listing.Facts:
    of_service = _is_of_service(notification)
    return {
        "connection-notification-arn": (notification.topic_arn,),
        "connection-notification-id": (notification.notification_id,),
        "connection-notification-state": ("Enabled",),
        "connection-notification-type": ("Topic",),
        "service-id": (notification.source_id,) if of_service else (),
        "vpc-endpoint-id": () if of_service else (notification.source_id,),
    }


def modify(state: State, caller: Caller, request: Values) -> Values:
    """ModifyVpcEndpointConnectionNotification."""
    topic_arn, events = request.get("ConnectionNotificationArn", ""), request.get("ConnectionEvents", [])
    notifications.modify(state, caller, request["ConnectionNotificationId"], topic_arn, events)
    return {"ReturnValue": True}


def delete(state: State, caller: Caller, request: Values) -> Values:
    """DeleteVpcEndpointConnectionNotifications."""
    return unsuccessful(notifications.delete(state, caller, request.get("ConnectionNotificationIds", [])))


def publish(event: ConnectionEvent) -> None:
    """Publish an event to the topics of its notifications, where the topic's policy admits PrivateLink."""
    for notification in event.notifications:
        with ministack.acting(notification.owner, notification.region):
            if permissions.resource_allows(PUBLISHER, "sns:Publish", notification.topic_arn, _source_arn(notification)):
                ministack.publish(notification.topic_arn, message(event), "VPC endpoint connection notification")
            else:
                log.warning("%s may not publish to %s", PUBLISHER, notification.topic_arn)


def _source_arn(notification: Notification) -> str:
    kind = "vpc-endpoint-service" if _is_of_service(notification) else "vpc-endpoint"
    return f"arn:aws:ec2:{notification.region}:{notification.owner}:{kind}/{notification.source_id}"


def message(event: ConnectionEvent) -> str:
    """The text of a notification. AWS documents no body: only that both ids are in it may be relied on here."""
    return json.dumps(
        {
            "unconfirmed": "AWS does not document this body",
            "event": event.name,
            "service": event.service.service_id,
            "endpoint": event.connection.endpoint_id,
            "owner": event.connection.owner,
        }
    )
