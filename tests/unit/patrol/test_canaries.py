"""Invoking canaries: targets in batches and side by side, and of the answers nothing but what was asked for."""

import io
import json
import math
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError, InvalidRegionError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st
from linkgate.errors import Unavailable
from linkgate.health.diagnosis import diagnose
from linkgate.health.targets import Target, closed_targets, targets_of
from linkgate.health.verdict import LONGEST_TEXT, Verdict
from linkgate.model import Connection, State
from linkgate.patrol.canaries import LONGEST_CALL, MOST_VERDICTS, TARGETS_PER_CALL, Answers, Canaries
from linkgate.policy.probes import Probe
from prober.run import MOST_ADDRESSES

from tests.fakes import FakeCanaries
from tests.unit.edges import stubbed
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

SERVICE, A, B = service_id(1), endpoint_id(1), endpoint_id(2)
OWN, FOREIGN = "linkgate-own", f"arn:aws:lambda:us-east-1:{OTHER}:function:linkgate-canary"


def group(endpoint: str = A, probes: int = 1) -> tuple[Target, ...]:
    """The targets of one endpoint with one name."""
    names = (f"{endpoint}-abcdefgh.{SERVICE}.eu-west-1.vpce.amazonaws.com",)
    now = datetime(2026, 11, 23, tzinfo=UTC)
    connection = Connection(SERVICE, endpoint, CONSUMER, "eu-west-1", State.AVAILABLE, now, names)
    return targets_of(connection, [Probe.parse(f"tcp://:{number + 1}") for number in range(probes)], "")


(TARGET,) = group()
GOOD: dict[str, Any] = {
    "endpoint_id": A,
    "service_id": SERVICE,
    "name": TARGET.name.text,
    "url": TARGET.url,
    "address": "10.1.0.7",
    "cause": "",
    "detail": "",
    "phases": {"dns": 1.0, "total": 2.0},
    "rtt_ms": None,
    "retransmits": 0,
    "tls_days_left": None,
    "http_status": None,
}


def answering(answer: object, **more: object) -> Canaries:
    """Canaries that all answer the same."""
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    client: Any = SimpleNamespace(invoke=lambda **_: {"Payload": io.BytesIO(raw), **more})
    return Canaries(lambda region: client, OWN)


def send(canaries: Canaries, *groups: tuple[Target, ...], left: float = 900) -> Answers:
    return canaries.probe({OWN: groups or (group(),)}, lambda: left)


def verdict_on(said: Mapping[str, object]) -> Verdict:
    """What becomes of one verdict on TARGET."""
    found = send(answering({"verdicts": [said]}))
    assert found.absent == {}
    (verdict,) = found.verdicts[A]
    return verdict


# ------------------------------------------------------------------ batches and calls


def test_lambda_is_asked_for_the_function_with_the_targets_as_json() -> None:
    with stubbed("lambda") as (client, stubber):
        asked = {"FunctionName": OWN, "Payload": json.dumps({"targets": [TARGET.payload()]})}
        stubber.add_response("invoke", {"Payload": io.BytesIO(json.dumps({"verdicts": [GOOD]}).encode())}, asked)
        found = Canaries(lambda region: client, OWN).probe({OWN: [group()]}, lambda: 900)
    assert [one.good for one in found.verdicts[A]] == [True]


def test_endpoints_stay_whole_and_go_a_hundred_targets_a_call_at_most() -> None:
    canaries = FakeCanaries()
    groups = [group(endpoint_id(number), probes=7) for number in range(30)]
    found = send(canaries, *groups)
    assert sorted(len(targets) for _, targets in canaries.calls) == [14, 98, 98]
    for _, targets in canaries.calls:
        endpoints = [target["endpoint_id"] for target in targets]
        assert all(endpoints.count(one) == 7 for one in endpoints)
    assert {one.target for some in found.verdicts.values() for one in some} == {
        target for some in groups for target in some
    }


