"""The rules by which a service's owner decides connections; their states are drawn in connections.py."""

from collections.abc import Sequence
from dataclasses import replace

from lab.privatelink.rules import services
from lab.privatelink.rules.model import (
    ATTACHMENT,
    AVAILABLE,
    PENDING,
    PENDING_ACCEPTANCE,
    REJECTED,
    Caller,
    Connection,
    Failure,
    Refusal,
    refused,
)
from lab.privatelink.rules.state import State


def accept(
    state: State, caller: Caller, service_id: str, endpoint_ids: Sequence[str], attachments: bool = False
) -> list[Failure]:
    """Accept requests: pendingAcceptance becomes pending, and shortly available; the ids may be of attachments.

    Unconfirmed for AWS: that all else is refused. What is pending is refused with the words of reports, as an operation
    is going on; what is available, rejected or deleting with words of ours. Raises Refusal
    InvalidVpcEndpointServiceId.NotFound for a service that is not the caller's.
    """
    accepted: list[str] = []

    def accept_one(endpoint_id: str) -> None:
        connection = _find(state, service_id, endpoint_id, attachments)
        if connection.state != PENDING_ACCEPTANCE:
            raise _wrong_state(connection, "accepted")
        events.append(state.move(connection, PENDING, "Accept"))
        accepted.append(endpoint_id)

    with state.change() as events:
        services.find(state, caller, service_id)
        failures = refused(endpoint_ids, accept_one)
    if accepted:
        state.later(state.settle_after, lambda: _settle(state, accepted))
    return failures


def _settle(state: State, endpoint_ids: Sequence[str]) -> None:
    with state.change():
        for endpoint_id in endpoint_ids:
            connection = state.connections.get(endpoint_id)
            if connection is not None and connection.state == PENDING:
                state.connections[endpoint_id] = replace(connection, state=AVAILABLE)


def reject(
    state: State, caller: Caller, service_id: str, endpoint_ids: Sequence[str], attachments: bool = False
) -> list[Failure]:
    """Reject requests and cut live connections. All else is refused, as in accept: unconfirmed."""

    def reject_one(endpoint_id: str) -> None:
        connection = _find(state, service_id, endpoint_id, attachments)
        if connection.state not in (PENDING_ACCEPTANCE, AVAILABLE):
            raise _wrong_state(connection, "rejected")
        events.append(state.move(replace(connection, private_dns=False), REJECTED, "Reject"))

    with state.change() as events:
        services.find(state, caller, service_id)
        return refused(endpoint_ids, reject_one)


def _find(state: State, service_id: str, endpoint_id: str, attachments: bool) -> Connection:
    connection = state.connections.get(endpoint_id)
    if connection is None or connection.service_id != service_id or (connection.kind == ATTACHMENT) != attachments:
        raise Refusal("InvalidVpcEndpointId.NotFound", f"The Vpc Endpoint Id '{endpoint_id}' does not exist")
    return connection


def _wrong_state(connection: Connection, verb: str) -> Refusal:
    if connection.state == PENDING:
        going_on = "at this time because there is an idempotent operation going on"
        return Refusal("InvalidParameter", f"Cannot modify VPC Endpoint {connection.endpoint_id} {going_on}")
    message = f"The Vpc Endpoint '{connection.endpoint_id}' is {connection.state} and cannot be {verb}."
    return Refusal("InvalidState", message)
