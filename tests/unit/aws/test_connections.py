"""EC2's endpoint connections through botocore's own shapes: every state, every way of saying no."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber
from linkgate.aws.connections import NEVER, Connections
from linkgate.aws.errors import Refusal
from linkgate.errors import Throttled, Unavailable
from linkgate.model import Connection, Outcome, State

from tests.unit.edges import stubbed, unreachable
from tests.world import CONSUMER, REGION, endpoint_id, service_id

SERVICE = service_id(1)
CREATED = datetime(2026, 11, 23, 3, tzinfo=UTC)
DESCRIBE, ACCEPT, REJECT = (
    "describe_vpc_endpoint_connections",
    "accept_vpc_endpoint_connections",
    "reject_vpc_endpoint_connections",
)
WAITING = {"Name": "vpc-endpoint-state", "Values": ["pendingAcceptance"]}
GONE = "InvalidVpcEndpointId.NotFound"
CONNECTION = "vpce-con-0123456789abcdef0"


class Edge:
    """The connections under test, and the answers that EC2 is going to give."""

    def __init__(self, client: Any, stubber: Stubber) -> None:
        self.connections, self.client, self.stubber = Connections(client), client, stubber

    def shows(
        self,
        *responses: dict[str, Any],
        services: Sequence[str] = (SERVICE,),
        narrow: dict[str, Any] | None = None,
        more: str = "",
        after: str = "",
    ) -> None:
        """A page of Describe, which must be asked for with these services and this further filter."""
        filters = [{"Name": "service-id", "Values": list(services)}, *([narrow] if narrow else [])]
        asked = {"Filters": filters, "MaxResults": 1000}
        answer = {"VpcEndpointConnections": list(responses)} | ({"NextToken": more} if more else {})
        self.stubber.add_response(DESCRIBE, answer, asked | ({"NextToken": after} if after else {}))

    def takes(self, *endpoints: str, refusing: list[dict[str, Any]] | None = None, call: str = ACCEPT) -> None:
        """An answer with status 200 to an Accept or Reject of exactly these endpoints."""
        answer = {} if refusing is None else {"Unsuccessful": refusing}
        self.stubber.add_response(call, answer, {"ServiceId": SERVICE, "VpcEndpointIds": list(endpoints)})

    def refuses(self, *endpoints: str, code: str = GONE, status: int = 400) -> None:
        """An error in answer to an Accept of exactly these endpoints."""
        asked = {"ServiceId": SERVICE, "VpcEndpointIds": list(endpoints)}
        self.stubber.add_client_error(
            ACCEPT, code, f"no {','.join(endpoints)}", http_status_code=status, expected_params=asked
        )

    def described(self, *endpoints: str, states: dict[str, str] | None = None) -> None:
        """A second look at doubtful endpoints: each in its state, those without one are not shown."""
        responses = [
            {**response(), "VpcEndpointId": endpoint, "VpcEndpointState": state}
            for endpoint, state in (states or {}).items()
        ]
        self.shows(*(one for one in responses if one["VpcEndpointState"] == "pendingAcceptance"), narrow=WAITING)
        if {*endpoints} - {one for one, state in (states or {}).items() if state == "pendingAcceptance"}:
            self.shows(*responses)

    def all(self) -> list[Connection]:
        """Every endpoint connection of the service."""
        return self.connections.of([SERVICE])[SERVICE].connections

    def accept(self, *endpoints: str) -> dict[str, Refusal]:
        return self.connections.accept(SERVICE, endpoints)


@pytest.fixture
def edge() -> Iterator[Edge]:
    with stubbed("ec2") as (client, stubber):
        yield Edge(client, stubber)


def response(number: int = 1, **values: Any) -> dict[str, Any]:
    return {
        "ServiceId": SERVICE,
        "VpcEndpointId": endpoint_id(number),
        "VpcEndpointOwner": CONSUMER,
        "VpcEndpointState": "available",
        "CreationTimestamp": CREATED,
        "VpcEndpointRegion": REGION,
    } | values


# ------------------------------------------------------------------ looking


def test_a_connection_is_what_ec2_describes(edge: Edge) -> None:
    entries = [{"DnsName": "regional", "HostedZoneId": "Z1"}, {"HostedZoneId": "Z2"}, {"DnsName": "zonal"}]
    tags = [{"Key": "a", "Value": "b"}, {"Key": "bare"}, {"Value": "keyless"}]
    edge.shows(response(DnsEntries=entries, IpAddressType="ipv4", Tags=tags, VpcEndpointConnectionId=CONNECTION))
    expected = Connection(
        *(SERVICE, endpoint_id(1), CONSUMER, REGION, State.AVAILABLE, CREATED, ("regional", "zonal"), CONNECTION),
        ip_type="ipv4",
    )
    (found,) = edge.all()
    assert found == expected
    assert found.tags == {"a": "b", "bare": ""}


STATES = {
    "pendingAcceptance": State.PENDING_ACCEPTANCE,
    "pending": State.PENDING,
    "available": State.AVAILABLE,
    "deleting": State.DELETING,
    "deleted": State.DELETED,
    "rejected": State.REJECTED,
    "failed": State.FAILED,
    "expired": State.EXPIRED,
    "partial": State.PARTIAL,
}


@pytest.mark.parametrize("text", STATES)
def test_a_state_is_read_in_any_letter_case(edge: Edge, text: str) -> None:
    spellings = [text, text[0].upper() + text[1:], text.upper(), text.lower(), f" {text} "]
    edge.shows(*[response(number, VpcEndpointState=spelling) for number, spelling in enumerate(spellings)])
    assert {connection.state for connection in edge.all()} == {STATES[text]}


def test_the_states_are_those_of_botocores_model(edge: Edge) -> None:
    shape = edge.client.meta.service_model.shape_for("State")
    assert {State.read(name) for name in shape.enum} == set(STATES.values())


def test_a_state_that_nobody_has_heard_of_is_unknown_and_neither_waits_nor_lives_nor_is_gone(edge: Edge) -> None:
    edge.shows(response(VpcEndpointState="hibernating"), {**response(2), "VpcEndpointState": "x" * 200})
    assert [one.raw_state for one in edge.all()] == ["hibernating", "x" * 100]
    edge.shows(response(VpcEndpointState="hibernating"), {**response(2), "VpcEndpointState": ""})
    for connection in edge.all():
        assert connection.state is State.UNKNOWN
        assert not connection.waits
        assert not connection.state.live
        assert not connection.state.gone


def test_what_ec2_leaves_out_is_empty(edge: Edge) -> None:
    edge.shows({"ServiceId": SERVICE, "VpcEndpointId": endpoint_id(1)}, response(2))
    found, whole = edge.all()
    assert found == Connection(SERVICE, endpoint_id(1), "", "", State.UNKNOWN, NEVER)
    assert found.tags == {}
    assert found.created < whole.created


def test_an_owner_that_lost_its_leading_zeros_gets_them_back(edge: Edge) -> None:
    edge.shows(response(VpcEndpointOwner="1234567"))
    assert edge.all()[0].account == "000001234567"


def test_every_page_is_read(edge: Edge) -> None:
    edge.shows(response(1), response(2), more="two")
    edge.shows(more="three", after="two")
    edge.shows(response(3), after="three")
    assert [one.endpoint for one in edge.all()] == [endpoint_id(1), endpoint_id(2), endpoint_id(3)]


def test_services_are_shown_together_two_hundred_a_call(edge: Edge) -> None:
    services = [service_id(number) for number in range(201)]
    edge.shows(response(1, ServiceId=services[0]), response(2, ServiceId=services[199]), services=services[:200])
    edge.shows(response(3, ServiceId=services[200]), services=services[200:])
    shown = edge.connections.of(reversed(services))
    assert shown.keys() == set(services)
    found = {one.service: one.endpoint for some in shown.values() for one in some.connections}
    assert found == {services[0]: endpoint_id(1), services[199]: endpoint_id(2), services[200]: endpoint_id(3)}


def test_a_transit_gateway_attachment_is_named_and_is_no_endpoint(edge: Edge) -> None:
    attached = {name: value for name, value in response().items() if name != "VpcEndpointId"}
    edge.shows(attached, response(2))
    shown = edge.connections.of([SERVICE])[SERVICE]
    assert ([one.endpoint for one in shown.connections], shown.attachments) == ([endpoint_id(2)], [""])


def test_no_names_ask_nothing(edge: Edge) -> None:
    assert edge.connections.named({}, [SERVICE]) == []


def owned(*accounts: str) -> dict[str, Any]:
    return {"Name": "vpc-endpoint-owner", "Values": list(accounts)}


def test_endpoints_are_looked_for_among_those_of_their_accounts_and_those_that_wait(edge: Edge) -> None:
    edge.shows(response(1), response(9), narrow=owned(CONSUMER))
    edge.shows(response(2, VpcEndpointState="pendingAcceptance"), response(8), narrow=WAITING)
    found = edge.connections.named({endpoint_id(1): CONSUMER, endpoint_id(2): ""}, [SERVICE])
    assert [one.endpoint for one in found] == [endpoint_id(1), endpoint_id(2)]


def test_accounts_are_asked_for_two_hundred_a_call(edge: Edge) -> None:
    named = {endpoint_id(number): f"{number:012d}" for number in range(201)}
    accounts = sorted(named.values())
    edge.shows(*map(response, range(200)), narrow=owned(*accounts[:200]))
    edge.shows(response(200), narrow=owned(accounts[200]))
    assert {one.endpoint for one in edge.connections.named(named, [SERVICE])} == named.keys()


@pytest.mark.parametrize("account", [CONSUMER, ""])
def test_what_a_narrow_look_does_not_show_is_looked_for_among_all(edge: Edge, account: str) -> None:
    edge.shows(narrow=owned(CONSUMER) if account else WAITING)
    edge.shows(response(2), response(1))
    assert [one.endpoint for one in edge.connections.named({endpoint_id(1): account}, [SERVICE])] == [endpoint_id(1)]


def test_no_page_is_read_after_the_last_endpoint_was_found(edge: Edge) -> None:
    edge.shows(response(1), narrow=WAITING, more="two")
    assert len(edge.connections.named({endpoint_id(1): ""}, [SERVICE])) == 1


# ------------------------------------------------------------------ accepting and rejecting

A, B, C, D = (endpoint_id(number) for number in range(1, 5))


@pytest.mark.parametrize("unsuccessful", [None, []])
def test_an_answer_without_refusals_is_success(edge: Edge, unsuccessful: list[dict[str, Any]] | None) -> None:
    edge.takes(A, B, refusing=unsuccessful)
    assert edge.accept(A, B) == {}


def test_a_rejection_is_asked_for_as_one(edge: Edge) -> None:
    edge.takes(A, call=REJECT)
    assert edge.connections.reject(SERVICE, [A]) == {}


def test_refusals_inside_an_answer_with_status_200_are_found(edge: Edge) -> None:
    refusals = [{"ResourceId": B, "Error": {"Code": "InvalidState", "Message": "it is rejected"}}]
    edge.takes(A, B, C, refusing=refusals)
    edge.described(B, states={B: "rejected"})
    assert edge.accept(A, B, C) == {B: Refusal("InvalidState", "it is rejected")}


@pytest.mark.parametrize("name", [{}, {"ResourceId": ""}, {"ResourceId": SERVICE}])
def test_a_refusal_that_names_none_of_them_may_be_anybodys(edge: Edge, name: dict[str, str]) -> None:
    refusals = [
        {**name, "Error": {"Code": "InternalError", "Message": "sorry"}},
        {"ResourceId": C, "Error": {"Code": "InvalidState", "Message": "late"}},
    ]
    edge.takes(A, B, C, refusing=refusals)
    edge.described(A, B, C, states={A: "pending", B: "pendingAcceptance"})
    assert edge.accept(A, B, C) == {B: Refusal("InternalError", "sorry"), C: Refusal("InvalidState", "late")}


@pytest.mark.parametrize(
    ("outcome", "call", "wanted"),
    [
        (Outcome.ACCEPT, ACCEPT, {"pending", "available", "partial"}),
        (Outcome.REJECT, REJECT, {"rejected"}),
    ],
)
def test_what_is_refused_but_as_wanted_is_done(edge: Edge, outcome: Outcome, call: str, wanted: set[str]) -> None:
    states = {endpoint_id(number): state for number, state in enumerate(STATES)}
    why = {"Code": "InvalidState", "Message": "it does not wait"}
    edge.takes(*states, refusing=[{"ResourceId": endpoint, "Error": why} for endpoint in states], call=call)
    edge.described(*states, states=states)
    act = edge.connections.accept if outcome is Outcome.ACCEPT else edge.connections.reject
    refused = act(SERVICE, list(states))
    assert {states[endpoint] for endpoint in states.keys() - refused.keys()} == wanted


def test_an_endpoint_that_the_service_does_not_show_is_refused(edge: Edge) -> None:
    edge.takes(A, refusing=[{"ResourceId": A, "Error": {"Code": GONE, "Message": "not here"}}])
    edge.described(A)
    assert edge.accept(A) == {A: Refusal(GONE, "not here")}


def test_a_throttled_second_look_leaves_the_whole_call_to_later(edge: Edge) -> None:
    edge.takes(A, B, refusing=[{"ResourceId": A, "Error": {"Code": "InvalidState", "Message": "late"}}])
    edge.stubber.add_client_error(DESCRIBE, "RequestLimitExceeded")
    with pytest.raises(Throttled):
        edge.accept(A, B)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failure_on_ec2s_side_is_no_refusal(edge: Edge, status: int) -> None:
    edge.refuses(A, B, code="InternalError", status=status)
    with pytest.raises(Unavailable, match="InternalError"):
        edge.accept(A, B)


def test_a_failure_in_the_middle_of_halving_leaves_the_whole_call_to_later(edge: Edge) -> None:
    edge.refuses(A, B)
    edge.takes(A)
    edge.refuses(B, code="Unavailable", status=503)
    with pytest.raises(Unavailable):
        edge.accept(A, B)


def test_a_list_refused_as_a_whole_is_halved_until_the_culprit_is_alone(edge: Edge) -> None:
    edge.refuses(A, B, C, D)
    edge.takes(A, B)
    edge.refuses(C, D)
    edge.refuses(C)
    edge.takes(D)
    edge.described(C)
    assert edge.accept(A, B, C, D) == {C: Refusal(GONE, f"no {C}")}


def test_a_halved_list_keeps_the_refusals_of_its_halves(edge: Edge) -> None:
    edge.refuses(A, B, C, code="InvalidVpcEndpoint.NotFound")
    edge.refuses(A, code="InvalidVpcEndpoint.NotFound")
    edge.takes(B, C, refusing=[{"ResourceId": C, "Error": {"Code": "InvalidState", "Message": "late"}}])
    edge.described(A, C)
    expected = {A: Refusal("InvalidVpcEndpoint.NotFound", f"no {A}"), C: Refusal("InvalidState", "late")}
    assert edge.accept(A, B, C) == expected


def test_a_throttle_in_the_middle_of_halving_leaves_the_other_half_done(edge: Edge) -> None:
    edge.refuses(A, B)
    edge.takes(A)
    edge.refuses(B, code="RequestLimitExceeded")
    assert edge.accept(A, B) == {B: Refusal("RequestLimitExceeded", f"no {B}")}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *((code, 400) for code in ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthFailure")),
        *(("RequestLimitExceeded", status) for status in (400, 503)),
    ],
)
def test_a_call_refused_for_what_no_endpoint_can_help_is_a_refusal_of_each_of_them(
    edge: Edge, code: str, status: int
) -> None:
    edge.refuses(A, B, code=code, status=status)
    why = Refusal(code, f"no {A},{B}")
    assert edge.accept(A, B) == {A: why, B: why}
    assert str(why) == f"{code}: no {A},{B}"


@pytest.mark.parametrize("code", ["InvalidVpcEndpointServiceId.NotFound", "InvalidParameter", "NobodyHeardOfIt"])
def test_a_call_refused_for_any_other_reason_is_halved(edge: Edge, code: str) -> None:
    edge.refuses(A, B, code=code)
    edge.refuses(A, code=code)
    edge.takes(B)
    edge.described(A, states={A: "pendingAcceptance"})
    assert edge.accept(A, B) == {A: Refusal(code, f"no {A}")}


def test_an_act_that_does_not_reach_ec2_is_asked_again_later() -> None:
    with unreachable("ec2") as client, pytest.raises(Unavailable):
        Connections(client).accept(SERVICE, [A])


# ------------------------------------------------------------------ tagging


def test_tags_are_written_on_the_connection(edge: Edge) -> None:
    pairs = [{"Key": "linkgate:consumer", "Value": CONSUMER}, {"Key": "linkgate:ticket", "Value": ""}]
    edge.stubber.add_response("create_tags", {}, {"Resources": [CONNECTION], "Tags": pairs})
    assert edge.connections.tag(CONNECTION, {"linkgate:consumer": CONSUMER, "linkgate:ticket": ""}) == ""


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "TagLimitExceeded", "InvalidID", "NobodyHeardOfIt"])
def test_tags_that_ec2_refuses_are_refused_in_its_words(edge: Edge, code: str) -> None:
    edge.stubber.add_client_error("create_tags", code, "not here")
    assert edge.connections.tag(CONNECTION, {"a": "b"}) == f"{code}: not here"
