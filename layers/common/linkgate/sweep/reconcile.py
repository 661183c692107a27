"""Live connections that are no longer allowed: reported or cut, after the grace, within the breaker, by sweeps alone.

Two looks at least a grace apart must want a cut, and a third, made just before, must still. A look that wants more cuts
than the breaker lets through cuts nobody; what it keeps waits for a `@release` row, for its rows to be put back, or for
another max_cuts.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from linkgate.approve.context import ContextReader, ServiceContext
from linkgate.aws.allowlist import AllowList
from linkgate.aws.connections import PER_CALL, Connections
from linkgate.aws.errors import THROTTLES, Refusal
from linkgate.errors import Contended
from linkgate.events.bus import Bus
from linkgate.events.catalog import decision_event, tripped_event
from linkgate.ledger.breaker import Counted, Spent, Tripped, cuts_name, spend
from linkgate.ledger.items import EndpointRecord, stamp
from linkgate.ledger.ledger import Ledger
from linkgate.model import Budget, Connection, Decision, Mode, Outcome, Reconcile, ServiceSettings, State, Status
from linkgate.policy.decide import Covering, Rows, decide, released, settings_for
from linkgate.retry import SOON, pause


@dataclass(frozen=True, slots=True)
class Unwanted:
    """A live connection that is no longer allowed, and the decision which says so."""

    connection: Connection
    known: EndpointRecord
    decision: Decision

    @property
    def at_once(self) -> bool:
        """Whether neither the grace nor the breaker nor `reconcile` keeps it."""
        return self.decision.cut_now and self.decision.mode is Mode.ENFORCE

    def due(self, grace: timedelta, now: datetime) -> bool:
        """Whether a look at least a grace ago wanted it cut already."""
        since = self.known.unwanted_since
        return self.at_once or (since != "" and since <= stamp(now - grace))


@dataclass(slots=True)
class Reconciled:
    """What became of the live connections of one service."""

    unwanted: int = 0
    cut: list[str] = field(default_factory=list)
    kept: frozenset[str] = frozenset()
    """Those that the breaker keeps from being cut."""
    refused: dict[str, Refusal] = field(default_factory=dict)
    again: timedelta | None = None
    """When to look again: a grace began, or a cut could not be made."""

    def look_again(self, after: timedelta) -> None:
        """Look again after so long, or sooner."""
        self.again = after if self.again is None else min(self.again, after)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Makes live connections follow the table."""

    connections: Connections
    allow_list: AllowList
    ledger: Ledger
    census: ContextReader
    bus: Bus
    now: Callable[[], datetime]

    def reconcile(
        self,
        service: str,
        live: Sequence[Connection],
        known: Mapping[str, EndpointRecord],
        rows: Covering,
        standing: ServiceContext,
        counted: Counted,
    ) -> Reconciled:
        """Report or cut what is no longer allowed of a service's live connections, all of which are given."""
        found = Reconciled()
        settings = settings_for(service, rows.common)
        if not isinstance(settings, ServiceSettings):
            return found  # nobody knows what may be cut
        unwanted = self._unwanted(live, known, rows, settings, standing, found)
        found.unwanted = len(unwanted)
        ordinary = {one.connection.endpoint for one in unwanted if not one.at_once}
        acts = settings.mode is Mode.ENFORCE and settings.reconcile is Reconcile.ENFORCE
        let_go = released(service, rows.common)
        if acts:
            found.kept = self._kept(service, ordinary - let_go, settings.max_cuts, len(live), counted)
        told_only = found.kept if acts else ordinary
        for one in unwanted:
            if one.connection.endpoint in told_only:
                self._report(one, rows.of(one.connection), standing)
        cuts = [one for one in unwanted if one.connection.endpoint not in told_only]
        due = [one.connection.endpoint for one in cuts if one.due(settings.grace, self.now())]
        if any(not one.known.unwanted_since and not one.at_once for one in cuts):
            found.look_again(settings.grace)  # of those whose grace began earlier an earlier look asked for another
        for start in range(0, len(due), PER_CALL):
            self._cut(service, due[start : start + PER_CALL], let_go, settings.max_cuts.of(len(live)), found)
        return found

    def _unwanted(
        self,
        live: Iterable[Connection],
        known: Mapping[str, EndpointRecord],
        rows: Covering,
        settings: ServiceSettings,
        standing: ServiceContext,
        found: Reconciled,
    ) -> list[Unwanted]:
        """Who is no longer allowed, kept in mind since when; who is again is forgotten."""
        unwanted = []
        for connection in live:
            current = known.get(connection.endpoint)
            if current is None or not current.status.live:
                # The approver records it first.
                if self._decided(connection, rows.of(connection), standing).cut_now:
                    found.look_again(SOON)
                continue
            one = self._judged(connection, current, rows.of(connection), standing)
            if one.decision.reason.ends and (one.at_once or settings.reconcile is not Reconcile.OFF):
                unwanted.append(one)
                if not current.unwanted_since:
                    self._mark_unwanted(current, stamp(self.now()))
            elif current.unwanted_since or current.outcome == Outcome.CUT:
                self._mark_unwanted(current, "")
                self._wanted_again(one, rows.of(connection), standing)
        return unwanted

    def _judged(
        self, connection: Connection, current: EndpointRecord, rows: Rows, standing: ServiceContext
    ) -> Unwanted:
        return Unwanted(connection, current, self._decided(connection, rows, standing))

    def _decided(self, connection: Connection, rows: Rows, standing: ServiceContext) -> Decision:
        now = self.now()
        return decide(connection, rows, now, standing.of(connection, now))

    def _wanted_again(self, one: Unwanted, rows: Rows, standing: ServiceContext) -> None:
        """Say in the ledger why somebody stays who was to be cut."""
        if one.known.outcome == Outcome.CUT:
            self._noted(one.connection, one.decision, one.known, rows, standing, "it stays")

    def _mark_unwanted(self, known: EndpointRecord, since: str) -> None:
        with suppress(Contended):
            self.ledger.mark_unwanted(known, since)

    def _report(self, one: Unwanted, rows: Rows, standing: ServiceContext) -> None:
        """Say, when it changes, who would be cut."""
        would = replace(one.decision, outcome=Outcome.CUT, mode=Mode.OBSERVE)
        if one.known.agrees_with(would) and one.known.settled:
            return
        entry = self._noted(one.connection, would, one.known, rows, standing, "nothing to do")
        if entry and one.known.says() != would.says():
            self.bus.publish([decision_event(one.connection, would, entry)])

    def _noted(
        self,
        connection: Connection,
        decision: Decision,
        known: EndpointRecord,
        rows: Rows,
        standing: ServiceContext,
        answer: str,
    ) -> str:
        """A line about a live connection on which nobody acts; its sort key, "" if somebody else is writing."""
        now = self.now()
        try:
            taken = standing.of(connection, now)
            entry = self.ledger.decided(connection, decision, rows, taken, known, "sweep", now)
            self.ledger.answered(connection, entry, answer, known.status, connection.state, now, known)
        except Contended:
            return ""
        return entry

    def _kept(
        self, service: str, wanted: Collection[str], budget: Budget, live: int, counted: Counted
    ) -> frozenset[str]:
        """Who the breaker keeps: everybody, if one more look's cuts were too many, until they are released."""
        name, (spent, before) = cuts_name(service), counted
        looser = budget.of(live) > before.budget.of(live)
        still = frozenset[str]() if looser else before.endpoints & set(wanted)
        too_many = len(wanted) + spent.within_the_hour(self.now()) > budget.of(live)
        kept = frozenset(wanted) if wanted and (still or too_many) else frozenset()
        if kept and not before.endpoints:
            self.bus.publish([tripped_event(service, "cuts", kept)])
        self.census.breaker.trip(name, before, Tripped(kept, budget))
        return kept

    def _cut(
        self, service: str, endpoints: Sequence[str], let_go: Collection[str], budget: int, found: Reconciled
    ) -> None:
        """Look once more, decide, record, act, record."""
        shown = [one for one in self.connections.named(endpoints) if one.service == service and one.state.live]
        rows = self.allow_list.rows_for(shown)
        known = self.ledger.current(one.endpoint for one in shown)
        settings = settings_for(service, rows)
        if not shown or not isinstance(settings, ServiceSettings) or settings.mode is not Mode.ENFORCE:
            return
        kept = self.census.kept([service])[service]
        standing = self.census.of(service, {one.owner for one in shown}, rows, kept)
        spent, lines = kept.cuts.spent, dict[str, tuple[Unwanted, str]]()
        for connection in shown:
            if connection.endpoint not in known or not known[connection.endpoint].status.live:
                continue  # a look may be older than a cut
            one = self._judged(connection, known[connection.endpoint], rows, standing)
            allowed = one.at_once or (settings.reconcile is Reconcile.ENFORCE and one.due(settings.grace, self.now()))
            counts = not one.at_once and connection.endpoint not in let_go
            if not (one.decision.reason.ends and allowed) or (counts and spent.within_the_hour(self.now()) >= budget):
                continue
            if entry := self._opened(one, rows, standing, spent if counts else None):
                lines[connection.endpoint] = one, entry
                spent = spent.one_more(self.now()) if counts else spent
            else:
                found.look_again(SOON)
        refused = self.connections.reject(service, list(lines)) if lines else {}
        self._complete(lines, refused, found)

    def _opened(self, one: Unwanted, rows: Rows, standing: ServiceContext, spent: Spent | None) -> str:
        """The ledger's line of a cut: a new one, or one that was left open; "" where it is not ours to act on."""
        now, known = self.now(), one.known
        cut = replace(one.decision, outcome=Outcome.CUT)
        try:
            if known.leased_at(now) or known.paused_at(now):
                return ""
            if known.cutting() and known.agrees_with(cut) and known.mode == cut.mode:
                self.ledger.taken_over(known, now)
                return known.entry
            also = [spend(cuts_name(one.connection.service), spent, now)] if spent else []
            taken = standing.of(one.connection, now)
            return self.ledger.decided(one.connection, cut, rows, taken, known, "sweep", now, *also)
        except Contended:
            return ""

    def _complete(
        self, lines: Mapping[str, tuple[Unwanted, str]], refused: Mapping[str, Refusal], found: Reconciled
    ) -> None:
        """Tell the world, then complete the lines."""
        for endpoint, (one, entry) in lines.items():
            why, now = refused.get(endpoint), self.now()
            if why is None:
                cut = replace(one.decision, outcome=Outcome.CUT)
                self.bus.publish([decision_event(one.connection, cut, entry)])
                self.ledger.answered(one.connection, entry, "done", Status.CUT, State.REJECTED, now, one.known)
                found.cut.append(endpoint)
            else:
                tries = one.known.tries + (why.code not in THROTTLES)
                self.ledger.refused(endpoint, entry, str(why), tries, now + pause(tries))
                found.refused[endpoint] = why
                found.look_again(pause(tries))
