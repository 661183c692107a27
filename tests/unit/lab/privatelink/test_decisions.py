"""What a service's owner decides about connections."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.privatelink.rules import connections, decisions
from lab.privatelink.rules.model import Caller, ConnectionEvent, Failure, Refusal
from lab.privatelink.rules.state import State
from tests.unit.lab.privatelink.conftest import CONSUMER, PROVIDER, Clock, code, connect, of, offer

Decide = Callable[..., list[Failure]]


def test_an_accepted_connection_is_pending_before_it_is_available(state: State, clock: Clock) -> None:
    service = offer(state)
    connection = connect(state, service)
    assert decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id]) == []
    assert of(state, connection) == "pending"
    clock.pass_()
    assert of(state, connection) == "available"


@pytest.mark.parametrize("decide", [decisions.accept, decisions.reject])
def test_what_was_just_accepted_is_not_decided_again_before_it_is_available(state: State, decide: Decide) -> None:
    service = offer(state)
    connection = connect(state, service)
    decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id])
    (failure,) = decide(state, PROVIDER, service.service_id, [connection.endpoint_id])
    assert (failure.code, "an idempotent operation going on" in failure.message) == ("InvalidParameter", True)
    assert of(state, connection) == "pending"


def test_a_live_connection_is_not_accepted_again(state: State, clock: Clock, events: list[ConnectionEvent]) -> None:
    service = offer(state)
    connection = connect(state, service)
    decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id])
    clock.pass_()
    (failure,) = decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id])
    assert (failure.code, of(state, connection)) == ("InvalidState", "available")
    assert [event.name for event in events] == ["Connect", "Accept"]


def test_a_rejected_connection_is_not_accepted_again(state: State) -> None:
    service = offer(state)
    connection = connect(state, service)
    decisions.reject(state, PROVIDER, service.service_id, [connection.endpoint_id])
    (failure,) = decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id])
    assert (failure.resource_id, failure.code) == (connection.endpoint_id, "InvalidState")
    assert of(state, connection) == "rejected"


def test_a_deletion_that_overtakes_the_end_of_an_acceptance_stands(state: State, clock: Clock) -> None:
    service = offer(state)
    connection = connect(state, service)
    decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id])
    connections.delete(state, CONSUMER, connection.endpoint_id)
    clock.pass_()
    assert connection.endpoint_id not in state.connections


def test_a_live_connection_can_be_cut(state: State, clock: Clock) -> None:
    service = offer(state, acceptance_required=False)
    connection = connect(state, service)
    assert decisions.reject(state, PROVIDER, service.service_id, [connection.endpoint_id]) == []
    assert of(state, connection) == "rejected"


def test_unknown_endpoints_and_those_of_other_services_fail_one_by_one(state: State) -> None:
    service = offer(state)
    good, elsewhere = connect(state, service), connect(state, offer(state))
    asked = ["vpce-00000000000000000", elsewhere.endpoint_id, good.endpoint_id]
    failures = decisions.accept(state, PROVIDER, service.service_id, asked)
    assert [(f.resource_id, f.code) for f in failures] == [(i, "InvalidVpcEndpointId.NotFound") for i in asked[:2]]
    assert (of(state, good), of(state, elsewhere)) == ("pending", "pendingAcceptance")


@pytest.mark.parametrize("caller", [CONSUMER, replace(PROVIDER, region="eu-central-1")])
def test_nobody_decides_for_a_service_that_is_not_theirs(state: State, caller: Caller) -> None:
    service = offer(state)
    connection = connect(state, service)
    with pytest.raises(Refusal) as refused:
        decisions.accept(state, caller, service.service_id, [connection.endpoint_id])
    assert code(refused) == "InvalidVpcEndpointServiceId.NotFound"
    assert of(state, connection) == "pendingAcceptance"
