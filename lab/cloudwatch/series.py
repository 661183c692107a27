"""Datapoints, and what a statistic makes of them period by period."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

STATISTICS = frozenset(("SampleCount", "Sum", "Average", "Minimum", "Maximum"))


@dataclass(frozen=True)
class Datapoint:
    """`count` values between `low` and `high` that add up to `total`, stored at `time` (epoch seconds)."""

    time: float
    dimensions: Mapping[str, str]
    unit: str
    count: float
    total: float
    low: float
    high: float

    @classmethod
    def of(cls, time: float, value: float, dimensions: Mapping[str, str], unit: str, count: float = 1) -> "Datapoint":
        """One value, seen `count` times."""
        return cls(time, dimensions, unit, count, value * count, value, value)


@dataclass(frozen=True)
class Period:
    """One period of a series: where it starts (epoch seconds), how many values it had, and their statistic, None if
    there is none."""

    start: float
    count: float
    value: float | None


def percentile_of(statistic: str) -> float | None:
    """95.0 for "p95", None for what is no percentile."""
    digits = statistic[1:]
    if not statistic.startswith("p") or not digits.replace(".", "", 1).isdigit():
        return None
    return float(digits) if float(digits) <= 100 else None


def is_statistic(name: str) -> bool:
    """Whether `name` is a basic statistic or a percentile; trimmed means and the like are not known here."""
    return name in STATISTICS or percentile_of(name) is not None


def periods(points: Iterable[Datapoint], statistic: str, length: float, end: float, number: int) -> list[Period]:
    """The last `number` periods of `length` seconds before `end`, newest first; each holds its start, not its end."""
    found: list[list[Datapoint]] = [[] for _ in range(number)]
    for point in points:
        # Rounded, so that a point stamped with the start of a period belongs to it at every speed.
        index = math.ceil(round((end - point.time) / length, 6)) - 1
        if 0 <= index < number:
            found[index].append(point)
    return [
        Period(end - (index + 1) * length, sum(point.count for point in inside), value_of(statistic, inside))
        for index, inside in enumerate(found)
    ]


def value_of(statistic: str, points: Sequence[Datapoint]) -> float | None:
    """The statistic over the values of `points`; None if there are none, or no percentile is known."""
    points = [point for point in points if point.count > 0]
    if not points:
        return None
    percentile = percentile_of(statistic)
    if percentile is not None:
        return _percentile(points, percentile)
    count = sum(point.count for point in points)
    total = sum(point.total for point in points)
    return {
        "SampleCount": count,
        "Sum": total,
        "Average": total / count,
        "Minimum": min(point.low for point in points),
        "Maximum": max(point.high for point in points),
    }[statistic]


def _percentile(points: Sequence[Datapoint], percentile: float) -> float | None:
    """Linear between the two nearest ranks, as ministack's graphs are; AWS does not say how it interpolates.

    None where CloudWatch has none: with a negative value, or a statistic set of differing values.
    """
    if any(point.low < 0 or point.low != point.high for point in points):
        return None
    ordered = sorted(points, key=lambda point: point.low)
    rank = percentile / 100 * max(sum(point.count for point in ordered) - 1, 0)
    lower, upper = _at(ordered, math.floor(rank)), _at(ordered, math.ceil(rank))
    return lower + (rank - math.floor(rank)) * (upper - lower)


def _at(ordered: Sequence[Datapoint], rank: int) -> float:
    seen = 0.0
    for point in ordered:
        seen += point.count
        if rank < seen:
            return point.low
    return ordered[-1].low
