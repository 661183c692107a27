"""Linkgate's handlers on a virtual clock: what they write, minute by minute, and the states that alarms take from it.

The handlers are the real ones over a simulation on fakes; schedules and timeouts are those of the template. Lines
become datapoints as the lab makes them, and so do the metrics of SQS and Lambda; alarms are evaluated as in the lab.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from linkgate.config import Settings
from ministack.services import cloudwatch, lambda_svc  # type: ignore[import-untyped]

from functions.approve import app as approve
from functions.patrol import app as patrol
from functions.sweep import app as sweep
from lab.cloudwatch import emf, metrics
from lab.cloudwatch.alarms import Alarm
from lab.cloudwatch.evaluation import evaluate
from lab.cloudwatch.series import Datapoint
from tests import gallery
from tests.application import Application
from tests.infrastructure.intrinsics import PSEUDO
from tests.infrastructure.stack import Stack, handler_of, schedules

MINUTE = 60
SECOND_OF_THE_MINUTE = 20
"""When in a minute functions run: not at its edge, where nobody could say to which period a datapoint belongs."""


@dataclass(frozen=True)
class Context:
    """What the handlers and Powertools read of Lambda's context; `timeout` in seconds."""

    timeout: int
    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:111111111111:function:function"
    aws_request_id: str = "a run"

    def get_remaining_time_in_millis(self) -> int:
        return self.timeout * 1000


