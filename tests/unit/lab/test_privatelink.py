"""The rules of the local AWS's PrivateLink, without ministack."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.privatelink import protocol
from lab.privatelink.api import cloudtrail, listing
from lab.privatelink.rules import connections, decisions, notifications, principals, private_dns, services
from lab.privatelink.rules.addresses import free_address
from lab.privatelink.rules.model import Caller, Connection, News, Refusal, Service, Subnet
from lab.privatelink.rules.state import State

REGION = "eu-west-1"
PROVIDER = Caller("111111111111", REGION, "arn:aws:iam::111111111111:root")
CONSUMER = Caller("222222222222", REGION, "arn:aws:iam::222222222222:root")
ROLE = replace(CONSUMER, arn="arn:aws:sts::222222222222:assumed-role/Builder/session")
BALANCER = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/net/web/0123456789abcdef"
NET = Subnet("subnet-a", "vpc-1", "eu-west-1a", "10.0.1.0/24")


class Clock:
    """What was put off, until the test lets it happen."""

    def __init__(self) -> None:
        self._acts: list[Callable[[], None]] = []

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self._acts.append(act)

    def pass_(self) -> None:
        acts, self._acts = self._acts, []
        for act in acts:
            act()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def news() -> list[News]:
    return []


@pytest.fixture
def state(clock: Clock, news: list[News]) -> State:
    return State(clock.later, news.append)


def offer(state: State, acceptance_required: bool = True, private_name: str = "") -> Service:
    zones = ["eu-west-1a", "eu-west-1b"]
    service = services.create(state, PROVIDER, [BALANCER], zones, acceptance_required, private_name)
    services.permit(state, PROVIDER, service.service_id, ["*"], [])
    return service


def connect(
    state: State, service: Service, *subnets: Subnet, caller: Caller = CONSUMER, private_dns: bool = False
) -> Connection:
    return connections.connect(state, caller, service.name, "vpc-1", subnets or (NET,), ["sg-1"], private_dns)


def of(state: State, connection: Connection) -> str:
    return state.connections[connection.endpoint_id].state


def code(refused: pytest.ExceptionInfo[Refusal]) -> str:
    return refused.value.code


def test_importing_the_package_starts_nothing_and_does_not_need_ministack() -> None:
    script = (
        "import sys, threading, lab.privatelink as p\n"
        "assert p.Endpoint and p.Address and p.endpoints() == ()\n"
        "assert not any(name.startswith('ministack') for name in sys.modules), 'ministack'\n"
        "assert threading.active_count() == 1, 'threads'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_service_is_named_after_its_region_and_id(state: State) -> None:
    service = offer(state)
    assert service.name == f"com.amazonaws.vpce.eu-west-1.{service.service_id}"
    assert len(service.service_id.removeprefix("vpce-svc-")) == 17


def test_a_request_waits_where_acceptance_is_required_and_passes_where_not(state: State) -> None:
    assert connect(state, offer(state, acceptance_required=True)).state == "pendingAcceptance"
    assert connect(state, offer(state, acceptance_required=False)).state == "available"


def test_an_accepted_connection_is_pending_before_it_is_available(state: State, clock: Clock) -> None:
    service = offer(state)
    connection = connect(state, service)
    assert decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id]) == []
    assert of(state, connection) == "pending"
    clock.pass_()
    assert of(state, connection) == "available"


@pytest.mark.parametrize("passed", [False, True])
def test_accepting_twice_succeeds_and_changes_nothing(
    state: State, clock: Clock, news: list[News], passed: bool
) -> None:
    service = offer(state)
    connection = connect(state, service)
    decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id])
    if passed:
        clock.pass_()
    before = of(state, connection)
    assert decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id]) == []
    assert of(state, connection) == before
    assert [n.event for n in news] == ["Connect", "Accept"]


def test_a_rejected_connection_is_not_accepted_again(state: State) -> None:
    service = offer(state)
    connection = connect(state, service)
    decisions.reject(state, PROVIDER, service.service_id, [connection.endpoint_id])
    (failure,) = decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id])
    assert (failure.resource_id, failure.code) == (connection.endpoint_id, "InvalidState")
    assert of(state, connection) == "rejected"


def test_a_rejection_that_overtakes_the_end_of_an_acceptance_stands(state: State, clock: Clock) -> None:
    service = offer(state)
    connection = connect(state, service)
    decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id])
    decisions.reject(state, PROVIDER, service.service_id, [connection.endpoint_id])
    clock.pass_()
    assert of(state, connection) == "rejected"


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


def test_a_deleted_endpoint_is_deleting_and_then_gone_with_its_address(state: State, clock: Clock) -> None:
    service = offer(state)
    connection = connect(state, service)
    connections.close(state, CONSUMER, connection.endpoint_id)
    assert of(state, connection) == "deleting"
    assert connect(state, service).addresses[0].ip == "10.0.1.5"
    clock.pass_()
    assert connection.endpoint_id not in state.connections
    assert connect(state, service).addresses[0].ip == "10.0.1.4"


def test_only_its_owner_deletes_an_endpoint(state: State) -> None:
    connection = connect(state, offer(state))
    with pytest.raises(Refusal) as refused:
        connections.close(state, PROVIDER, connection.endpoint_id)
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


def test_a_refused_endpoint_leaves_nothing_behind(state: State, news: list[News]) -> None:
    full = replace(NET, subnet_id="subnet-b", zone="eu-west-1b", cidr="10.0.2.0/30")
    with pytest.raises(Refusal):
        connect(state, offer(state), NET, full)
    assert state.endpoints() == ()
    assert news == []


def test_an_endpoint_stands_once_in_a_zone_and_only_where_the_service_is(state: State) -> None:
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


def test_a_snapshot_says_what_the_data_plane_needs(state: State) -> None:
    service = offer(state)
    connection = connect(state, service)
    (endpoint,) = state.endpoints()
    assert (endpoint.owner, endpoint.service_owner) == ("222222222222", "111111111111")
    assert endpoint.load_balancer_arns == (BALANCER,)
    assert endpoint.security_group_ids == ("sg-1",)
    assert endpoint.state == "pendingAcceptance"
    assert endpoint.addresses == connection.addresses
    assert endpoint.private_dns_name is None


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
    services.modify(state, PROVIDER, service.service_id, services.Change(private_name="api.example.com"))
    assert "has not verified the private DNS name" in refused_dns(state, connection)
    private_dns.verify(state, PROVIDER, service.service_id)
    assert "only be enabled after the endpoint connection is accepted" in refused_dns(state, connection)
    accept(state, clock, connection)
    connections.modify(state, CONSUMER, connection.endpoint_id, private_dns=True)
    assert state.endpoints()[0].private_dns_name == "api.example.com"
    services.modify(state, PROVIDER, service.service_id, services.Change(private_name="new.example.com"))
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


def test_a_service_without_a_load_balancer_is_refused(state: State) -> None:
    with pytest.raises(Refusal, match="exactly one of network_load_balancer_arn or gateway_load_balancer_arn"):
        services.create(state, PROVIDER, [], [])


def test_an_endpoint_moves_between_subnets_and_keeps_the_addresses_it_has(state: State) -> None:
    service = offer(state)
    connection = connect(state, service)
    other = replace(NET, subnet_id="subnet-b", zone="eu-west-1b", cidr="10.0.2.0/24")
    both = connections.modify(state, CONSUMER, connection.endpoint_id, add_subnets=[NET, other])
    assert both.addresses[0] == connection.addresses[0]
    one = connections.modify(state, CONSUMER, connection.endpoint_id, remove_subnet_ids=["subnet-a"])
    assert [a.subnet_id for a in one.addresses] == ["subnet-b"]


def test_a_notification_hears_only_the_events_and_the_source_it_asked_for(state: State, news: list[News]) -> None:
    service, other = offer(state), offer(state)
    topic = "arn:aws:sns:eu-west-1:111111111111:doorbell"
    made = notifications.create(state, PROVIDER, topic, ["Connect", "Delete"], service.service_id)
    connection = connect(state, service)
    connect(state, other)
    decisions.reject(state, PROVIDER, service.service_id, [connection.endpoint_id])
    connections.close(state, CONSUMER, connection.endpoint_id)
    heard = [n.event for n in news if made in n.notifications]
    assert heard == ["Connect", "Delete"]


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


def test_listeners_hear_of_every_change_without_the_lock_held(state: State, clock: Clock) -> None:
    seen: list[tuple[str, ...]] = []
    state.listeners.append(lambda: seen.append(tuple(e.state for e in state.endpoints())))
    service = offer(state)
    connection = connect(state, service)
    decisions.accept(state, PROVIDER, service.service_id, [connection.endpoint_id])
    clock.pass_()
    connections.close(state, CONSUMER, connection.endpoint_id)
    clock.pass_()
    states = [state for state, _ in itertools.groupby(seen)]
    assert states == [(), ("pendingAcceptance",), ("pending",), ("available",), ("deleting",), ()]


def test_pages_neither_repeat_nor_skip_while_items_go(state: State) -> None:
    items = [f"item-{n:02}" for n in range(12)]
    first, token = listing.page(items, {"MaxResults": 5}, str)
    assert token is not None
    second, token = listing.page(items[3:], {"MaxResults": 5, "NextToken": token}, str)
    assert token is not None
    third, end = listing.page(items, {"MaxResults": 5, "NextToken": token}, str)
    assert (first + second + third, end) == (items, None)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [({"MaxResults": 4}, "InvalidParameterValue"), ({"NextToken": "no token"}, "InvalidNextToken")],
)
def test_impossible_pages_are_refused(request_: dict[str, object], expected: str) -> None:
    with pytest.raises(Refusal) as refused:
        listing.page(["a"], request_, str)
    assert code(refused) == expected


def test_filters_are_anded_their_values_ored_and_their_case_counts() -> None:
    facts = {"state": ("pendingAcceptance",), **listing.tag_facts({"team": "core"})}

    def chosen(**filters: list[str]) -> bool:
        asked = [{"Name": name.replace("__", ":"), "Values": values} for name, values in filters.items()]
        return bool(listing.chosen(["item"], asked, lambda item: facts))

    assert chosen(state=["available", "pendingAcceptance"], tag__team=["co*"])
    assert not chosen(state=["PendingAcceptance"])
    assert not chosen(state=["pendingAcceptance"], tag__team=["edge"])
    assert not chosen(tag__absent=["x"])
    with pytest.raises(Refusal) as refused:
        chosen(stat=["available"])
    assert code(refused) == "InvalidFilter"


def test_requests_and_answers_survive_the_wire() -> None:
    tags = [{"ResourceType": "vpc-endpoint-service", "Tags": [{"Key": "linkgate", "Value": "managed & more"}]}]
    asked = {"AcceptanceRequired": False, "NetworkLoadBalancerArns": ["a", "b"], "TagSpecifications": tags}
    action = "CreateVpcEndpointServiceConfiguration"
    assert protocol.request(action, protocol.query(action, asked)) == asked
    answered = {"ServiceConfiguration": {"ServiceId": "vpce-svc-1", "Tags": tags[0]["Tags"], "AvailabilityZones": []}}
    assert protocol.values(action, 200, protocol.answer(action, answered)) == answered


def test_an_answer_with_a_member_that_ec2_does_not_have_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="Sevice"):
        protocol.answer("DescribeVpcEndpointConnections", {"Sevice": 1})


def record(action: str, body: bytes, **query: str) -> dict[str, object]:
    sent = {key.replace("__", "."): value for key, value in query.items()}
    parsed: dict[str, object] = json.loads(cloudtrail.record(PROVIDER, action, {"Action": action, **sent}, body))
    return parsed


def test_a_trail_record_lists_several_but_not_one() -> None:
    action = "AcceptVpcEndpointConnections"
    body = protocol.answer(action, {"Unsuccessful": []})
    one = record(action, body, ServiceId="vpce-svc-1", VpcEndpointId__1="vpce-1")
    two = record(action, body, VpcEndpointId__1="vpce-1", VpcEndpointId__2="vpce-2")
    first = {"tag": 1, "content": "vpce-1"}
    assert one["requestParameters"] == {f"{action}Request": {"ServiceId": "vpce-svc-1", "VpcEndpointId": first}}
    second = {"tag": 2, "content": "vpce-2"}
    assert two["requestParameters"] == {f"{action}Request": {"VpcEndpointId": [first, second]}}


def test_a_trail_record_makes_a_number_of_the_owner_and_text_of_nothing() -> None:
    action = "CreateVpcEndpoint"
    tag = {"Key": "Name", "Value": "one"}
    endpoint = {"OwnerId": "012345678901", "DnsEntries": [], "PrivateDnsEnabled": False, "Tags": [tag]}
    found = record(action, protocol.answer(action, {"VpcEndpoint": endpoint}))
    answered = found["responseElements"][f"{action}Response"]["vpcEndpoint"]  # type: ignore[index]
    assert answered["ownerId"] == 12345678901
    assert answered["dnsEntrySet"] == ""
    assert answered["privateDnsEnabled"] is False
    assert answered["tagSet"] == {"item": {"key": "Name", "value": "one"}}


def test_a_trail_record_of_a_refusal_has_its_code_and_no_answer() -> None:
    found = record("DeleteVpcEndpoints", protocol.refusal(Refusal("InvalidServiceName", "no")))
    assert (found["errorCode"], found["responseElements"]) == ("Client.InvalidServiceName", None)
