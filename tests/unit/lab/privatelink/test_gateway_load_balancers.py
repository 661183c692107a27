"""Services of Gateway Load Balancers: their endpoints, the attachments of transit gateways, and who may make which."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.privatelink.rules import connections, decisions, notifications, principals, services
from lab.privatelink.rules.model import ATTACHMENT, GATEWAY, INTERFACE, Connection, ConnectionEvent, Refusal, Service
from lab.privatelink.rules.private_dns import verify
from lab.privatelink.rules.state import State
from tests.unit.lab.privatelink.conftest import BALANCER, CONSUMER, NET, PROVIDER, Clock, code, of, offer

GATEWAY_BALANCER = BALANCER.replace("/net/", "/gwy/")
OTHER = replace(NET, subnet_id="subnet-b", zone="eu-west-1b", cidr="10.0.2.0/24")


def offer_gateway(state: State, acceptance_required: bool = True, name: str = "") -> Service:
    zones = ["eu-west-1a", "eu-west-1b"]
    service = services.create(state, PROVIDER, [], zones, acceptance_required, name, gateway_arns=[GATEWAY_BALANCER])
    for permission in (principals.ENDPOINTS, principals.ATTACHMENTS):
        services.permit(state, PROVIDER, service.service_id, ["*"], [], permission)
    return state.services[service.service_id]


def connect(state: State, service: Service, kind: str = GATEWAY) -> Connection:
    return connections.connect(state, CONSUMER, service.name, "vpc-1", [NET], [], kind=kind)


def attach(state: State, service: Service, transit_gateway: str = "tgw-1") -> Connection:
    return connections.attach(state, CONSUMER, service.name, transit_gateway)


def test_a_service_begins_with_load_balancers_of_one_kind(state: State) -> None:
    assert (offer(state).kind, offer_gateway(state).kind) == (INTERFACE, GATEWAY)
    for networks, gateways in (([], []), ([BALANCER], [GATEWAY_BALANCER])):
        with pytest.raises(Refusal) as refused:
            services.create(state, PROVIDER, networks, [], gateway_arns=gateways)
        assert code(refused) == "InvalidParameter"


def test_a_service_keeps_a_load_balancer_of_its_type(state: State) -> None:
    service = offer_gateway(state)
    with pytest.raises(Refusal):
        services.modify(state, PROVIDER, service.service_id, load_balancer_arns=(BALANCER,), gateway_arns=())
    services.modify(state, PROVIDER, service.service_id, load_balancer_arns=(), gateway_arns=("another",))
    assert state.services[service.service_id].gateway_arns == ("another",)


def test_an_endpoint_is_of_the_type_of_its_service(state: State) -> None:
    assert connect(state, offer_gateway(state)).kind == GATEWAY
    for service, kind in ((offer(state), GATEWAY), (offer_gateway(state), INTERFACE)):
        with pytest.raises(Refusal) as refused:
            connect(state, service, kind)
        assert code(refused) == "InvalidParameter"


@pytest.mark.parametrize(
    ("subnets", "groups", "private_dns"), [([NET, OTHER], [], False), ([NET], ["sg-1"], False), ([NET], [], True)]
)
def test_it_has_one_subnet_no_groups_and_no_private_name(
    state: State, subnets: list[object], groups: list[str], private_dns: bool
) -> None:
    service = offer_gateway(state, acceptance_required=False, name="hello.example.com")
    verify(state, PROVIDER, service.service_id)
    with pytest.raises(Refusal) as refused:
        connections.connect(state, CONSUMER, service.name, "vpc-1", subnets, groups, private_dns, GATEWAY)  # type: ignore[arg-type]
    assert code(refused) == "InvalidParameter"


@pytest.mark.parametrize("make", [connect, attach])
def test_it_has_no_dns_names_and_the_data_plane_does_not_see_it(
    state: State, make: Callable[[State, Service], Connection]
) -> None:
    service = offer_gateway(state)
    assert make(state, service).dns_names(service) == ()
    assert state.endpoints() == ()


@pytest.mark.parametrize("make", [connect, attach])
def test_the_owner_accepts_and_rejects_it(
    state: State, clock: Clock, make: Callable[[State, Service], Connection]
) -> None:
    service = offer_gateway(state)
    made = make(state, service)
    attachments = made.kind == ATTACHMENT
    assert of(state, made) == "pendingAcceptance"
    assert decisions.accept(state, PROVIDER, service.service_id, [made.endpoint_id], attachments) == []
    clock.pass_()
    assert of(state, made) == "available"
    assert decisions.reject(state, PROVIDER, service.service_id, [made.endpoint_id], attachments) == []
    assert of(state, made) == "rejected"


@pytest.mark.parametrize("make", [connect, attach])
@pytest.mark.parametrize("decide", [decisions.accept, decisions.reject])
def test_ids_of_endpoints_and_of_attachments_are_not_mixed_up(
    state: State,
    make: Callable[[State, Service], Connection],
    decide: Callable[..., list[object]],
) -> None:
    service = offer_gateway(state)
    made = make(state, service)
    assert decide(state, PROVIDER, service.service_id, [made.endpoint_id], made.kind != ATTACHMENT)
    assert of(state, made) == "pendingAcceptance"


def test_no_notification_tells_of_it(state: State, events: list[ConnectionEvent]) -> None:
    service = offer_gateway(state)
    with pytest.raises(Refusal) as refused:
        notifications.create(state, PROVIDER, "arn:topic", ["Connect"], service.service_id)
    assert code(refused) == "InvalidParameter"
    connect(state, service)
    attach(state, service)
    assert [event.notifications for event in events] == [(), ()]


def test_an_attachment_is_no_endpoint_of_its_owner(state: State) -> None:
    made = attach(state, offer_gateway(state))
    assert made.endpoint_id.startswith("tgw-attach-")
    with pytest.raises(Refusal) as refused:
        connections.delete(state, CONSUMER, made.endpoint_id)
    assert code(refused) == "InvalidVpcEndpointId.NotFound"


def test_a_transit_gateway_is_attached_once_to_a_service(state: State) -> None:
    service = offer_gateway(state)
    attach(state, service)
    with pytest.raises(Refusal):
        attach(state, service)
    attach(state, offer_gateway(state))
    attach(state, service, "tgw-2")


def test_an_attachment_is_deleted_by_its_owner_while_it_waits_or_lives(state: State, clock: Clock) -> None:
    service = offer_gateway(state)
    made = attach(state, service)
    with pytest.raises(Refusal) as refused:
        connections.detach(state, PROVIDER, made.endpoint_id)
    assert code(refused) == "InvalidTransitGatewayAttachmentID.NotFound"
    decisions.reject(state, PROVIDER, service.service_id, [made.endpoint_id], attachments=True)
    with pytest.raises(Refusal) as refused:
        connections.detach(state, CONSUMER, made.endpoint_id)
    assert code(refused) == "IncorrectState"
    other = attach(state, service, "tgw-2")
    assert connections.detach(state, CONSUMER, other.endpoint_id).state == "deleting"
    clock.pass_()
    assert other.endpoint_id not in state.connections


def test_the_two_types_of_permission_are_independent(state: State) -> None:
    service = services.create(state, PROVIDER, [], ["eu-west-1a"], gateway_arns=[GATEWAY_BALANCER])

    def permit(permission: str, *principals_: str) -> tuple[str, ...]:
        return services.permit(state, PROVIDER, service.service_id, principals_, [], permission)

    assert permit(principals.ATTACHMENTS, CONSUMER.arn) == (CONSUMER.arn,)
    attach(state, service)
    with pytest.raises(Refusal) as refused:
        connect(state, service)
    assert code(refused) == "InvalidServiceName"
    assert permit(principals.ENDPOINTS, CONSUMER.arn) == (CONSUMER.arn,)
    assert connect(state, service).owner == CONSUMER.account
    services.permit(state, PROVIDER, service.service_id, [], [CONSUMER.arn], principals.ATTACHMENTS)
    kept = state.services[service.service_id]
    assert (kept.principals, kept.attaching) == ((CONSUMER.arn,), ())


def test_nobody_attaches_to_an_interface_service(state: State) -> None:
    service = offer(state)
    with pytest.raises(Refusal) as refused:
        services.permit(state, PROVIDER, service.service_id, ["*"], [], principals.ATTACHMENTS)
    assert code(refused) == "InvalidParameter"
    with pytest.raises(Refusal) as refused:
        attach(state, service)
    assert code(refused) == "InvalidServiceName"
