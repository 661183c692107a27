"""Endpoints: requested, modified, deleted; their addresses and names."""

from dataclasses import replace

import pytest

from lab.privatelink.rules import connections
from lab.privatelink.rules.addresses import free_address
from lab.privatelink.rules.model import ConnectionEvent, Refusal
from lab.privatelink.rules.state import State
from tests.unit.lab.privatelink.conftest import CONSUMER, NET, PROVIDER, Clock, code, connect, of, offer


def test_a_request_waits_where_acceptance_is_required_and_passes_where_not(state: State) -> None:
    assert connect(state, offer(state, acceptance_required=True)).state == "pendingAcceptance"
    assert connect(state, offer(state, acceptance_required=False)).state == "available"


def test_a_deleted_endpoint_is_deleting_and_then_gone_with_its_address(state: State, clock: Clock) -> None:
    service = offer(state)
    connection = connect(state, service)
    connections.delete(state, CONSUMER, connection.endpoint_id)
    assert of(state, connection) == "deleting"
    assert connect(state, service).addresses[0].ip == "10.0.1.5"
    clock.pass_()
    assert connection.endpoint_id not in state.connections
    assert connect(state, service).addresses[0].ip == "10.0.1.4"


def test_only_its_owner_deletes_an_endpoint(state: State) -> None:
    connection = connect(state, offer(state))
    with pytest.raises(Refusal) as refused:
        connections.delete(state, PROVIDER, connection.endpoint_id)
    assert code(refused) == "InvalidVpcEndpointId.NotFound"


def test_a_subnet_keeps_four_addresses_below_and_one_above() -> None:
    given: list[str] = []
    while len(given) < 11:
        given.append(free_address("10.0.0.16/28", set(given)))
    assert (given[0], given[-1]) == ("10.0.0.20", "10.0.0.30")
    with pytest.raises(Refusal) as refused:
        free_address("10.0.0.16/28", set(given))
    assert code(refused) == "InsufficientFreeAddressesInSubnet"


def test_endpoints_of_one_subnet_never_share_an_address(state: State) -> None:
    small = replace(NET, cidr="10.0.0.16/28", taken=frozenset({"10.0.0.21"}))
    service = offer(state)
    given = [connect(state, service, small).addresses[0].ip for _ in range(10)]
    assert len(set(given)) == 10
    assert "10.0.0.21" not in given
    with pytest.raises(Refusal) as refused:
        connect(state, service, small)
    assert code(refused) == "InsufficientFreeAddressesInSubnet"
    other = replace(small, subnet_id="subnet-of-another-vpc", taken=frozenset())
    assert connect(state, service, other).addresses[0].ip == "10.0.0.20"


def test_a_refused_endpoint_leaves_nothing_behind(state: State, events: list[ConnectionEvent]) -> None:
    full = replace(NET, subnet_id="subnet-b", zone="eu-west-1b", cidr="10.0.2.0/30")
    with pytest.raises(Refusal):
        connect(state, offer(state), NET, full)
    assert state.endpoints() == ()
    assert events == []


def test_an_endpoint_is_once_in_a_zone_and_only_where_the_service_is(state: State) -> None:
    service = offer(state)
    with pytest.raises(Refusal) as refused:
        connect(state, service, NET, replace(NET, subnet_id="subnet-b"))
    assert code(refused) == "DuplicateSubnetsInSameZone"
    assert refused.value.message == "Found another VPC endpoint subnet in the availability zone of subnet-b"
    with pytest.raises(Refusal) as refused:
        connect(state, service, replace(NET, zone="eu-west-1c"))
    assert code(refused) == "InvalidParameter"


def test_the_regional_name_comes_first_then_the_zones_in_the_order_of_the_subnets(state: State) -> None:
    service = offer(state)
    connect(state, service, replace(NET, subnet_id="subnet-b", zone="eu-west-1b"), NET)
    (endpoint,) = state.endpoints()
    base = f"{service.service_id}.eu-west-1.vpce.amazonaws.com"
    label = endpoint.dns_names[0].removesuffix(f".{base}")
    assert len(label) == len(endpoint.endpoint_id) + 9
    assert label.startswith(f"{endpoint.endpoint_id}-")
    assert endpoint.dns_names[1:] == (f"{label}-eu-west-1b.{base}", f"{label}-eu-west-1a.{base}")
    assert [a.subnet_id for a in endpoint.addresses] == ["subnet-b", "subnet-a"]


def test_an_endpoint_moves_between_subnets_and_keeps_the_addresses_it_has(state: State) -> None:
    service = offer(state)
    connection = connect(state, service)
    other = replace(NET, subnet_id="subnet-b", zone="eu-west-1b", cidr="10.0.2.0/24")
    both = connections.modify(state, CONSUMER, connection.endpoint_id, add_subnets=[NET, other])
    assert both.addresses[0] == connection.addresses[0]
    one = connections.modify(state, CONSUMER, connection.endpoint_id, remove_subnet_ids=["subnet-a"])
    assert [a.subnet_id for a in one.addresses] == ["subnet-b"]
