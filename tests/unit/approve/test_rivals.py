"""Approvers that die or meet others at work on the same connection."""

from collections.abc import Sequence

import pytest
from linkgate.errors import Unavailable
from linkgate.events.bell import Bell
from linkgate.model import Outcome, State, Status

from tests.application import SERVICE, Application
from tests.unit.approve.answers import ACCEPTED, CLOSED, HELD, REJECTED, A, B, C, answers, assert_acted_once
from tests.world import CONSUMER, Killed


def crash(app: Application, endpoint: str = A) -> None:
    """Ring for an endpoint; the function dies in the middle."""
    app.connect(endpoint)
    with pytest.raises(Killed):
        app.work()
    app.world.killed_after_act, app.world.before_act = False, None


def test_an_act_whose_run_died_before_the_answer_is_completed_by_a_later_look(open_app: Application) -> None:
    open_app.world.killed_after_act = True
    crash(open_app)
    assert (open_app.state(A), open_app.known(A).settled) == (State.PENDING, False)
    open_app.world.advance(61)
    open_app.settle()
    assert (open_app.known(A).status, open_app.known(A).settled) == (Status.ACCEPTED, True)
    assert answers(open_app, A) == ["found available at a later look"]
    assert open_app.world.asked == [(Outcome.ACCEPT, A)]
    assert open_app.bus.kinds(A) == [ACCEPTED]


def test_within_its_minute_an_open_decision_is_left_to_the_run_that_made_it(open_app: Application) -> None:
    open_app.world.killed_after_act = True
    crash(open_app)
    open_app.send(A)
    open_app.work(30)
    assert answers(open_app, A) == [""]
    assert open_app.bus.kinds(A) == []
    assert open_app.work(60).failed == {}
    assert answers(open_app, A) == ["found available at a later look"]
    assert open_app.bus.kinds(A) == [ACCEPTED]


def test_within_its_minute_an_open_decision_is_not_closed_by_looks_that_do_not_show_its_endpoint(
    open_app: Application,
) -> None:
    open_app.world.killed_after_act = True
    crash(open_app)
    open_app.world.forget(A)
    open_app.send(A)
    open_app.work(59)
    assert (open_app.known(A).status, answers(open_app, A)) == (Status.HELD, [""])
    open_app.work(60)
    assert (open_app.known(A).status, answers(open_app, A)) == (Status.CLOSED, ["the endpoint is gone"])
    assert open_app.bus.kinds(A) == [CLOSED]


def test_of_two_approvers_on_the_same_abandoned_decision_one_takes_over(open_app: Application) -> None:
    def die(outcome: Outcome, endpoints: Sequence[str]) -> None:
        raise Killed

    def rival() -> None:
        open_app.approver.answer([Bell(frozenset({A}), origin="another approver")])

    open_app.world.before_act = die
    crash(open_app)
    open_app.world.advance(61)
    open_app.send(A)
    open_app.ledger.store.rival = rival
    assert open_app.work().failed == {}
    assert_acted_once(open_app)
    open_app.work(600)
    assert_acted_once(open_app)


def test_an_abandoned_decision_that_no_longer_holds_is_superseded(open_app: Application) -> None:
    def die(outcome: Outcome, endpoints: Sequence[str]) -> None:
        raise Killed

    open_app.world.before_act = die
    crash(open_app)
    open_app.world.advance(61)
    open_app.edit(SERVICE, CONSUMER, effect="deny")
    open_app.work(10)
    assert answers(open_app, A) == ["superseded; not known to be done", "done"]
    assert (open_app.state(A), open_app.bus.kinds(A)) == (State.REJECTED, [REJECTED])


def test_one_answer_that_cannot_be_written_down_concerns_its_own_endpoint_alone(open_app: Application) -> None:
    def break_the_first_answer(outcome: Outcome, endpoints: Sequence[str]) -> None:
        open_app.ledger.store.refuses[A] = Unavailable("no route")

    open_app.world.before_act = break_the_first_answer
    for endpoint in (A, B, C):
        open_app.connect(endpoint)
    assert open_app.work().failed == {}
    assert [answers(open_app, endpoint) for endpoint in (A, B, C)] == [[""], ["done"], ["done"]]
    assert [one.endpoints for one in open_app.bells.waiting()] == [{A}]


def test_a_rejection_whose_run_died_is_completed_and_told(app: Application) -> None:
    app.allow_list.put(SERVICE, CONSUMER, effect="deny")
    app.world.killed_after_act = True
    crash(app)
    app.world.advance(61)
    app.settle()
    assert (app.known(A).status, app.bus.kinds(A)) == (Status.REJECTED, [REJECTED])


def test_a_run_that_died_before_the_act_is_completed_by_a_later_bell(open_app: Application) -> None:
    def die(outcome: Outcome, endpoints: Sequence[str]) -> None:
        raise Killed

    open_app.world.before_act = die
    crash(open_app)
    open_app.send(A)
    open_app.work(200)
    assert_acted_once(open_app)


def test_a_hold_whose_run_died_is_told_by_a_later_look(app: Application) -> None:
    app.bus.refusal = Killed()
    crash(app)
    app.world.advance(61)
    app.settle()
    assert (app.bus.kinds(A), answers(app, A)) == ([HELD], ["nothing to do"])


def test_a_decision_by_somebody_faster_is_found_by_asking_again(open_app: Application) -> None:
    def rival() -> None:
        open_app.approver.answer([Bell(frozenset({A}), origin="another approver")])

    open_app.connect(A)
    open_app.ledger.store.rival = rival
    report = open_app.work()
    assert report.failed == {}
    assert open_app.bells.waiting() == [Bell(frozenset({A}), frozenset(), "Connect", 1)]
    open_app.work(600)
    assert_acted_once(open_app)
    assert open_app.bells.queue == []


def test_an_answer_by_somebody_faster_is_found_by_asking_again(open_app: Application) -> None:
    def rival_after_the_act(outcome: Outcome, endpoints: Sequence[str]) -> None:
        entry = open_app.known(A).entry
        connection = open_app.world.connection(A)
        open_app.ledger.store.rival = lambda: open_app.ledger.answered(
            connection, entry, "done", Status.ACCEPTED, State.PENDING, open_app.world.now
        )

    open_app.world.before_act = rival_after_the_act
    open_app.connect(A)
    assert open_app.work().failed == {}
    open_app.work(600)
    assert open_app.world.asked == [(Outcome.ACCEPT, A)]
    assert open_app.known(A).status is Status.ACCEPTED
