"""Reading one attribute of a row: a value of DynamoDB becomes one of ours, or Unreadable says what was expected.

Bare numbers given as strings and surrounding blanks are accepted, since the console produces them. Standard library
only.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping, Set
from datetime import UTC, datetime, timedelta
from decimal import Decimal

EARLIEST, LATEST = datetime(2015, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
LONGEST_TEXT = 2000


class Unreadable(ValueError):
    """One attribute cannot be read; the message says what was expected."""


def plain(value: object) -> object:
    """A DynamoDB value as JSON has it, the same text for the same value whatever the order of its sets."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, Set):
        return sorted((plain(inner) for inner in value), key=repr)
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raw = getattr(value, "value", value)
    # Not as text: what cannot be read must not become readable by being stored.
    return {"base64": base64.b64encode(bytes(raw)).decode()} if isinstance(raw, bytes | bytearray) else repr(value)


def written(value: object) -> str:
    """A value as text, whatever its type; boto3's Binary cannot be made a str."""
    return value if isinstance(value, str) else json.dumps(plain(value), sort_keys=True)


def shown(value: object) -> str:
    text = json.dumps(plain(value), sort_keys=True)
    return text if len(text) <= 80 else text[:77] + "..."


def text(value: object) -> str:
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise Unreadable(f"text of at most {LONGEST_TEXT} characters")
    return value.strip()


def word(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        lowered = value.strip().lower() if isinstance(value, str) else ""
        if lowered not in words:
            raise Unreadable(" or ".join(words))
        return lowered

    return read


def number(value: object) -> Decimal:
    """A number, or a number written as a string, since the console produces them."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Unreadable("a number")
    text = str(value).strip()
    if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", text):
        raise Unreadable("a number")
    return Decimal(text)


def moment(value: object) -> datetime:
    """ISO 8601 with a zone, or epoch seconds, within the years 2015 to 2100."""
    expected = "an ISO 8601 time with a zone such as 2026-12-31T23:00:00Z, or epoch seconds, between 2015 and 2100"
    try:
        moment = datetime.fromtimestamp(float(number(value)), UTC)
    except (Unreadable, OverflowError, OSError, ValueError):
        try:
            moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else datetime.min
        except ValueError:
            raise Unreadable(expected) from None
    if moment.tzinfo is None or not EARLIEST <= moment < LATEST:
        raise Unreadable(expected)
    return moment.astimezone(UTC)


LONGEST_SPAN = 3653 * 86400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "": 1}


def span(value: object) -> timedelta:
    text = str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    seconds = int(match[1]) * _UNITS[match[2]] if match else LONGEST_SPAN + 1
    if seconds > LONGEST_SPAN:
        raise Unreadable("a duration such as 90s, 5m, 2h or 3d, ten years at most")
    return timedelta(seconds=seconds)


def amount(value: object) -> str:
    """A whole number, or a percentage: kept as text, since only the breaker computes with it."""
    text = str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[0-9]{1,9}|(100|[0-9]{1,2})%", text):
        raise Unreadable("a whole number, or a percentage such as 10%")
    return text


def strings(value: object) -> frozenset[str]:
    """A string set, a list of strings, or comma-separated text; none empty."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple | Set) or not parts or not all(isinstance(part, str) for part in parts):
        raise Unreadable("a string set, a list of strings, or comma-separated text")
    stripped = frozenset(str(part).strip() for part in parts)
    if "" in stripped:
        raise Unreadable("no empty entry")
    return stripped


def regions(value: object) -> frozenset[str]:
    regions = strings(value)
    if not all(re.fullmatch(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}", region) for region in regions):
        raise Unreadable("Region names such as eu-west-1")
    return regions


_PROBE = re.compile(r"((tcp|tls)://:[0-9]{1,5}|https?://:[0-9]{1,5}(/\S*)?)")


def probes(value: object) -> tuple[str, ...]:
    probes = strings(value)
    if not all(_PROBE.fullmatch(probe) and 0 < int(probe.split(":")[2].split("/")[0]) < 65536 for probe in probes):
        raise Unreadable("probe URLs without a host such as tcp://:443 or https://:443/healthz")
    return tuple(sorted(probes))
