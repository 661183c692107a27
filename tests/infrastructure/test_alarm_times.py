"""From fault to ALARM within three periods, and back to OK after the repair: every alarm, over what is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from linkgate.model import State

from tests import gallery
from tests.application import SERVICE
from tests.infrastructure.stack import Stack
from tests.infrastructure.stage import MINUTE, Stage
from tests.world import CONSUMER, OTHER, START, endpoint_id

A, LATE, OUT = endpoint_id(1), endpoint_id(2), endpoint_id(3)
PERIODS, QUIET_MINUTES = 3, 15
AWS_UNITS = {
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): "Seconds",
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): "Count",
    ("AWS/Lambda", "Errors"): "Count",
}
"""SQS and Lambda developer guides, "CloudWatch metrics"."""


@pytest.fixture
def stage(whole: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Stage:
    """A stack in which everything is well: one endpoint accepted and verified, one rejected that stays out."""
    capsys.readouterr()
    found = Stage(whole, monkeypatch, lambda: capsys.readouterr().out)
    found.app.allow_list.put(SERVICE, CONSUMER, effect="allow")
    found.app.allow_list.put(SERVICE, OUT, effect="deny")
    found.app.connect(A)
    found.app.connect(OUT)
    found.app.canary.causes[OUT] = "tcp_timeout"
    found.app.canary.extra["tls_days_left"] = 90.0
    for _ in range(12):
        found.pass_minute()
    return found


@dataclass(frozen=True)
class Fault:
    """What goes wrong and how it is mended; both happen right after the functions ran, the worst moment there is."""

    begin: Callable[[Stage], object]
    end: Callable[[Stage], object]


def stale(stage: Stage) -> None:
    stage.app.connect(LATE, OTHER)
    stage.app.world.links[LATE].history = [(START - timedelta(days=4), State.PENDING_ACCEPTANCE)]


def gate(acceptance: bool) -> Callable[[Stage], None]:
    def turn(stage: Stage) -> None:
        stage.app.world.services[SERVICE].acceptance_required = acceptance

    return turn


def garble(stage: Stage) -> None:
    bells, world = stage.app.bells, stage.app.world
    stage.each_minute.append(lambda: bells.queue.append((world.now, gallery.text("pipe-garbage"))))


def unreadable_table(stage: Stage) -> None:
    def refuse() -> Any:
        raise RuntimeError("the table cannot be read")

    vars(stage.app.allow_list)["whole_table"] = refuse


def unanswerable(stage: Stage) -> None:
    """Bells that cannot be answered come every minute."""
    stage.app.world.broken[SERVICE] = RuntimeError("nobody thought of it")
    stage.app.connect(LATE)
    stage.each_minute.append(lambda: stage.app.send(LATE))


def unstarted(stage: Stage) -> None:
    stage.faulty.add("ApproveFunction")
    stage.each_minute.append(lambda: stage.app.send(A))


def answerable(stage: Stage) -> None:
    stage.app.world.broken.clear()
    stage.each_minute.clear()


def refused(stage: Stage) -> None:
    stage.app.world.forbidden.add(SERVICE)
    stage.app.connect(LATE)


def trip(stage: Stage) -> None:
    """A live connection is no longer allowed, and no cut is let through."""
    stage.app.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", max_cuts=0, grace="0s")
    stage.app.allow_list.delete(SERVICE, CONSUMER)


def reject_by_hand(stage: Stage) -> None:
    stage.app.world.turn(A, State.REJECTED)
    stage.app.send(A)


def recreate(stage: Stage) -> None:
    stage.app.world.turn(A, State.DELETED)
    stage.app.send(A)


def fail(name: str) -> Fault:
    return Fault(lambda it: it.faulty.add(name), lambda it: it.faulty.clear())


def holds(queue: str) -> Fault:
    """A message comes that nobody takes."""
    title = f"${{{queue}.QueueName}}"
    return Fault(lambda it: it.messages.update({title: it.now}), lambda it: it.messages.clear())


def finds(endpoint: str, bad: str, good: str) -> Fault:
    """What the canary finds of an endpoint changes, and changes back."""
    return Fault(
        lambda it: it.app.canary.causes.update({endpoint: bad}),
        lambda it: it.app.canary.causes.update({endpoint: good}),
    )


def certificate(days: float) -> Callable[[Stage], None]:
    def turn(stage: Stage) -> None:
        stage.app.canary.extra["tls_days_left"] = days

    return turn


FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "UnhealthyAlarm": {"an endpoint does not answer": finds(A, "tcp_timeout", "")},
    "OpenAlarm": {"who must stay out gets in": finds(OUT, "", "tcp_timeout")},
    "CertificateAlarm": {"nobody renewed it": Fault(certificate(13.9), certificate(90))},
    "ProbeErrorsAlarm": {"the canary may not probe it": finds(A, "probe_error", "")},
    "SilentAlarm": {
        "patrol's schedule is off": Fault(lambda it: it.asleep.add("patrol"), lambda it: it.asleep.clear()),
        "patrol does not begin": fail("PatrolFunction"),
    },
    "FailuresAlarm": {
        "the sweep cannot read the table": Fault(
            unreadable_table, lambda it: vars(it.app.allow_list).pop("whole_table")
        ),
        "bells cannot be answered": Fault(unanswerable, answerable),
        "the canary fails": Fault(
            lambda it: setattr(it.app.canary, "error", RuntimeError("gone")),
            lambda it: setattr(it.app.canary, "error", None),
        ),
    },
    "RefusalsAlarm": {"EC2 refuses": Fault(refused, lambda it: it.app.world.forbidden.clear())},
    "UnreadableAlarm": {"notifications have another form": Fault(garble, lambda it: it.each_minute.clear())},
    "StaleAlarm": {
        "a request waits for days": Fault(stale, lambda it: it.app.edit(SERVICE, OTHER, effect="allow")),
    },
    "InvalidRowsAlarm": {
        "a row that only a sweep sees": Fault(
            lambda it: it.app.allow_list.put(SERVICE, OTHER, effect="permit"),
            lambda it: it.app.allow_list.delete(SERVICE, OTHER),
        )
    },
    "BreakerAlarm": {
        "a row is deleted": Fault(trip, lambda it: it.app.allow_list.put(SERVICE, CONSUMER, effect="allow"))
    },
    "ContradictionsAlarm": {
        "acceptance is off": Fault(gate(acceptance=False), gate(acceptance=True)),
        "somebody rejects who is allowed": Fault(reject_by_hand, recreate),
        "nobody cuts who is not allowed": Fault(
            lambda it: it.app.edit(SERVICE, CONSUMER, effect="deny"),
            lambda it: it.app.edit(SERVICE, CONSUMER, effect="allow"),
        ),
    },
    "SweepSilentAlarm": {
        "the sweep's schedule is off": Fault(lambda it: it.asleep.add("sweep"), lambda it: it.asleep.clear()),
        "the sweep does not begin": fail("SweepFunction"),
    },
    "ApproveErrorsAlarm": {"it does not begin": Fault(unstarted, lambda it: it.faulty.clear())},
    "SweepErrorsAlarm": {"it does not begin": fail("SweepFunction")},
    "PatrolErrorsAlarm": {"it does not begin": fail("PatrolFunction")},
    "NotificationAgeAlarm": {"the pipe is stopped": holds("NotificationQueue")},
    "BellAgeAlarm": {"the event source is disabled": holds("BellQueue")},
    **{
        f"{name}Alarm": {"a message": holds(name)}
        for name in ("NotificationDeadLetters", "BellDeadLetters", "RoundDeadLetters")
    },
}
MINUTES = {
    **dict.fromkeys(("UnhealthyAlarm", "OpenAlarm", "ProbeErrorsAlarm"), 3),
    **dict.fromkeys(("CertificateAlarm", "UnreadableAlarm", "ApproveErrorsAlarm", "PatrolErrorsAlarm"), 1),
    **dict.fromkeys(("NotificationAgeAlarm", "BellAgeAlarm"), 10),
    **{name: 1 for name in FAULTS if name.endswith("DeadLettersAlarm")},
    "SilentAlarm": 6,
    "SweepSilentAlarm": 15,
}
"""Whole minutes after the fault in which an alarm goes off. Others do in the minute of the sweep's next look."""
CASES = [(alarm, name) for alarm, faults in FAULTS.items() for name in faults]


