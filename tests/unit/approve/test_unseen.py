"""Connections that EC2 does not show, that are gone, or that somebody accepted or rejected out of band."""

from datetime import timedelta

import pytest
from linkgate.approve.report import Report
from linkgate.events.bell import Bell
from linkgate.model import Outcome, State, Status

from tests.application import SERVICE, Application
from tests.unit.approve.answers import ACCEPTED, CLOSED, HELD, REJECTED, A, B, assert_acted_once
from tests.world import service_id


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


CREATED, DELETED = "CloudTrail CreateVpcEndpoint ada", "CloudTrail DeleteVpcEndpoints ada"


@pytest.mark.parametrize(
    "bell",
    [
        Bell(frozenset({A}), origin=CREATED),
        Bell(origin=CREATED),
        Bell(frozenset({A}), frozenset({service_id(9)}), "Endpoint Connection Notification"),
        Bell(services=frozenset({service_id(9)})),
        Bell(frozenset({A, B}), origin=DELETED),
    ],
)
def test_an_endpoint_of_a_service_that_is_none_of_ours_costs_no_look_and_no_repeat(
    open_app: Application, bell: Bell
) -> None:
    report = open_app.approver.answer([bell])
    assert (open_app.world.described, open_app.bells.queue) == (0, [])
    assert (report.given_up, report.failed, open_app.ledger.currents) == (set(), {}, {})


def test_beside_a_foreign_bell_the_others_are_answered(open_app: Application) -> None:
    open_app.world.connect(B, SERVICE)
    foreign = Bell(frozenset({A}), frozenset({service_id(9)}))
    open_app.approver.answer([Bell(frozenset({A}), origin=CREATED), foreign, Bell(frozenset({B}))])
    assert set(open_app.ledger.currents) == {B}
    assert open_app.bells.queue == []


def test_a_deletion_of_an_endpoint_that_the_ledger_knows_closes_it(open_app: Application) -> None:
    open_app.connect(A)
    open_app.work(10)
    del open_app.world.links[A]
    open_app.send(A, B, origin=DELETED)
    open_app.work(60)
    assert open_app.known(A).status is Status.CLOSED


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
    assert [(kind, detail["reason"]) for kind, detail in open_app.bus.published] == [(REJECTED, "final")]


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
