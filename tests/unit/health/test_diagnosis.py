"""One cause from the verdicts of all names and addresses: precedence, and nobody blamed who is well."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkgate.health.causes import CAUSES, DERIVED, RANK
from linkgate.health.diagnosis import STATES, Diagnosis, diagnose, diagnose_closed
from linkgate.health.targets import Kind
from linkgate.health.verdict import Verdict
from linkgate.model import State

from tests.unit.health.verdicts import (
    PORTS,
    PRIVATE,
    REGIONAL,
    UNKNOWN,
    A,
    B,
    again,
    causes,
    everything,
    one,
    seen,
    spoilt,
)


@pytest.mark.parametrize("private_dns_state", ["", "verified", "pendingVerification"])
def test_where_all_is_well_nobody_is_blamed(private_dns_state: str) -> None:
    assert seen(everything(), private_dns_state=private_dns_state) == Diagnosis()
    assert seen(again(everything(), 3)) == Diagnosis()


def test_without_a_verdict_nothing_is_known() -> None:
    assert seen([]) == Diagnosis("probe_error", "nothing was probed")


def test_a_probe_that_did_not_take_place_blames_nobody() -> None:
    errors = spoilt(everything(), "probe_error", scheme="https")
    assert seen(errors) == Diagnosis()
    (only,) = spoilt([one(Kind.REGIONAL, A)], "probe_error")
    assert seen([only]) == Diagnosis("probe_error", only.detail, only)
    assert causes(spoilt(errors, "tcp_refused")) == ("tcp_refused",)


def test_a_cause_that_is_not_known_here_is_not_guessed_at() -> None:
    assert seen(spoilt(everything(), UNKNOWN, scheme="https")) == Diagnosis()
    assert seen(spoilt(everything(), UNKNOWN)).cause == "probe_error"


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (State.PENDING_ACCEPTANCE, "connection_pending"),
        (State.PENDING, "connection_pending"),
        (State.REJECTED, "connection_rejected"),
        (State.DELETING, "endpoint_deleted"),
        (State.DELETED, "endpoint_deleted"),
        (State.FAILED, "endpoint_deleted"),
        (State.EXPIRED, "endpoint_deleted"),
        (State.AVAILABLE, "tcp_timeout"),
        (State.PARTIAL, "tcp_timeout"),
        (State.UNKNOWN, "tcp_timeout"),
    ],
)
def test_the_state_tells_a_connection_that_is_not_there_from_a_security_group(state: State, cause: str) -> None:
    dropped = spoilt(everything(), "tcp_timeout")
    found = seen(dropped, state)
    assert (found.cause, found.also) == (cause, ())
    assert found.verdict in dropped
    assert str(state) in found.evidence or state not in STATES
    assert seen([], state).cause == (cause if state in STATES else "probe_error")


def test_an_endpoint_that_must_stay_out_is_open_where_one_verdict_says_so() -> None:
    opened = one(Kind.REGIONAL, A, "unexpectedly_open", detail=f"{A} answers")
    closed = one(Kind.REGIONAL, B)
    for verdicts in ([opened], [closed, opened], [one(Kind.REGIONAL, B, "dns_timeout"), opened]):
        assert diagnose_closed(verdicts) == Diagnosis("unexpectedly_open", f"{A} answers", opened)
    assert diagnose_closed([closed]) == Diagnosis()


def test_nobody_knows_of_an_endpoint_that_must_stay_out_unless_every_probe_found_something_out() -> None:
    for verdicts in ([], [one(Kind.REGIONAL, A), one(Kind.REGIONAL, B, "dns_timeout")]):
        assert not diagnose_closed(verdicts).conclusive


@pytest.mark.parametrize("cause", [cause for cause in RANK if cause not in DERIVED])
def test_what_all_verdicts_find_is_the_cause(cause: str) -> None:
    found = seen(spoilt(everything(), cause, **({"scheme": "https"} if cause.startswith("tls_") else {})))
    assert (found.cause, found.also) == (cause, ())
    assert found.verdict is not None
    assert found.verdict.cause == cause
    assert found.verdict.detail in found.evidence
    assert found.verdict.target.name.text == REGIONAL


@pytest.mark.parametrize("cause", ["dns_not_found", "dns_unexpected_address"])
@pytest.mark.parametrize(
    ("private_dns_state", "expected"),
    [
        ("verified", "private_name_missing"),
        ("Verified", "private_name_missing"),
        ("", "private_name_missing"),
        ("pendingVerification", "private_name_unverified"),
        ("failed", "private_name_unverified"),
    ],
)
def test_an_unverified_private_name_is_told_from_a_missing_one(
    cause: str, private_dns_state: str, expected: str
) -> None:
    found = seen(spoilt(everything(), cause, kind=Kind.PRIVATE), private_dns_state=private_dns_state)
    assert (found.cause, found.also) == (expected, ())
    assert f" probes, only under {PRIVATE}: " in found.evidence


KINDS, SCHEMES, PLACES = st.sampled_from(list(Kind)), st.sampled_from(list(PORTS)), st.sampled_from([A, B])
PROBES = (*(cause for cause in RANK if cause not in DERIVED), "probe_error", UNKNOWN)
verdict = st.builds(
    one, KINDS, PLACES, st.sampled_from(["", *PROBES]), SCHEMES, st.integers(0, 3), st.sampled_from(["seen", "other"])
)
rounds = st.lists(verdict, max_size=14)
states = st.sampled_from(list(State))
private_dns_states = st.sampled_from(["", "verified", "pendingVerification", "failed"])


@given(rounds, states, private_dns_states, st.integers())
def test_the_order_of_verdicts_says_nothing(
    verdicts: list[Verdict], state: State, private_dns_state: str, seed: int
) -> None:
    shuffled = list(verdicts)
    Random(seed).shuffle(shuffled)
    assert diagnose(verdicts, state, private_dns_state) == diagnose(shuffled, state, private_dns_state)


@given(rounds, states, private_dns_states)
def test_every_cause_was_seen_or_is_one_that_only_a_comparison_shows(
    verdicts: list[Verdict], state: State, private_dns_state: str
) -> None:
    found = diagnose(verdicts, state, private_dns_state)
    known = {one.cause for one in verdicts} | DERIVED | set(STATES.values()) | {"probe_error", ""}
    assert {found.cause, *found.also} <= known
    assert len({found.cause, *found.also}) == 1 + len(found.also)
    assert found.cause in ("", UNKNOWN) or found.cause in CAUSES


@given(rounds, private_dns_states)
def test_it_is_healthy_exactly_if_a_verdict_was_made_and_none_failed(
    verdicts: list[Verdict], private_dns_state: str
) -> None:
    counted = [one for one in verdicts if one.good or one.cause in RANK]
    healthy = bool(counted) and all(verdict.good for verdict in counted)
    assert (seen(verdicts, private_dns_state=private_dns_state) == Diagnosis()) == healthy


@given(rounds, private_dns_states)
def test_who_answered_is_not_blamed(verdicts: list[Verdict], private_dns_state: str) -> None:
    found = seen(verdicts, private_dns_state=private_dns_state)
    answering = {one.address for one in verdicts if one.good}
    assert found.verdict is None or not found.verdict.good
    if found.cause == "zone_unreachable" and found.verdict is not None:
        assert found.verdict.address not in answering
    if found.cause.startswith("private_name") and found.verdict is not None:
        assert found.verdict.target.name.text == PRIVATE
    for place in answering & {A, B}:
        assert f"only at {place}" not in found.evidence or found.cause != "zone_unreachable"


@given(rounds)
def test_one_more_verdict_that_is_well_never_makes_it_sicker(verdicts: list[Verdict]) -> None:
    before, after = seen(verdicts), seen([*verdicts, one(Kind.REGIONAL, A)])
    assert after == Diagnosis() or before.cause


def test_where_another_port_answers_its_canary_is_in_its_vpc() -> None:
    silent = spoilt(everything(), "tcp_timeout")
    assert diagnose(silent, State.AVAILABLE, stranger="canary").cause == "never_verified"
    some = spoilt(everything(), "tcp_timeout", scheme="https")
    assert diagnose(some, State.AVAILABLE, stranger="canary").cause == "tcp_timeout"
