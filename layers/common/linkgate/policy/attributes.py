"""Reading one attribute of a row: a value of DynamoDB is read, or Unreadable says what was expected.

Bare numbers given as strings and surrounding blanks are accepted, since the console produces them. Every form is spelt
here to its last character, since what a library reads differs between its versions. docs/allow-list.md has each in a
line. Standard library only.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping, Set
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TypeVar

from linkgate.model import Budget
from linkgate.policy.probes import FORM, Probe

Word = TypeVar("Word", bound=str)
EARLIEST, LATEST = datetime(2015, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
BLANKS = " \t\r\n"
"""What may surround a value."""
LONGEST_TEXT = 2000
DEEPEST = 40
"""DynamoDB nests 32 levels."""
LARGEST = 10**126
"""DynamoDB's numbers end below it, and Python writes no integer of some thousand digits."""


class Unreadable(ValueError):
    """One attribute cannot be read; the message says what was expected."""


def plain(value: object, depth: int = 0) -> object:
    """A DynamoDB value as JSON has it, the same text for the same value whatever the order of its sets."""
    if depth > DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {_name(name): plain(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, Set):
        return sorted((plain(inner, depth + 1) for inner in value), key=repr)
    if isinstance(value, list | tuple):
        return [plain(inner, depth + 1) for inner in value]
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return _plain_number(value)
    if value is None or isinstance(value, str | bool | float):
        return value
    raw = getattr(value, "value", value)
    # Not as text: what cannot be read must not become readable by being stored.
    return {"base64": base64.b64encode(bytes(raw)).decode()} if isinstance(raw, bytes | bytearray) else repr(value)


def _plain_number(value: Decimal | int) -> object:
    if isinstance(value, Decimal) and not (value.is_finite() and value.adjusted() < 126):
        return str(value)
    if isinstance(value, int):
        return value if abs(value) < LARGEST else hex(value)
    return int(value) if value == value.to_integral_value() else str(value)


def _name(name: object) -> str:
    return name if isinstance(name, str) else repr(plain(name))


def written(value: object) -> str:
    """A value as text, whatever its type; boto3's Binary cannot be made a str."""
    return value if isinstance(value, str) else json.dumps(plain(value), sort_keys=True)


def shown(value: object) -> str:
    """A value as a message shows it, the same for a stored row that is judged again."""
    return shortened(json.dumps(plain(value), sort_keys=True))


def shortened(text: str) -> str:
    """At most 80 characters of a text: DynamoDB's names and values may have thousands."""
    return text if len(text) <= 80 else text[:77] + "..."


def _scalar(value: object) -> str | None:
    """A text without surrounding blanks, or a number as text; None for anything else."""
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return str(plain(value))
    return value.strip(BLANKS) if isinstance(value, str) else None


def is_number(value: object) -> bool:
    """Whether it is a whole number that is not negative, as DynamoDB's client gives it."""
    number = isinstance(value, Decimal | int) and not isinstance(value, bool)
    return number and re.fullmatch("[0-9]{1,9}", str(plain(value))) is not None


def text(value: object) -> str:
    text = _scalar(value)
    if text is None or len(text) > LONGEST_TEXT:
        raise Unreadable(f"text of at most {LONGEST_TEXT} characters")
    return text


def word(*words: Word) -> Callable[[object], Word]:
    """A reader of one of some words, in any case and between blanks."""
    known = {str(one): one for one in words}
    *some, last = known

    def read(value: object) -> Word:
        lowered = value.strip(BLANKS).lower() if isinstance(value, str) else ""
        if lowered not in known:
            raise Unreadable(f"{', '.join(some)} or {last}" if some else last)
        return known[lowered]

    return read


def _match(pattern: str, value: object, expected: str) -> re.Match[str]:
    match = re.fullmatch(pattern, _scalar(value) or "")
    if not match:
        raise Unreadable(expected)
    return match


def whole(value: object) -> int:
    """A whole number from zero on."""
    return int(_match("[0-9]{1,9}", value, "a whole number from 0 to 999999999")[0])


_TIME = re.compile(
    "([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.]([0-9]{1,9}))?)?"
    "(?:Z|([+-])([0-9]{2}):([0-5][0-9]))"
)
_EPOCH = re.compile("([0-9]{10})(?:[.]([0-9]{1,9}))?")


def moment(value: object) -> datetime:
    """ISO 8601 with a zone, or epoch seconds, within the years 2015 to 2100; UTC, cut to microseconds."""
    expected = "an ISO 8601 time with a zone such as 2026-12-31T23:00:00Z, or epoch seconds, between 2015 and 2100"
    text = _scalar(value) or ""
    try:
        moment = time(text) if "-" in text else _since_1970(text)
    except (OverflowError, ValueError):
        raise Unreadable(expected) from None
    if not EARLIEST <= moment < LATEST:
        raise Unreadable(expected)
    return moment


def time(text: str) -> datetime:
    """A day, T or a blank, hours and minutes, perhaps seconds and a fraction, Z or ±hh:mm; ValueError for all else."""
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError("a time such as 2026-12-31T23:00:00Z")
    *date, second, fraction, sign, hours, minutes = match.groups()
    ahead = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    zone = timezone(-ahead if sign == "-" else ahead)
    year, month, day, hour, minute = map(int, date)
    return datetime(year, month, day, hour, minute, int(second or 0), _micro(fraction), zone).astimezone(UTC)


def _since_1970(text: str) -> datetime:
    match = _EPOCH.fullmatch(text)
    if not match:
        raise ValueError("epoch seconds")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(match[1]), microseconds=_micro(match[2]))


