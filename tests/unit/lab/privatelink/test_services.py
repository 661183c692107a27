"""Endpoint services and who may connect to them."""

from dataclasses import replace

import pytest

from lab.privatelink.rules import decisions, principals, services
from lab.privatelink.rules.model import Caller, Refusal
from lab.privatelink.rules.state import State
from tests.unit.lab.privatelink.conftest import BALANCER, CONSUMER, PROVIDER, ROLE, Clock, code, connect, of, offer


def test_a_service_is_named_after_its_region_and_id(state: State) -> None:
    service = offer(state)
    assert service.name == f"com.amazonaws.vpce.eu-west-1.{service.service_id}"
    assert len(service.service_id.removeprefix("vpce-svc-")) == 17


@pytest.mark.parametrize(
    ("principal", "caller", "admitted"),
    [
        ("*", CONSUMER, True),
        ("arn:aws:iam::222222222222:root", CONSUMER, True),
        ("arn:aws:iam::222222222222:root", ROLE, True),
        ("arn:aws:iam::222222222222:role/Builder", ROLE, True),
        ("arn:aws:iam::222222222222:role/Builder", CONSUMER, False),
        ("arn:aws:iam::222222222222:role/Build", ROLE, False),
        ("arn:aws:iam::333333333333:root", CONSUMER, False),
        ("arn:aws:iam::333333333333:root", PROVIDER, True),
    ],
)
def test_only_the_owner_and_allowed_principals_see_and_use_a_service(
    state: State, principal: str, caller: Caller, admitted: bool
) -> None:
    service = services.create(state, PROVIDER, [BALANCER], ["eu-west-1a"])
    services.permit(state, PROVIDER, service.service_id, [principal], [])
    assert bool(services.visible(state, caller)) is admitted
    if admitted:
        assert connect(state, service, caller=caller).owner == caller.account
    else:
        with pytest.raises(Refusal) as refused:
            connect(state, service, caller=caller)
        assert code(refused) == "InvalidServiceName"


def test_a_service_is_not_seen_from_another_region(state: State) -> None:
    service = offer(state)
    with pytest.raises(Refusal) as refused:
        connect(state, service, caller=replace(CONSUMER, region="us-east-1"))
    assert code(refused) == "InvalidServiceName"


def test_taking_a_permission_back_disconnects_nobody(state: State) -> None:
    service = offer(state, acceptance_required=False)
    connection = connect(state, service)
    services.permit(state, PROVIDER, service.service_id, [], ["*"])
    assert of(state, connection) == "available"
    assert services.visible(state, CONSUMER) == []


@pytest.mark.parametrize(
    ("principal", "kind"),
    [
        ("*", "All"),
        ("arn:aws:iam::222222222222:root", "Account"),
        ("arn:aws:iam::222222222222:role/Builder", "Role"),
        ("arn:aws:iam::222222222222:user/ann", "User"),
    ],
)
def test_principals_have_the_type_that_their_arn_says(principal: str, kind: str) -> None:
    assert principals.principal_type(principal) == kind


@pytest.mark.parametrize("principal", ["222222222222", "arn:aws:iam::222222222222:role/a/path", "arn:aws:s3:::b"])
def test_what_is_no_principal_is_refused(state: State, principal: str) -> None:
    service = offer(state)
    with pytest.raises(Refusal) as refused:
        services.permit(state, PROVIDER, service.service_id, [principal], [])
    assert code(refused) == "InvalidPrincipal"


def test_a_service_with_waiting_or_live_connections_stays(state: State, clock: Clock) -> None:
    service = offer(state)
    connection = connect(state, service)
    for act in (lambda: None, lambda: decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id])):
        act()
        (failure,) = services.delete(state, PROVIDER, [service.service_id])
        assert (failure.resource_id, failure.code) == (service.service_id, "ExistingVpcEndpointConnections")
    clock.pass_()
    decisions.reject(state, PROVIDER, service.service_id, [connection.endpoint_id])
    assert services.delete(state, PROVIDER, [service.service_id]) == []
    assert services.owned(state, PROVIDER) == []
    assert services.visible(state, CONSUMER) == []
    assert state.endpoints()[0].state == "rejected"


def test_a_service_without_a_load_balancer_is_refused(state: State) -> None:
    with pytest.raises(Refusal, match="exactly one of network_load_balancer_arn or gateway_load_balancer_arn"):
        services.create(state, PROVIDER, [], [])
