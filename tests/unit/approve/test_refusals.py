"""What AWS refuses, throttles or cannot answer now is asked again, and harms nobody else."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from linkgate.aws.errors import Refusal
from linkgate.errors import Throttled, Unavailable
from linkgate.events.bell import Bell
from linkgate.model import Outcome, State, Status

from tests.application import SERVICE, Application
from tests.unit.approve.answers import ACCEPTED, SECOND, A, B, C, answers, assert_acted_once, denied, requeued
from tests.world import CONSUMER, endpoint_id


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
    again = [(frozenset({A}), "one", 2), (frozenset({B}), "other", 2), (frozenset({C}), "all", 2)]
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
