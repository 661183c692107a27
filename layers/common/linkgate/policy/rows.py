"""Reading the rows of the allow-list: an item of the table becomes a row of some kind, or a MalformedRow.

The contract is design section 5. Total: no item, however wrong, raises; what cannot be read says so in a
sentence that names the attribute, what was read and what is expected. Standard library only.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from linkgate.model import Effect, MalformedRow, Mode, Outcome, Reconcile, RowKey, Rule, Sync
from linkgate.policy import attributes
from linkgate.policy.meant import meant

Item = Mapping[str, object]
"""A row as the DynamoDB client gives it: str, Decimal, bool, None, bytes, list, dict, set."""

SETTINGS, RELEASE, CANARY = "@settings", "@release", "@canary:"
EVERY = "*"
UNIT_PREFIX = "o"
"""What the consumers of rows about OUs and organisations begin with (ou-… and o-…)."""
PEOPLE = ("owner", "reason", "ticket", "note")
KEYS = ("service", "consumer")

_HEX = "[0-9a-f]{8}([0-9a-f]{9})?"
"""8 or 17 digits, and nothing between: a truncated id is malformed (EC2 User Guide, "Resource IDs")."""
_UNIT = "ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|o-[a-z0-9]{10,32}"
SERVICE_ID = re.compile(rf"(?<![0-9a-z-])vpce-svc-{_HEX}(?![0-9a-z])")
SERVICE_FORM = re.compile(rf"\*|vpce-svc-{_HEX}")
UNIT_FORM = re.compile(_UNIT)
CONSUMER_FORM = re.compile(rf"\*|[0-9]{{12}}|vpce-{_HEX}|{_UNIT}|@settings|@release|@canary:([0-9]{{12}}|vpce-{_HEX})")


@dataclass(frozen=True, slots=True)
class SettingsRow:
    """What one `@settings` row sets: fields of ServiceSettings; attributes that it does not have are absent."""

    key: RowKey
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """Endpoints whose cut or rejection may pass the breaker."""

    key: RowKey
    endpoints: frozenset[str]


@dataclass(frozen=True, slots=True)
class CanaryRow:
    """The ARN of the canary `function` that reaches the endpoints of one account, or one endpoint."""

    key: RowKey
    function: str


Row = Rule | SettingsRow | ReleaseRow | CanaryRow | MalformedRow


def key_of(item: Item) -> RowKey:
    """The key of an item, as text whatever its type; blanks stay, since DynamoDB fetches keys as they are."""
    service, consumer = (item.get(name, "") for name in KEYS)
    return RowKey(attributes.written(service), attributes.written(consumer))


def parse(item: Item) -> Row:
    """Read one item of the allow-list."""
    key = key_of(item)
    try:
        _require_form(key)
        if key.consumer == SETTINGS:
            return SettingsRow(key, _impersonal(_read(item, _SETTINGS)))
        if key.consumer == RELEASE:
            return ReleaseRow(key, _read(item, _RELEASE, required="endpoints")["endpoints"])
        if key.consumer.startswith(CANARY):
            return CanaryRow(key, _read(item, _CANARY, required="function")["function"])
        return _rule(key, _read(item, _RULE, required="effect"))
    except _AttributeError as error:
        return MalformedRow(key, error.attribute, str(error))


def is_unit(key: RowKey) -> bool:
    """Whether a row is about an OU or an organisation."""
    return UNIT_FORM.fullmatch(key.consumer) is not None


def blocks(item: Item) -> str | None:
    """The service (`*`: all) that a row with keys of no known form may have been meant for; None for every other row.

    Nobody would ever fetch such a row. Unless its effect reads allow, it may have been meant to keep somebody out.
    """
    try:
        if _EFFECT(item.get("effect")) is Effect.ALLOW:
            return None
    except attributes.Unreadable:
        pass
    return meant_by(key_of(item))


def meant_by(key: RowKey) -> str | None:
    """The service (`*`: all) that keys of no known form may have been meant for; None for keys that are well formed."""
    if SERVICE_FORM.fullmatch(key.service) and CONSUMER_FORM.fullmatch(key.consumer):
        return None
    meant = {found[0] for found in SERVICE_ID.finditer(key.service.lower())}
    return meant.pop() if len(meant) == 1 else EVERY


def digest(items: Iterable[Item], unmatched: Iterable[RowKey] = ()) -> str:
    """SHA-256 (hex) over items in the order of their keys: equal exactly when the same policy was read."""
    read, keys = [attributes.plain(item) for item in sorted(items, key=key_of)], sorted(unmatched)
    text = json.dumps([read, keys] if keys else read, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class _AttributeError(attributes.Unreadable):
    def __init__(self, attribute: str, message: str) -> None:
        super().__init__(message)
        self.attribute = attribute


_FORMS = {
    "service": (SERVICE_FORM, "* or an id such as vpce-svc-0123456789abcdef0"),
    "consumer": (
        CONSUMER_FORM,
        "a 12-digit account id, an endpoint such as vpce-0123456789abcdef0, an OU such as ou-ab12-11111111, an "
        "organization such as o-a1b2c3d4e5, *, @settings, @release, or @canary: and an account or endpoint id",
    ),
}


def _require_form(key: RowKey) -> None:
    for name, text in key._asdict().items():
        form, expected = _FORMS[name]
        if not form.fullmatch(text):
            guess = meant(text, form)
            asked = f", did you mean {guess}?" if guess else ":"
            raise _AttributeError(name, f"{name} is {text!r}{asked} expected, without blanks, {expected}")


def _read(item: Item, readers: Mapping[str, Callable[[object], Any]], required: str = "") -> dict[str, Any]:
    """Every attribute but the keys, read by its reader; unknown names are an error, since a misspelt one is."""
    values: dict[str, Any] = {}
    for name, value in item.items():
        if name in KEYS:
            continue
        reader = readers.get(name)
        if reader is None:
            known = ", ".join(sorted(readers))
            short = attributes.shortened(str(name))
            raise _AttributeError(short, f"attribute {short!r} is not known here: expected one of {known}")
        try:
            values[name] = reader(value)
        except attributes.Unreadable as error:
            raise _AttributeError(name, f"{name} is {attributes.shown(value)}: expected {error}") from None
    if required and required not in values:
        raise _AttributeError(required, f"{required} is missing: expected {_MISSING[required]}")
    return values


def _rule(key: RowKey, values: Mapping[str, Any]) -> Rule:
    effect = values["effect"]
    for name, of in (("cut", Effect.DENY), ("limit", Effect.ALLOW)):
        if name in values and effect is not of:
            raise _AttributeError(
                name, f"{name} is set on a row with effect {effect}: expected it with effect {of} only"
            )
    starts, ends = values.get("starts_at"), values.get("expires_at")
    if starts and ends and starts >= ends:
        problem = f"expires_at is {ends.isoformat()}: expected a time after starts_at, {starts.isoformat()}"
        raise _AttributeError("expires_at", problem)
    people = {name: values[name] for name in PEOPLE if name in values}
    return Rule(key, **_impersonal(values) | {"cut": "cut" in values, "people": people})


def _impersonal(values: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that mean something to Linkgate: all but those for people."""
    return {name: value for name, value in values.items() if name not in PEOPLE}