def test_every_alarm_has_a_fault(whole: Stack) -> None:
    assert set(FAULTS) == set(whole.of("AWS::CloudWatch::Alarm"))


@pytest.mark.parametrize("starts", [0, 1, 4])
def test_every_alarm_of_a_new_stack_goes_from_insufficient_data_to_ok_and_nowhere_else(
    whole: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], starts: int
) -> None:
    """`starts`: whole minutes from the first evaluation of alarms to the schedules' first runs."""
    stage = Stage(whole, monkeypatch, lambda: capsys.readouterr().out)
    stage.asleep |= {"patrol", "sweep"}
    seen = {name: ["INSUFFICIENT_DATA", stage.state(name)] for name in stage.alarms}
    for minute in range(20):
        if minute == starts:
            stage.asleep.clear()
        stage.pass_minute()
        for name, states in seen.items():
            states.append(stage.state(name))
    for name, states in seen.items():
        assert [states[0], *(new for old, new in pairwise(states) if new != old)] == ["INSUFFICIENT_DATA", "OK"], name


def test_no_alarm_goes_off_while_everything_is_well(stage: Stage) -> None:
    seen = set()
    for _ in range(30):
        stage.pass_minute()
        seen |= {(name, state) for name in stage.alarms if (state := stage.state(name)) != "OK"}
    assert seen == set()


