"""Evaluates every metric alarm of every account and Region on a timer.

ministack's own evaluation is switched off: it ignores dimensions, M out of N and missing data, and runs only when
data arrives. Alarms from PutMetricAlarm and from CloudFormation lie in the same store, so both are evaluated here;
composite alarms stay ministack's, which evaluates them after each change. A state set by SetAlarmState holds until
the next evaluation, which comes every ten (shortened) seconds where AWS's comes every minute.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import request_scope  # type: ignore[import-untyped]
from ministack.services import cloudwatch, eventbridge  # type: ignore[import-untyped]

from lab.cloudwatch import transitions
from lab.cloudwatch.alarms import Alarm, UnsupportedAlarm
from lab.cloudwatch.evaluation import evaluate
from lab.cloudwatch.series import Datapoint

_log = logging.getLogger(__name__)

TICK_SECONDS = 10.0
MINUTE = 60.0
Sample = Callable[[float], None]

# Every private name of ministack that is read here; install() replaces two more.
_alarms = cloudwatch._alarms
_metrics = cloudwatch._metrics
_dimensions_key = cloudwatch._dims_key
_point_stats = cloudwatch._point_stats


def install(speed: float, sample: Sample) -> None:
    """Replace ministack's evaluation, and start the timer when ministack starts its own.

    `sample(minute)` is called once per shortened minute, with the start (epoch seconds) of the one just over, before
    alarms are evaluated.
    """
    cloudwatch._evaluate_alarm = lambda _alarm: None
    transitions.install()
    start_scheduler = eventbridge.start_scheduler
    timer = AlarmTimer(speed, sample)

    def start() -> None:
        start_scheduler()
        timer.start()

    eventbridge.start_scheduler = start


class AlarmTimer:
    """The timer: samples what is sampled once a minute, then evaluates the alarms; `speed` times faster than AWS."""

    def __init__(self, speed: float, sample: Sample) -> None:
        self._speed = speed
        self._sample = sample
        self._minute = 0
        self._refused: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Tick in a daemon thread until the process ends."""
        threading.Thread(target=self._run, name="lab-alarms", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self.tick(time.time())
            except Exception:
                _log.exception("alarms were not evaluated")
            time.sleep(TICK_SECONDS / self._speed)

    def tick(self, now: float) -> None:
        """One round at `now` (epoch seconds) over all accounts and Regions."""
        length = MINUTE / self._speed
        if int(now / length) != self._minute:
            self._minute = int(now / length)
            self._sample((self._minute - 1) * length)
        for (account, region, _), record in _alarms.all_items():
            with request_scope(account, region):
                self._look(record, now)

    def _look(self, record: dict[str, Any], now: float) -> None:
        try:
            alarm = Alarm.parse(record)
            points = _points(alarm, now - alarm.reach / self._speed)
            evaluation = evaluate(alarm, points, now, self._speed)
            if evaluation and evaluation.state != record["StateValue"]:
                transitions.change(record, evaluation, now)
        except UnsupportedAlarm as reason:
            refusal = (record["AlarmArn"], str(reason))
            if refusal not in self._refused:
                self._refused.add(refusal)
                _log.warning("alarm %s is never evaluated: %s", *refusal)
        except Exception:
            _log.exception("alarm %s was not evaluated", record.get("AlarmArn"))


def _points(alarm: Alarm, since: float) -> Iterator[Datapoint]:
    key = (alarm.namespace, alarm.metric, _dimensions_key(alarm.dimensions))
    for point in list(_metrics.get(key) or ()):
        if point["Timestamp"] >= since:
            count, total, low, high = _point_stats(point)
            yield Datapoint(point["Timestamp"], point["Dimensions"], point["Unit"], count, total, low, high)