_EFFECT = attributes.word(*Effect)
_TEXTS = dict.fromkeys(PEOPLE, attributes.text)

_RULE: Mapping[str, Callable[[object], object]] = {
    "effect": _EFFECT,
    "limit": attributes.whole,
    "regions": attributes.regions,
    "starts_at": attributes.moment,
    "expires_at": attributes.moment,
    "cut": attributes.word("now"),
    **_TEXTS,
}

_SETTINGS: Mapping[str, Callable[[object], object]] = {
    "mode": attributes.word(*Mode),
    "default": attributes.word(Outcome.HOLD, Outcome.REJECT),
    "reconcile": attributes.word(*Reconcile),
    "grace": attributes.span,
    "max_cuts": attributes.budget,
    "max_rejects": attributes.budget,
    "frozen_until": attributes.moment,
    "stale_after": attributes.span,
    "sync_permissions": attributes.word(*Sync),
    "probe": attributes.probes,
    **_TEXTS,
}

_RELEASE: Mapping[str, Callable[[object], object]] = {"endpoints": attributes.endpoints, **_TEXTS}
_CANARY: Mapping[str, Callable[[object], object]] = {"function": attributes.function, **_TEXTS}

KNOWN = frozenset({*_RULE, *_SETTINGS, *_RELEASE, *_CANARY})
"""Every attribute that a row of some kind may have."""

_MISSING = {
    "effect": "allow, deny or review",
    "endpoints": "endpoint ids that may be cut or rejected",
    "function": "the ARN of the canary function",
}
