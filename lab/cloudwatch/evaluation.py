"""An alarm's state with its StateReason and StateReasonData, in CloudWatch's words.

The wording follows published samples (User Guide, "Alarm events and EventBridge"); where real and missing datapoints
are mixed it is unconfirmed. Times are those of the datapoints; the period is the alarm's own, before any speed-up.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lab.cloudwatch.alarms import ALARM, INSUFFICIENT_DATA, Alarm, decide, evaluated, retrieve
from lab.cloudwatch.series import Datapoint, Period

WORDS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanOrEqualToThreshold": "less than or equal to",
    "LessThanThreshold": "less than",
}
TREATED_AS = {"breaching": "Breaching", "notBreaching": "NonBreaching"}


@dataclass(frozen=True)
class Evaluation:
    """A state with StateReason and StateReasonData (before it is made JSON)."""

    state: str
    reason: str
    data: dict[str, Any]


def evaluate(alarm: Alarm, points: Iterable[Datapoint], now: float, speed: float = 1.0) -> Evaluation | None:
    """The alarm's state at `now` (epoch seconds), or None if it keeps the one it has (`ignore`).

    `points` are of the alarm's metric, in any order. With `speed` 12 a period of 60 s is one of 5 s.
    """
    looked_at = retrieve(alarm, points, now, speed)
    state = decide(alarm, looked_at)
    if state is None:
        return None
    counted = evaluated(alarm, looked_at)
    return Evaluation(state, _reason(alarm, state, counted), _data(alarm, counted, now))


def compact(value: object) -> str:
    """JSON without blanks, as CloudWatch writes it."""
    return json.dumps(value, separators=(",", ":"))


def stamp(time: float) -> str:
    """2019-10-01T13:56:40.985+0000"""
    moment = datetime.fromtimestamp(time, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def _reason(alarm: Alarm, state: str, counted: Sequence[Period]) -> str:
    missing = sum(period.value is None for period in counted)
    if state == INSUFFICIENT_DATA:
        return f"Insufficient Data: {_some(missing, 'datapoint')} {_were(missing)} unknown."
    crossed = state == ALARM
    decisive = [period for period in counted if period.value is not None and alarm.breaches(period) is crossed]
    treated = _treated(alarm, missing)
    if missing == len(counted):
        return f"Threshold Crossed: no datapoints were received for {_some(missing, 'period')} and {treated}."
    parts = [_compared(alarm, decisive, crossed)] if decisive else []
    parts += [treated] if treated else []
    needed = alarm.datapoints_to_alarm if crossed else alarm.evaluation_periods - alarm.datapoints_to_alarm + 1
    transition = "OK -> ALARM" if crossed else "ALARM -> OK"
    return (
        f"Threshold Crossed: {' and '.join(parts)} (minimum {_some(needed, 'datapoint')} for {transition} transition)."
    )


def _compared(alarm: Alarm, decisive: Sequence[Period], crossed: bool) -> str:
    points = ", ".join(
        f"{period.value} ({datetime.fromtimestamp(period.start, UTC):%d/%m/%y %H:%M:%S})" for period in decisive
    )
    comparison = f"{'' if crossed else 'not '}{WORDS[alarm.comparison]} the threshold ({alarm.threshold})"
    share = f"{len(decisive)} out of the last {alarm.evaluation_periods} datapoints"
    return f"{share} [{points}] {_were(len(decisive))} {comparison}"


def _treated(alarm: Alarm, missing: int) -> str:
    if not missing or alarm.missing not in TREATED_AS:
        return ""
    points = "missing datapoint" if missing == 1 else "missing datapoints"
    return f"{missing} {points} {_were(missing)} treated as [{TREATED_AS[alarm.missing]}]"


def _data(alarm: Alarm, counted: Sequence[Period], now: float) -> dict[str, Any]:
    """recentDatapoints are oldest first and real, evaluatedDatapoints newest first with the missing ones."""
    real = [period for period in counted if period.value is not None]
    return {
        "version": "1.0",
        "queryDate": stamp(now),
        **({"startDate": stamp(real[-1].start)} if real else {}),
        **({"unit": alarm.unit} if alarm.unit else {}),
        "statistic": alarm.statistic,
        "period": alarm.period,
        "recentDatapoints": [period.value for period in reversed(real)],
        "threshold": alarm.threshold,
        "evaluatedDatapoints": [_point(period) for period in counted],
    }


def _point(period: Period) -> dict[str, Any]:
    start = {"timestamp": stamp(period.start)}
    return start if period.value is None else {**start, "sampleCount": period.count, "value": period.value}


def _some(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
