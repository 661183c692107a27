"""Private DNS names: verified by the service's owner, used by endpoints."""

import pytest

from lab.privatelink.rules import connections, decisions, private_dns, services
from lab.privatelink.rules.model import Connection, Refusal
from lab.privatelink.rules.state import State
from tests.unit.lab.privatelink.conftest import CONSUMER, PROVIDER, Clock, connect, offer


def refused_dns(state: State, connection: Connection) -> str:
    """What EC2 says to an endpoint that wants the private name."""
    with pytest.raises(Refusal) as error:
        connections.modify(state, CONSUMER, connection.endpoint_id, private_dns=True)
    assert error.value.code == "InvalidParameter"
    return error.value.message


def accept(state: State, clock: Clock, connection: Connection) -> None:
    decisions.accept(state, PROVIDER, connection.service_id, [connection.endpoint_id])
    clock.pass_()


def test_private_dns_needs_a_verified_name_and_an_accepted_connection(state: State, clock: Clock) -> None:
    service = offer(state)
    connection = connect(state, service)
    assert "does not provide a private DNS name" in refused_dns(state, connection)
    services.modify(state, PROVIDER, service.service_id, private_name="api.example.com")
    assert "has not verified the private DNS name" in refused_dns(state, connection)
    private_dns.verify(state, PROVIDER, service.service_id)
    assert "only be enabled after the endpoint connection is accepted" in refused_dns(state, connection)
    accept(state, clock, connection)
    connections.modify(state, CONSUMER, connection.endpoint_id, private_dns=True)
    assert state.endpoints()[0].private_dns_name == "api.example.com"
    services.modify(state, PROVIDER, service.service_id, private_name="new.example.com")
    assert state.endpoints()[0].private_dns_name is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("api.example.com", "verified"),
        ("unverified.test.example.com", "verified"),
        ("notunverified.test", "verified"),
        ("unverified.test", "pendingVerification"),
        ("api.unverified.test", "pendingVerification"),
    ],
)
def test_names_in_one_domain_are_never_verified(state: State, name: str, expected: str) -> None:
    service = offer(state, private_name=name)
    private_dns.verify(state, PROVIDER, service.service_id)
    (private,) = (one.private_name for one in state.services.values())
    assert private is not None
    assert private.state == expected


def test_a_service_without_a_private_name_has_none_to_verify(state: State) -> None:
    with pytest.raises(Refusal):
        private_dns.verify(state, PROVIDER, offer(state).service_id)


def test_a_private_name_is_used_once_in_a_vpc(state: State, clock: Clock) -> None:
    service = offer(state, acceptance_required=False, private_name="api.example.com")
    private_dns.verify(state, PROVIDER, service.service_id)
    first, second = (connect(state, service) for _ in range(2))
    connections.modify(state, CONSUMER, first.endpoint_id, private_dns=True)
    assert "already a conflicting DNS domain for api.example.com in the VPC vpc-1" in refused_dns(state, second)
    connections.modify(state, CONSUMER, first.endpoint_id, private_dns=True)
    elsewhere = connections.connect(state, CONSUMER, service.name, "vpc-2", (), ["sg-1"], private_dns=True)
    assert elsewhere.private_dns
    connections.modify(state, CONSUMER, first.endpoint_id, private_dns=False)
    connections.modify(state, CONSUMER, second.endpoint_id, private_dns=True)
    assert {one.endpoint_id: one.private_dns_name for one in state.endpoints()} == {
        first.endpoint_id: None,
        second.endpoint_id: "api.example.com",
        elsewhere.endpoint_id: "api.example.com",
    }


def test_a_rejected_endpoint_loses_the_private_name(state: State, clock: Clock) -> None:
    service = offer(state, acceptance_required=False, private_name="api.example.com")
    private_dns.verify(state, PROVIDER, service.service_id)
    connection = connect(state, service, private_dns=True)
    decisions.reject(state, PROVIDER, service.service_id, [connection.endpoint_id])
    assert state.endpoints()[0].private_dns_name is None
