"""Reading the rows of the allow-list: an item of the table becomes a Rule, a SettingsRow or a MalformedRow.

The contract is design section 5. Total: no item, however wrong, raises; what cannot be read says so in a
sentence that names the attribute, what was read and what is expected. Standard library only.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from linkgate.model import Effect, MalformedRow, Mode, Outcome, RowKey, Rule

Item = Mapping[str, object]
"""A row as the DynamoDB client gives it: str, Decimal, bool, None, bytes, list, dict, set."""

SETTINGS = "@settings"
EVERY = "*"
EARLIEST, LATEST = datetime(2015, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
LONGEST_TEXT = 2000
PEOPLE = ("owner", "reason", "ticket", "note")
KEYS = ("service", "consumer")

SERVICE_FORM = re.compile(r"\*|vpce-svc-[0-9a-f]{8,17}")
CONSUMER_FORM = re.compile(
    r"\*|[0-9]{12}|vpce-[0-9a-f]{8,17}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|o-[a-z0-9]{10,32}"
    r"|@settings|@release|@canary:([0-9]{12}|vpce-[0-9a-f]{8,17})"
)


@dataclass(frozen=True, slots=True)
class SettingsRow:
    """What one `@settings` row sets; attributes that it does not have are absent from `values`."""

    key: RowKey
    values: Mapping[str, object]


Row = Rule | SettingsRow | MalformedRow


class Unreadable(ValueError):
    """One attribute cannot be read; the message says what was expected."""


def key_of(item: Item) -> RowKey:
    """The key of an item, as text whatever its type; blanks stay, since DynamoDB fetches keys as they are."""
    return RowKey(*(str(item.get(name, "")) for name in KEYS))


def parse(item: Item) -> Row:
    """Read one item of the allow-list."""
    key = key_of(item)
    try:
        _require_form(key)
        if key.consumer == SETTINGS:
            return SettingsRow(key, _read(item, _SETTINGS))
        return _rule(key, item)
    except _AttributeError as error:
        return MalformedRow(key, error.attribute, str(error))


def digest(items: Iterable[Item]) -> str:
    """SHA-256 (hex) over items in the order of their keys: equal exactly when the same policy was read."""
    ordered = sorted(items, key=key_of)
    return hashlib.sha256(json.dumps([plain(item) for item in ordered], sort_keys=True).encode()).hexdigest()


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


class _AttributeError(Unreadable):
    def __init__(self, attribute: str, message: str) -> None:
        super().__init__(message)
        self.attribute = attribute


def _require_form(key: RowKey) -> None:
    if not SERVICE_FORM.fullmatch(key.service):
        raise _AttributeError("service", f"service is {key.service!r}: expected vpce-svc-… or *")
    if not CONSUMER_FORM.fullmatch(key.consumer):
        raise _AttributeError(
            "consumer",
            f"consumer is {key.consumer!r}: expected vpce-…, a 12-digit account id, ou-…, o-…, *, or @settings",
        )


def _read(item: Item, readers: Mapping[str, Callable[[object], object]]) -> dict[str, object]:
    """Every attribute but the keys, read by its reader; unknown names are an error, since a misspelt one is."""
    values: dict[str, object] = {}
    for name, value in item.items():
        if name in KEYS:
            continue
        reader = readers.get(name)
        if reader is None:
            known = ", ".join(sorted(readers))
            raise _AttributeError(str(name), f"attribute {name!r} is not known here: expected one of {known}")
        try:
            values[name] = reader(value)
        except Unreadable as error:
            raise _AttributeError(name, f"{name} is {_shown(value)}: expected {error}") from None
    return values


def _rule(key: RowKey, item: Item) -> Rule:
    if key.consumer.startswith("@"):
        raise _AttributeError("consumer", f"consumer {key.consumer!r} is reserved and not supported by this version")
    if key.consumer.startswith(("ou-", "o-")):
        raise _AttributeError("consumer", f"consumer {key.consumer!r} needs the parameter OrganizationsRoleArn")
    values = _read(item, _RULE)
    if "effect" not in values:
        raise _AttributeError("effect", "effect is missing: expected allow, deny or review")
    effect = Effect(str(values["effect"]))
    if "cut" in values and effect is not Effect.DENY:
        raise _AttributeError("cut", f"cut is set on a row with effect {effect}: expected it on deny only")
    if "limit" in values:
        expected = "allow only" if effect is not Effect.ALLOW else "none, limits are not supported by this version"
        raise _AttributeError("limit", f"limit is set on a row with effect {effect}: expected {expected}")
    starts, expires = values.get("starts_at"), values.get("expires_at")
    regions = values.get("regions", frozenset())
    return Rule(
        key=key,
        effect=effect,
        starts_at=starts if isinstance(starts, datetime) else None,
        expires_at=expires if isinstance(expires, datetime) else None,
        regions=regions if isinstance(regions, frozenset) else frozenset(),
        people={name: str(values[name]) for name in PEOPLE if name in values},
    )


def _shown(value: object) -> str:
    text = json.dumps(plain(value), sort_keys=True)
    return text if len(text) <= 80 else text[:77] + "..."


def _text(value: object) -> str:
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise Unreadable(f"text of at most {LONGEST_TEXT} characters")
    return value.strip()


def _word(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        lowered = value.strip().lower() if isinstance(value, str) else ""
        if lowered not in words:
            raise Unreadable(" or ".join(words))
        return lowered

    return read


def _number(value: object) -> Decimal:
    """A number, or a number written as a string, since the console produces them."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Unreadable("a number")
    text = str(value).strip()
    if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", text):
        raise Unreadable("a number")
    return Decimal(text)


