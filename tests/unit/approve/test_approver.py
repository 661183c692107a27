"""Look, decide, record, act, record: whatever bell comes, however often, in whatever order."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from linkgate.errors import Throttled
from linkgate.events import bell
from linkgate.events.bell import Bell
from linkgate.model import Outcome, State, Status

from tests import gallery
from tests.application import SERVICE, Application
from tests.unit.approve.answers import ACCEPTED, HELD, REJECTED, SECOND, A, B, answers, assert_acted_once, requeued
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

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
    assert open_app.bus.published[0][1]["people"] == {"ticket": "NET-17"}


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
    ((kind, detail),) = app.bus.published
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
def accepted_late(open_app: Application) -> Application:
    """A deployment that accepted A a moment ago, while EC2 still shows it as waiting."""
    open_app.world.connect(A, SERVICE)
    open_app.world.advance(60)
    open_app.world.lag = timedelta(seconds=50)
    open_app.send(A, origin="Connect")
    open_app.work()
    return open_app


def test_a_deny_right_after_an_acceptance_does_not_reject_what_an_older_look_shows(accepted_late: Application) -> None:
    assert requeued(accepted_late.edit(SERVICE, CONSUMER, effect="deny")) == 1
    accepted_late.work(1000)
    assert_acted_once(accepted_late)
    assert (accepted_late.state(A), accepted_late.known(A).status) == (State.AVAILABLE, Status.ACCEPTED)


def test_a_row_deleted_right_after_an_acceptance_does_not_reject_what_an_older_look_shows(
    accepted_late: Application,
) -> None:
    accepted_late.allow_list.put(SERVICE, "@settings", mode="enforce", default="reject")
    accepted_late.allow_list.delete(SERVICE, CONSUMER)
    accepted_late.settle()
    accepted_late.work(1000)
    assert_acted_once(accepted_late)
    assert accepted_late.bells.queue == []


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


# ------------------------------------------------------------------ where to look


def test_an_unmanaged_service_is_left_alone_and_named(open_app: Application) -> None:
    open_app.world.offer(SECOND, managed=False)
    open_app.allow_list.put("*", CONSUMER, effect="allow")
    open_app.world.connect(A, SECOND)
    report = open_app.approver.answer([Bell(frozenset({A}), frozenset({SECOND}), "Connect")])
    assert report.unmanaged == {SECOND}
    assert (open_app.bells.waiting(), open_app.world.described) == ([], 0)
    assert (open_app.state(A), open_app.ledger.currents) == (State.PENDING_ACCEPTANCE, {})


def test_a_service_of_others_that_cloudtrail_tells_of_is_not_ours_to_name(open_app: Application) -> None:
    create = "CloudTrail CreateVpcEndpoint"
    report = open_app.approver.answer([Bell(services=frozenset({SECOND, SERVICE}), origin=create)])
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
