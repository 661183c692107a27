"""Ringing: bells become messages, the later the more often they were repeated."""

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from linkgate.errors import Throttled, Unavailable
from linkgate.events.bell import Bell, parse
from linkgate.events.queue import BellQueue
from linkgate.retry import delay

from tests.unit.edges import stubbed, unreachable
from tests.world import endpoint_id

URL = "https://sqs.eu-west-1.amazonaws.com/111111111111/bells"
SEND = "send_message_batch"
Edge = tuple[BellQueue, Stubber]


@pytest.fixture
def edge() -> Iterator[Edge]:
    with stubbed("sqs") as (client, stubber):
        yield BellQueue(client, URL), stubber


def bells(count: int, attempt: int = 0) -> list[Bell]:
    return [Bell(frozenset({endpoint_id(number)}), frozenset(), "sweep", attempt) for number in range(count)]


def expect(edge: Edge, requeued: list[Bell], failed: int = 0, later: int | None = None) -> None:
    entries = [
        {
            "Id": str(number),
            "MessageBody": json.dumps(bell.event()),
            "DelaySeconds": delay(bell.attempt) if later is None else later,
        }
        for number, bell in enumerate(requeued)
    ]
    refusals = [{"Id": str(number), "SenderFault": False, "Code": "x", "Message": "busy"} for number in range(failed)]
    done = [{"Id": "0", "MessageId": "m", "MD5OfMessageBody": "0"}]
    edge[1].add_response(SEND, {"Successful": done, "Failed": refusals}, {"QueueUrl": URL, "Entries": entries})


@pytest.mark.parametrize("count", [0, 1, 10, 11, 25])
def test_bells_are_rung_ten_a_call_and_no_bell_is_no_call(edge: Edge, count: int) -> None:
    requeued = bells(count)
    for start in range(0, count, 10):
        expect(edge, requeued[start : start + 10])
    edge[0].send(iter(requeued))


def test_a_repeated_bell_is_held_back(edge: Edge) -> None:
    expect(edge, bells(1, attempt=3))
    edge[0].send(bells(1, attempt=3))


@pytest.mark.parametrize(("later", "held"), [(0, 0), (61, 61), (900, 900), (901, 900), (86400, 900)])
def test_a_bell_for_later_is_held_back_as_long_as_it_says_up_to_what_sqs_allows(
    edge: Edge, later: int, held: int
) -> None:
    expect(edge, bells(1), later=held)
    edge[0].send(bells(1), later)


def test_a_queue_that_did_not_take_every_bell_is_unavailable(edge: Edge) -> None:
    expect(edge, bells(3), failed=2)
    with pytest.raises(Unavailable, match="SQS refused 2 of 3 bells: busy"):
        edge[0].send(bells(3))


@pytest.mark.parametrize(("code", "kind"), [("RequestThrottled", Throttled), ("InternalError", Unavailable)])
def test_a_queue_that_cannot_take_bells_now_is_asked_later(edge: Edge, code: str, kind: type[Unavailable]) -> None:
    edge[1].add_client_error(SEND, code, http_status_code=400 if kind is Throttled else 500)
    with pytest.raises(kind, match=code):
        edge[0].send(bells(1))


def test_a_queue_that_may_not_be_sent_to_is_a_wrong_deployment(edge: Edge) -> None:
    edge[1].add_client_error(SEND, "AccessDenied")
    with pytest.raises(ClientError, match="AccessDenied"):
        edge[0].send(bells(1))


def test_a_queue_out_of_reach_is_asked_later() -> None:
    with unreachable("sqs") as client, pytest.raises(Unavailable):
        BellQueue(client, URL).send(bells(1))


def test_repeats_wait_twice_as_long_each_up_to_what_sqs_allows() -> None:
    assert [delay(attempt) for attempt in range(12)] == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]
    assert delay(10**9) == 900
    assert delay(-1) == 0


def test_all_repeats_of_one_question_take_less_than_ten_minutes() -> None:
    assert sum(map(delay, range(1, 10))) == 511


def test_what_is_rung_is_read_as_the_same_bell() -> None:
    for bell in bells(2, attempt=1):
        assert parse(json.dumps(bell.event())) == bell
