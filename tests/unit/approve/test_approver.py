"""Look, decide, record, act, record: whatever rings, however often, in whatever order, and whoever fails."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from linkgate.approve.report import Report
from linkgate.aws.errors import Refusal
from linkgate.errors import Throttled, Unavailable
from linkgate.events import bell
from linkgate.events.bell import Bell
from linkgate.model import Outcome, State, Status
from linkgate.sweep.sweeper import SweepResult

from tests import gallery
from tests.application import SERVICE, Application
from tests.world import CONSUMER, OTHER, Killed, endpoint_id, service_id

A, B, C = endpoint_id(1), endpoint_id(2), endpoint_id(3)
SECOND = service_id(2)
ACCEPTED, REJECTED = "Endpoint Connection Accepted", "Endpoint Connection Rejected"
HELD, CLOSED = "Endpoint Connection Held", "Endpoint Connection Closed"


@pytest.fixture
def app() -> Application:
    return Application()


@pytest.fixture
def open_app(app: Application) -> Application:
    """A house whose table allows CONSUMER."""
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", ticket="NET-17")
    return app


def denied(code: str = "UnauthorizedOperation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "AcceptVpcEndpointConnections")


def requeued(finding: SweepResult) -> int:
    """How many endpoints a sweep rang for."""
    return finding.sum(lambda found: found.requeued)


def answers(app: Application, endpoint: str) -> list[str]:
    return [line.answer for line in app.ledger.lines(endpoint)]


# ------------------------------------------------------------------ the main job


def test_the_row_first_and_the_endpoint_second_ends_accepted(open_app: Application) -> None:
    open_app.connect(A)
    open_app.work(10)
    assert open_app.state(A) is State.AVAILABLE
    assert open_app.known(A).status is Status.ACCEPTED
    assert open_app.bus.kinds(A) == [ACCEPTED]
    (line,) = open_app.ledger.lines(A)
    assert (line.outcome, line.reason, line.row) == ("accept", "allowed", f"{SERVICE}/{CONSUMER}")
    assert (line.rang, line.answer, line.mode) == ("Connect", "done", "enforce")
    assert open_app.bus.told[0][1]["people"] == {"ticket": "NET-17"}


def test_the_endpoint_first_and_the_row_second_ends_accepted(app: Application) -> None:
    app.connect(A)
    app.work(1)
    assert app.state(A) is State.PENDING_ACCEPTANCE
    assert requeued(app.edit(SERVICE, CONSUMER, effect="allow")) == 1
    app.work(10)
    assert app.state(A) is State.AVAILABLE
    assert app.bus.kinds(A) == [HELD, ACCEPTED]
    assert [line.rang for line in app.ledger.lines(A)] == ["Connect", "allow-list edited"]


def test_an_unlisted_consumer_is_held(open_app: Application) -> None:
    open_app.connect(A, OTHER)
    open_app.work()
    assert open_app.state(A) is State.PENDING_ACCEPTANCE
    known = open_app.known(A)
    assert (known.status, known.reason, known.settled) == (Status.HELD, "not_listed", True)
    assert answers(open_app, A) == ["nothing to do"]
    assert open_app.world.asked == []


def test_a_denied_consumer_is_rejected(open_app: Application) -> None:
    open_app.allow_list.put("*", CONSUMER, effect="deny")
    open_app.connect(A)
    open_app.work()
    assert open_app.state(A) is State.REJECTED
    assert (open_app.known(A).status, open_app.known(A).reason) == (Status.REJECTED, "denied")
    assert open_app.bus.kinds(A) == [REJECTED]


def test_an_unlisted_consumer_is_rejected_where_the_default_says_so(app: Application) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", default="reject")
    app.connect(A)
    app.work()
    assert app.state(A) is State.REJECTED
    assert app.known(A).row == ""


@pytest.mark.parametrize(("effect", "kind"), [("allow", "Would Accept"), ("deny", "Would Reject"), ("review", HELD)])
@pytest.mark.parametrize("settings", [{"mode": "observe"}, {}])
def test_in_observe_mode_it_is_only_said(app: Application, effect: str, kind: str, settings: dict[str, str]) -> None:
    app.allow_list.put(SERVICE, "@settings", **settings)
    app.allow_list.put(SERVICE, CONSUMER, effect=effect)
    app.connect(A)
    app.work()
    assert app.state(A) is State.PENDING_ACCEPTANCE
    assert app.world.asked == []
    assert app.bus.kinds(A) == [kind]
    assert (app.known(A).status, answers(app, A)) == (Status.HELD, ["nothing to do"])


def test_a_service_that_is_enforced_from_now_on_acts_on_what_it_only_observed(app: Application) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="observe")
    app.allow_list.put(SERVICE, CONSUMER, effect="allow")
    app.connect(A)
    app.work()
    app.edit(SERVICE, "@settings", mode="enforce")
    app.work(10)
    assert app.state(A) is State.AVAILABLE
    assert app.bus.kinds(A) == ["Would Accept", ACCEPTED]


def test_a_malformed_row_holds_and_the_event_says_what_is_wrong(app: Application) -> None:
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", expires="2027-01-01T00:00:00Z")
    app.connect(A)
    app.work()
    assert app.state(A) is State.PENDING_ACCEPTANCE
    ((kind, detail),) = app.bus.told
    assert (kind, detail["reason"]) == (HELD, "malformed_row")
    assert "attribute 'expires' is not known here" in detail["note"]


def test_many_connections_are_judged_together_a_hundred_a_call(open_app: Application) -> None:
    calls: list[int] = []
    open_app.world.before_act = lambda _, endpoints: calls.append(len(endpoints))
    names = [endpoint_id(number) for number in range(250)]
    for name in names:
        open_app.connect(name)
    open_app.work(10)
    assert {open_app.state(name) for name in names} == {State.AVAILABLE}
    assert calls == [100, 100, 50]


# ------------------------------------------------------------------ record before act


@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_a_decision_is_written_down_before_ec2_is_told_and_completed_after(app: Application, effect: str) -> None:
    app.allow_list.put(SERVICE, CONSUMER, effect=effect)
    seen: list[tuple[str, bool, list[str]]] = []

    def look(outcome: Outcome, endpoints: Sequence[str]) -> None:
        for endpoint in endpoints:
            known = app.known(endpoint)
            seen.append((known.outcome, known.settled, answers(app, endpoint)))
            assert known.outcome == outcome

    app.world.before_act = look
    app.connect(A)
    app.connect(B)
    app.work()
    assert seen == [("accept" if effect == "allow" else "reject", False, [""])] * 2
    assert answers(app, A) == ["done"]


def test_a_decision_that_cannot_be_written_down_is_not_acted_on(open_app: Application) -> None:
    def full() -> None:
        raise RuntimeError("the table is full")

    open_app.connect(A)
    open_app.ledger.store.rival = full
    report = open_app.work()
    assert open_app.world.asked == []
    assert list(report.failed) == [Bell(frozenset({A}), origin="Connect")]


# ------------------------------------------------------------------ the same again


def assert_acted_once(app: Application, endpoint: str = A) -> None:
    assert app.world.asked == [(Outcome.ACCEPT, endpoint)]
    assert answers(app, endpoint) == ["done"]
    assert app.bus.kinds(endpoint) == [ACCEPTED]


def test_the_same_bell_ten_times_in_one_batch_acts_once(open_app: Application) -> None:
    open_app.connect(A)
    for _ in range(9):
        open_app.send(A, origin="Connect")
    open_app.work(100)
    assert_acted_once(open_app)


def test_the_same_bell_ten_times_in_ten_batches_acts_once(open_app: Application) -> None:
    open_app.connect(A)
    for _ in range(10):
        open_app.send(A, origin="Connect")
        open_app.work(7)
    assert_acted_once(open_app)


def test_bells_in_reverse_order_and_mixed_with_garbage_act_once(open_app: Application) -> None:
    open_app.world.connect(A, SERVICE)
    samples = ("cloudtrail-delete-one", "pipe-garbage", "sns-garbage", "cloudtrail-accept", "pipe-text")
    requeued = [bell.parse(gallery.text(name)) for name in samples] + [
        Bell(frozenset({A}), origin=word) for word in "RAC"
    ]
    for _ in range(3):
        report = open_app.approver.answer(requeued)
        assert report.failed == {}
        open_app.work(600)
    assert_acted_once(open_app)
    assert open_app.bells.queue == []


def test_a_look_that_is_older_than_the_act_does_not_act_again(open_app: Application) -> None:
    open_app.world.connect(A, SERVICE)
    open_app.world.advance(60)
    open_app.world.lag = timedelta(seconds=50)
    for _ in range(6):
        open_app.send(A, origin="Connect")
        open_app.work(9)
    assert_acted_once(open_app)


def test_a_connection_that_stays_held_is_told_once(app: Application) -> None:
    app.connect(A)
    for _ in range(3):
        app.send(A)
        app.work(100)
    assert app.bus.kinds(A) == [HELD]
    assert len(app.ledger.lines(A)) == 1


def test_a_changed_reason_is_written_and_told_and_a_changed_policy_is_only_written(app: Application) -> None:
    app.connect(A)
    app.work(1)
    app.edit(SERVICE, CONSUMER, effect="review")
    app.work(1)
    app.edit(SERVICE, CONSUMER, effect="review", note="still looking")
    app.work(1)
    assert [line.reason for line in app.ledger.lines(A)] == ["not_listed", "review", "review"]
    assert app.bus.kinds(A) == [HELD, HELD]


@pytest.fixture
def late_house(open_app: Application) -> Application:
    """A house that accepted A a moment ago, while EC2 still shows it as waiting."""
    open_app.world.connect(A, SERVICE)
    open_app.world.advance(60)
    open_app.world.lag = timedelta(seconds=50)
    open_app.send(A, origin="Connect")
    open_app.work()
    return open_app


def test_a_deny_right_after_an_acceptance_does_not_reject_what_an_older_look_shows(late_house: Application) -> None:
    assert requeued(late_house.edit(SERVICE, CONSUMER, effect="deny")) == 1
    late_house.work(1000)
    assert_acted_once(late_house)
    assert (late_house.state(A), late_house.known(A).status) == (State.AVAILABLE, Status.ACCEPTED)


def test_a_row_deleted_right_after_an_acceptance_does_not_reject_what_an_older_look_shows(
    late_house: Application,
) -> None:
    late_house.allow_list.put(SERVICE, "@settings", mode="enforce", default="reject")
    late_house.allow_list.delete(SERVICE, CONSUMER)
    late_house.settle()
    late_house.work(1000)
    assert_acted_once(late_house)
    assert late_house.bells.queue == []


@pytest.mark.parametrize(("effect", "outcome"), [("allow", Outcome.ACCEPT), ("deny", Outcome.REJECT)])
def test_an_acceptance_that_was_lost_is_decided_anew_after_its_minute(
    open_app: Application, effect: str, outcome: Outcome
) -> None:
    open_app.connect(A)
    open_app.work()
    open_app.world.turn(A, State.PENDING_ACCEPTANCE)
    open_app.edit(SERVICE, CONSUMER, effect=effect)
    open_app.work(59)
    assert open_app.world.asked == [(Outcome.ACCEPT, A)]
    open_app.work(600)
    open_app.settle()
    assert open_app.world.asked == [(Outcome.ACCEPT, A), (outcome, A)]
    assert answers(open_app, A) == ["done", "done"]


# ------------------------------------------------------------------ not visible, gone, or by other hands


def test_what_rang_for_each_connection_is_written_into_its_line(open_app: Application) -> None:
    open_app.world.connect(A, SERVICE)
    open_app.world.connect(B, SERVICE)
    open_app.approver.answer([Bell(frozenset({A}), origin="one"), Bell(frozenset({B}), origin="other")])
    assert [open_app.ledger.lines(endpoint)[0].rang for endpoint in (A, B)] == ["one", "other"]


def test_an_endpoint_that_is_not_visible_yet_is_asked_for_again(open_app: Application) -> None:
    open_app.world.lag = timedelta(seconds=3)
    open_app.connect(A)
    assert open_app.work(2).given_up == set()
    assert open_app.ledger.currents == {}
    open_app.work(60)
    assert_acted_once(open_app)


def test_an_endpoint_that_is_never_visible_is_left_in_the_end(open_app: Application) -> None:
    open_app.send(A)
    reports: list[Report] = []
    while open_app.bells.queue:
        due = open_app.bells.next_due()
        assert due is not None
        open_app.world.now = due
        reports.append(open_app.work())
    assert len(reports) == 10
    assert [bool(report.given_up) for report in reports] == [False] * 9 + [True]
    assert not any(report.failed for report in reports)
    assert open_app.ledger.currents == {}


def test_a_postponed_question_keeps_what_rang(open_app: Application) -> None:
    open_app.send(A, origin="Connect")
    open_app.work()
    assert open_app.bells.waiting() == [Bell(frozenset({A}), frozenset(), "Connect", attempt=1, absent=1)]


def test_a_new_bell_is_not_given_up_because_an_old_one_is(open_app: Application) -> None:
    old, new = Bell(frozenset({A}), attempt=9), Bell(frozenset({A}), origin="Connect")
    open_app.approver.answer([old, new])
    assert open_app.bells.waiting() == [new.again(frozenset({A}), absent=True)]


@pytest.mark.parametrize("state", [State.DELETED, State.DELETING, State.FAILED, State.EXPIRED])
def test_an_endpoint_that_is_gone_is_closed_and_told_once(open_app: Application, state: State) -> None:
    open_app.connect(A)
    open_app.work(10)
    open_app.world.turn(A, state)
    for _ in range(3):
        open_app.send(A, origin="Delete")
        open_app.work()
    assert open_app.known(A).status is Status.CLOSED
    assert open_app.bus.kinds(A) == [ACCEPTED, CLOSED]


def test_an_endpoint_that_ec2_no_longer_shows_is_closed_and_told_once(open_app: Application) -> None:
    open_app.connect(A)
    open_app.work(10)
    open_app.world.forget(A)
    for _ in range(3):
        open_app.send(A, origin="Delete")
        open_app.work(600)
    assert (open_app.known(A).status, open_app.known(A).state) == (Status.CLOSED, State.DELETED)
    assert open_app.bus.kinds(A) == [ACCEPTED, CLOSED]
    assert open_app.bells.queue == []


@pytest.mark.parametrize(("seconds", "status"), [(0, Status.ACCEPTED), (2, Status.ACCEPTED), (3, Status.CLOSED)])
def test_an_endpoint_is_gone_when_three_looks_in_a_row_do_not_show_it(
    open_app: Application, seconds: int, status: Status
) -> None:
    open_app.connect(A)
    open_app.work(10)
    open_app.world.forget(A)
    open_app.send(A)
    open_app.work(seconds)
    assert open_app.known(A).status is status
    assert (CLOSED in open_app.bus.kinds(A)) is (status is Status.CLOSED)


@pytest.mark.parametrize("looks", [(0, 2), (2, 0)])
def test_of_several_bells_for_an_endpoint_that_is_gone_the_longest_missed_counts(
    open_app: Application, looks: tuple[int, int]
) -> None:
    open_app.connect(A)
    open_app.work(10)
    open_app.world.forget(A)
    open_app.approver.answer([Bell(frozenset({A}), absent=absent) for absent in looks])
    assert open_app.known(A).status is Status.CLOSED


def test_repeats_that_did_not_miss_an_endpoint_do_not_count_towards_its_end(open_app: Application) -> None:
    open_app.connect(A)
    open_app.work(10)
    open_app.world.forget(A)
    open_app.approver.answer([Bell(frozenset({A}), attempt=7)])
    assert open_app.known(A).status is Status.ACCEPTED


@pytest.mark.parametrize("seconds", [0, 2])
def test_an_endpoint_that_some_looks_missed_stays_what_it_is(app: Application, seconds: int) -> None:
    app.connect(A)
    app.work()
    missed = app.world.links.pop(A)
    app.send(A)
    app.work(seconds)
    app.world.links[A] = missed
    app.work(600)
    assert (app.known(A).status, app.bus.kinds(A)) == (Status.HELD, [HELD])
    assert app.bells.queue == []


def test_an_endpoint_that_was_closed_and_is_shown_again_is_judged_again(open_app: Application) -> None:
    open_app.connect(A)
    open_app.work(100)
    missed = open_app.world.links.pop(A)
    open_app.send(A)
    open_app.work(10)
    missed.turn(open_app.world.now, State.PENDING_ACCEPTANCE)
    open_app.world.links[A] = missed
    open_app.settle()
    open_app.work(10)
    assert open_app.known(A).status is Status.ACCEPTED
    assert open_app.bus.kinds(A) == [ACCEPTED, CLOSED, ACCEPTED]


def test_an_allowed_connection_that_other_hands_rejected_is_accepted_once_and_told_if_ec2_refuses(
    open_app: Application,
) -> None:
    open_app.world.connect(A, SERVICE, state=State.REJECTED)
    for _ in range(3):
        open_app.send(A, origin="Reject")
        open_app.work(100)
    assert (open_app.known(A).status, open_app.known(A).final) == (Status.REJECTED, True)
    assert open_app.world.asked == [(Outcome.ACCEPT, A)]
    assert [(kind, detail["reason"]) for kind, detail in open_app.bus.told] == [(REJECTED, "final")]


def test_a_connection_that_nobody_allows_and_other_hands_rejected_is_recorded_and_left(app: Application) -> None:
    app.world.connect(A, SERVICE, "444444444444", state=State.REJECTED)
    app.send(A, origin="Reject")
    app.work()
    assert (app.known(A).status, app.world.asked) == (Status.REJECTED, [])


def test_a_connection_that_other_hands_accepted_is_recorded_and_left(app: Application) -> None:
    app.connect(A)
    app.work()
    app.world.turn(A, State.AVAILABLE)
    app.send(A, origin="Accept")
    app.work()
    assert (app.known(A).status, app.known(A).state) == (Status.ACCEPTED, State.AVAILABLE)
    assert app.world.asked == []


# ------------------------------------------------------------------ crashes and rivals


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
        connection = open_app.connections.named([A])[0]
        open_app.ledger.store.rival = lambda: open_app.ledger.answered(
            connection, entry, "done", Status.ACCEPTED, State.PENDING, open_app.world.now
        )

    open_app.world.before_act = rival_after_the_act
    open_app.connect(A)
    assert open_app.work().failed == {}
    open_app.work(600)
    assert open_app.world.asked == [(Outcome.ACCEPT, A)]
    assert open_app.known(A).status is Status.ACCEPTED


# ------------------------------------------------------------------ when AWS says no


def refuse(app: Application, endpoint: str, code: str, times: int = 1) -> None:
    app.world.refusals[endpoint] = [Refusal(code, "not now") for _ in range(times)]


def test_a_throttle_while_acting_is_asked_again(open_app: Application) -> None:
    refuse(open_app, A, "RequestLimitExceeded", times=3)
    open_app.connect(A)
    report = open_app.work()
    assert (report.refused, report.failed) == ({}, {})
    open_app.work(60)
    assert open_app.state(A) is State.AVAILABLE
    assert answers(open_app, A) == ["done"]
    assert open_app.bus.kinds(A) == [ACCEPTED]


def test_throttles_do_not_lengthen_the_pause_after_a_refusal(open_app: Application) -> None:
    refuse(open_app, A, "RequestLimitExceeded", times=6)
    open_app.connect(A)
    open_app.work()
    assert (open_app.known(A).refusal.partition(":")[0], open_app.known(A).tries) == ("RequestLimitExceeded", 0)


def test_what_is_throttled_is_asked_again_until_ec2_has_room_for_it(open_app: Application) -> None:
    refuse(open_app, A, "RequestLimitExceeded", times=20)
    open_app.connect(A)
    report = open_app.work(1000)
    assert (report.failed, report.given_up, open_app.bells.queue) == ({}, set(), [])
    assert (open_app.state(A), answers(open_app, A)) == (State.AVAILABLE, ["done"])


def test_what_never_reaches_ec2_fails_its_message_in_the_end(open_app: Application) -> None:
    open_app.world.broken[SERVICE] = Unavailable("no route")
    open_app.connect(A)
    report = open_app.work(1000)
    assert [requeued.attempt for requeued in report.failed] == [9]
    assert (report.given_up, open_app.bells.queue) == (set(), [])


def test_each_throttled_endpoint_is_asked_for_again_by_the_bell_that_named_it(open_app: Application) -> None:
    for endpoint in (A, B, C):
        refuse(open_app, endpoint, "RequestLimitExceeded")
        open_app.world.connect(endpoint, SERVICE)
    named = [Bell(frozenset({A}), origin="one"), Bell(frozenset({B}), origin="other")]
    open_app.approver.answer([*named, Bell(services=frozenset({SERVICE}), origin="all")])
    again = [(frozenset({A}), "one", 1), (frozenset({B}), "other", 1), (frozenset({C}), "all", 1)]
    assert [(one.endpoints, one.origin, one.attempt) for one in open_app.bells.waiting()] == again


def test_one_refused_endpoint_does_not_stop_the_others(open_app: Application) -> None:
    refuse(open_app, B, "InvalidState")
    for endpoint in (A, B, C):
        open_app.connect(endpoint)
    report = open_app.work()
    assert report.refused == {B: Refusal("InvalidState", "not now")}
    assert report.failed == {}
    assert [open_app.known(endpoint).status for endpoint in (A, B, C)] == [
        Status.ACCEPTED,
        Status.HELD,
        Status.ACCEPTED,
    ]
    assert (answers(open_app, B), open_app.known(B).refusal) == ([""], "InvalidState: not now")
    assert open_app.bus.kinds(B) == []


def test_a_refused_endpoint_is_asked_again_by_the_next_sweep(open_app: Application) -> None:
    refuse(open_app, A, "InternalError")
    open_app.connect(A)
    open_app.work(10)
    open_app.settle()
    open_app.work(10)
    assert (open_app.state(A), open_app.bus.kinds(A)) == (State.AVAILABLE, [ACCEPTED])


def test_a_refusal_is_kept_with_the_open_decision_and_pauses_it(open_app: Application) -> None:
    refuse(open_app, A, "InvalidState")
    open_app.connect(A)
    open_app.work()
    known = open_app.known(A)
    assert (known.settled, known.refusal, known.tries, known.status) == (
        False,
        "InvalidState: not now",
        1,
        Status.HELD,
    )
    assert known.open_until == open_app.world.now + timedelta(seconds=2)


def test_a_pause_grows_with_every_refusal_and_ends_with_an_answer_on_the_same_line(open_app: Application) -> None:
    refuse(open_app, A, "InvalidState", times=3)
    open_app.connect(A)
    asked = []
    for _ in range(20):
        open_app.settle()
        asked.append(len(open_app.world.asked))
        open_app.world.advance(1)
    assert [asked.index(count) for count in (1, 2, 3, 4)] == [0, 2, 6, 14]
    known = open_app.known(A)
    assert (answers(open_app, A), known.settled, known.refusal) == (["done"], True, "")
    assert open_app.bus.kinds(A) == [ACCEPTED]


def test_while_a_refusal_is_fresh_neither_bells_nor_sweeps_ask_ec2(open_app: Application) -> None:
    refuse(open_app, A, "InvalidState", times=9)
    open_app.connect(A)
    open_app.work()
    open_app.world.advance(1)
    assert requeued(open_app.sweeper.sweep("a sweep")) == 0
    open_app.send(A)
    open_app.work()
    assert open_app.world.asked == [(Outcome.ACCEPT, A)]
    assert open_app.bells.queue == []


def test_a_new_decision_does_not_wait_for_the_pause_of_the_old_one(open_app: Application) -> None:
    refuse(open_app, A, "InvalidState")
    open_app.connect(A)
    open_app.work()
    open_app.edit(SERVICE, CONSUMER, effect="deny")
    open_app.work()
    assert open_app.state(A) is State.REJECTED
    assert answers(open_app, A) == ["superseded; InvalidState: not now", "done"]


def test_what_other_hands_did_while_a_refusal_paused_is_found(open_app: Application) -> None:
    refuse(open_app, A, "InvalidState")
    open_app.connect(A)
    open_app.work()
    open_app.world.turn(A, State.AVAILABLE)
    open_app.settle()
    assert (answers(open_app, A), open_app.known(A).refusal) == (["found available at a later look"], "")


def test_an_act_that_was_done_already_is_done(open_app: Application) -> None:
    def faster(outcome: Outcome, endpoints: Sequence[str]) -> None:
        open_app.world.turn(A, State.AVAILABLE)

    open_app.world.before_act = faster
    open_app.connect(A)
    assert open_app.work().refused == {}
    assert (open_app.known(A).status, answers(open_app, A)) == (Status.ACCEPTED, ["done"])


def test_a_hundred_that_did_not_reach_ec2_do_not_stop_the_next_hundred(open_app: Application) -> None:
    def the_first(outcome: Outcome, endpoints: Sequence[str]) -> None:
        open_app.world.before_act = None
        raise Unavailable("no route")

    open_app.world.before_act = the_first
    for number in range(150):
        open_app.world.connect(endpoint_id(number), SERVICE)
    open_app.approver.answer([Bell(services=frozenset({SERVICE}))])
    assert len(open_app.world.acts) == 50
    assert [len(one.endpoints) for one in open_app.bells.waiting()] == [100]


@pytest.fixture
def two_services(open_app: Application) -> Application:
    open_app.world.offer(SECOND)
    open_app.allow_list.put(SECOND, "@settings", mode="enforce")
    open_app.allow_list.put(SECOND, CONSUMER, effect="allow")
    return open_app


def test_one_services_missing_permission_is_a_refusal_of_its_connections_alone(two_services: Application) -> None:
    two_services.world.forbidden.add(SECOND)
    two_services.connect(A)
    two_services.connect(B, service=SECOND)
    report = two_services.work()
    assert report.refused.keys() == {B}
    assert report.failed == {}
    assert (two_services.known(A).status, two_services.known(B).status) == (Status.ACCEPTED, Status.HELD)
    assert two_services.known(B).refusal.startswith("UnauthorizedOperation: ")


def test_what_was_refused_for_lack_of_a_permission_is_accepted_when_it_is_given(two_services: Application) -> None:
    two_services.world.forbidden.add(SECOND)
    two_services.connect(B, service=SECOND)
    two_services.work()
    two_services.world.forbidden.clear()
    two_services.world.advance(120)
    two_services.settle()
    two_services.work(10)
    assert two_services.state(B) is State.AVAILABLE


def test_what_breaks_one_service_fails_only_its_own_messages(two_services: Application) -> None:
    two_services.world.broken[SECOND] = RuntimeError("nobody thought of it")
    two_services.connect(A)
    two_services.connect(B, service=SECOND)
    report = two_services.work()
    assert list(report.failed) == [Bell(frozenset({B}), origin="Connect")]
    assert (two_services.known(A).status, two_services.known(B).settled) == (Status.ACCEPTED, False)


def test_a_message_about_everything_fails_if_one_service_does(two_services: Application) -> None:
    two_services.world.broken[SECOND] = RuntimeError("nobody thought of it")
    two_services.world.connect(A, SERVICE)
    two_services.world.connect(B, SECOND)
    report = two_services.approver.answer([Bell()])
    assert list(report.failed) == [Bell()]
    assert two_services.known(A).status is Status.ACCEPTED


def test_an_act_that_does_not_reach_ec2_is_done_later_and_once(open_app: Application) -> None:
    open_app.world.broken[SERVICE] = Unavailable("no route")
    open_app.connect(A)
    assert open_app.work(10).failed == {}
    open_app.world.broken.clear()
    open_app.work(120)
    assert_acted_once(open_app)


def test_while_ec2_answers_nothing_every_question_is_kept(open_app: Application) -> None:
    open_app.world.silence = Throttled("RequestLimitExceeded")
    open_app.connect(A)
    open_app.send(B)
    assert open_app.work(20).failed == {}
    open_app.world.silence = None
    open_app.work(60)
    assert open_app.state(A) is State.AVAILABLE


def test_a_question_that_ec2_never_answers_fails_its_message_in_the_end(open_app: Application) -> None:
    open_app.world.silence = Unavailable("no route")
    open_app.connect(A)
    report = open_app.work(1000)
    assert [bell.attempt for bell in report.failed] == [9]
    assert open_app.bells.queue == []


def test_a_missing_permission_to_look_fails_the_whole_batch(open_app: Application) -> None:
    open_app.world.silence = denied()
    open_app.connect(A)
    with pytest.raises(ClientError):
        open_app.work()


def test_an_event_that_the_bus_did_not_take_is_told_later(open_app: Application) -> None:
    open_app.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    open_app.connect(A)
    assert open_app.work().failed == {}
    open_app.work(200)
    open_app.settle()
    assert (open_app.known(A).status, open_app.bus.kinds(A)) == (Status.ACCEPTED, [ACCEPTED])
    assert open_app.world.asked == [(Outcome.ACCEPT, A)]


def test_a_question_that_cannot_be_postponed_is_not_lost(open_app: Application) -> None:
    open_app.bells.send([Bell(frozenset({A}))])
    open_app.bells.refusal = Unavailable("SQS refused 1 of 1 bells")
    with pytest.raises(Unavailable):
        open_app.work()


# ------------------------------------------------------------------ where to look


def test_an_unmanaged_service_is_left_alone_and_named(open_app: Application) -> None:
    open_app.world.offer(SECOND, managed=False)
    open_app.allow_list.put("*", CONSUMER, effect="allow")
    open_app.connect(A, service=SECOND)
    report = open_app.work()
    assert report.unmanaged == {SECOND}
    assert (open_app.state(A), open_app.ledger.currents) == (State.PENDING_ACCEPTANCE, {})


def test_a_service_of_which_ec2_shows_us_nothing_is_not_ours_to_name(open_app: Application) -> None:
    report = open_app.approver.answer([Bell(services=frozenset({SECOND, SERVICE}))])
    assert report.unmanaged == set()


def test_a_notification_without_an_id_looks_at_every_managed_service(two_services: Application) -> None:
    two_services.world.offer(service_id(3), managed=False)
    for number, service in enumerate((SERVICE, SECOND, service_id(3))):
        two_services.world.connect(endpoint_id(number), service)
    report = two_services.approver.answer([bell.parse(gallery.text("pipe-garbage"))])
    assert report.unreadable == 1
    states = [two_services.state(endpoint_id(number)) for number in range(3)]
    assert states == [State.PENDING, State.PENDING, State.PENDING_ACCEPTANCE]


def test_a_repeated_question_about_everything_is_not_counted_as_unreadable_again(open_app: Application) -> None:
    open_app.world.silence = Throttled("RequestLimitExceeded")
    reports = [open_app.approver.answer([bell.parse("no id at all")])]
    open_app.world.silence = None
    open_app.world.advance(5)
    reports.append(open_app.approver.answer(open_app.bells.take()))
    assert [report.unreadable for report in reports] == [1, 0]


def test_a_refused_call_that_names_no_endpoint_is_not_an_unreadable_notification(open_app: Application) -> None:
    requeued = bell.parse(gallery.text("cloudtrail-create-refused"))
    assert open_app.approver.answer([requeued]).unreadable == 0


def test_a_bell_that_names_a_service_alone_looks_at_all_of_it_and_at_nothing_else(two_services: Application) -> None:
    two_services.world.connect(A, SERVICE)
    two_services.world.connect(B, SECOND)
    two_services.approver.answer([Bell(services=frozenset({SERVICE}))])
    assert (two_services.state(A), two_services.state(B)) == (State.PENDING, State.PENDING_ACCEPTANCE)


def test_a_bell_that_names_endpoints_looks_at_them_alone(open_app: Application) -> None:
    open_app.world.connect(A, SERVICE)
    open_app.world.connect(B, SERVICE)
    open_app.approver.answer([Bell(frozenset({A}), frozenset({SERVICE}))])
    assert (open_app.state(A), open_app.state(B)) == (State.PENDING, State.PENDING_ACCEPTANCE)


def test_no_bell_looks_at_nothing(app: Application) -> None:
    app.world.connect(A, SERVICE)
    report = app.approver.answer([])
    assert (report.lines, app.ledger.currents) == ([], {})


def test_a_forged_bell_does_no_harm(open_app: Application) -> None:
    open_app.connect(A, OTHER)
    forged: Any = {"endpoints": [A, B], "services": [SERVICE, SECOND], "cause": "allow everybody", "effect": "allow"}
    open_app.approver.answer([bell.parse(json.dumps({"detail-type": "Bell", "detail": forged}))])
    assert open_app.state(A) is State.PENDING_ACCEPTANCE
