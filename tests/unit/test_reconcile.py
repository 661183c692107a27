"""What is connected equals what the table says: cut after the grace, within the breaker, and never by mistake."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linkgate.breaker import cuts_name
from linkgate.connections import Refusal
from linkgate.model import Outcome, State, Status
from linkgate.sweep import Finding

from tests.simulation import SERVICE, House
from tests.world import CONSUMER, OTHER, START, endpoint_id

A, B = endpoint_id(1), endpoint_id(2)
CUT, WOULD_CUT, TRIPPED = "Endpoint Connection Cut", "Would Cut", "Breaker Tripped"


def settings_row(house: House, **values: str) -> None:
    house.allow_list.put(SERVICE, "@settings", **{"mode": "enforce", "reconcile": "enforce", "grace": "5s", **values})


def account(number: int) -> str:
    return f"{700000000000 + number}"


@pytest.fixture
def house() -> House:
    """Two consumers are connected; live ones that are no longer allowed are cut after five seconds."""
    made = House()
    settings_row(made)
    for endpoint, owner in ((A, CONSUMER), (B, OTHER)):
        made.allow_list.put(SERVICE, owner, effect="allow", ticket="OPS-1")
        made.connect(endpoint, owner)
    made.work(10)
    made.settle()
    made.work(100)
    made.bus.told.clear()
    return made


def crowd(count: int, **values: str) -> House:
    """A house to which so many accounts are connected, each with a row of its own."""
    made = House()
    settings_row(made, **values)
    for number in range(count):
        made.allow_list.put(SERVICE, account(number), effect="allow")
        made.connect(endpoint_id(number), account(number))
    made.work(10)
    made.settle()
    made.work(100)
    made.bus.told.clear()
    return made


def cut(house: House) -> list[str]:
    """Who was cut, in order."""
    return [endpoint for outcome, endpoint in house.world.acts if outcome is Outcome.REJECT]


def kept(finding: Finding) -> list[str]:
    """What tripped breakers keep from being done."""
    return [sentence for found in finding.services.values() for sentence in found.kept]


# ------------------------------------------------------------------ the grace


def test_who_is_no_longer_allowed_is_cut_after_the_grace_and_nobody_else(house: House) -> None:
    house.delete(SERVICE, CONSUMER)
    house.work(4)
    assert house.state(A) is State.AVAILABLE
    house.work(10)
    assert (house.state(A), house.state(B)) == (State.REJECTED, State.AVAILABLE)
    assert (house.known(A).status, house.bus.kinds()) == (Status.CUT, [CUT])
    line = house.ledger.lines(A)[-1]
    assert (line.outcome, line.reason, line.mode, line.answer) == ("cut", "not_listed", "enforce", "done")


def test_a_row_deleted_and_put_back_within_the_grace_cuts_nobody(house: House) -> None:
    house.delete(SERVICE, CONSUMER)
    house.work(4)
    house.edit(SERVICE, CONSUMER, effect="allow")
    house.work(3600)
    house.settle()
    assert (cut(house), house.bus.told, house.known(A).unwanted_at) == ([], [], "")


def test_a_row_put_back_just_before_the_cut_is_seen(house: House) -> None:
    house.delete(SERVICE, CONSUMER)
    house.world.advance(6)
    stale = dict(house.allow_list.table)
    house.allow_list.put(SERVICE, CONSUMER, effect="allow")
    house.allow_list.whole_table = lambda: stale  # type: ignore[method-assign]
    house.settle()
    assert cut(house) == []


def test_two_looks_that_both_want_it_must_be_a_grace_apart(house: House) -> None:
    house.delete(SERVICE, CONSUMER)
    for _ in range(4):
        house.world.advance(1)
        house.sweeper.sweep("a sweep")
    assert cut(house) == []
    house.world.advance(1)
    house.sweeper.sweep("a sweep")
    assert cut(house) == [A]


@pytest.mark.parametrize(
    "attributes",
    [
        {"effect": "allow", "limit": "0"},
        {"effect": "review"},
        {"effect": "allow", "regions": "EU"},
        {"effect": "allow", "expires": "2026-01-01T00:00:00Z"},
        {"effect": "deny", "limit": "1"},
    ],
)
def test_a_hold_never_cuts(house: House, attributes: dict[str, str]) -> None:
    house.edit(SERVICE, CONSUMER, **attributes)
    house.work(60)
    house.settle()
    assert cut(house) == []


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"effect": "deny"}, "denied"),
        ({"effect": "allow", "expires_at": START.isoformat()}, "expired"),
        ({"effect": "allow", "starts_at": (START + timedelta(days=1)).isoformat()}, "not_yet_valid"),
        ({"effect": "allow", "regions": "us-east-1"}, "wrong_region"),
    ],
)
def test_whoever_may_not_connect_now_is_cut_with_the_reason(
    house: House, attributes: dict[str, str], reason: str
) -> None:
    house.edit(SERVICE, CONSUMER, **attributes)
    house.work(60)
    assert (cut(house), house.ledger.lines(A)[-1].reason) == ([A], reason)


def test_a_settings_row_that_cannot_be_read_cuts_nobody(house: House) -> None:
    house.delete(SERVICE, CONSUMER)
    house.edit(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="soon")
    house.work(60)
    house.settle()
    assert cut(house) == []


def test_a_freeze_leaves_live_connections_alone(house: House) -> None:
    settings_row(house, frozen_until="2027-01-01T00:00:00Z")
    house.settle()
    house.work(60)
    assert (cut(house), house.bus.told) == ([], [])


# ------------------------------------------------------------------ report, off, observe


@pytest.mark.parametrize("values", [{"reconcile": "report"}, {"mode": "observe"}])
def test_a_report_is_one_event_and_one_line_and_cuts_nothing(house: House, values: dict[str, str]) -> None:
    settings_row(house, **values)
    house.settle()
    before = len(house.ledger.lines(A))
    house.delete(SERVICE, CONSUMER)
    for _ in range(5):
        house.work(60)
        house.settle()
    assert (cut(house), house.bus.kinds()) == ([], [WOULD_CUT])
    (line,) = house.ledger.lines(A)[before:]
    assert (line.outcome, line.reason, line.mode, line.answer) == ("cut", "not_listed", "observe", "nothing to do")
    assert (house.known(A).status, house.known(A).accepted_at) == (Status.ACCEPTED, house.known(B).accepted_at)


def test_whoever_is_allowed_again_after_a_report_is_noted_in_the_ledger(house: House) -> None:
    settings_row(house, reconcile="report")
    house.delete(SERVICE, CONSUMER)
    house.work(60)
    house.edit(SERVICE, CONSUMER, effect="allow")
    for _ in range(3):
        house.settle()
    lines = house.ledger.lines(A)
    assert [(line.outcome, line.answer) for line in lines[-2:]] == [("cut", "nothing to do"), ("accept", "it stays")]
    assert house.known(A).status is Status.ACCEPTED


def test_off_says_nothing(house: House) -> None:
    settings_row(house, reconcile="off")
    house.delete(SERVICE, CONSUMER)
    house.work(60)
    house.settle()
    assert (cut(house), house.bus.told) == ([], [])


# ------------------------------------------------------------------ the emergency exit


@pytest.mark.parametrize("values", [{"reconcile": "report"}, {"reconcile": "off"}, {"max_cuts": "0"}])
def test_a_deny_that_says_so_cuts_at_once(house: House, values: dict[str, str]) -> None:
    settings_row(house, grace="1h", **values)
    house.edit(SERVICE, CONSUMER, effect="deny", cut="now")
    assert (cut(house), house.known(A).status) == ([A], Status.CUT)


def test_the_emergency_exit_works_while_the_breaker_is_tripped() -> None:
    house = crowd(6, max_cuts="2")
    for number in range(3):
        house.allow_list.delete(SERVICE, account(number))
    house.settle()
    house.work(60)
    assert cut(house) == []
    house.edit(SERVICE, account(5), effect="deny", cut="now")
    assert cut(house) == [endpoint_id(5)]


def test_in_observe_mode_and_on_everybody_there_is_no_emergency_exit(house: House) -> None:
    settings_row(house, mode="observe")
    house.edit(SERVICE, CONSUMER, effect="deny", cut="now")
    assert (cut(house), house.bus.kinds()) == ([], [WOULD_CUT])
    house.edit(SERVICE, CONSUMER, effect="deny")
    settings_row(house, reconcile="report")
    house.edit(SERVICE, "*", effect="deny", cut="now")
    house.work(60)
    assert cut(house) == []


# ------------------------------------------------------------------ the breaker


def test_more_cuts_than_the_breaker_lets_through_are_none_and_are_told_once() -> None:
    house = crowd(20)
    for number in range(20):
        house.allow_list.delete(SERVICE, account(number))
    for _ in range(4):
        house.settle()
        house.work(600)
    assert cut(house) == []
    assert house.bus.kinds().count(TRIPPED) == 1
    assert house.bus.kinds().count(WOULD_CUT) == 20
    finding = house.sweeper.sweep("a sweep")
    assert [sentence.partition(":")[0] for sentence in kept(finding)] == ["20 cuts wait for a release"]
    name = cuts_name(SERVICE)
    assert house.breaker.read([name])[name].tripped.endpoints == set(map(endpoint_id, range(20)))


def test_a_release_cuts_exactly_the_ones_it_names() -> None:
    house = crowd(20)
    for number in range(20):
        house.allow_list.delete(SERVICE, account(number))
    house.settle()
    house.work(600)
    named = [endpoint_id(number) for number in (3, 7, 11, 12, 13, 14, 15)]
    house.edit(SERVICE, "@release", endpoints=",".join([*named, endpoint_id(999)]))
    house.work(600)
    house.settle()
    assert sorted(cut(house)) == sorted(named)
    assert kept(house.sweeper.sweep("a sweep")) != []


def test_a_tripped_breaker_waits_although_an_hour_passes() -> None:
    house = crowd(6)
    for number in range(6):
        house.delete(SERVICE, account(number))
        house.work(20)
    assert len(cut(house)) == 5
    for _ in range(5):
        house.work(3600)
        house.settle()
    assert len(cut(house)) == 5
    house.edit(SERVICE, "@release", endpoints=endpoint_id(5))
    house.work(20)
    assert len(cut(house)) == 6
    assert kept(house.sweeper.sweep("a sweep")) == []


def test_rows_put_back_or_another_budget_end_the_trip() -> None:
    house = crowd(20)
    for number in range(20):
        house.allow_list.delete(SERVICE, account(number))
    house.settle()
    for number in range(20):
        house.allow_list.put(SERVICE, account(number), effect="allow")
    assert kept(house.settle()) == []
    for number in range(8):
        house.allow_list.delete(SERVICE, account(number))
    house.settle()
    house.work(60)
    assert cut(house) == []
    settings_row(house, max_cuts="40%")
    house.settle()
    house.work(60)
    assert sorted(cut(house)) == sorted(map(endpoint_id, range(8)))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(0, 900), min_size=8, max_size=20))
def test_deleted_one_by_one_at_any_pace_never_more_than_five_are_cut_in_any_hour(pauses: list[int]) -> None:
    house = crowd(len(pauses))
    moments = []
    tell = house.world.tell

    def told(service: str, outcome: Outcome, endpoint: str) -> Refusal | None:
        if outcome is Outcome.REJECT:
            moments.append(house.world.now)
        return tell(service, outcome, endpoint)

    house.world.tell = told  # type: ignore[method-assign]
    for number, pause in enumerate(pauses):
        house.delete(SERVICE, account(number))
        house.work(pause)
        house.settle()
    for _ in range(8):
        house.work(600)
        house.settle()
    for moment in moments:
        assert sum(moment - timedelta(hours=1) < other <= moment for other in moments) <= 5


# ------------------------------------------------------------------ refusals, crashes, the way back


def test_a_cut_that_ec2_refuses_is_kept_with_its_line_and_tried_again(house: House) -> None:
    house.world.refusals[A] = [Refusal("Strange.Code", "nobody has seen it before")] * 2
    house.delete(SERVICE, CONSUMER)
    before = len(house.ledger.lines(A))
    house.work(10)
    assert (house.known(A).refusal, house.known(A).status) == (
        "Strange.Code: nobody has seen it before",
        Status.ACCEPTED,
    )
    for _ in range(6):
        house.work(60)
        house.settle()
    assert cut(house) == [A]
    assert [line.answer for line in house.ledger.lines(A)[before:]] == ["done"]
    assert house.bus.kinds() == [CUT]


def test_the_slot_of_who_is_cut_is_free_and_its_row_put_back_asks_for_a_new_endpoint(house: House) -> None:
    house.delete(SERVICE, CONSUMER)
    house.work(10)
    assert not house.known(A).claimed
    house.edit(SERVICE, CONSUMER, effect="allow")
    house.work(300)
    house.settle()
    house.work(300)
    assert (house.known(A).status, house.known(A).final) == (Status.CUT, True)
    assert "the consumer must recreate the endpoint" in house.ledger.lines(A)[-1].answer
    kind, detail = house.bus.told[-1]
    assert (kind, detail["reason"]) == ("Endpoint Connection Rejected", "final")
    assert house.world.asked.count((Outcome.ACCEPT, A)) == 2
    house.connect(endpoint_id(9))
    house.work(10)
    assert house.state(endpoint_id(9)) is State.AVAILABLE


def test_where_ec2_accepts_a_rejected_connection_it_lives_again(house: House) -> None:
    house.delete(SERVICE, CONSUMER)
    house.work(10)
    house.world.accepts_rejected = True
    house.edit(SERVICE, CONSUMER, effect="allow")
    house.work(300)
    assert (house.state(A), house.known(A).status) == (State.AVAILABLE, Status.ACCEPTED)


def test_an_accept_that_ec2_refused_is_closed_when_it_is_no_longer_wanted(house: House) -> None:
    house.delete(SERVICE, CONSUMER)
    house.work(10)
    house.world.refusals[A] = [Refusal("UnauthorizedOperation", "no")] * 20
    house.edit(SERVICE, CONSUMER, effect="allow", limit=1)
    house.work(120)
    assert (house.known(A).settled, house.known(A).claimed) == (False, True)
    house.delete(SERVICE, CONSUMER)
    house.work(60)
    house.settle()
    assert (house.known(A).status, house.known(A).settled, house.known(A).claimed) == (Status.CUT, True, False)
    assert house.ledger.lines(A)[-1].answer == "no longer allowed"
    assert house.register.claims(SERVICE)[CONSUMER].held == frozenset()