@dataclass(frozen=True)
class Series:
    """One metric as CloudWatch tells metrics apart."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


class Stage:
    """The stack's functions, queues and alarms over `app`; `capture` returns what was written to stdout since."""

    def __init__(self, stack: Stack, patch: pytest.MonkeyPatch, capture: Callable[[], str]) -> None:
        self.app = Application()
        self.points: defaultdict[Series, list[Datapoint]] = defaultdict(list)
        self.alarms = {name: Alarm.parse(one) for name, one in stack.of("AWS::CloudWatch::Alarm").items()}
        self.asleep: set[str] = set()
        """Schedules, by the folder of their function, that are switched off."""
        self.faulty: set[str] = set()
        """Functions, by logical id, whose runs end in an error."""
        self.messages: dict[str, float] = {}
        """When the one message was sent to each queue that holds one (virtual epoch seconds), by the queue's name."""
        self.each_minute: list[Callable[[], None]] = []
        self._stack, self._capture = stack, capture
        self._names = {handler_of(one).parent.name: name for name, one in stack.functions().items()}
        self.rates = {handler_of(stack.properties(name)).parent.name: rate for name, rate in schedules(stack).items()}
        """How often each function is to run, in seconds, by its folder."""
        self._take_places(patch)

    def _take_places(self, patch: pytest.MonkeyPatch) -> None:
        """Put the simulation behind the handlers, and the stack's queues and metrics where the lab looks for them."""
        settings = Settings(stack=PSEUDO["AWS::StackName"])
        for module, name in ((approve, "approver"), (sweep, "sweeper"), (patrol, "patrol")):
            patch.setattr(module, "application", lambda name=name: (settings, getattr(self.app, name)))
        patch.setattr(metrics, "_queues", self)
        patch.setattr(metrics, "_store", self._stored)
        patch.setattr(cloudwatch, "record_metric", self._recorded)
        for seam in ("_emit_lambda_logs", "_emit_lambda_metrics"):
            patch.setattr(lambda_svc, seam, lambda *_, **__: None)
        metrics._count_invocations()

    @property
    def now(self) -> float:
        """The virtual time in epoch seconds."""
        return self.app.world.now.timestamp()

    def pass_minute(self) -> None:
        """Everything that happens in a minute, up to its end."""
        self.to_work()
        self.to_the_end()

    def to_work(self) -> None:
        """The part of a minute in which the functions run."""
        self.app.world.advance(SECOND_OF_THE_MINUTE)
        for act in self.each_minute:
            act()
        for folder, handler in (("approve", approve.handler), ("sweep", sweep.handler), ("patrol", patrol.handler)):
            for event in self._events(folder):
                self._run(folder, handler, event)

    def to_the_end(self) -> None:
        """The rest of the minute; queues are sampled."""
        self.app.world.advance(MINUTE - SECOND_OF_THE_MINUTE)
        metrics.sample_queues(self.now - MINUTE)

    def until(self, alarm: str, state: str, minutes: int) -> bool:
        """Whether an alarm gets into a state within so many minutes; time passes until it does."""
        for _ in range(minutes):
            self.pass_minute()
            if self.state(alarm) == state:
                return True
        return False

    def due(self, folder: str) -> bool:
        """Whether a function's schedule starts it in the minute that begins now."""
        return folder not in self.asleep and int(self.now) // MINUTE * MINUTE % self.rates[folder] == 0

    def state(self, alarm: str) -> str:
        """The state that an alarm, by its logical id, has now."""
        verdict = evaluate(self.alarms[alarm], self._watched(alarm), self.now)
        assert verdict, f"{alarm} keeps whatever state it has"
        return verdict.state

    def units(self, alarm: str) -> set[str]:
        """The units in which what an alarm reads was written."""
        return {point.unit for point in self._watched(alarm)}

    def _watched(self, alarm: str) -> Sequence[Datapoint]:
        watched = self.alarms[alarm]
        return self.points.get(Series(watched.namespace, watched.metric, frozenset(watched.dimensions.items())), [])

    def count(self, function: str, failed: bool = False) -> None:
        """A run of a function, by its logical id, as the lab counts runs."""
        lambda_svc._emit_lambda_logs({"FunctionName": f"${{{function}}}"}, "a run", "", failed, 100)

    def take(self, lines: str) -> None:
        """Make datapoints of now of what a function wrote."""
        for line in lines.splitlines():
            for it in emf.extract(line, time.time()):
                metrics._store(it.namespace, it.name, it.dimensions, self.now, it.unit, None, it.values, None, None)

    def _stored(
        self,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        when: float,
        unit: str,
        value: float | None,
        values: Sequence[float] | None,
        *_: object,
    ) -> None:
        series = Series(namespace, name, frozenset(dimensions.items()))
        for number in values or (value,):
            assert number is not None
            self.points[series].append(Datapoint.of(when, float(number), dimensions, unit))

    def _recorded(self, namespace: str, name: str, value: float, unit: str, dimensions: Mapping[str, str]) -> None:
        self._stored(namespace, name, dimensions, self.now, unit, value, None)

    def all_items(self) -> Iterator[tuple[tuple[str, str, str], dict[str, Any]]]:
        """The stack's queues, as the lab reads them."""
        for name in self._stack.of("AWS::SQS::Queue"):
            title = f"${{{name}.QueueName}}"
            # The lab takes ages by the real clock.
            ages = [self.now - sent for queue, sent in self.messages.items() if queue == title]
            messages = [{"visible_at": 0.0, "receive_count": 0, "sent_at": time.time() - age} for age in ages]
            yield ("111111111111", "eu-west-1", name), {"name": title, "messages": messages}

    def _events(self, folder: str) -> Iterator[Mapping[str, Any]]:
        """What a function is invoked with in this minute: its schedule's event, and the messages that are due."""
        queue = {"approve": self.app.bells, "sweep": self.app.looks, "patrol": self.app.visits}[folder]
        if folder in self.rates and self.due(folder):
            yield gallery.sample("schedule")
        if bodies := [body for due, body in queue.queue if due <= self.app.world.now]:
            queue.take()
            yield gallery.records(*bodies)

    def _run(self, folder: str, handler: Callable[[Any, Any], object], event: Mapping[str, Any]) -> None:
        failed = self._names[folder] in self.faulty
        if not failed:
            try:
                handler(event, Context(self._stack.properties(self._names[folder])["Timeout"]))
            except Exception:
                failed = True
        self.count(self._names[folder], failed)
        self.take(self._capture())
