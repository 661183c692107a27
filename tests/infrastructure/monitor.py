"""The metrics and alarms of a stack on a virtual clock.

Lines become datapoints as the lab makes them, and so do the metrics of SQS and Lambda; alarms are evaluated as the lab
evaluates them.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from ministack.services import cloudwatch, lambda_svc  # type: ignore[import-untyped]

from lab.cloudwatch import emf, metrics
from lab.cloudwatch.alarms import Alarm
from lab.cloudwatch.evaluation import evaluate
from lab.cloudwatch.series import Datapoint
from tests.infrastructure.stack import Stack


@dataclass(frozen=True)
class Series:
    """One metric as CloudWatch tells metrics apart."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


class Monitor:
    """Takes the place of the lab's store of metrics. `now` in epoch seconds is the owner's to say."""

    def __init__(self, stack: Stack, patch: pytest.MonkeyPatch) -> None:
        self.points: defaultdict[Series, list[Datapoint]] = defaultdict(list)
        self.alarms = {name: Alarm.parse(one) for name, one in stack.of("AWS::CloudWatch::Alarm").items()}
        patch.setattr(metrics, "_store", self._stored)
        patch.setattr(cloudwatch, "record_metric", self._recorded)
        for seam in ("_emit_lambda_logs", "_emit_lambda_metrics"):
            patch.setattr(lambda_svc, seam, lambda *_, **__: None)
        metrics._count_invocations()

    @property
    def now(self) -> float:
        """The virtual time in epoch seconds."""
        raise NotImplementedError

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