def _moment(value: object) -> datetime:
    """ISO 8601 with a zone, or epoch seconds, within the years 2015 to 2100."""
    expected = "an ISO 8601 time with a zone such as 2026-12-31T23:00:00Z, or epoch seconds, between 2015 and 2100"
    try:
        moment = datetime.fromtimestamp(float(_number(value)), UTC)
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


def _span(value: object) -> timedelta:
    text = str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    seconds = int(match[1]) * _UNITS[match[2]] if match else LONGEST_SPAN + 1
    if seconds > LONGEST_SPAN:
        raise Unreadable("a duration such as 90s, 5m, 2h or 3d, ten years at most")
    return timedelta(seconds=seconds)


def _amount(value: object) -> str:
    """A whole number, or a percentage: kept as text, since only the breaker computes with it."""
    text = str(value).strip() if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[0-9]{1,9}|(100|[0-9]{1,2})%", text):
        raise Unreadable("a whole number, or a percentage such as 10%")
    return text


def _strings(value: object) -> frozenset[str]:
    """A string set, a list of strings, or comma-separated text; none empty."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple | Set) or not parts or not all(isinstance(part, str) for part in parts):
        raise Unreadable("a string set, a list of strings, or comma-separated text")
    stripped = frozenset(str(part).strip() for part in parts)
    if "" in stripped:
        raise Unreadable("no empty entry")
    return stripped


def _regions(value: object) -> frozenset[str]:
    regions = _strings(value)
    if not all(re.fullmatch(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}", region) for region in regions):
        raise Unreadable("Region names such as eu-west-1")
    return regions


_PROBE = re.compile(r"((tcp|tls)://:[0-9]{1,5}|https?://:[0-9]{1,5}(/\S*)?)")


def _probes(value: object) -> tuple[str, ...]:
    probes = _strings(value)
    if not all(_PROBE.fullmatch(probe) and 0 < int(probe.split(":")[2].split("/")[0]) < 65536 for probe in probes):
        raise Unreadable("probe URLs without a host such as tcp://:443 or https://:443/healthz")
    return tuple(sorted(probes))


_RULE: Mapping[str, Callable[[object], object]] = {
    "effect": _word(*Effect),
    "limit": _number,
    "regions": _regions,
    "starts_at": _moment,
    "expires_at": _moment,
    "cut": _word("now"),
    **dict.fromkeys(PEOPLE, _text),
}

_SETTINGS: Mapping[str, Callable[[object], object]] = {
    "mode": _word(*Mode),
    "default": _word(Outcome.HOLD, Outcome.REJECT),
    "reconcile": _word("off", "report", "enforce"),
    "grace": _span,
    "max_cuts": _amount,
    "max_rejects": _amount,
    "frozen_until": _moment,
    "stale_after": _span,
    "sync_permissions": _word("off", "add", "exact"),
    "probe": _probes,
    **dict.fromkeys(PEOPLE, _text),
}
