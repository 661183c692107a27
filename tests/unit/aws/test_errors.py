"""What AWS's errors mean: a call that cannot be answered now is made again later, other errors pass through."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from linkgate.aws.connections import Connections
from linkgate.aws.errors import THROTTLES, Refusal, ec2_errors
from linkgate.aws.services import EndpointServices
from linkgate.errors import Throttled, Unavailable
from linkgate.events.bus import Bus, Event
from linkgate.policy.principals import Change

from tests.unit.edges import stubbed, unreachable

CHANGE, EVENTS = Change(add=frozenset({"arn:aws:iam::222222222222:root"})), [Event("Endpoint Connection Closed", {})]
CALLS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "describe_vpc_endpoint_connections": ("ec2", lambda client: Connections(client).of("vpce-svc-1")),
    "create_tags": ("ec2", lambda client: Connections(client).tag("vpce-con-1", {"a": "b"})),
    "describe_vpc_endpoint_service_configurations": (
        "ec2",
        lambda client: EndpointServices(client, "managed").managed(),
    ),
    "describe_vpc_endpoint_connection_notifications": (
        "ec2",
        lambda client: EndpointServices(client, "managed").ensure_notifications(["vpce-svc-1"], "topic"),
    ),
    "describe_vpc_endpoint_service_permissions": (
        "ec2",
        lambda client: EndpointServices(client, "managed").principals("vpce-svc-1"),
    ),
    "modify_vpc_endpoint_service_permissions": (
        "ec2",
        lambda client: EndpointServices(client, "managed").permit("vpce-svc-1", CHANGE),
    ),
    "put_events": ("events", lambda client: Bus(client, "linkgate").publish(EVENTS)),
}
"""By the operation that it calls, the client and the call. Accept and Reject differ: see test_connections."""


def refused(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Operation")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("RequestLimitExceeded", 503, Throttled),
        ("ThrottlingException", 400, Throttled),
        ("InternalError", 500, Unavailable),
    ],
)
def test_a_call_that_cannot_be_answered_now_is_made_again_later(
    call: str, code: str, status: int, kind: type[Unavailable]
) -> None:
    service, made = CALLS[call]
    with stubbed(service) as (client, stubber):
        stubber.add_client_error(call, code, http_status_code=status)
        with pytest.raises(kind, match=code) as error:
            made(client)
    assert type(error.value) is kind


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_does_not_reach_aws_is_made_again_later(call: str) -> None:
    service, made = CALLS[call]
    with unreachable(service) as client, pytest.raises(Unavailable):
        made(client)


@pytest.mark.parametrize(
    "call",
    ["describe_vpc_endpoint_connections", "describe_vpc_endpoint_service_permissions", "put_events"],
)
def test_a_call_without_permission_is_a_wrong_deployment(call: str) -> None:
    service, made = CALLS[call]
    with stubbed(service) as (client, stubber):
        stubber.add_client_error(call, "UnauthorizedOperation")
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            made(client)


@pytest.mark.parametrize("status", [400, 503])
@pytest.mark.parametrize("code", sorted(THROTTLES))
def test_every_throttle_is_one_whatever_its_status(code: str, status: int) -> None:
    with pytest.raises(Throttled, match=code), ec2_errors():
        raise refused(code, status)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failure_on_awss_side_is_no_answer(status: int) -> None:
    with pytest.raises(Unavailable, match="Internal"), ec2_errors():
        raise refused("Internal", status)


@pytest.mark.parametrize("error", [None, {}, "no", {"Code": None}])
def test_a_refusal_without_words_is_one_nevertheless(error: object) -> None:
    assert Refusal.read(error).message == ""