def test_an_endpoint_with_more_targets_than_a_call_takes_goes_alone() -> None:
    canaries = FakeCanaries()
    send(canaries, group(A, probes=TARGETS_PER_CALL + 1), group(B))
    assert sorted(len(targets) for _, targets in canaries.calls) == [1, TARGETS_PER_CALL + 1]


def test_without_targets_no_canary_is_invoked() -> None:
    canaries = FakeCanaries()
    assert canaries.probe({}, lambda: 900) == Answers({}, {})
    assert (canaries.calls, canaries.regions) == ([], [])


def test_canaries_are_invoked_in_their_regions_with_one_client_each() -> None:
    canaries = FakeCanaries()
    canaries.probe({OWN: [group()], FOREIGN: [group(B)], f"{FOREIGN}-two": [group(endpoint_id(3))]}, lambda: 900)
    assert sorted(canaries.regions) == ["", "us-east-1"]
    assert sorted(function for function, _ in canaries.calls) == sorted([OWN, FOREIGN, f"{FOREIGN}-two"])


def test_canaries_are_on_their_way_side_by_side() -> None:
    canaries, together = FakeCanaries(), threading.Barrier(10)
    canaries.during = lambda: together.wait(30)
    groups = [group(endpoint_id(number), probes=TARGETS_PER_CALL) for number in range(10)]
    assert send(canaries, *groups).absent == {}


# ------------------------------------------------------------------ canaries that fail


def test_a_canary_that_fails_says_so_in_its_own_words_and_nothing_of_its_targets() -> None:
    raw = {"errorMessage": "CANARY_PORTS is missing" + "!" * 1000}
    found = send(answering(raw, FunctionError="Unhandled"))
    assert found.verdicts == {}
    assert isinstance(found.absent[OWN], Unavailable)
    assert str(found.absent[OWN]).startswith(f'the canary {OWN} failed: {{"errorMessage": "CANARY_PORTS is missing')
    assert len(str(found.absent[OWN])) < 600


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"verdicts": {}}', b'{"verdicts": null}', b'"verdicts"'),
        *(b'{"verdict": []}', b"[" * 100_000, b'{"statusCode": 200, "body": "{}"}'),
    ],
)
def test_an_answer_that_is_none_is_a_failure(answer: bytes) -> None:
    found = send(answering(answer))
    assert found.verdicts == {}
    assert f"the canary {OWN} answered no verdicts" in str(found.absent[OWN])


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="https://lambda"),
        ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "Function not found"}}, "Invoke"),
        ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "Rate Exceeded"}}, "Invoke"),
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, "Invoke"),
        RuntimeError("nobody thought of it"),
    ],
)
def test_one_canarys_failure_is_not_anothers(error: Exception) -> None:
    canaries = FakeCanaries()
    canaries.errors[FOREIGN] = error
    found = canaries.probe({FOREIGN: [group()], OWN: [group(B)]}, lambda: 900)
    assert found.absent.keys() == {FOREIGN}
    assert found.verdicts.keys() == {B}


def test_of_two_calls_to_one_canary_the_one_that_came_back_counts() -> None:
    canaries, calls = FakeCanaries(), iter([RuntimeError("gone"), None])

    def fail_once() -> None:
        if error := next(calls):
            raise error

    canaries.during = fail_once
    found = send(canaries, *(group(one, probes=TARGETS_PER_CALL) for one in (A, B)))
    assert found.absent.keys() == {OWN}
    assert len(found.verdicts) == 1


@pytest.mark.parametrize(
    ("name", "hanging", "calls"), [(f"{FOREIGN}-fine", 1, 30), (OWN, 1, 30), (OWN, 30, 1)], ids=["other", "own", "many"]
)
def test_canaries_that_hang_keep_no_other_waiting_and_our_own_not_at_all(name: str, hanging: int, calls: int) -> None:
    canaries, answered, late = FakeCanaries(), threading.Event(), threading.Event()

    def during() -> None:
        if name in {asked for asked, _ in canaries.calls}:
            answered.set()
        elif not answered.wait(20):
            late.set()

    canaries.during = during
    groups = [group(endpoint_id(number), probes=TARGETS_PER_CALL) for number in range(3, 3 + calls)]
    jobs = {f"{FOREIGN}-{number}": groups for number in range(hanging)} | {name: [group(B)]}
    found = canaries.probe(jobs, lambda: 0 if answered.is_set() or late.is_set() else 900)
    assert B in found.verdicts


