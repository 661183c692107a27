"""The decision: a pure, total function of a connection, the rows read for it, and the time (design section 5)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from linkgate.model import (
    ALONE,
    Connection,
    Decision,
    DecisionContext,
    Effect,
    Lineage,
    MalformedRow,
    Mode,
    NearMiss,
    Outcome,
    Reason,
    RowKey,
    Rule,
    ServiceSettings,
)
from linkgate.policy.rows import EVERY, RELEASE, SETTINGS, Item, ReleaseRow, SettingsRow, digest, is_unit, parse

Rows = Mapping[RowKey, Item]
"""Items of the allow-list by their keys; a key that is absent has no row."""

Readable = Rule | MalformedRow
_Answer = tuple[Outcome, Reason, Readable | None]


def keys_for(connection: Connection) -> tuple[RowKey, ...]:
    """The keys of every row that can matter for a connection, but for those of OUs and organisations."""
    # EC2 may not say whose an endpoint is, and DynamoDB takes no empty key.
    return tuple(key for key in _keys(connection, ()) if key.consumer) + settings_keys(connection.service)


def settings_keys(service: str) -> tuple[RowKey, RowKey]:
    """The keys of a service's settings: its own row, and that of `*` which it is laid over."""
    return RowKey(service, SETTINGS), RowKey(EVERY, SETTINGS)


def release_keys(service: str) -> tuple[RowKey, RowKey]:
    """The keys of the rows that let acts on a service past the breaker."""
    return RowKey(service, RELEASE), RowKey(EVERY, RELEASE)


def released(service: str, rows: Rows) -> frozenset[str]:
    """The endpoints that `@release` rows name; a row that cannot be read releases nobody."""
    parsed = [parse(rows[key]) for key in release_keys(service) if key in rows]
    return frozenset().union(*(row.endpoints for row in parsed if isinstance(row, ReleaseRow)))


def settings_for(service: str, rows: Rows) -> ServiceSettings | MalformedRow:
    """The settings in force: the service's own row over that of `*`, attribute by attribute, but for mode."""
    laid: dict[str, Any] = {}
    for key in reversed(settings_keys(service)):
        if key not in rows:
            continue
        row = parse(rows[key])
        if isinstance(row, MalformedRow):
            return row
        if isinstance(row, SettingsRow):
            laid |= {name: value for name, value in row.values.items() if name != "mode" or key.service == service}
    return ServiceSettings(**laid)


def unit_rows(service: str, rows: Rows) -> dict[RowKey, Item]:
    """The rows about OUs and organisations that cover a service: only these make its consumers' lineage matter."""
    return {key: item for key, item in rows.items() if key.service in (service, EVERY) and is_unit(key)}


class Covering:
    """The rows that cover one service, of which few matter for one decision."""

    def __init__(self, service: str, rows: Rows, units: Rows) -> None:
        self._rows = rows
        common = (*settings_keys(service), *release_keys(service))
        self.common: Rows = {key: rows[key] for key in common if key in rows} | dict(units)
        """Settings, releases, and the rows about OUs and organisations."""

    def of(self, connection: Connection) -> Rows:
        """What may matter for a connection."""
        return {key: self._rows[key] for key in keys_for(connection) if key in self._rows} | dict(self.common)


def read_for(connection: Connection, rows: Rows, lineage: Lineage) -> dict[RowKey, Item]:
    """What a decision reads of the table: rules from the most specific on, and the settings."""
    units = sorted({key.consumer for key in unit_rows(connection.service, rows)}) if lineage.unknown else lineage.units
    keys = (*_keys(connection, units), *settings_keys(connection.service))
    return {key: rows[key] for key in keys if key in rows}


