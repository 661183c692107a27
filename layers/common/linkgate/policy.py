"""The decision: a pure, total function of a connection, the rows read for it, and the time (design section 5)."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from linkgate.model import (
    Connection,
    Decision,
    Effect,
    MalformedRow,
    Mode,
    NearMiss,
    Outcome,
    Reason,
    RowKey,
    Rule,
    ServiceSettings,
)
from linkgate.rows import EVERY, SETTINGS, Item, SettingsRow, digest, parse

Rows = Mapping[RowKey, Item]
"""Items of the allow-list by their keys; a key that is absent has no row."""


def keys_for(connection: Connection) -> tuple[RowKey, ...]:
    """The keys of every row that can matter for a connection: rules from the most specific on, then settings."""
    consumers = (connection.endpoint, connection.owner, EVERY)
    rules = tuple(RowKey(service, consumer) for consumer in consumers for service in (connection.service, EVERY))
    return rules + settings_keys(connection.service)


def settings_keys(service: str) -> tuple[RowKey, RowKey]:
    """The keys of a service's settings: its own row, and that of `*` which it is laid over."""
    return RowKey(service, SETTINGS), RowKey(EVERY, SETTINGS)


def settings_for(service: str, rows: Rows) -> ServiceSettings | MalformedRow:
    """The settings in force: the service's own row over that of `*`, attribute by attribute, but for mode."""
    laid: dict[str, object] = {}
    for key in reversed(settings_keys(service)):
        if key not in rows:
            continue
        row = parse(rows[key])
        if isinstance(row, MalformedRow):
            return row
        if isinstance(row, SettingsRow):
            laid |= {name: value for name, value in row.values.items() if name != "mode" or key.service == service}
    return _settings(laid)


def decide(connection: Connection, rows: Rows, now: datetime) -> Decision:
    """Decide on a connection that waits for an answer. `now` carries a zone. Never raises."""
    read = {key: rows[key] for key in keys_for(connection) if key in rows}
    settings = settings_for(connection.service, read)
    found = [parse(item) for key, item in read.items() if key.consumer != SETTINGS]
    misses = tuple(
        NearMiss(row.key, why) for row in found if isinstance(row, Rule) and (why := _miss(row, connection, now))
    )
    missed = {miss.key for miss in misses}
    applied = [row for row in found if not isinstance(row, SettingsRow) and row.key not in missed]
    mode = settings.mode if isinstance(settings, ServiceSettings) else Mode.OBSERVE
    outcome, reason, row = _answer(connection, settings, applied, misses, now)
    return Decision(
        outcome=outcome,
        reason=reason,
        mode=mode,
        policy_hash=digest(read.values()),
        row=row.key if row else None,
        applied=tuple(row.key for row in applied),
        near_misses=misses,
        people=row.people if isinstance(row, Rule) else {},
        note=str(row) if isinstance(row, MalformedRow) else "",
    )


def _answer(
    connection: Connection,
    settings: ServiceSettings | MalformedRow,
    applied: Iterable[Rule | MalformedRow],
    misses: tuple[NearMiss, ...],
    now: datetime,
) -> tuple[Outcome, Reason, Rule | MalformedRow | None]:
    """The numbered list of design section 5: deny, malformed, most specific allow or review, default."""
    if isinstance(settings, MalformedRow):
        return Outcome.HOLD, Reason.MALFORMED_ROW, settings
    rules = [row for row in applied if isinstance(row, Rule)]
    regional = [rule for rule in rules if rule.regions and not connection.region]
    for deny in rules:
        if deny.effect is Effect.DENY and deny not in regional:
            return Outcome.REJECT, Reason.DENIED, deny
    for malformed in applied:
        if isinstance(malformed, MalformedRow):
            return Outcome.HOLD, Reason.MALFORMED_ROW, malformed
    if regional:
        return Outcome.HOLD, Reason.UNKNOWN_REGION, regional[0]
    if not rules:
        return settings.default, misses[0].reason if misses else Reason.NOT_LISTED, None
    if rules[0].effect is Effect.REVIEW:
        return Outcome.HOLD, Reason.REVIEW, rules[0]
    if settings.frozen_until and now < settings.frozen_until:
        return Outcome.HOLD, Reason.FROZEN, rules[0]
    return Outcome.ACCEPT, Reason.ALLOWED, rules[0]


def _miss(rule: Rule, connection: Connection, now: datetime) -> Reason | None:
    """Why a rule does not apply, or None. A Region that EC2 does not tell excludes no row: see _answer."""
    if rule.expires_at and now >= rule.expires_at:
        return Reason.EXPIRED
    if rule.starts_at and now < rule.starts_at:
        return Reason.NOT_YET_VALID
    if rule.regions and connection.region and connection.region not in rule.regions:
        return Reason.WRONG_REGION
    return None


def _settings(laid: Mapping[str, object]) -> ServiceSettings:
    plain = ServiceSettings()
    frozen, stale, probe = laid.get("frozen_until"), laid.get("stale_after"), laid.get("probe")
    return ServiceSettings(
        mode=Mode(str(laid.get("mode", plain.mode))),
        default=Outcome(str(laid.get("default", plain.default))),
        frozen_until=frozen if isinstance(frozen, datetime) else None,
        stale_after=stale if isinstance(stale, timedelta) else plain.stale_after,
        probe=probe if isinstance(probe, tuple) else (),
    )