def test_a_canary_in_a_region_that_cannot_be_is_not_anothers_failure() -> None:
    canaries, nowhere = FakeCanaries(), FOREIGN.replace("us-east-1", "-")
    known = canaries._functions

    def functions(region: str) -> Any:
        if region == "-":
            raise InvalidRegionError(region_name=region)
        return known(region)

    canaries._functions = functions
    found = canaries.probe({nowhere: [group()], OWN: [group(B)]}, lambda: 900)
    assert found.absent.keys() == {nowhere}
    assert found.verdicts.keys() == {B}


def test_no_call_begins_that_might_outlast_the_function() -> None:
    canaries = FakeCanaries()
    found = send(canaries, left=LONGEST_CALL - 1)
    assert (canaries.calls, found.verdicts) == ([], {})
    assert str(found.absent[OWN]) == f"no time is left to invoke the canary {OWN}"
    assert send(canaries, left=LONGEST_CALL).absent == {}


# ------------------------------------------------------------------ answers


def test_a_verdict_is_taken_as_it_is() -> None:
    said = GOOD | {"retransmits": 2, "tls_days_left": -3.5}
    assert verdict_on(said) == Verdict(TARGET, "10.1.0.7", "", "", {"dns": 1.0, "total": 2.0}, 2, -3.5)


def test_several_addresses_are_several_verdicts() -> None:
    found = send(answering({"verdicts": [GOOD, GOOD | {"address": "10.1.1.7", "cause": "tcp_timeout"}]}))
    assert [(one.address, one.cause) for one in found.verdicts[A]] == [
        ("10.1.0.7", ""),
        ("10.1.1.7", "tcp_timeout"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        GOOD | {"endpoint_id": B},
        GOOD | {"url": "tcp://elsewhere.example:443"},
        GOOD | {"endpoint_id": None},
        GOOD | {"url": ["tcp"]},
        {},
        None,
        7,
        [GOOD],
    ],
)
def test_what_is_about_other_targets_than_those_asked_about_is_nobodys_business(other: object) -> None:
    found = send(answering({"verdicts": [other]}))
    assert found.verdicts.keys() == {A}
    (verdict,) = found.verdicts[A]
    assert (verdict.cause, verdict.detail) == ("probe_error", "the canary said nothing about it")


def test_a_target_that_the_canary_leaves_out_is_not_taken_for_good() -> None:
    targets = group(A, probes=2)
    found = send(answering({"verdicts": [GOOD]}), targets)
    assert [(one.target, one.cause) for one in found.verdicts[A]] == list(
        zip(targets, ("", "probe_error"), strict=True)
    )


@pytest.mark.parametrize("cause", ["quic_failed", "packet_loss", "connection_rejected", "unexpectedly_open", " ", "OK"])
def test_a_cause_that_no_probe_of_ours_finds_is_a_probe_error(cause: str) -> None:
    verdict = verdict_on(GOOD | {"cause": cause, "detail": "new here"})
    assert verdict.cause == "probe_error"
    assert verdict.detail == f"the canary found what patrol does not know: {cause}: new here"


@pytest.mark.parametrize("cause", [None, 0, False, [], {}, ["tcp_timeout"]])
def test_a_cause_that_is_no_text_is_a_probe_error(cause: object) -> None:
    assert verdict_on(GOOD | {"cause": cause}).cause == "probe_error"


def test_a_verdict_without_a_cause_is_a_probe_error() -> None:
    assert verdict_on({name: value for name, value in GOOD.items() if name != "cause"}).cause == "probe_error"


