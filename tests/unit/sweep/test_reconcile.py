"""What is connected equals what the table says: cut after the grace, within the breaker, and never by mistake."""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linkgate.aws.errors import Refusal
from linkgate.ledger.breaker import cuts_name
from linkgate.ledger.slots import CLAIMS
from linkgate.model import Connection, Outcome, State, Status
from linkgate.policy.decide import Rows
from linkgate.sweep.sweeper import SweepResult

from tests.application import SERVICE, Application
from tests.world import CONSUMER, OTHER, START, endpoint_id

A, B = endpoint_id(1), endpoint_id(2)
CUT, WOULD_CUT, TRIPPED = "Endpoint Connection Cut", "Would Cut", "Breaker Tripped"


def settings_row(app: Application, **values: str) -> None:
    app.allow_list.put(SERVICE, "@settings", **{"mode": "enforce", "reconcile": "enforce", "grace": "5s", **values})


def account(number: int) -> str:
    return f"{700000000000 + number}"


@pytest.fixture
def app() -> Application:
    """Two consumers are connected; live ones that are no longer allowed are cut after five seconds."""
    made = Application()
    settings_row(made)
    for endpoint, account in ((A, CONSUMER), (B, OTHER)):
        made.allow_list.put(SERVICE, account, effect="allow", ticket="OPS-1")
        made.connect(endpoint, account)
    made.work(10)
    made.settle()
    made.work(100)
    made.bus.published.clear()
    return made


def crowd(count: int, **values: str) -> Application:
    """An application to which so many accounts are connected, each with a row of its own."""
    made = Application()
    settings_row(made, **values)
    for number in range(count):
        made.allow_list.put(SERVICE, account(number), effect="allow")
        made.connect(endpoint_id(number), account(number))
    made.work(10)
    made.settle()
    made.work(100)
    made.bus.published.clear()
    return made


def cut(app: Application) -> list[str]:
    """Who was cut, in order."""
    return [endpoint for outcome, endpoint in app.world.acts if outcome is Outcome.REJECT]


def kept(finding: SweepResult) -> list[str]:
    """What tripped breakers keep from being done."""
    return [sentence for found in finding.services.values() for sentence in found.withheld]


# ------------------------------------------------------------------ the grace


def test_who_is_no_longer_allowed_is_cut_after_the_grace_and_nobody_else(app: Application) -> None:
    app.delete(SERVICE, CONSUMER)
    app.work(4)
    assert app.state(A) is State.AVAILABLE
    app.work(10)
    assert (app.state(A), app.state(B)) == (State.REJECTED, State.AVAILABLE)
    assert (app.known(A).status, app.bus.kinds()) == (Status.CUT, [CUT])
    line = app.ledger.lines(A)[-1]
    assert (line.outcome, line.reason, line.mode, line.answer) == ("cut", "not_listed", "enforce", "done")


def test_a_row_deleted_and_put_back_within_the_grace_cuts_nobody(app: Application) -> None:
    app.delete(SERVICE, CONSUMER)
    app.work(4)
    app.edit(SERVICE, CONSUMER, effect="allow")
    app.work(3600)
    app.settle()
    assert (cut(app), app.bus.published, app.known(A).unwanted_since) == ([], [], None)


def test_a_row_put_back_just_before_the_cut_is_seen(app: Application) -> None:
    app.delete(SERVICE, CONSUMER)
    app.world.advance(6)
    stale = dict(app.allow_list.table)
    app.allow_list.put(SERVICE, CONSUMER, effect="allow")
    app.allow_list.whole_table = lambda: stale  # type: ignore[method-assign]
    app.settle()
    assert cut(app) == []


def test_two_looks_that_both_want_it_must_be_a_grace_apart(app: Application) -> None:
    app.delete(SERVICE, CONSUMER)
    for _ in range(4):
        app.world.advance(1)
        app.sweeper.sweep("a sweep")
    assert cut(app) == []
    app.world.advance(1)
    app.sweeper.sweep("a sweep")
    assert cut(app) == [A]


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
def test_a_hold_never_cuts(app: Application, attributes: dict[str, str]) -> None:
    app.edit(SERVICE, CONSUMER, **attributes)
    app.work(60)
    app.settle()
    assert cut(app) == []


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
    app: Application, attributes: dict[str, str], reason: str
) -> None:
    app.edit(SERVICE, CONSUMER, **attributes)
    app.work(60)
    assert (cut(app), app.ledger.lines(A)[-1].reason) == ([A], reason)


def test_a_settings_row_that_cannot_be_read_cuts_nobody(app: Application) -> None:
    app.delete(SERVICE, CONSUMER)
    app.edit(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="soon")
    app.work(60)
    app.settle()
    assert cut(app) == []


def test_a_freeze_leaves_live_connections_alone(app: Application) -> None:
    settings_row(app, frozen_until="2027-01-01T00:00:00Z")
    app.settle()
    app.work(60)
    assert (cut(app), app.bus.published) == ([], [])


# ------------------------------------------------------------------ report, off, observe


