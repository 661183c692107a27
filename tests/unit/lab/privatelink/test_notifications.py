"""Which notifications publish which events."""

import pytest

from lab.privatelink.rules import connections, decisions, notifications
from lab.privatelink.rules.model import ConnectionEvent, Refusal
from lab.privatelink.rules.state import State
from tests.unit.lab.privatelink.conftest import CONSUMER, PROVIDER, code, connect, offer


def test_a_notification_publishes_its_own_events_of_its_own_source(state: State, events: list[ConnectionEvent]) -> None:
    service, other = offer(state), offer(state)
    topic = "arn:aws:sns:eu-west-1:111111111111:topic"
    made = notifications.create(state, PROVIDER, topic, ["Connect", "Delete"], service.service_id)
    connection = connect(state, service)
    connect(state, other)
    decisions.reject(state, PROVIDER, service.service_id, [connection.endpoint_id])
    connections.delete(state, CONSUMER, connection.endpoint_id)
    published = [event.name for event in events if made in event.notifications]
    assert published == ["Connect", "Delete"]


def test_a_notification_is_made_only_for_what_the_caller_owns(state: State) -> None:
    service = offer(state)
    connection = connect(state, service)
    with pytest.raises(Refusal) as refused:
        notifications.create(state, CONSUMER, "arn", ["Connect"], service.service_id)
    assert code(refused) == "InvalidVpcEndpointServiceId.NotFound"
    with pytest.raises(Refusal) as refused:
        notifications.create(state, PROVIDER, "arn", ["Connect"], endpoint_id=connection.endpoint_id)
    assert code(refused) == "InvalidVpcEndpointId.NotFound"
    with pytest.raises(Refusal) as refused:
        notifications.create(state, PROVIDER, "arn", ["Connected"], service.service_id)
    assert code(refused) == "InvalidParameter"