def decide(connection: Connection, rows: Rows, now: datetime, context: DecisionContext = ALONE) -> Decision:
    """Decide on a connection as if it waited for an answer; of a live one, `reason.ends` says if it may stay.

    `rows` holds at least those under `keys_for` and the `unit_rows`; `now` carries a zone. Never raises.
    """
    lineage, read = context.lineage, read_for(connection, rows, context.lineage)
    settings = settings_for(connection.service, read)
    unplaced = {key for key in read if lineage.unknown and is_unit(key)}
    found = [(row, _miss(row, connection, now)) for row in _rules(read)]
    applied = [row for row, why in found if not why and row.key not in unplaced]
    perhaps = [row for row, why in found if not why and row.key in unplaced]
    missed = [(row, why) for row, why in found if isinstance(row, Rule) and why and row.key not in unplaced]
    nearest = next((why for rule, why in missed if rule.effect is not Effect.DENY), Reason.NOT_LISTED)
    outcome, reason, row = _answer(connection, settings, context, now, nearest, applied, perhaps)
    if not connection.account and reason is not Reason.DENIED:
        outcome, reason = Outcome.HOLD, Reason.UNKNOWN_ACCOUNT  # a row of its account may say otherwise
    elif outcome is Outcome.REJECT and context.breaker and connection.waits:
        outcome, reason = Outcome.HOLD, Reason.BREAKER
    return Decision(
        outcome=outcome,
        reason=reason,
        mode=settings.mode if isinstance(settings, ServiceSettings) else Mode.OBSERVE,
        policy_hash=digest(read.values(), context.unmatched),
        row=row.key if row else None,
        applied=tuple(row.key for row in applied),
        near_misses=tuple(NearMiss(rule.key, why) for rule, why in missed),
        people=row.people if isinstance(row, Rule) else {},
        note=lineage.why if row in perhaps else str(row) if isinstance(row, MalformedRow) else "",
        limit=row.limit if isinstance(row, Rule) else None,
        cut_now=reason is Reason.DENIED and any(_cuts_now(row, connection) for row in applied),
        certain=lineage.unknown is None,
    )


def _rules(rows: Rows) -> list[Readable]:
    """All rows but settings and other reserved ones."""
    parsed = [parse(item) for key, item in rows.items() if key.consumer != SETTINGS]
    return [row for row in parsed if isinstance(row, Readable)]


def _answer(
    connection: Connection,
    settings: ServiceSettings | MalformedRow,
    context: DecisionContext,
    now: datetime,
    nearest: Reason,
    applied: Sequence[Readable],
    perhaps: Sequence[Readable],
) -> _Answer:
    """The numbered list of design section 5: deny, malformed, most specific allow or review, default.

    `perhaps` are the rows about units where nobody knows the consumer's lineage. Such a row holds the connection if it
    could keep it out, that is if it denies or cannot be read, and if no row of the endpoint or account comes before it.
    """
    if isinstance(settings, MalformedRow):
        return Outcome.HOLD, Reason.MALFORMED_ROW, settings
    rules = [row for row in applied if isinstance(row, Rule)]
    regional = [row for row in (*rules, *perhaps) if isinstance(row, Rule) and row.regions and not connection.region]
    for deny in rules:
        if deny.effect is Effect.DENY and deny not in regional:
            return Outcome.REJECT, Reason.DENIED, deny
    for malformed in (*applied, *map(_unmatched, context.unmatched)):
        if isinstance(malformed, MalformedRow):
            return Outcome.HOLD, Reason.MALFORMED_ROW, malformed
    near = [rule for rule in rules if rule.key.consumer != EVERY]
    unknown = context.lineage.unknown
    for unit in perhaps:
        if unknown and (not near or isinstance(unit, MalformedRow) or unit.effect is Effect.DENY):
            return Outcome.HOLD, unknown, unit
    if regional:
        return Outcome.HOLD, Reason.UNKNOWN_REGION, regional[0]
    if not rules:
        return settings.default, nearest, None
    if rules[0].effect is Effect.REVIEW:
        return Outcome.HOLD, Reason.REVIEW, rules[0]
    if settings.frozen_until and now < settings.frozen_until:
        return Outcome.HOLD, Reason.FROZEN, rules[0]
    if rules[0].limit is not None and context.live >= rules[0].limit:
        return Outcome.HOLD, Reason.OVER_LIMIT, rules[0]
    return Outcome.ACCEPT, Reason.ALLOWED, rules[0]


def _keys(connection: Connection, units: Iterable[str]) -> tuple[RowKey, ...]:
    """Rules from the most specific on: endpoint, account, nearest OU … organisation, `*`; the service's own first."""
    consumers = (connection.endpoint, connection.account, *units, EVERY)
    return tuple(RowKey(service, consumer) for consumer in consumers for service in (connection.service, EVERY))


def _miss(rule: Readable, connection: Connection, now: datetime) -> Reason | None:
    """Why a rule does not apply, or None. A Region that EC2 does not name excludes no row: see _answer."""
    if isinstance(rule, MalformedRow):
        return None
    elsewhere = rule.regions and connection.region and connection.region not in rule.regions
    return rule.out_of_date(now) or (Reason.WRONG_REGION if elsewhere else None)


def _cuts_now(row: Readable, connection: Connection) -> bool:
    """Whether a deny that applies cuts at once: for one consumer, never for everybody."""
    if not isinstance(row, Rule) or row.key.consumer == EVERY:
        return False
    return row.cut and not (row.regions and not connection.region)


def _unmatched(key: RowKey) -> MalformedRow:
    problem = "its keys are of no known form, and its effect does not read allow: it may have been meant to keep out"
    return MalformedRow(key, "consumer", problem)
