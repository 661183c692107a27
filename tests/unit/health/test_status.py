"""Three bad rounds of the last five make an endpoint unhealthy, as the alarm counts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkgate.health.diagnosis import Diagnosis
from linkgate.health.evidence import Evidence
from linkgate.health.status import REFRESH, ROUNDS, SPREAD_SECONDS, grown, is_open, outdated, record, status_after
from linkgate.health.targets import Kind, Name, Target
from linkgate.health.verdict import Verdict
from linkgate.model import Status
from linkgate.policy.probes import Probe

from tests.world import endpoint_id

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)


def rounds(found: str, status: Status = Status.ACCEPTED) -> Status:
    """Where an endpoint stands after rounds, one character each."""
    recent = ""
    for one in found:
        recent = grown(recent, one == "1")
        status = status_after(status, recent)
    return status


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ("0", Status.ACCEPTED),
        ("00", Status.ACCEPTED),
        ("1", Status.VERIFIED),
        ("01", Status.VERIFIED),
        ("10", Status.VERIFIED),
        ("100", Status.VERIFIED),
        ("1000", Status.UNHEALTHY),
        ("000", Status.UNHEALTHY),
        ("01010", Status.UNHEALTHY),
        ("0011", Status.VERIFIED),
        ("001100", Status.UNHEALTHY),
        ("11111000", Status.UNHEALTHY),
        ("0000011", Status.UNHEALTHY),
        ("00000111", Status.VERIFIED),
        ("0001", Status.UNHEALTHY),
        ("000111", Status.VERIFIED),
    ],
)
def test_an_accepted_endpoint_stands_by_its_last_five_rounds(found: str, status: Status) -> None:
    assert rounds(found) is status


@given(st.text("01", min_size=1, max_size=20))
def test_an_endpoint_is_unhealthy_exactly_while_three_of_its_last_five_rounds_are_bad(found: str) -> None:
    assert (rounds(found) is Status.UNHEALTHY) == (found[-ROUNDS:].count("0") >= 3)


@given(st.text("01", min_size=1, max_size=20))
def test_only_a_good_round_ever_verified_an_endpoint(found: str) -> None:
    assert "1" in found or rounds(found) is not Status.VERIFIED


@given(st.text("01", max_size=20), st.booleans())
def test_the_last_rounds_are_five_at_most_the_newest_last(recent: str, good: bool) -> None:
    assert grown(recent, good) == (recent + str(int(good)))[-5:]


@given(st.text("01", min_size=2, max_size=20).filter(lambda found: found.endswith("1")))
def test_a_good_round_never_makes_an_endpoint_unhealthy(found: str) -> None:
    assert rounds(found) is not Status.UNHEALTHY or rounds(found[:-1]) is Status.UNHEALTHY


def test_bad_rounds_of_the_past_do_not_make_an_endpoint_unhealthy_in_a_good_one() -> None:
    assert status_after(Status.ACCEPTED, "00001") is not Status.UNHEALTHY
    assert status_after(Status.UNHEALTHY, "00001") is Status.UNHEALTHY


# ------------------------------------------------------------------ what is found


def test_an_address_is_unhealthy_once_and_not_because_nobody_tried_it() -> None:
    evidence = Evidence(
        (
            verdict("tcp_timeout", zone="a"),
            verdict("tcp_timeout"),
            verdict("probe_error", zone="b", address=""),
            verdict(zone="c", address="10.1.2.7"),
        )
    )
    assert evidence.unhealthy_addresses() == {"a": 1, "b": 0, "c": 0}


# ------------------------------------------------------------------ what is kept


def verdict(cause: str = "", total: float = 1.0, zone: str = "", address: str = "10.1.0.7") -> Verdict:
    name = Name(f"{zone or 'name'}.example", Kind.ZONAL if zone else Kind.REGIONAL, zone)
    target = Target("vpce-1", "vpce-svc-1", name, Probe("tcp://:443"))
    return Verdict(target, address, cause, "", {"total": total})


def test_of_a_good_round_the_slowest_verdict_is_kept_with_the_zone_of_its_address() -> None:
    evidence = Evidence((verdict(), verdict(total=3.0), verdict(total=2.0, zone="eu-west-1a")))
    kept = record(Diagnosis(), evidence, {}, NOW)
    assert (kept["cause"], str(kept["phases"]["total"]), kept["zone"]) == ("", "3.0", "eu-west-1a")


def test_of_a_bad_round_the_verdict_that_shows_it_is_kept() -> None:
    bad = verdict("tcp_timeout", zone="eu-west-1b", address="10.1.1.7")
    evidence = Evidence((verdict(total=9.0), bad))
    kept = record(Diagnosis("zone_unreachable", "one zone", bad, ("packet_loss",)), evidence, {}, NOW)
    assert (kept["url"], kept["address"], kept["zone"]) == (bad.target.url, "10.1.1.7", "eu-west-1b")
    assert (kept["cause"], kept["detail"], kept["also"]) == ("zone_unreachable", "one zone", ["packet_loss"])


@pytest.mark.parametrize(
    ("cause", "seen", "phase"),
    [
        ("dns_timeout", "dns_timeout", "dns"),
        ("zone_unreachable", "tcp_timeout", "tcp"),
        ("private_name_missing", "dns_not_found", "dns"),
        ("tls_expired", "tls_expired", "tls"),
        ("body_mismatch", "body_mismatch", "http"),
        ("connection_rejected", "", ""),
        ("unexpectedly_open", "unexpectedly_open", ""),
        ("", "", ""),
    ],
)
def test_the_phase_is_the_one_that_failed(cause: str, seen: str, phase: str) -> None:
    shown = verdict(seen) if seen else None
    assert record(Diagnosis(cause, "", shown), Evidence(), {}, NOW)["phase"] == phase


def test_when_a_private_name_last_worked_is_kept_until_it_works_again() -> None:
    before = {"private_seen_at": "2026-11-22T03:00:00+00:00"}
    assert record(Diagnosis(), Evidence(), before, NOW)["private_seen_at"] == before["private_seen_at"]
    assert record(Diagnosis(), Evidence((), True), before, NOW)["private_seen_at"] == NOW.isoformat()


def kept(**values: Any) -> dict[str, Any]:
    return {"cause": "", "checked_at": NOW.isoformat(), "private_seen_at": ""} | values


@pytest.mark.parametrize(
    "after", [kept(cause="tcp_timeout"), kept(private_seen_at=NOW.isoformat()), kept(checked_at="")]
)
def test_a_change_that_matters_is_written_at_once(after: dict[str, Any]) -> None:
    before = kept() if after["checked_at"] else after
    assert outdated("vpce-1", before, after, NOW)


def test_what_does_not_matter_waits() -> None:
    before = kept(private_seen_at="2026-11-23T01:00:00+00:00", phases={"dns": 1})
    assert not outdated("vpce-1", before, kept(private_seen_at=NOW.isoformat()), NOW)


def test_endpoints_grow_old_at_different_times_and_none_before_ten_minutes() -> None:
    moments = [NOW + timedelta(seconds=seconds) for seconds in range(int(REFRESH.total_seconds()) + SPREAD_SECONDS)]
    due = [
        next(moment for moment in moments if outdated(endpoint_id(number), kept(), kept(), moment))
        for number in range(100)
    ]
    assert min(due) >= NOW + REFRESH
    assert len(set(due)) > 50


@pytest.mark.parametrize(
    ("recent", "cause", "told"),
    [
        ("0", "unexpectedly_open", False),
        ("10", "unexpectedly_open", False),
        ("100", "unexpectedly_open", True),
        ("00000", "unexpectedly_open", True),
        ("00000", "tcp_timeout", False),
        ("001", "", False),
    ],
)
def test_a_door_is_open_when_two_looks_in_a_row_find_it_so(recent: str, cause: str, told: bool) -> None:
    assert is_open(recent, cause) is told
