"""The gates: which services are managed, what leaves them open or shut, and whether they ring."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber
from linkgate.errors import Throttled
from linkgate.gate import EVENTS, Gate, Gates

from tests.unit.edges import stubbed
from tests.world import service_id

SERVICE, OTHER = service_id(1), service_id(2)
TOPIC = "arn:aws:sns:eu-west-1:111111111111:linkgate"
SERVICES, NOTES, WIRE = (
    "describe_vpc_endpoint_service_configurations",
    "describe_vpc_endpoint_connection_notifications",
    "create_vpc_endpoint_connection_notification",
)
MANAGED = {"Filters": [{"Name": "tag:linkgate", "Values": ["managed"]}]}
GOOD = Gate(SERVICE, acceptance_required=True, state="Available", private_dns_state="")


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


def wire(ec2: Ec2, *notes: dict[str, Any], services: tuple[str, ...] = (SERVICE,)) -> dict[str, str]:
    """What remains unwired, where EC2 has these notifications."""
    client, stubber = ec2
    stubber.add_response(NOTES, {"ConnectionNotificationSet": list(notes)}, {})
    return Gates(client).wire({name: GOOD for name in services}, TOPIC)


def expect_wiring(ec2: Ec2, service: str = SERVICE) -> None:
    asked = {"ServiceId": service, "ConnectionNotificationArn": TOPIC, "ConnectionEvents": list(EVENTS)}
    ec2[1].add_response(WIRE, {}, asked)


def test_managed_services_are_those_with_the_tag_from_every_page(ec2: Ec2) -> None:
    client, stubber = ec2
    configuration: dict[str, Any] = {
        "ServiceId": SERVICE,
        "AcceptanceRequired": True,
        "ServiceState": "Available",
        "PrivateDnsNameConfiguration": {"State": "verified"},
    }
    stubber.add_response(SERVICES, {"ServiceConfigurations": [configuration], "NextToken": "more"}, MANAGED)
    stubber.add_response(SERVICES, {"ServiceConfigurations": [{"ServiceId": OTHER}]}, {**MANAGED, "NextToken": "more"})
    assert Gates(client).managed() == {
        SERVICE: Gate(SERVICE, True, "Available", "verified"),
        OTHER: Gate(OTHER, False, "", ""),
    }


def test_without_a_tagged_service_nothing_is_managed(ec2: Ec2) -> None:
    ec2[1].add_response(SERVICES, {}, MANAGED)
    assert Gates(ec2[0]).managed() == {}


def test_a_throttled_look_at_services_is_asked_again_later(ec2: Ec2) -> None:
    ec2[1].add_client_error(SERVICES, "RequestLimitExceeded")
    with pytest.raises(Throttled):
        Gates(ec2[0]).managed()


@pytest.mark.parametrize(
    ("gate", "problems"),
    [
        (GOOD, []),
        (Gate(SERVICE, True, "available", "verified"), []),
        (Gate(SERVICE, True, "AVAILABLE", "Verified"), []),
        (Gate(SERVICE, False, "Available", ""), ["AcceptanceRequired is off: EC2 accepts every connection by itself"]),
        (Gate(SERVICE, True, "Pending", ""), ["the service is Pending, not Available"]),
        (Gate(SERVICE, True, "", ""), ["the service is in no state, not Available"]),
        (
            Gate(SERVICE, True, "Available", "pendingVerification"),
            ["the private DNS name is pendingVerification, not verified"],
        ),
    ],
)
def test_what_leaves_a_gate_open_or_shut_is_said(gate: Gate, problems: list[str]) -> None:
    assert list(gate.problems()) == problems


def test_every_problem_of_a_gate_is_said() -> None:
    assert len(Gate(SERVICE, False, "Failed", "failed").problems()) == 3


# ------------------------------------------------------------------ wiring


def test_a_service_that_rings_already_is_left_alone(ec2: Ec2) -> None:
    assert wire(ec2, note()) == {}


def test_a_service_that_does_not_ring_is_wired_for_every_event(ec2: Ec2) -> None:
    client, stubber = ec2
    stubber.add_response(NOTES, {"ConnectionNotificationSet": []}, {})
    expect_wiring(ec2)
    assert Gates(client).wire({SERVICE: GOOD}, TOPIC) == {}


@pytest.mark.parametrize(
    "strange",
    [
        note(OTHER),
        note(ConnectionNotificationArn=f"{TOPIC}-other"),
        {"VpcEndpointId": "vpce-1", "ConnectionNotificationArn": TOPIC, "ConnectionNotificationState": "Enabled"},
    ],
)
def test_the_notifications_of_others_do_not_count(ec2: Ec2, strange: dict[str, Any]) -> None:
    client, stubber = ec2
    stubber.add_response(NOTES, {"ConnectionNotificationSet": [strange]}, {})
    expect_wiring(ec2)
    assert Gates(client).wire({SERVICE: GOOD}, TOPIC) == {}


@pytest.mark.parametrize("broken", [note(ConnectionNotificationState="Disabled"), note(ConnectionEvents=["Connect"])])
def test_a_notification_that_is_disabled_or_carries_too_little_is_said_and_not_doubled(
    ec2: Ec2, broken: dict[str, Any]
) -> None:
    assert wire(ec2, broken) == {SERVICE: "its connection notification is disabled or does not carry every event"}


def test_one_whole_notification_is_enough_beside_a_broken_one(ec2: Ec2) -> None:
    assert wire(ec2, note(), note(ConnectionNotificationState="Disabled")) == {}


def test_notifications_are_read_from_every_page(ec2: Ec2) -> None:
    client, stubber = ec2
    stubber.add_response(NOTES, {"ConnectionNotificationSet": [note()], "NextToken": "more"}, {})
    stubber.add_response(NOTES, {"ConnectionNotificationSet": [note(OTHER)]}, {"NextToken": "more"})
    assert Gates(client).wire({SERVICE: GOOD, OTHER: GOOD}, TOPIC) == {}


def test_a_service_that_cannot_be_wired_is_said_and_the_others_are_wired() -> None:
    with stubbed("ec2") as (client, stubber):
        stubber.add_response(NOTES, {"ConnectionNotificationSet": []}, {})
        stubber.add_client_error(WIRE, "InvalidParameter", "the topic's policy does not allow it")
        expect_wiring((client, stubber), OTHER)
        unwired = Gates(client).wire({SERVICE: GOOD, OTHER: GOOD}, TOPIC)
    assert unwired.keys() == {SERVICE}
    assert "the topic's policy does not allow it" in unwired[SERVICE]


def test_a_throttled_look_at_notifications_is_asked_again_later(ec2: Ec2) -> None:
    client, stubber = ec2
    stubber.add_client_error(NOTES, "RequestLimitExceeded")
    with pytest.raises(Throttled):
        Gates(client).wire({SERVICE: GOOD}, TOPIC)
