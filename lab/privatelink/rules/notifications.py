"""The rules of connection notifications: which events of a service or endpoint go to which topic."""

from collections.abc import Sequence
from dataclasses import replace

from lab.privatelink.rules import connections, services
from lab.privatelink.rules.model import EVENTS, INTERFACE, Caller, Failure, Notification, Refusal, new_id, refused
from lab.privatelink.rules.state import State


def create(
    state: State, caller: Caller, topic_arn: str, events: Sequence[str], service_id: str = "", endpoint_id: str = ""
) -> Notification:
    """A notification of the caller about a service or about an endpoint of its own.

    "You can create a connection notification for interface endpoints only" (API reference): refused for Gateway Load
    Balancers, though their guide speaks of a notification too. The code of the refusal is unconfirmed.
    """
    with state.change():
        source = (
            services.find(state, caller, service_id) if service_id else connections.find(state, caller, endpoint_id)
        )
        if source.kind != INTERFACE:
            raise Refusal("InvalidParameter", "Connection notifications are for interface endpoints only.")
        notification = Notification(
            notification_id=new_id("vpce-nfn"),
            owner=caller.account,
            region=caller.region,
            source_id=service_id or endpoint_id,
            topic_arn=topic_arn,
            events=_known(events),
        )
        state.notifications[notification.notification_id] = notification
    return notification


def _known(events: Sequence[str]) -> tuple[str, ...]:
    if not events or not set(events) <= set(EVENTS):
        raise Refusal("InvalidParameter", f"Connection events must be among {', '.join(EVENTS)}.")
    return tuple(dict.fromkeys(events))


def owned(state: State, caller: Caller) -> list[Notification]:
    """The notifications of the caller's account in its Region."""
    with state.lock:
        return [n for n in state.notifications.values() if caller.owns(n)]


def find(state: State, caller: Caller, notification_id: str) -> Notification:
    """The caller's own notification. Raises Refusal InvalidConnectionNotification."""
    notification = state.notifications.get(notification_id)
    if notification is None or not caller.owns(notification):
        message = f"The connection notification '{notification_id}' does not exist"
        raise Refusal("InvalidConnectionNotification", message)
    return notification


def modify(state: State, caller: Caller, notification_id: str, topic_arn: str = "", events: Sequence[str] = ()) -> None:
    """Change the topic or the events; what is empty stays."""
    with state.change():
        notification = find(state, caller, notification_id)
        if topic_arn:
            notification = replace(notification, topic_arn=topic_arn)
        if events:
            notification = replace(notification, events=_known(events))
        state.notifications[notification_id] = notification


def delete(state: State, caller: Caller, notification_ids: Sequence[str]) -> list[Failure]:
    """Delete notifications; the unknown ones are answered."""

    def delete_one(notification_id: str) -> None:
        find(state, caller, notification_id)
        del state.notifications[notification_id]

    with state.change():
        return refused(notification_ids, delete_one)
