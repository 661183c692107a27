"""Which state a CloudWatch metric alarm is in: a pure function of the alarm, its datapoints and the time.

Source: CloudWatch User Guide, "Alarm evaluation", "Configuring how CloudWatch alarms treat missing data" (its tables
are this module's tests) and "Alarm evaluation window".
- Windows slide by the minute (by ten seconds for periods below a minute) and are complete: the guide's sample events
  have at 17:04:40 the period of five minutes from 16:59, and at 11:26:05 the minute of 11:25. The running minute is
  not looked at.
- Two periods more than EvaluationPeriods are retrieved ("5" for 3 in the guide); for other numbers: unconfirmed.
- Fewer breaching datapoints than DatapointsToAlarm, nothing else and too young for an early ALARM: INSUFFICIENT_DATA
  when missing data is `missing`, as the tables of the guide's 2019 edition have it; later ones leave it open.
"""

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.cloudwatch.series import Datapoint, Period, is_statistic, periods

ALARM, OK, INSUFFICIENT_DATA = "ALARM", "OK", "INSUFFICIENT_DATA"
EXTRA_PERIODS = 2
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}
TREATMENTS = frozenset(("missing", "notBreaching", "breaching", "ignore"))


class UnsupportedAlarm(Exception):
    """The lab cannot evaluate this alarm; the message says why."""


@dataclass(frozen=True)
class Alarm:
    """One metric alarm. `period` in seconds as on AWS, before any speed-up; `unit` None matches every unit."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str
    period: int
    evaluation_periods: int
    datapoints_to_alarm: int
    threshold: float
    comparison: str
    missing: str = "missing"
    unit: str | None = None

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> "Alarm":
        """An alarm from the members of PutMetricAlarm; raises UnsupportedAlarm for metric math, anomaly detection and
        statistics other than the basic ones and percentiles."""
        if not record.get("Namespace") or not record.get("MetricName"):
            raise UnsupportedAlarm("it watches no single metric; metric math is not evaluated here")
        alarm = cls(
            namespace=record["Namespace"],
            metric=record["MetricName"],
            dimensions={item["Name"]: item["Value"] for item in record.get("Dimensions") or []},
            statistic=record.get("ExtendedStatistic") or record["Statistic"],
            period=int(record["Period"]),
            evaluation_periods=int(record["EvaluationPeriods"]),
            datapoints_to_alarm=int(record.get("DatapointsToAlarm") or record["EvaluationPeriods"]),
            threshold=float(record["Threshold"]),
            comparison=record["ComparisonOperator"],
            missing=record.get("TreatMissingData") or "missing",
            unit=record.get("Unit") or None,
        )
        alarm._check()
        return alarm

    def _check(self) -> None:
        if self.comparison not in COMPARISONS:
            raise UnsupportedAlarm(f"comparison {self.comparison} is not evaluated here")
        if not is_statistic(self.statistic):
            raise UnsupportedAlarm(f"statistic {self.statistic} is not evaluated here")
        if self.missing not in TREATMENTS:
            raise UnsupportedAlarm(f"TreatMissingData {self.missing} is none of {', '.join(sorted(TREATMENTS))}")
        if min(self.period, self.evaluation_periods, self.datapoints_to_alarm) < 1:
            raise UnsupportedAlarm("period, evaluation periods and datapoints to alarm must be positive")

    @property
    def reach(self) -> int:
        """No datapoint further back than this, in seconds before any speed-up, is ever looked at."""
        return self.period * (self.evaluation_periods + EXTRA_PERIODS + 1)

    def watches(self, point: Datapoint) -> bool:
        """Whether the point has exactly the alarm's dimensions and, if the alarm names one, its unit."""
        return dict(point.dimensions) == dict(self.dimensions) and self.unit in (None, point.unit)

    def breaches(self, period: Period) -> bool:
        return period.value is not None and COMPARISONS[self.comparison](period.value, self.threshold)


def retrieve(alarm: Alarm, points: Iterable[Datapoint], now: float, speed: float) -> list[Period]:
    """The evaluation range at `now` (epoch seconds), newest first; with `speed` 12 a period of 60 s is one of 5 s."""
    slide = (60 if alarm.period >= 60 else 10) / speed
    end = math.floor(round(now / slide, 6)) * slide
    watched = (point for point in points if alarm.watches(point))
    return periods(watched, alarm.statistic, alarm.period / speed, end, alarm.evaluation_periods + EXTRA_PERIODS)


def decide(alarm: Alarm, looked_at: Sequence[Period]) -> str | None:
    """The state that these periods (newest first) give, or None to keep the present one."""
    real = [period for period in looked_at if period.value is not None][: alarm.evaluation_periods]
    breaching = sum(map(alarm.breaches, real))
    lacking = alarm.evaluation_periods - len(real)
    if breaching + (lacking if alarm.missing == "breaching" else 0) >= alarm.datapoints_to_alarm:
        return ALARM
    if alarm.missing in ("breaching", "notBreaching") or breaching < len(real):
        return OK
    if alarm.missing == "ignore":
        return None
    oldest = max((age for age, period in enumerate(looked_at, 1) if alarm.breaches(period)), default=0)
    return ALARM if oldest >= alarm.datapoints_to_alarm else INSUFFICIENT_DATA


def evaluated(alarm: Alarm, looked_at: Sequence[Period]) -> list[Period]:
    """The EvaluationPeriods periods that counted: real ones first, missing ones only where those do not suffice."""
    real_first = sorted(looked_at, key=lambda period: period.value is None)
    return sorted(real_first[: alarm.evaluation_periods], key=lambda period: -period.start)