@pytest.mark.parametrize(("alarm", "name"), CASES)
def test_an_alarm_goes_off_within_three_periods_and_goes_back_after_the_repair(
    stage: Stage, alarm: str, name: str
) -> None:
    fault, watched = FAULTS[alarm][name], stage.alarms[alarm]
    while not stage.due("sweep"):
        stage.pass_minute()
    stage.to_work()  # the sweep's minute: its next look is as far away as can be
    assert stage.state(alarm) == "OK"
    fault.begin(stage)
    stage.to_the_end()
    # Windows begin at whole minutes: the rest of the one in which it happened does not count.
    minutes = MINUTES.get(alarm, stage.rates["sweep"] // MINUTE)
    assert minutes * MINUTE <= PERIODS * watched.period
    rung = "ALARM" if watched.missing == "notBreaching" else "INSUFFICIENT_DATA"
    assert stage.until(alarm, rung, minutes), "it does not go off in time"
    assert stage.units(alarm) == {watched.unit or AWS_UNITS[watched.namespace, watched.metric]}
    stage.to_work()
    fault.end(stage)
    stage.to_the_end()
    assert stage.until(alarm, "OK", QUIET_MINUTES), "it stays red"


@pytest.mark.parametrize("queue", ["NotificationQueue", "BellQueue"])
def test_a_message_that_waits_for_minutes_wakes_nobody(stage: Stage, queue: str) -> None:
    alarm = queue.removesuffix("Queue") + "AgeAlarm"
    holds(queue).begin(stage)
    assert not stage.until(alarm, "ALARM", 9)


def test_two_bad_minutes_of_an_endpoint_wake_nobody(stage: Stage) -> None:
    fault = finds(A, "tcp_timeout", "")
    fault.begin(stage)
    assert not stage.until("UnhealthyAlarm", "ALARM", 2)
    fault.end(stage)
    assert not stage.until("UnhealthyAlarm", "ALARM", 10)