@pytest.mark.parametrize(
    "address", ["", None, "everywhere", "10.1.0", "10.1.0.7\n", "fe80::1%anything at all", 167837703]
)
def test_a_good_verdict_without_an_address_is_a_probe_error(address: object) -> None:
    assert verdict_on(GOOD | {"address": address}).cause == "probe_error"


def test_a_target_that_must_be_closed_may_have_no_address() -> None:
    (target,) = closed_targets(
        Connection(SERVICE, A, CONSUMER, "", State.REJECTED, datetime(2026, 1, 1, tzinfo=UTC), (TARGET.name.text,)),
        [Probe.parse("tcp://:1")],
    )
    said = GOOD | {"address": "", "url": target.url}
    found = send(answering({"verdicts": [said, said | {"cause": "unexpectedly_open"}]}), (target,))
    assert [one.cause for one in found.verdicts[A]] == ["", "unexpectedly_open"]


def test_fields_that_only_a_newer_canary_has_are_left_out() -> None:
    said = GOOD | {"phases": {"dns": 1.0, "quic": 3.0}, "quic_version": 2}
    assert verdict_on(said).phases == {"dns": 1.0}


@pytest.mark.parametrize("value", ["1.0", None, True, -1e6, 1e10, 10**400, [], {}])
@pytest.mark.parametrize("field", ["phases", "retransmits", "tls_days_left"])
def test_numbers_that_nobody_can_keep_are_left_out(field: str, value: object) -> None:
    verdict = verdict_on(GOOD | {field: {"dns": value} if field == "phases" else value})
    assert getattr(verdict, field) in ({}, None, 0)


def test_infinite_numbers_are_left_out() -> None:
    raw = json.dumps({"verdicts": [GOOD | {"tls_days_left": math.nan}]}).replace("1.0", "Infinity")
    (verdict,) = send(answering(raw.encode())).verdicts[A]
    assert (verdict.tls_days_left, dict(verdict.phases)) == (None, {"total": 2.0})


def test_long_texts_are_cut() -> None:
    verdict = verdict_on(GOOD | {"cause": "tcp_timeout", "detail": "x" * 10_000})
    assert len(verdict.detail) == LONGEST_TEXT


@pytest.mark.parametrize("text", ["\ud800", "two\r\nlines", "\x1b[2J", "\u202egnol"])
def test_words_that_would_break_an_event_a_mail_or_a_terminal_are_made_harmless(text: str) -> None:
    for cause in ("tcp_timeout", "probe_error", text):
        detail = verdict_on(GOOD | {"cause": cause, "detail": text}).detail
        assert "?" in detail
        assert detail.isprintable()


@pytest.mark.parametrize("value", [1e-320, 5e-324, 1 / 3])
def test_numbers_are_such_that_dynamodb_takes_them(value: float) -> None:
    """It refuses a whole item for one number below 1e-130."""
    verdict = verdict_on(GOOD | {"phases": {"dns": value}, "tls_days_left": value})
    for number in (verdict.phases["dns"], verdict.tls_days_left):
        assert TypeSerializer().serialize(Decimal(str(number)))["N"] in ("0", "0.0", "0.333")


def test_of_one_target_no_more_verdicts_count_than_it_can_have_addresses() -> None:
    found = send(answering({"verdicts": [GOOD] * 10_000}))
    assert len(found.verdicts[A]) == MOST_VERDICTS > MOST_ADDRESSES


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(set(GOOD) - {"endpoint_id", "url"})), json_values))
def test_whatever_a_canary_says_only_a_plain_good_verdict_with_an_address_is_good(
    said: dict[str, object],
) -> None:
    verdict = verdict_on(said | {"endpoint_id": A, "url": TARGET.url})
    assert not verdict.good or (said["cause"] == "" and verdict.address == said["address"])
    assert diagnose([verdict], State.AVAILABLE).cause or verdict.good