@pytest.mark.parametrize("values", [{"reconcile": "report"}, {"mode": "observe"}])
def test_a_report_is_one_event_and_one_line_and_cuts_nothing(app: Application, values: dict[str, str]) -> None:
    settings_row(app, **values)
    app.settle()
    before = len(app.ledger.lines(A))
    app.delete(SERVICE, CONSUMER)
    for _ in range(5):
        app.work(60)
        app.settle()
    assert (cut(app), app.bus.kinds()) == ([], [WOULD_CUT])
    (line,) = app.ledger.lines(A)[before:]
    assert (line.outcome, line.reason, line.mode, line.answer) == ("cut", "not_listed", "observe", "nothing to do")
    assert (app.known(A).status, app.known(A).accepted_at) == (Status.ACCEPTED, app.known(B).accepted_at)


def test_whoever_is_allowed_again_after_a_report_is_noted_in_the_ledger(app: Application) -> None:
    settings_row(app, reconcile="report")
    app.delete(SERVICE, CONSUMER)
    app.work(60)
    app.edit(SERVICE, CONSUMER, effect="allow")
    for _ in range(3):
        app.settle()
    lines = app.ledger.lines(A)
    assert [(line.outcome, line.answer) for line in lines[-2:]] == [("cut", "nothing to do"), ("accept", "it stays")]
    assert app.known(A).status is Status.ACCEPTED


def test_off_says_nothing(app: Application) -> None:
    settings_row(app, reconcile="off")
    app.delete(SERVICE, CONSUMER)
    app.work(60)
    app.settle()
    assert (cut(app), app.bus.published) == ([], [])


# ------------------------------------------------------------------ the emergency exit


@pytest.mark.parametrize("values", [{"reconcile": "report"}, {"reconcile": "off"}, {"max_cuts": "0"}])
def test_a_deny_that_says_so_cuts_at_once(app: Application, values: dict[str, str]) -> None:
    settings_row(app, grace="1h", **values)
    app.edit(SERVICE, CONSUMER, effect="deny", cut="now")
    assert (cut(app), app.known(A).status) == ([A], Status.CUT)


def test_the_emergency_exit_works_while_the_breaker_is_tripped() -> None:
    app = crowd(6, max_cuts="2")
    for number in range(3):
        app.allow_list.delete(SERVICE, account(number))
    app.settle()
    app.work(60)
    assert cut(app) == []
    app.edit(SERVICE, account(5), effect="deny", cut="now")
    assert cut(app) == [endpoint_id(5)]


def test_in_observe_mode_and_on_everybody_there_is_no_emergency_exit(app: Application) -> None:
    settings_row(app, mode="observe")
    app.edit(SERVICE, CONSUMER, effect="deny", cut="now")
    assert (cut(app), app.bus.kinds()) == ([], [WOULD_CUT])
    app.edit(SERVICE, CONSUMER, effect="deny")
    settings_row(app, reconcile="report")
    app.edit(SERVICE, "*", effect="deny", cut="now")
    app.work(60)
    assert cut(app) == []


# ------------------------------------------------------------------ the breaker


def test_more_cuts_than_the_breaker_lets_through_are_none_and_are_told_once() -> None:
    app = crowd(20)
    for number in range(20):
        app.allow_list.delete(SERVICE, account(number))
    for _ in range(4):
        app.settle()
        app.work(600)
    assert cut(app) == []
    assert app.bus.kinds().count(TRIPPED) == 1
    assert app.bus.kinds().count(WOULD_CUT) == 20
    finding = app.sweeper.sweep("a sweep")
    assert [sentence.partition(":")[0] for sentence in kept(finding)] == ["20 cuts wait for a release"]
    name = cuts_name(SERVICE)
    assert app.breaker.read([name])[name].tripped.endpoints == set(map(endpoint_id, range(20)))


def test_a_release_that_is_taken_back_before_the_cut_lets_nobody_past_the_breaker() -> None:
    app = crowd(2, max_cuts="0", grace="0s")
    app.allow_list.put(SERVICE, "@release", endpoints=endpoint_id(0))
    app.allow_list.delete(SERVICE, account(0))
    rows_for = app.allow_list.rows_for

    def taken_back(connections: Iterable[Connection]) -> Rows:
        app.allow_list.delete(SERVICE, "@release")
        return rows_for(connections)

    app.allow_list.rows_for = taken_back  # type: ignore[method-assign]
    for _ in range(2):
        app.sweeper.sweep("a sweep")
        app.work(10)
    assert (cut(app), app.state(endpoint_id(0))) == ([], State.AVAILABLE)


def test_a_release_cuts_exactly_the_ones_it_names() -> None:
    app = crowd(20)
    for number in range(20):
        app.allow_list.delete(SERVICE, account(number))
    app.settle()
    app.work(600)
    named = [endpoint_id(number) for number in (3, 7, 11, 12, 13, 14, 15)]
    app.edit(SERVICE, "@release", endpoints=",".join([*named, endpoint_id(999)]))
    app.work(600)
    app.settle()
    assert sorted(cut(app)) == sorted(named)
    assert kept(app.sweeper.sweep("a sweep")) != []


