"""What Linkgate does with every connection under a table, and what an edit of the table changes in that. Pure.

In the order of a sweep and of the runs that its bells start: live connections are kept, reported, withheld or cut; then
rejected ones, which may be accepted again, and those that wait are decided on, the oldest first, with the slots that
are free by then. A decision is the layer's own, at one time: dates that pass later are not in it.
"""

import hashlib
import json
from collections import ChainMap, Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from linkgate.approve.context import ContextReader, LedgerState, View, age
from linkgate.ledger.items import Judgment, Records, accepts_again, recalled
from linkgate.model import Connection, Decision, Reason, RowKey, ServiceSettings, State
from linkgate.policy.decide import Covering, Rows, decide, keys_for, settings_keys
from linkgate.policy.rows import EVERY, Item, blocks, digest, is_unit
from linkgate.sweep.cuts import divided, is_unwanted

from linkgate_cli.rowsfile import RowsFile, same, written


class Action(StrEnum):
    """What is done with a connection; in the order in which a plan shows it."""

    CUT = "cut"
    WITHHOLD = "withhold"
    """It would be cut, and the breaker keeps it until it is released."""
    REPORT = "report"
    """It is no longer allowed, and only said to be."""
    REJECT = "reject"
    ACCEPT = "accept"
    HOLD = "hold"
    KEEP = "keep"
    LEAVE = "leave"
    """It was rejected and stays so, or is gone."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What Linkgate does with one connection, and the judgment by which it does; with `acts` it calls EC2."""

    action: Action
    judgment: Judgment

    @property
    def decision(self) -> Decision:
        return self.judgment.decision

    @property
    def acts(self) -> bool:
        return self.action is Action.CUT or (self.action in (Action.ACCEPT, Action.REJECT) and self.decision.acts)

    def says(self) -> tuple[Action, bool, Reason]:
        """What people care about."""
        return self.action, self.acts, self.decision.reason


@dataclass(frozen=True, slots=True)
class Seen:
    """One service as EC2 and the ledger show it: all that a decision reads but the rows."""

    service: str
    connections: Sequence[Connection]
    known: Records
    slots: Mapping[str, frozenset[str]]
    state: LedgerState


