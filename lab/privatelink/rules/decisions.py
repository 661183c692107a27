"""The rules by which a service's owner decides connections; their states are drawn in connections.py."""

from collections.abc import Sequence
from dataclasses import replace

from lab.privatelink.rules import services
from lab.privatelink.rules.model import AVAILABLE, PENDING, PENDING_ACCEPTANCE, REJECTED, Caller, Connection, Failure
from lab.privatelink.rules.state import State


def accept(state: State, caller: Caller, service_id: str, endpoint_ids: Sequence[str]) -> list[Failure]:
    """Accept requests: pendingAcceptance becomes pending, and shortly available.

    Unconfirmed for AWS: accepting what is pending or available succeeds and changes nothing, what is rejected or
    deleting is refused. Raises Refusal InvalidVpcEndpointServiceId.NotFound for a service that is not the caller's.
    """
    accepted = []
    with state.change() as news:
        failures, found = _of_service(state, caller, service_id, endpoint_ids)
        for connection in found:
            if connection.state == PENDING_ACCEPTANCE:
                news.append(state.move(connection, PENDING, "Accept"))
                accepted.append(connection.endpoint_id)
            elif connection.state not in (PENDING, AVAILABLE):
                failures.append(_wrong_state(connection, "accepted"))
    if accepted:
        state.later(state.settle_after, lambda: _settle(state, accepted))
    return failures


def _settle(state: State, endpoint_ids: Sequence[str]) -> None:
    with state.change():
        for endpoint_id in endpoint_ids:
            connection = state.connections.get(endpoint_id)
            if connection is not None and connection.state == PENDING:
                state.connections[endpoint_id] = replace(connection, state=AVAILABLE)


def reject(state: State, caller: Caller, service_id: str, endpoint_ids: Sequence[str]) -> list[Failure]:
    """Reject requests and cut live connections. What is rejected already, or deleting, is refused: unconfirmed."""
    with state.change() as news:
        failures, found = _of_service(state, caller, service_id, endpoint_ids)
        for connection in found:
            if connection.state in (PENDING_ACCEPTANCE, PENDING, AVAILABLE):
                news.append(state.move(replace(connection, private_dns=False), REJECTED, "Reject"))
            else:
                failures.append(_wrong_state(connection, "rejected"))
    return failures


def _of_service(
    state: State, caller: Caller, service_id: str, endpoint_ids: Sequence[str]
) -> tuple[list[Failure], list[Connection]]:
    services.find(state, caller, service_id)
    failures, found = [], []
    for endpoint_id in dict.fromkeys(endpoint_ids):
        connection = state.connections.get(endpoint_id)
        if connection is None or connection.service_id != service_id:
            message = f"The Vpc Endpoint Id '{endpoint_id}' does not exist"
            failures.append(Failure(endpoint_id, "InvalidVpcEndpointId.NotFound", message))
        else:
            found.append(connection)
    return failures, found


def _wrong_state(connection: Connection, verb: str) -> Failure:
    message = f"The Vpc Endpoint '{connection.endpoint_id}' is {connection.state} and cannot be {verb}."
    return Failure(connection.endpoint_id, "InvalidState", message)
