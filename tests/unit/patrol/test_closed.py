"""Endpoints that must stay out: a few are probed each round, and one that gets in is published once."""

from collections.abc import Callable
from typing import Any

import pytest
from linkgate.model import State, Status
from linkgate.patrol.assessment import Assessment
from linkgate.patrol.report import counts

from tests.application import SERVICE, Application
from tests.unit.patrol.scene import RECOVERED, UNHEALTHY, A, found, join, ledger_items, regional, walk
from tests.world import CONSUMER, endpoint_id


@pytest.fixture
def closed(app: Application) -> Application:
    """A was cut a while ago, and is out: nothing answers."""
    walk(app, "111")
    app.world.turn(A, State.REJECTED)
    app.ledger.alter(A, status=Status.CUT, state=State.REJECTED)
    app.bus.published.clear()
    app.canary.calls.clear()
    app.canary.causes[A] = "tcp_timeout"
    return app


def opened(assessments: list[Assessment]) -> int:
    return int(counts(assessments)["UnexpectedlyOpenEndpoints"])


def probe(app: Application, gets_in: bool) -> list[Assessment]:
    app.canary.causes[A] = "" if gets_in else "tcp_timeout"
    app.world.advance(60)
    return found(app)


def test_an_endpoint_that_stays_out_is_probed_and_nothing_is_counted_written_or_published(closed: Application) -> None:
    before = ledger_items(closed)
    seen = probe(closed, gets_in=False)
    assert set(counts(seen).values()) == {0}
    (target,) = closed.canary.targets
    assert (target["expect"], target["url"], target["timeout_seconds"]) == ("closed", f"tcp://{regional()}:443", 1)
    assert (ledger_items(closed), closed.bus.published) == (before, [])


@pytest.mark.parametrize("status", [Status.CUT, Status.REJECTED])
def test_an_endpoint_that_gets_in_although_it_must_stay_out_is_published_once(
    closed: Application, status: Status
) -> None:
    closed.ledger.alter(A, status=status)
    assert [opened(probe(closed, gets_in=True)) for _ in range(8)] == [0, 1, 1, 1, 1, 1, 1, 1]
    ((kind, detail),) = closed.bus.published
    assert (kind, detail["cause"]) == (UNHEALTHY, "unexpectedly_open")
    before = ledger_items(closed)
    probe(closed, gets_in=True)
    assert ledger_items(closed) == before
    assert detail["summary"].startswith(f"GETS IN: {A} of account {CONSUMER}: ")
    assert (closed.known(A).status, closed.known(A).health["cause"]) == (status, "unexpectedly_open")


def test_bad_rounds_of_when_it_was_live_do_not_count_for_one_that_was_cut(closed: Application) -> None:
    closed.ledger.alter(A, recent="00000", health={"cause": "tcp_timeout", "checked_at": closed.world.now.isoformat()})
    assert [opened(probe(closed, gets_in=True)) for _ in range(3)] == [0, 1, 1]
    assert closed.bus.kinds(A) == [UNHEALTHY]


def test_an_endpoint_that_stays_out_again_has_recovered(closed: Application) -> None:
    for gets_in in (True, True, False, False):
        seen = probe(closed, gets_in)
    assert (opened(seen), closed.known(A).health["cause"]) == (0, "")
    assert closed.bus.kinds(A) == [UNHEALTHY, RECOVERED]
    summary = closed.bus.published[-1][1]["summary"]
    assert summary.startswith(f"STAYS OUT: {A} of account {CONSUMER}: ")
    assert "\nIt was: unexpectedly_open: " in summary
    assert "\nIt lasted: 2 minutes, " in summary


def test_an_endpoint_that_got_in_for_one_round_is_not_published(closed: Application) -> None:
    for gets_in in (True, False, True, False):
        assert opened(probe(closed, gets_in)) == 0
    assert closed.bus.published == []


@pytest.mark.parametrize("cause", ["probe_error", "dns_timeout"])
def test_a_probe_that_finds_nothing_out_changes_nothing(closed: Application, cause: str) -> None:
    probe(closed, gets_in=True)
    probe(closed, gets_in=True)
    closed.canary.causes[A] = cause
    assert opened(found(closed)) == 1
    closed.canary.error = RuntimeError("gone")
    assert opened(found(closed)) == 1
    assert closed.bus.kinds(A) == [UNHEALTHY]


def test_an_endpoint_that_is_let_in_during_the_probe_is_not_open(closed: Application) -> None:
    closed.canary.during = lambda: closed.world.turn(A, State.AVAILABLE)
    for _ in range(3):
        closed.world.turn(A, State.REJECTED)
        assert opened(probe(closed, gets_in=True)) == 0
    assert closed.bus.published == []


def test_an_endpoint_that_was_rejected_this_minute_is_not_probed_yet(closed: Application) -> None:
    closed.ledger.alter(A, settled=True, answered_at="2026-11-23T03:03:30.000000Z")
    probe(closed, gets_in=True)
    assert closed.canary.calls == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda it: it.world.turn(A, State.DELETED),
        lambda it: it.world.turn(A, State.PENDING_ACCEPTANCE),
        lambda it: it.ledger.alter(A, status=Status.HELD),
        lambda it: it.ledger.alter(A, status=Status.CLOSED),
        lambda it: it.allow_list.put(SERVICE, "@settings", probe="nonsense"),
        lambda it: setattr(it.canary, "own", ""),
    ],
)
def test_whoever_need_not_or_cannot_be_kept_out_is_not_probed(
    closed: Application, spoil: Callable[[Application], Any]
) -> None:
    spoil(closed)
    assert (opened(probe(closed, gets_in=True)), closed.canary.calls) == (0, [])


def reject(app: Application, most: int) -> set[str]:
    """More endpoints that must stay out, up to so many; none gets in."""
    everybody = {endpoint_id(number) for number in range(1, most + 1)}
    for endpoint in everybody - {A}:
        join(app, endpoint, status=Status.REJECTED)
        app.world.turn(endpoint, State.REJECTED)
    app.canary.causes = dict.fromkeys(everybody, "tcp_timeout")
    return everybody


def test_of_many_that_must_stay_out_a_few_are_probed_each_round_and_all_in_time(closed: Application) -> None:
    everybody = reject(closed, 100)
    probed: set[str] = set()
    for _ in range(60):
        closed.canary.calls.clear()
        closed.world.advance(60)
        closed.round()
        assert len(closed.canary.targets) == 20
        probed |= {target["endpoint_id"] for target in closed.canary.targets}
    assert probed == everybody


def test_one_that_got_in_is_probed_each_round_until_it_stays_out(closed: Application) -> None:
    reject(closed, 100)
    closed.ledger.alter(
        A, health={"cause": "unexpectedly_open", "checked_at": closed.world.now.isoformat()}, recent="00"
    )
    for _ in range(5):
        closed.canary.calls.clear()
        assert opened(probe(closed, gets_in=True)) == 1
        assert len(closed.canary.targets) == 21
        assert A in {target["endpoint_id"] for target in closed.canary.targets}
