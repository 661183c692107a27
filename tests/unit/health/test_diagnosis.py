"""One cause from the verdicts of all names and addresses: precedence, comparison, and nobody blamed who is well."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkgate.health.causes import CAUSES, DERIVED, RANK
from linkgate.health.diagnosis import STATES, Diagnosis, diagnose, diagnose_closed
from linkgate.health.targets import Kind, Name, Target
from linkgate.health.verdict import Verdict
from linkgate.model import State
from linkgate.policy.probes import Probe

A, B, ELSEWHERE = "10.2.1.4", "10.2.2.4", "10.2.9.9"
ZONES = {A: "eu-west-1a", B: "eu-west-1b"}
REGIONAL, PRIVATE = "vpce-1-x.vpce-svc-1.eu-west-1.vpce.amazonaws.com", "hello.example.com"
PORTS = {"http": 80, "https": 443}
UNKNOWN = "cause_of_a_newer_canary"


def one(
    kind: Kind, address: str, cause: str = "", scheme: str = "http", retransmits: int = 0, detail: str = ""
) -> Verdict:
    """A verdict of the name of this kind; that of a zonal name belongs to its address."""
    names = {Kind.REGIONAL: REGIONAL, Kind.PRIVATE: PRIVATE, Kind.ZONAL: f"zone{address[5:6]}.{REGIONAL}"}
    name = Name(names[kind], kind, ZONES[address] if kind is Kind.ZONAL else "")
    return Verdict(
        Target("vpce-1", "vpce-svc-1", name, Probe(f"{scheme}://:{PORTS[scheme]}/")),
        address="" if cause.startswith("dns_") and cause != "dns_unexpected_address" else address,
        cause=cause,
        detail=detail or (f"{cause} at {address}" if cause else ""),
        retransmits=retransmits,
    )


def everything(private: bool = True) -> list[Verdict]:
    """All names at both addresses, over HTTP and HTTPS, and all is well."""
    kinds = [Kind.REGIONAL, Kind.ZONAL, *([Kind.PRIVATE] if private else [])]
    return [one(kind, address, "", scheme) for kind in kinds for address in (A, B) for scheme in PORTS]


def spoilt(verdicts: Sequence[Verdict], cause: str, **where: object) -> list[Verdict]:
    """The same verdicts, but those at an address, of a kind or over a scheme fail with a cause."""
    traits = {
        "address": lambda c: c.address,
        "kind": lambda c: c.target.name.kind,
        "scheme": lambda c: c.target.probe.scheme,
    }

    def is_meant(verdict: Verdict) -> bool:
        return verdict.good and all(str(traits[trait](verdict)) == str(value) for trait, value in where.items())

    def worse(verdict: Verdict) -> Verdict:
        scheme = verdict.target.probe.scheme
        return one(verdict.target.name.kind, verdict.address, cause, scheme, verdict.retransmits)

    return [worse(verdict) if is_meant(verdict) else verdict for verdict in verdicts]


def again(verdicts: Sequence[Verdict], packets: int) -> list[Verdict]:
    """The same verdicts, each with packets that were sent again."""
    return [replace(found, retransmits=packets) for found in verdicts]


def seen(verdicts: Sequence[Verdict], state: State = State.AVAILABLE, private_dns_state: str = "verified") -> Diagnosis:
    return diagnose(verdicts, state, private_dns_state)


def causes(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    found = seen(verdicts)
    return (found.cause, *found.also)


# ------------------------------------------------------------------ nothing to blame


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


# ------------------------------------------------------------------ states


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


# ------------------------------------------------------------------ one cause everywhere


@pytest.mark.parametrize("cause", [cause for cause in RANK if cause not in DERIVED])
def test_what_all_verdicts_find_is_the_cause(cause: str) -> None:
    found = seen(spoilt(everything(), cause, **({"scheme": "https"} if cause.startswith("tls_") else {})))
    assert (found.cause, found.also) == (cause, ())
    assert found.verdict is not None
    assert found.verdict.cause == cause
    assert found.verdict.detail in found.evidence
    assert found.verdict.target.name.text == REGIONAL


def test_what_one_port_alone_finds_is_said_in_the_evidence() -> None:
    assert seen(spoilt(everything(), "tcp_refused", scheme="https")).evidence == (
        f"6 of 12 probes, only on port 443: tcp_refused at {A}"
    )
    closed = seen(spoilt(everything(), "tcp_timeout", scheme="https"))
    assert (closed.cause, closed.also) == ("tcp_timeout", ())
    assert "only on port 443" in closed.evidence


def test_what_one_zone_alone_answers_is_said_in_the_evidence() -> None:
    found = seen(spoilt(everything(), "http_status", address=B))
    assert (found.cause, found.evidence) == (
        "http_status",
        f"6 of 12 probes, only at {B} (eu-west-1b): http_status at {B}",
    )


def test_what_stops_everybody_has_no_only_in_its_evidence() -> None:
    assert seen(spoilt(everything(), "tcp_timeout")).evidence == f"12 of 12 probes: tcp_timeout at {A}"


# ------------------------------------------------------------------ zones


def test_a_dead_zone_is_told_from_a_dead_service() -> None:
    dead = spoilt(everything(), "tcp_timeout", address=A)
    found = seen(dead)
    assert (found.cause, found.also) == ("zone_unreachable", ())
    assert found.evidence == f"6 of 12 probes, only at {A} (eu-west-1a): tcp_timeout at {A}"
    assert found.verdict is not None
    assert found.verdict.address == A
    assert causes(spoilt(dead, "tcp_timeout")) == ("tcp_timeout",)


def test_a_zone_that_resets_is_not_unreachable() -> None:
    found = seen(spoilt(everything(), "tcp_refused", address=A))
    assert (found.cause, "only at 10.2.1.4 (eu-west-1a)" in found.evidence) == ("tcp_refused", True)


def test_a_zone_that_is_dead_on_one_port_is_said_to_be_so_on_that_port() -> None:
    found = seen(spoilt(everything(), "tcp_timeout", address=A, scheme="https"))
    assert (found.cause, found.also) == ("zone_unreachable", ())
    assert "3 of 12 probes, only at 10.2.1.4 (eu-west-1a) on port 443: " in found.evidence


def test_a_port_that_no_zone_answers_is_no_dead_zone() -> None:
    closed = spoilt(spoilt(everything(), "tcp_timeout", scheme="https"), "tcp_refused", address=A)
    assert causes(closed) == ("tcp_timeout", "tcp_refused")


def test_a_dead_zone_is_seen_by_the_private_name_alone_too() -> None:
    private = [verdict for verdict in everything() if verdict.target.name.kind is Kind.PRIVATE]
    assert causes(spoilt(private, "tcp_timeout", address=A)) == ("zone_unreachable",)


def test_a_stranger_that_answers_under_the_private_name_makes_no_dead_zone() -> None:
    stray = [one(Kind.PRIVATE, ELSEWHERE, "", scheme) for scheme in PORTS]
    assert causes([*spoilt(everything(private=False), "tcp_timeout"), *stray]) == ("tcp_timeout",)


def test_an_endpoint_in_one_zone_has_no_other_to_be_compared_with() -> None:
    alone = [verdict for verdict in everything() if verdict.address == A]
    assert causes(spoilt(alone, "tcp_timeout")) == ("tcp_timeout",)


def test_a_dead_zone_beside_a_sick_service_is_second() -> None:
    for cause in ("tcp_refused", "http_timeout", "http_status"):
        assert causes(spoilt(spoilt(everything(), "tcp_timeout", address=A), cause)) == (cause, "zone_unreachable")


# ------------------------------------------------------------------ packets lost


def test_an_address_that_answers_under_one_name_and_not_under_another_is_no_dead_zone() -> None:
    lost = spoilt(everything(), "tcp_timeout", address=A, kind=Kind.ZONAL)
    found = seen(lost)
    assert (found.cause, found.also) == ("packet_loss", ())
    assert "0 packets sent again" in found.evidence


def test_packets_sent_again_elsewhere_tell_loss_from_a_dead_zone() -> None:
    lost = spoilt(again(everything(), 2), "tcp_timeout", address=A)
    assert causes(lost) == ("packet_loss",)
    assert "24 packets sent again" in seen(lost).evidence


def test_a_packet_sent_again_now_and_then_is_no_loss() -> None:
    first, *rest = [verdict for verdict in everything() if verdict.address == B]
    dead = [verdict for verdict in spoilt(everything(), "tcp_timeout", address=A) if not verdict.good]
    assert causes([*again([first], 1), *rest, *dead]) == ("zone_unreachable",)


def test_of_many_verdicts_a_quarter_must_have_sent_packets_again() -> None:
    dead = spoilt(everything(), "tcp_timeout", address=A, scheme="https")
    bad, good = ([one for one in dead if one.good is well] for well in (False, True))
    assert causes([*bad, *again(good[:2], 1), *good[2:]]) == ("zone_unreachable",)
    assert causes([*bad, *again(good[:3], 1), *good[3:]]) == ("packet_loss",)


def test_of_few_verdicts_one_alone_says_nothing_unless_it_is_the_only_one() -> None:
    regional = [verdict for verdict in everything() if verdict.target.name.kind is Kind.REGIONAL]
    *dead, first, second = spoilt(regional, "tcp_timeout", address=A)
    assert causes([*dead, *again([first], 2), second]) == ("zone_unreachable",)
    assert causes([*dead[:1], *again([first], 2)]) == ("packet_loss",)


def test_one_connection_that_hangs_where_another_works_makes_every_silence_loss() -> None:
    hanging = one(Kind.REGIONAL, A, "tls_failed", "https", retransmits=1)
    late = one(Kind.ZONAL, B, "http_timeout", "http")
    assert causes([hanging, late, *everything()]) == ("packet_loss",)


@pytest.mark.parametrize("cause", ["tls_failed", "http_timeout"])
def test_a_connection_that_hangs_after_packets_were_sent_again_is_loss(cause: str) -> None:
    slow = spoilt(everything(), cause, scheme="https", kind=Kind.PRIVATE)
    assert causes(slow) == (cause,)
    hangs = [*again([verdict for verdict in slow if not verdict.good], 3), *everything()]
    assert causes(hangs) == ("packet_loss",)


def test_packets_sent_again_into_a_closed_door_are_no_loss() -> None:
    assert causes(again(spoilt(everything(), "tcp_timeout"), 2)) == ("tcp_timeout",)
    assert causes(again(spoilt(everything(), "tcp_refused"), 1)) == ("tcp_refused",)


@pytest.mark.parametrize("cause", ["tcp_refused", "http_status"])
def test_loss_beside_what_stops_everybody_who_gets_through_is_second(cause: str) -> None:
    lost = spoilt(everything(), "tcp_timeout", kind=Kind.ZONAL)
    assert causes(spoilt(lost, cause)) == (cause, "packet_loss")


def test_a_hang_or_two_of_a_service_that_never_answers_are_second() -> None:
    first, *rest = spoilt(everything(), "http_timeout")
    assert causes([*again([first], 1), *rest]) == ("http_timeout", "packet_loss")


def test_loss_that_stops_everybody_comes_first() -> None:
    missing = spoilt(everything(), "dns_not_found", kind=Kind.PRIVATE)
    assert causes(spoilt(again(missing, 2), "http_timeout")) == ("packet_loss", "private_name_missing")


def test_a_reset_in_answer_to_a_packet_sent_again_is_evidence_of_loss() -> None:
    dead = spoilt(everything(), "tcp_timeout", address=A)
    assert causes(spoilt(dead, "tcp_refused")) == ("tcp_refused", "zone_unreachable")
    assert causes(spoilt(again(dead, 1), "tcp_refused")) == ("tcp_refused", "packet_loss")


# ------------------------------------------------------------------ private names


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


@pytest.mark.parametrize("cause", ["tcp_timeout", "tcp_refused", "tls_name_mismatch"])
def test_a_private_name_that_leads_elsewhere_is_no_fault_of_the_endpoint(cause: str) -> None:
    stray = one(Kind.PRIVATE, ELSEWHERE, cause, "https")
    assert causes([*everything(private=False), stray]) == ("private_name_missing",)


def test_a_private_name_whose_resolver_is_silent_is_not_missing() -> None:
    assert causes(spoilt(everything(), "dns_timeout", kind=Kind.PRIVATE)) == ("dns_timeout",)


def test_a_private_name_is_missing_only_where_the_others_lead_somewhere() -> None:
    for cause in ("dns_not_found", "dns_unexpected_address"):
        assert causes(spoilt(everything(), cause)) == (cause,)
    only = [verdict for verdict in everything() if verdict.target.name.kind is Kind.PRIVATE]
    assert causes(spoilt(only, "dns_not_found")) == ("dns_not_found",)


def test_what_keeps_everybody_out_comes_before_a_private_name() -> None:
    missing = spoilt(everything(), "dns_not_found", kind=Kind.PRIVATE)
    for cause in ("tcp_timeout", "tcp_refused", "http_status"):
        assert causes(spoilt(missing, cause)) == (cause, "private_name_missing")
    assert causes(spoilt(missing, "tcp_timeout", address=A)) == ("private_name_missing", "zone_unreachable")


# ------------------------------------------------------------------ phases


def test_of_two_that_stop_everybody_the_earlier_phase_comes_first() -> None:
    both = spoilt(spoilt(everything(), "tls_expired", scheme="https"), "http_status")
    assert causes(both) == ("tls_expired", "http_status")


def test_what_stops_everybody_comes_before_an_earlier_phase_that_stops_some() -> None:
    both = spoilt(spoilt(everything(), "tcp_timeout", address=A), "tls_expired", scheme="https")
    assert causes(both) == ("tls_expired", "zone_unreachable")


# ------------------------------------------------------------------ whatever is found

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
    told = [one for one in verdicts if one.good or one.cause in RANK]
    healthy = bool(told) and all(verdict.good for verdict in told)
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
