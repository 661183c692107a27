"""What an edit of the table changes for every connection, and for the requests of before. Pure."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from linkgate.approve.context import ContextReader, age
from linkgate.ledger.items import recalled
from linkgate.model import Connection, Decision, Reason, RowKey
from linkgate.policy.decide import Rows, decide, keys_for, settings_keys
from linkgate.policy.rows import Item, digest

from linkgate_cli.outlook import Action, Outlook, Seen, Table, outlooks
from linkgate_cli.rowsfile import RowsFile, same, written


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that an edit writes or deletes; `line` where a file has it."""

    key: RowKey
    before: Item | None
    after: Item | None
    line: int | None = None

    @property
    def kind(self) -> str:
        """add, change or remove."""
        return "add" if self.before is None else "remove" if self.after is None else "change"

    @property
    def attributes(self) -> dict[str, tuple[str | None, str | None]]:
        """Every attribute that differs, as YAML before and after; None where it is not set."""
        before, after = self.before or {}, self.after or {}
        names = sorted((before.keys() | after.keys()) - {"service", "consumer"})
        texts = {name: tuple(written(of[name]) if name in of else None for of in (before, after)) for name in names}
        return {name: (old, new) for name, (old, new) in texts.items() if old != new}


@dataclass(frozen=True, slots=True)
class Change:
    """One connection with which something else is done than without the edit, or something all the same."""

    connection: Connection
    before: Outlook
    after: Outlook
    row: RowKey | None
    """The row that brings it about; None: none does any more."""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class PastRequest:
    """A request that the ledger has, as it would be decided today without the edit and with it."""

    connection: Connection
    before: Decision
    after: Decision


@dataclass
class Plan:
    """What an edit does. `digest` is that of the table it was made for: another table needs another plan."""

    digest: str
    now: datetime
    rows: list[RowChange] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    anyway: list[Change] = field(default_factory=list)
    """What EC2 is asked to do, or what is withheld, without the edit just as with it."""
    unchanged: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    """Endpoints that Linkgate leaves alone, since the ledger's item of them is damaged."""
    notes: list[str] = field(default_factory=list)
    """What rows that are written say in vain: of a service that nobody manages, say."""
    past: list[PastRequest] | None = None
    tests: int = 0
    failed_tests: list[str] = field(default_factory=list)

    @property
    def edit(self) -> str:
        """A digest of what is written and deleted: of another edit another one."""
        text = json.dumps([[*row.key, written(row.after)] for row in self.rows])
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def removed(self) -> frozenset[RowKey]:
        """The rows that go."""
        return frozenset(row.key for row in self.rows if row.kind == "remove")

    @property
    def cuts(self) -> list[Change]:
        """The live connections that the edit cuts."""
        return [one for one in self.changes if one.after.action is Action.CUT]

    @property
    def counts(self) -> Counter[Action]:
        """How many connections change to what."""
        return Counter(one.after.action for one in self.changes)


def plan(
    services: Iterable[Seen],
    rows: Rows,
    edits: Mapping[RowKey, Item | None],
    contexts: ContextReader,
    now: datetime,
    file: RowsFile | None = None,
) -> Plan:
    """What edits of a table (None: the row goes) do; `rows` is the whole table before them."""
    file = file or RowsFile("")
    new = {key: item for key, item in {**rows, **edits}.items() if item is not None}
    made = Plan(digest(rows.values()), now)
    made.rows = [
        RowChange(key, rows.get(key), item, file.line(key))
        for key, item in sorted(edits.items())
        if not same(rows.get(key), item)
    ]
    before, after, edited = Table(rows), Table(new), {one.key for one in made.rows}
    for seen in services:
        made.unreadable |= {one: why for one, why in seen.known.unreadable.items() if one.startswith("vpce-")}
        was = outlooks(seen, before, contexts, now)
        will = outlooks(seen, after, contexts, now) if made.rows else was
        for connection in seen.connections:
            if connection.endpoint in will:
                _compare(made, connection, was[connection.endpoint], will[connection.endpoint], file, edited)
    order = list(Action)
    made.changes.sort(key=lambda one: (order.index(one.after.action), one.connection.service, age(one.connection)))
    return made


_ATTRIBUTES = {
    Reason.EXPIRED: "expires_at",
    Reason.NOT_YET_VALID: "starts_at",
    Reason.WRONG_REGION: "regions",
    Reason.OVER_LIMIT: "limit",
    Reason.DENIED: "effect",
    Reason.REVIEW: "effect",
}


def _compare(
    made: Plan, connection: Connection, was: Outlook, will: Outlook, file: RowsFile, edited: set[RowKey]
) -> None:
    changed = was.says() != will.says()
    row = _row(connection, will, edited)
    line = file.line(row, _ATTRIBUTES.get(will.decision.reason, ""))
    one = Change(connection, was, will, row, line)
    if changed:
        made.changes.append(one)
        return
    made.unchanged += 1
    if will.acts or will.action is Action.WITHHOLD:
        made.anyway.append(one)


def _row(connection: Connection, will: Outlook, edited: set[RowKey]) -> RowKey | None:
    """The row by which it comes: the one that decided, the nearest miss, or the edited one that covered it."""
    decision = will.decision
    if decision.reason is Reason.FROZEN:
        return next((key for key in settings_keys(connection.service) if key in edited), decision.row)
    if decision.row:
        return decision.row
    if decision.near_misses:
        return decision.near_misses[0].key
    return next((key for key in keys_for(connection) if key in edited), None)


def past(facts: Iterable[str], rows: Rows, edits: Mapping[RowKey, Item | None], now: datetime) -> list[PastRequest]:
    """Requests of before, by the facts that the ledger kept of them, that an edit would have decided otherwise.

    As if they were made today, with the slots and the place in the organisation that they had then.
    """
    before = Table(rows)
    after = Table({key: item for key, item in {**rows, **edits}.items() if item is not None})
    found = []
    for text in facts:
        connection, _, _, context = recalled(text)
        was, will = (
            decide(connection, one.covering(connection.service).of(connection), now, context) for one in (before, after)
        )
        if was.says()[:2] != will.says()[:2]:
            found.append(PastRequest(connection, was, will))
    return found


def kept_by_breaker(services: Iterable[Seen], rows: Rows, contexts: ContextReader, now: datetime) -> set[str]:
    """The endpoints that a `@release` row would let past a breaker now."""
    table = Table(rows)
    found = (one for seen in services for one in outlooks(seen, table, contexts, now).items())
    return {
        endpoint for endpoint, one in found if Action.WITHHOLD is one.action or one.decision.reason is Reason.BREAKER
    }


def file_edits(file: RowsFile, rows: Rows, prune: bool) -> dict[RowKey, Item | None]:
    """What a file changes in a table: its rows; with `prune`, other rows of the services that it names go."""
    edits: dict[RowKey, Item | None] = {key: item for key, item in file.rows.items() if not same(rows.get(key), item)}
    if prune:
        edits |= {key: None for key in rows if key.service in file.services and key not in file.rows}
    return edits