def test_a_tripped_breaker_waits_although_an_hour_passes() -> None:
    app = crowd(6)
    for number in range(6):
        app.delete(SERVICE, account(number))
        app.work(20)
    assert len(cut(app)) == 5
    for _ in range(5):
        app.work(3600)
        app.settle()
    assert len(cut(app)) == 5
    app.edit(SERVICE, "@release", endpoints=endpoint_id(5))
    app.work(20)
    assert len(cut(app)) == 6
    assert kept(app.sweeper.sweep("a sweep")) == []


def test_rows_put_back_or_another_budget_end_the_trip() -> None:
    app = crowd(20)
    for number in range(20):
        app.allow_list.delete(SERVICE, account(number))
    app.settle()
    for number in range(20):
        app.allow_list.put(SERVICE, account(number), effect="allow")
    assert kept(app.settle()) == []
    for number in range(8):
        app.allow_list.delete(SERVICE, account(number))
    app.settle()
    app.work(60)
    assert cut(app) == []
    settings_row(app, max_cuts="40%")
    app.settle()
    app.work(60)
    assert sorted(cut(app)) == sorted(map(endpoint_id, range(8)))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(0, 900), min_size=8, max_size=20))
def test_deleted_one_by_one_at_any_pace_never_more_than_five_are_cut_in_any_hour(pauses: list[int]) -> None:
    app = crowd(len(pauses))
    moments = []
    act = app.world.act

    def acting(service: str, outcome: Outcome, endpoint: str) -> Refusal | None:
        if outcome is Outcome.REJECT:
            moments.append(app.world.now)
        return act(service, outcome, endpoint)

    app.world.act = acting  # type: ignore[method-assign]
    for number, pause in enumerate(pauses):
        app.delete(SERVICE, account(number))
        app.work(pause)
        app.settle()
    for _ in range(8):
        app.work(600)
        app.settle()
    for moment in moments:
        assert sum(moment - timedelta(hours=1) < other <= moment for other in moments) <= 5


# ------------------------------------------------------------------ refusals, crashes, the way back


def test_a_cut_that_ec2_refuses_is_kept_with_its_line_and_tried_again(app: Application) -> None:
    app.world.refusals[A] = [Refusal("Strange.Code", "nobody has seen it before")] * 2
    app.delete(SERVICE, CONSUMER)
    before = len(app.ledger.lines(A))
    app.work(10)
    assert (app.known(A).refusal, app.known(A).status) == (
        "Strange.Code: nobody has seen it before",
        Status.ACCEPTED,
    )
    for _ in range(6):
        app.work(60)
        app.settle()
    assert cut(app) == [A]
    assert [line.answer for line in app.ledger.lines(A)[before:]] == ["done"]
    assert app.bus.kinds() == [CUT]


def test_the_slot_of_who_is_cut_is_free_and_its_row_put_back_asks_for_a_new_endpoint(app: Application) -> None:
    app.delete(SERVICE, CONSUMER)
    app.work(10)
    assert not app.known(A).claimed
    app.edit(SERVICE, CONSUMER, effect="allow")
    app.work(300)
    app.settle()
    app.work(300)
    assert (app.known(A).status, app.known(A).final) == (Status.CUT, True)
    assert "the consumer must recreate the endpoint" in app.ledger.lines(A)[-1].answer
    kind, detail = app.bus.published[-1]
    assert (kind, detail["reason"]) == ("Endpoint Connection Rejected", "final")
    assert app.world.asked.count((Outcome.ACCEPT, A)) == 2
    app.connect(endpoint_id(9))
    app.work(10)
    assert app.state(endpoint_id(9)) is State.AVAILABLE


def test_where_ec2_accepts_a_rejected_connection_it_lives_again(app: Application) -> None:
    app.delete(SERVICE, CONSUMER)
    app.work(10)
    app.world.accepts_rejected = True
    app.edit(SERVICE, CONSUMER, effect="allow")
    app.work(300)
    assert (app.state(A), app.known(A).status) == (State.AVAILABLE, Status.ACCEPTED)


def test_an_accept_that_ec2_refused_is_closed_when_it_is_no_longer_wanted(app: Application) -> None:
    app.delete(SERVICE, CONSUMER)
    app.work(10)
    app.world.refusals[A] = [Refusal("UnauthorizedOperation", "no")] * 20
    app.edit(SERVICE, CONSUMER, effect="allow", limit=1)
    app.work(120)
    assert (app.known(A).settled, app.known(A).claimed) == (False, True)
    app.delete(SERVICE, CONSUMER)
    app.work(60)
    app.settle()
    assert (app.known(A).status, app.known(A).settled, app.known(A).claimed) == (Status.CUT, True, False)
    assert app.ledger.lines(A)[-1].answer == "no longer allowed"
    assert app.sets.by_account(SERVICE, CLAIMS)[CONSUMER] == frozenset()
