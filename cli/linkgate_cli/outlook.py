"""What Linkgate does with every connection under a table. Pure.

In the order of a sweep and of the runs that its bells start: live connections are kept, reported, withheld or cut; then
rejected ones, which may be accepted again, and those that wait are decided on, the oldest first, with the slots that
are free by then. A decision is the layer's own, at one time: dates that pass later are not in it.
"""

from collections import ChainMap, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from linkgate.approve.context import ContextReader, LedgerState, View, age
from linkgate.ledger.items import Judgment, Records, accepts_again
from linkgate.model import Connection, Decision, Reason, RowKey, ServiceSettings, State
from linkgate.policy.decide import Covering, Rows
from linkgate.policy.rows import EVERY, Item, blocks, is_unit
from linkgate.sweep.cuts import divided, is_unwanted


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
