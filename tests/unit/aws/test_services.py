"""Endpoint services: which are managed, what is wrong with them, whether they notify, and who may ask."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import Stubber
from linkgate.aws.errors import Refusal
from linkgate.aws.services import EVENTS, PRINCIPALS_PER_CALL, EndpointService, EndpointServices, lost
from linkgate.errors import Throttled
from linkgate.model import RowKey
from linkgate.policy.principals import Change

from tests.unit.edges import stubbed
from tests.world import service_id

SERVICE, OTHER = service_id(1), service_id(2)
TOPIC = "arn:aws:sns:eu-west-1:111111111111:linkgate-notifications-linkgate"
SERVICES, NOTES, CREATE = (
    "describe_vpc_endpoint_service_configurations",
    "describe_vpc_endpoint_connection_notifications",
    "create_vpc_endpoint_connection_notification",
)
MANAGED = {"Filters": [{"Name": "tag:linkgate", "Values": ["managed"]}]}
GOOD = EndpointService(SERVICE, acceptance_required=True, state="Available", private_dns_state="")


Ec2 = tuple[Any, Stubber]


@pytest.fixture
def ec2() -> Iterator[Ec2]:
    with stubbed("ec2") as found:
        yield found


def note(service: str = SERVICE, **values: Any) -> dict[str, Any]:
    return {
        "ServiceId": service,
        "ConnectionNotificationArn": TOPIC,
        "ConnectionEvents": list(EVENTS),
        "ConnectionNotificationState": "Enabled",
    } | values


def test_a_stack_looks_for_its_own_value_of_the_tag(ec2: Ec2) -> None:
    client, stubber = ec2
    asked = {"Filters": [{"Name": "tag:linkgate", "Values": ["blue"]}]}
    stubber.add_response(SERVICES, {"ServiceConfigurations": []}, asked)
    assert EndpointServices(client, "blue").managed() == {}
    stubber.assert_no_pending_responses()


def test_managed_services_are_those_with_the_tag_from_every_page(ec2: Ec2) -> None:
    client, stubber = ec2
    configuration: dict[str, Any] = {
        "ServiceId": SERVICE,
        "AcceptanceRequired": True,
        "ServiceState": "Available",
        "PrivateDnsName": "api.example.com",
        "PrivateDnsNameConfiguration": {"State": "verified"},
    }
    stubber.add_response(SERVICES, {"ServiceConfigurations": [configuration], "NextToken": "more"}, MANAGED)
    stubber.add_response(SERVICES, {"ServiceConfigurations": [{"ServiceId": OTHER}]}, {**MANAGED, "NextToken": "more"})
    assert EndpointServices(client, "managed").managed() == {
        SERVICE: EndpointService(SERVICE, True, "Available", "verified", "api.example.com"),
        OTHER: EndpointService(OTHER, False, "", ""),
    }


@pytest.mark.parametrize(("kind", "gateway"), [("Interface", False), ("GatewayLoadBalancer", True)])
def test_a_service_behind_gateway_load_balancers_is_known(ec2: Ec2, kind: str, gateway: bool) -> None:
    client, stubber = ec2
    configuration = {"ServiceId": SERVICE, "ServiceType": [{"ServiceType": kind}]}
    stubber.add_response(SERVICES, {"ServiceConfigurations": [configuration]}, MANAGED)
    assert EndpointServices(client, "managed").managed()[SERVICE].gateway is gateway


@pytest.mark.parametrize(
    ("endpoint_service", "problems"),
    [
        (GOOD, []),
        (EndpointService(SERVICE, True, "available", "verified"), []),
        (EndpointService(SERVICE, True, "AVAILABLE", "Verified"), []),
        (
            EndpointService(SERVICE, False, "Available", ""),
            ["AcceptanceRequired is off: EC2 accepts every connection by itself"],
        ),
        (EndpointService(SERVICE, True, "Pending", ""), ["the service is Pending, not Available"]),
        (EndpointService(SERVICE, True, "", ""), ["the service is in no state, not Available"]),
        (
            EndpointService(SERVICE, True, "Available", "pendingVerification"),
            ["the private DNS name is pendingVerification, not verified"],
        ),
    ],
)
def test_what_is_wrong_with_a_service_is_said(endpoint_service: EndpointService, problems: list[str]) -> None:
    assert list(endpoint_service.problems()) == problems


def test_every_problem_of_a_service_is_said() -> None:
    assert len(EndpointService(SERVICE, False, "Failed", "failed").problems()) == 3


# ------------------------------------------------------------------ notifications


def ensured(ec2: Ec2, *notes: dict[str, Any], creates: bool = False) -> dict[str, tuple[str, ...]]:
    """What is wrong with notifications, where EC2 has these notifications, a page each; whether one must be created."""
    client, stubber = ec2
    pages = notes or ({},)
    for number, one in enumerate(pages):
        more = {"NextToken": f"page {number + 1}"} if number + 1 < len(pages) else {}
        asked = {"NextToken": f"page {number}"} if number else {}
        stubber.add_response(NOTES, {"ConnectionNotificationSet": [one]} | more, asked)
    if creates:
        whole = {"ServiceId": SERVICE, "ConnectionNotificationArn": TOPIC, "ConnectionEvents": list(EVENTS)}
        stubber.add_response(CREATE, {}, whole)
    return EndpointServices(client, "managed").ensure_notifications([SERVICE], TOPIC)


DISABLED, PARTIAL = note(ConnectionNotificationState="Disabled"), note(ConnectionEvents=["Connect"])


@pytest.mark.parametrize("notes", [[note()], [note(), DISABLED], [DISABLED, note()], [note(OTHER), note()]])
def test_a_service_with_a_whole_notification_on_any_page_is_left_alone(ec2: Ec2, notes: list[dict[str, Any]]) -> None:
    assert ensured(ec2, *notes) == {}


@pytest.mark.parametrize(
    "notes",
    [
        [],
        [note(OTHER)],
        [note(ConnectionNotificationArn="arn:aws:sns:eu-west-1:111111111111:pages-of-the-network-team")],
        [{"VpcEndpointId": "vpce-1", "ConnectionNotificationArn": TOPIC, "ConnectionNotificationState": "Enabled"}],
    ],
)
def test_a_service_without_a_notification_of_its_own_gets_one_for_every_event(
    ec2: Ec2, notes: list[dict[str, Any]]
) -> None:
    assert ensured(ec2, *notes, creates=True) == {}


@pytest.mark.parametrize("broken", [DISABLED, PARTIAL])
def test_a_notification_that_is_disabled_or_carries_too_little_is_said_and_not_doubled(
    ec2: Ec2, broken: dict[str, Any]
) -> None:
    assert ensured(ec2, broken) == {SERVICE: ("its connection notification is disabled or does not carry every event",)}


def test_a_throttle_while_notifications_are_made_is_no_problem_of_the_service(ec2: Ec2) -> None:
    client, stubber = ec2
    stubber.add_response(NOTES, {"ConnectionNotificationSet": []}, {})
    stubber.add_client_error(CREATE, "RequestLimitExceeded", "slower", http_status_code=503)
    with pytest.raises(Throttled):
        EndpointServices(client, "managed").ensure_notifications([SERVICE], TOPIC)


def test_a_service_whose_notification_ec2_refuses_is_named_and_the_others_get_theirs(ec2: Ec2) -> None:
    client, stubber = ec2
    stubber.add_response(NOTES, {"ConnectionNotificationSet": []}, {})
    stubber.add_client_error(CREATE, "InvalidParameter", "the topic's policy does not allow it")
    stubber.add_response(CREATE, {})
    unnotified = EndpointServices(client, "managed").ensure_notifications([SERVICE, OTHER], TOPIC)
    assert unnotified.keys() == {SERVICE}
    assert "the topic's policy does not allow it" in unnotified[SERVICE][0]


def test_a_notification_that_ec2_refuses_in_other_words_each_time_is_the_same_problem(ec2: Ec2) -> None:
    client, stubber = ec2
    found = set()
    for words in ("8sJ2k", "Qp9x"):
        stubber.add_response(NOTES, {"ConnectionNotificationSet": []}, {})
        said = f"You are not authorized. Encoded authorization failure message: {words}"
        stubber.add_client_error(CREATE, "UnauthorizedOperation", said)
        found |= set(EndpointServices(client, "managed").ensure_notifications([SERVICE], TOPIC)[SERVICE])
    (problem,) = found
    assert problem.endswith("EC2 makes none: UnauthorizedOperation: You are not authorized.")


ANOTHER = note(ConnectionNotificationArn=f"{TOPIC}-blue", ConnectionNotificationId="vpce-nfn-1")


def test_a_service_that_notifies_another_linkgate_stack_too_says_which_and_what_to_do(ec2: Ec2) -> None:
    (said,) = ensured(ec2, ANOTHER, note())[SERVICE]
    assert said.startswith("the Linkgate stack linkgate-blue is notified of its connections too")
    assert said.endswith("delete its notification vpce-nfn-1")


def test_who_finds_another_stacks_notification_makes_its_own_all_the_same(ec2: Ec2) -> None:
    assert len(ensured(ec2, ANOTHER, creates=True)[SERVICE]) == 1


@pytest.mark.parametrize(
    "other",
    [
        ANOTHER | {"ConnectionNotificationState": "Disabled"},
        ANOTHER | {"ConnectionNotificationArn": "arn:aws:sns:eu-west-1:111111111111:my-linkgate-notifications-watch"},
        ANOTHER | {"ServiceId": OTHER},
        {"ServiceId": SERVICE, "ConnectionNotificationState": "Enabled"},
    ],
)
def test_a_notification_that_no_linkgate_stack_is_rung_by_is_nobodys_concern(ec2: Ec2, other: dict[str, Any]) -> None:
    assert ensured(ec2, other, note()) == {}


# ------------------------------------------------------------------ services nobody looks after


def test_a_service_with_settings_of_its_own_that_is_not_managed_is_lost() -> None:
    rows = [RowKey(SERVICE, "@settings"), RowKey(OTHER, "@settings"), RowKey(OTHER, "222222222222")]
    assert lost([SERVICE], rows, "blue") == {
        OTHER: "it has a row @settings, but no tag linkgate = blue, or it is gone: nobody looks after it"
    }


@pytest.mark.parametrize(
    "key", [RowKey("*", "@settings"), RowKey(OTHER, "*"), RowKey(f" {OTHER}", "@settings"), RowKey(OTHER, "@release")]
)
def test_only_settings_of_one_service_enrol_it(key: RowKey) -> None:
    assert lost([], [key], "managed") == {}


# ------------------------------------------------------------------ principals

PERMISSIONS, PERMIT = "describe_vpc_endpoint_service_permissions", "modify_vpc_endpoint_service_permissions"
ROOTS = [f"arn:aws:iam::{number:012d}:root" for number in range(PRINCIPALS_PER_CALL + 1)]
NOBODY = "InvalidPrincipal"


def permits(ec2: Ec2, *, add: list[str] | None = None, remove: list[str] | None = None, code: str = "") -> None:
    """A call that must add or remove exactly these, and whether EC2 refuses it."""
    asked = {"ServiceId": SERVICE} | ({"AddAllowedPrincipals": add} if add else {"RemoveAllowedPrincipals": remove})
    if code:
        ec2[1].add_client_error(PERMIT, code, "no such principal", expected_params=asked)
    else:
        ec2[1].add_response(PERMIT, {"ReturnValue": True}, asked)


def permit(ec2: Ec2, *add: str, remove: tuple[str, ...] = ()) -> dict[str, Refusal]:
    return EndpointServices(ec2[0], "managed").permit(SERVICE, Change(frozenset(add), frozenset(remove)))


def test_the_principals_of_a_service_are_read_from_every_page(ec2: Ec2) -> None:
    client, stubber = ec2
    asked = {"ServiceId": SERVICE, "MaxResults": 1000}
    answers: list[dict[str, Any]] = [
        {"AllowedPrincipals": [{"Principal": "*", "PrincipalType": "All"}, {}], "NextToken": "more"},
        {"AllowedPrincipals": [{"Principal": ROOTS[1]}]},
    ]
    stubber.add_response(PERMISSIONS, answers[0], asked)
    stubber.add_response(PERMISSIONS, answers[1], {**asked, "NextToken": "more"})
    assert EndpointServices(client, "managed").principals(SERVICE) == {"*", ROOTS[1]}


def test_a_principal_that_may_connect_transit_gateways_alone_is_none_of_ours() -> None:
    kinds = {"": "vpc-endpoint", "both": "vpc-endpoint", "gateways": "transit-gateway-attachment"}
    answer = {
        "AllowedPrincipals": [{"Principal": "old"}]
        + [{"Principal": name, "PermissionType": kind} for name, kind in kinds.items()]
    }
    pages = SimpleNamespace(paginate=lambda **_: [answer])
    ec2: Any = SimpleNamespace(get_paginator=lambda _: pages)  # the tests' botocore has not heard of the field
    assert EndpointServices(ec2, "managed").principals(SERVICE) == {"old", "", "both"}


def test_no_change_asks_nothing(ec2: Ec2) -> None:
    assert permit(ec2) == {}


def test_principals_are_added_before_others_are_removed(ec2: Ec2) -> None:
    permits(ec2, add=[ROOTS[0]])
    permits(ec2, remove=["*", ROOTS[1]])
    assert permit(ec2, ROOTS[0], remove=(ROOTS[1], "*")) == {}


def test_many_principals_take_several_calls(ec2: Ec2) -> None:
    permits(ec2, add=ROOTS[:-1])
    permits(ec2, add=ROOTS[-1:])
    assert permit(ec2, *ROOTS) == {}


def test_a_principal_that_ec2_refuses_holds_nobody_else_up_and_is_named(ec2: Ec2) -> None:
    permits(ec2, add=ROOTS[:3], code=NOBODY)
    permits(ec2, add=ROOTS[:1])
    permits(ec2, add=ROOTS[1:3], code=NOBODY)
    permits(ec2, add=ROOTS[1:2], code=NOBODY)
    permits(ec2, add=ROOTS[2:3])
    permits(ec2, remove=["*"])
    assert permit(ec2, *ROOTS[:3], remove=("*",)) == {ROOTS[1]: Refusal(NOBODY, "no such principal")}


def test_without_permission_each_principal_is_refused(ec2: Ec2) -> None:
    permits(ec2, add=ROOTS[:2], code="UnauthorizedOperation")
    permits(ec2, remove=["*"], code="UnauthorizedOperation")
    refused = permit(ec2, *ROOTS[:2], remove=("*",))
    assert {one: why.code for one, why in refused.items()} == dict.fromkeys((*ROOTS[:2], "*"), "UnauthorizedOperation")