class Table:
    """The rows of a whole table, by the service that they cover."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._by_service: defaultdict[str, dict[RowKey, Item]] = defaultdict(dict)
        self._units: defaultdict[str, dict[RowKey, Item]] = defaultdict(dict)
        self._blocks: defaultdict[str, list[RowKey]] = defaultdict(list)
        for key, item in rows.items():
            self._by_service[key.service][key] = item
            if is_unit(key):
                self._units[key.service][key] = item
            if meant := blocks(item):
                self._blocks[meant].append(key)

    def covering(self, service: str) -> Covering:
        """The rows of a service and of `*`."""
        mine: Any = ChainMap(self._by_service[service], self._by_service[EVERY])
        return Covering(service, mine, self._units[service] | self._units[EVERY])

    def unmatched(self, service: str) -> tuple[RowKey, ...]:
        """The rows with keys of no known form that hold up the service."""
        return tuple(sorted({*self._blocks[service], *self._blocks[EVERY]}))

    @property
    def units(self) -> bool:
        """Whether rows about OUs or organisations are in it."""
        return any(self._units.values())


def outlooks(seen: Seen, table: Table, contexts: ContextReader, now: datetime) -> dict[str, Outlook]:
    """What is done with every connection of a service, by endpoint; those whose ledger item is damaged are left out."""
    there = [one for one in seen.connections if one.endpoint not in seen.known.unreadable and not one.state.gone]
    covering, state = table.covering(seen.service), seen.state._replace(unmatched=table.unmatched(seen.service))
    accounts, slots = {one.account for one in there}, _slots(seen, there)
    context = contexts.of(seen.service, accounts, covering.common, state, slots)
    context.released |= {one.endpoint for one in seen.known.values() if one.rejecting()}  # it was counted
    view = View(seen.known, covering, context)
    found = _live(view, [one for one in there if one.state.live], now)
    for connection in there:
        if connection.endpoint in found and found[connection.endpoint].action is Action.CUT:
            context.slots[connection.account] = context.slots[connection.account] - {connection.endpoint}
    asking = sorted((one for one in there if one.waits or one.state is State.REJECTED), key=age)
    while judged := _judged(view, asking, now):
        found |= judged
        if not any(one.acts for one in judged.values()):
            break
        asking = [one for one in asking if not judged[one.endpoint].acts]
        # Whoever is accepted makes room for rejections, where max_rejects is a percentage of the live.
        again = contexts.of(seen.service, accounts, covering.common, state, context.slots)
        context.rejects = again.rejects
    return found


def _judged(view: View, asking: Sequence[Connection], now: datetime) -> dict[str, Outlook]:
    """Decide as a sweep and then an approver: the sweep asks about rejected ones for which those that wait leave slots,
    and the approver serves them first."""
    slots, spent = dict(view.context.slots), view.context.spent
    _decided(view, (one for one in asking if one.waits), now)
    rejected = [view.judge(one, now) for one in asking if not one.waits]
    left = {one.connection.endpoint: one for one in rejected if not accepts_again(one.before, one.decision)}
    view.context.slots, view.context.spent = slots, spent
    served = sorted((one for one in asking if one.endpoint not in left), key=lambda one: (one.waits, age(one)))
    found = {endpoint: Outlook(Action.LEAVE, one) for endpoint, one in left.items()}
    return found | _decided(view, served, now)


def _decided(view: View, asking: Iterable[Connection], now: datetime) -> dict[str, Outlook]:
    """Decide, each decision counting for the next."""
    found = {}
    for connection in asking:
        one = view.judge(connection, now)
        if connection.waits or accepts_again(one.before, one.decision):
            view.context.decided(connection, one.decision, now)
            found[connection.endpoint] = Outlook(Action(one.decision.outcome), one)
        else:
            found[connection.endpoint] = Outlook(Action.LEAVE, one)
    return found


def _slots(seen: Seen, there: Iterable[Connection]) -> dict[str, frozenset[str]]:
    """Who holds slots once the ledger has followed EC2: whoever is live, and of the others those that may still be."""
    live, may = defaultdict[str, set[str]](set), {*seen.known.unreadable}
    for connection in there:
        if connection.state.live:
            live[connection.account].add(connection.endpoint)
        elif connection.state is not State.REJECTED:
            may.add(connection.endpoint)
    accounts = seen.slots.keys() | live.keys()
    return {one: frozenset((seen.slots.get(one, frozenset()) & may) | live[one]) for one in accounts}


def _live(view: View, live: Sequence[Connection], now: datetime) -> dict[str, Outlook]:
    judged = {one.endpoint: view.judge(one, now) for one in live}
    settings, context = view.settings, view.context
    if not isinstance(settings, ServiceSettings):
        return {endpoint: Outlook(Action.KEEP, one) for endpoint, one in judged.items()}
    unwanted = {endpoint: one.decision for endpoint, one in judged.items() if is_unwanted(one.decision, settings)}
    cuts = divided(unwanted, settings, context.released, context.state.cuts, len(live), now)
    by_action = ((Action.CUT, cuts.due), (Action.REPORT, cuts.reported), (Action.WITHHOLD, cuts.withheld))
    actions = {endpoint: action for action, endpoints in by_action for endpoint in endpoints}
    return {endpoint: Outlook(actions.get(endpoint, Action.KEEP), one) for endpoint, one in judged.items()}


# ------------------------------------------------------------------ what an edit changes


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


@dataclass(slots=True)
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
    past: list[PastRequest] | None = None
    tests: int = 0
    failed_tests: list[str] = field(default_factory=list)

    @property
    def edit(self) -> str:
        """A digest of what is written and deleted: of another edit another one."""
        text = json.dumps([[*row.key, written(row.after)] for row in self.rows])
        return hashlib.sha256(text.encode()).hexdigest()

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
