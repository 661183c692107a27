"""Metrics in log lines: the CloudWatch embedded metric format (EMF), read as its specification says.

Source: CloudWatch User Guide, "Specification: Embedded metric format", with its JSON schema. What breaks the schema
yields nothing; it is never an error, since any log line may look like it.
Unconfirmed: that AWS drops only the broken directive, dimension set, metric or value, and keeps the rest; that a
missing Timestamp means the time of arrival (the schema asks for one, an example in the guide goes without).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_METRICS = 100
MAX_VALUES = 100
MAX_DIMENSIONS = 30
MAX_NAME = 1024
LARGEST = 2.0**360
"""No value may be further from zero (API reference, MetricDatum)."""
OLDEST, NEWEST = -14 * 86400.0, 2 * 3600.0
"""How far from now a datapoint may lie, in seconds (API reference, MetricDatum, Timestamp)."""
_SIZES = (
    "Bits",
    "Bytes",
    *(f"{size}{unit}" for size in ("Kilo", "Mega", "Giga", "Tera") for unit in ("bits", "bytes")),
)
_PLAIN = ("None", "Percent", "Count", "Count/Second", "Seconds", "Milliseconds", "Microseconds")
UNITS = frozenset((*_PLAIN, *_SIZES, *(f"{size}/Second" for size in _SIZES)))


@dataclass(frozen=True)
class Measurement:
    """The values that one log line gives to one metric; `time` in epoch seconds."""

    namespace: str
    name: str
    dimensions: dict[str, str]
    unit: str
    time: float
    values: tuple[float, ...]


def extract(message: object, now: float) -> list[Measurement]:
    """The measurements of one log event's message; none if it is not EMF. `now` in epoch seconds. Never raises."""
    document = _document(message)
    metadata = document.get("_aws")
    if not isinstance(metadata, dict):
        return []
    time = _time(metadata, now)
    if time is None:
        return []
    directives = _list(metadata.get("CloudWatchMetrics"))
    return [found for directive in directives for found in _directive(directive, document, time)]


def _document(message: object) -> dict[str, Any]:
    if not isinstance(message, str) or "CloudWatchMetrics" not in message:
        return {}
    try:
        document = json.loads(message, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _refuse(constant: str) -> None:
    """Python reads NaN and Infinity, JSON knows neither: such a line is not JSON."""
    raise ValueError(constant)


def _time(metadata: dict[str, Any], now: float) -> float | None:
    stamp = _number(metadata.get("Timestamp", now * 1000))
    if stamp is None or not OLDEST <= stamp / 1000 - now <= NEWEST:
        return None
    return stamp / 1000


def _directive(directive: object, document: dict[str, Any], time: float) -> Iterator[Measurement]:
    if not isinstance(directive, dict) or not _is_name(directive.get("Namespace")):
        return
    metrics = _list(directive.get("Metrics"))
    if len(metrics) > MAX_METRICS:
        return
    for keys in _list(directive.get("Dimensions")):
        dimensions = _dimensions(keys, document)
        if dimensions is None:
            continue
        for metric in metrics:
            name, unit, values = _metric(metric, document)
            if values:
                yield Measurement(directive["Namespace"], name, dimensions, unit, time, values)


def _dimensions(keys: object, document: dict[str, Any]) -> dict[str, str] | None:
    """The values of one dimension set, or None if one of them is missing or no text; `[]` means no dimensions."""
    if not isinstance(keys, list) or len(keys) > MAX_DIMENSIONS or not all(isinstance(key, str) for key in keys):
        return None
    values = {key: document.get(key) for key in keys}
    return {key: str(value) for key, value in values.items()} if all(map(_is_name, values.values())) else None


def _metric(metric: object, document: dict[str, Any]) -> tuple[str, str, tuple[float, ...]]:
    """Name, unit and values of one metric definition; no values if it is not one, or names nothing."""
    if not isinstance(metric, dict) or not _is_name(metric.get("Name")):
        return "", "", ()
    unit = metric.get("Unit", "None")
    target = document.get(metric["Name"])
    values = target if isinstance(target, list) else [target]
    if not isinstance(unit, str) or unit not in UNITS or len(values) > MAX_VALUES:
        return "", "", ()
    numbers = map(_number, values)
    return metric["Name"], unit, tuple(number for number in numbers if number is not None)


def _number(value: object) -> float | None:
    """A number that CloudWatch takes, else None. JSON's true is no number, though Python's is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) <= LARGEST else None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