def _micro(fraction: str | None) -> int:
    return int((fraction or "")[:6].ljust(6, "0"))


LONGEST_SPAN = 3653 * 86400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "": 1}


def span(value: object) -> timedelta:
    expected = "a duration such as 90s, 5m, 2h or 3d, ten years at most"
    match = _match("([0-9]{1,9})([smhd]?)", value, expected)
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > LONGEST_SPAN:
        raise Unreadable(expected)
    return timedelta(seconds=seconds)


def budget(value: object) -> Budget:
    expected = "a whole number from 0 to 999999999, or a percentage such as 10%"
    match = _match("([0-9]{1,9})|(100|[0-9]{1,2})%", value, expected)
    return Budget(int(match[1] or match[2]), percent=match[2] is not None)


_SEVERAL = "as text with commas, a list of strings or a string set, none empty"


def _entries(value: object, form: Callable[[str], object], expected: str) -> frozenset[str]:
    """The entries of a string set, a list of strings, or comma-separated text: one at least, each of a form."""
    parts = value.split(",") if isinstance(value, str) else value
    entries = parts if isinstance(parts, list | tuple | Set) else ()
    stripped = frozenset(entry.strip(BLANKS) if isinstance(entry, str) else "" for entry in entries)
    if not stripped or not all(map(form, stripped)):
        raise Unreadable(f"{expected}, {_SEVERAL}")
    return stripped


REGION = "[a-z]{2,}(?:-[a-z]+)+-[1-9][0-9]?"
"""Words and a number, whatever AWS calls its next Region; no zone."""
_REGION = re.compile(REGION)
_ENDPOINT = re.compile("vpce-[0-9a-f]{8}([0-9a-f]{9})?")


def regions(value: object) -> frozenset[str]:
    return _entries(value, _REGION.fullmatch, "Region names such as eu-west-1")


def endpoints(value: object) -> frozenset[str]:
    return _entries(value, _ENDPOINT.fullmatch, "endpoint ids such as vpce-0123456789abcdef0")


MOST_PROBES = 10
"""Probes of a service: each probes every name of every endpoint each minute."""
_FUNCTION = (
    rf"arn:aws(-[a-z]+)*:lambda:{REGION}:[0-9]{{12}}:function:[A-Za-z0-9_-]{{1,64}}"
    r"(:(\$LATEST|[A-Za-z0-9_-]{1,128}))?"
)


CANARY_EXAMPLE = "arn:aws:lambda:eu-west-1:222222222222:function:linkgate-canary-payments"


def function(value: object) -> str:
    return _match(_FUNCTION, value, f"the ARN of a canary's function such as {CANARY_EXAMPLE}")[0]


def probes(value: object) -> tuple[str, ...]:
    """Probes as people wrote them; `Probe.parse` reads every one of them."""
    found = tuple(sorted(_entries(value, bool, FORM)))
    if len(found) > MOST_PROBES:
        raise Unreadable(f"at most {MOST_PROBES} probes")
    for text in found:
        try:
            Probe.parse(text)
        except ValueError as error:
            raise Unreadable(str(error).replace(FORM, f"{FORM}, {_SEVERAL}")) from None
    if len({text.partition("#")[0] for text in found}) < len(found):
        # Never all good, or one too many; a verdict is known by its URL.
        raise Unreadable("each URL once, with all of its options")
    return found
