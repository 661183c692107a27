"""Reading the rows of the allow-list: an item of the table becomes a Rule, a SettingsRow or a MalformedRow.

The contract is design section 5. Total: no item, however wrong, raises; what cannot be read says so in a
sentence that names the attribute, what was read and what is expected. Standard library only.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from linkgate import attribute
from linkgate.model import Effect, MalformedRow, Mode, Outcome, RowKey, Rule

Item = Mapping[str, object]
"""A row as the DynamoDB client gives it: str, Decimal, bool, None, bytes, list, dict, set."""

SETTINGS = "@settings"
EVERY = "*"
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


def key_of(item: Item) -> RowKey:
    """The key of an item, as text whatever its type; blanks stay, since DynamoDB fetches keys as they are."""
    service, consumer = (item.get(name, "") for name in KEYS)
    return RowKey(attribute.written(service), attribute.written(consumer))


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
    return hashlib.sha256(json.dumps([attribute.plain(item) for item in ordered], sort_keys=True).encode()).hexdigest()


class _AttributeError(attribute.Unreadable):
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
        except attribute.Unreadable as error:
            raise _AttributeError(name, f"{name} is {attribute.shown(value)}: expected {error}") from None
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


_RULE: Mapping[str, Callable[[object], object]] = {
    "effect": attribute.word(*Effect),
    "limit": attribute.number,
    "regions": attribute.regions,
    "starts_at": attribute.moment,
    "expires_at": attribute.moment,
    "cut": attribute.word("now"),
    **dict.fromkeys(PEOPLE, attribute.text),
}

_SETTINGS: Mapping[str, Callable[[object], object]] = {
    "mode": attribute.word(*Mode),
    "default": attribute.word(Outcome.HOLD, Outcome.REJECT),
    "reconcile": attribute.word("off", "report", "enforce"),
    "grace": attribute.span,
    "max_cuts": attribute.amount,
    "max_rejects": attribute.amount,
    "frozen_until": attribute.moment,
    "stale_after": attribute.span,
    "sync_permissions": attribute.word("off", "add", "exact"),
    "probe": attribute.probes,
    **dict.fromkeys(PEOPLE, attribute.text),
}
