"""Live connections that are no longer allowed: reported or cut, after the grace, within the breaker, by sweeps alone.

Two looks at least a grace apart must want a cut, and a third, made just before, must still. A look that wants more cuts
than the breaker lets through cuts nobody; what it keeps waits for a `@release` row, for its rows to be put back, or for
another max_cuts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from linkgate.approve.context import ContextReader, View
from linkgate.aws.allowlist import AllowList
from linkgate.aws.calls import parts
from linkgate.aws.connections import PER_CALL, Connections
from linkgate.aws.errors import THROTTLES, Refusal
from linkgate.errors import Contended
from linkgate.events.bus import Bus
from linkgate.events.catalog import Withheld, decision_event, tripped_event
from linkgate.events.message import row_words
from linkgate.ledger.breaker import Tripped, cuts_name, spend
from linkgate.ledger.items import EndpointRecord, Judgment, explained
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.table import Write
from linkgate.model import Budget, Connection, Mode, Outcome, Reconcile, ServiceSettings, State, Status
from linkgate.policy.grounds import named
from linkgate.policy.why import Answer
from linkgate.retry import SOON, pause
from linkgate.sweep.cuts import at_once, divided, is_unwanted


@dataclass(slots=True)
class Reconciled:
    """What became of the live connections of one service."""

    judged: list[Judgment] = field(default_factory=list)
    """All that were given, as they were decided on."""
    unwanted: int = 0
    cut: list[str] = field(default_factory=list)
    withheld: frozenset[str] = frozenset()
    """Those whose cuts the breaker withholds."""
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
    contexts: ContextReader
    bus: Bus
    now: Callable[[], datetime]

    def reconcile(self, view: View, live: Sequence[Connection]) -> Reconciled:
        """Report or cut what is no longer allowed of a service's live connections, all of which are given."""
        found, settings = Reconciled(), view.settings
        if not isinstance(settings, ServiceSettings):
            return found  # nobody knows what may be cut
        unwanted = self._unwanted(view, live, settings, found)
        found.unwanted = len(unwanted)
        decisions, counted = {one.connection.endpoint: one.decision for one in unwanted}, view.context.state.cuts
        cuts = divided(decisions, settings, view.context.released, counted, len(live), self.now())
        if settings.mode is Mode.ENFORCE and settings.reconcile is Reconcile.ENFORCE:
            withheld = [one for one in unwanted if one.connection.endpoint in cuts.withheld]
            self._withhold(view.context.service, withheld, counted.tripped, settings.max_cuts)
        found.withheld, reported = cuts.withheld, cuts.reported | cuts.withheld
        due = list[tuple[str, str]]()
        for one in unwanted:
            known = view.known[one.connection.endpoint]
            if known.endpoint in reported:
                self._report(one, known)
            elif _due(one, known, settings.grace, self.now()):
                due.append((known.endpoint, one.connection.account))
            elif not known.unwanted_since:
                found.look_again(settings.grace)  # where the grace began earlier, an earlier look asked for another
        for some in parts(due, PER_CALL):
            self._cut(view.context.service, dict(some), settings.max_cuts.of(len(live)), found)
        return found

    def _unwanted(
        self, view: View, live: Iterable[Connection], settings: ServiceSettings, found: Reconciled
    ) -> list[Judgment]:
        """Who is no longer allowed, kept in mind since when; who is again is forgotten."""
        unwanted = []
        for connection in live:
            now = self.now()
            one = view.judge(connection, now)
            found.judged.append(one)
            known, decision = one.before, one.decision
            if known is None or not known.status.live:
                if decision.cut_now:
                    found.look_again(SOON)  # the approver records it first
            elif is_unwanted(decision, settings):
                unwanted.append(one)
                if not known.unwanted_since:
                    self._mark_unwanted(known, now)
            elif known.unwanted_since or known.outcome == Outcome.CUT:
                self._mark_unwanted(known, None)
                if known.outcome == Outcome.CUT:
                    self._noted(one, known, "it stays")
        return unwanted

    def _mark_unwanted(self, known: EndpointRecord, since: datetime | None) -> None:
        with suppress(Contended):
            self.ledger.mark_unwanted(known, since)

    def _report(self, one: Judgment, known: EndpointRecord) -> None:
        """Say, when it changes, who would be cut."""
        would = replace(one.decision, outcome=Outcome.CUT, mode=Mode.OBSERVE)
        if known.agrees_with(would) and known.settled:
            return
        entry = self._noted(replace(one, decision=would), known, "nothing to do")
        if entry and known.says() != would.says():
            self.bus.publish([decision_event(one.connection, would, entry)])

    def _noted(self, one: Judgment, known: EndpointRecord, answer: str) -> str:
        """A line about a live connection on which nobody acts; its sort key, "" if somebody else is writing."""
        now = self.now()
        try:
            entry = self.ledger.decided(one, "sweep", now)
            self.ledger.answered(one.connection, entry, answer, known.status, one.connection.state, now, known)
        except Contended:
            return ""
        return entry

    def _withhold(self, service: str, withheld: Sequence[Judgment], before: Tripped, budget: Budget) -> None:
        """Keep in mind whose cuts the breaker withholds; publish it, and again when it withholds more."""
        endpoints = frozenset(one.connection.endpoint for one in withheld)
        if endpoints - before.endpoints:
            who = [Withheld(one.connection.endpoint, one.connection.account, _why(one)) for one in withheld]
            lets, table = f"max_cuts = {budget}", self.allow_list.name
            self.bus.publish([tripped_event(service, "cuts", sorted(who), lets, table, self.now())])
        self.contexts.breaker.trip(cuts_name(service), before, Tripped(endpoints, budget))

    def _cut(self, service: str, accounts: Mapping[str, str], budget: int, found: Reconciled) -> None:
        """Look once more at endpoints of these accounts, decide, record, act, record."""
        shown = [one for one in self.connections.named(accounts, [service]) if one.state.live]
        rows = self.allow_list.rows_for(shown)
        view = self.contexts.view(service, shown, rows, self.ledger.current(one.endpoint for one in shown))
        settings, spent, opened = view.settings, view.context.state.cuts.spent, list[Judgment]()
        if not isinstance(settings, ServiceSettings) or settings.mode is not Mode.ENFORCE:
            return
        for connection in shown:
            now = self.now()
            one = view.judge(connection, now)
            known, urgent = one.before, at_once(one.decision)
            if known is None or not known.status.live:
                continue  # a look may be older than a cut
            allowed = urgent or (settings.reconcile is Reconcile.ENFORCE and _due(one, known, settings.grace, now))
            counts = not urgent and connection.endpoint not in view.context.released
            if not (one.decision.reason.ends and allowed) or (counts and spent.within_the_hour(now) >= budget):
                continue
            cut = replace(one, decision=replace(one.decision, outcome=Outcome.CUT))
            also = [spend(cuts_name(service), spent, now)] if counts else []
            if entry := self._opened(cut, known, also):
                opened.append(replace(cut, entry=entry))
                spent = spent.one_more(now) if counts else spent
            else:
                found.look_again(SOON)
        refused = self.connections.reject(service, [one.connection.endpoint for one in opened]) if opened else {}
        self._complete(opened, refused, found)

    def _opened(self, cut: Judgment, known: EndpointRecord, also: Iterable[Write]) -> str:
        """The ledger's line of a cut: a new one, or one that was left open; "" where it is not ours to act on."""
        now = self.now()
        try:
            if known.leased_at(now) or known.paused_at(now):
                return ""
            if known.cutting() and known.agrees_with(cut.decision) and known.mode == cut.decision.mode:
                self.ledger.taken_over(known, now)
                return known.entry
            return self.ledger.decided(cut, "sweep", now, *also)
        except Contended:
            return ""

    def _complete(self, cuts: Iterable[Judgment], refused: Mapping[str, Refusal], found: Reconciled) -> None:
        """Publish what was done, then complete the lines."""
        for one in cuts:
            endpoint, now = one.connection.endpoint, self.now()
            why = refused.get(endpoint)
            if why is None:
                self.bus.publish([decision_event(one.connection, one.decision, one.entry)])
                cut, said = (Status.CUT, State.REJECTED), explained(one, now)
                self.ledger.answered(one.connection, one.entry, "done", *cut, now, one.before, why=said)
                found.cut.append(endpoint)
            else:
                tries = (one.before.tries if one.before else 0) + (why.code not in THROTTLES)
                said = explained(one, now, Answer(str(why), now + pause(tries)))
                self.ledger.refused(endpoint, one.entry, str(why), tries, now + pause(tries), said)
                found.refused[endpoint] = why
                found.look_again(pause(tries))


def _why(one: Judgment) -> str:
    """Why a connection is to be cut, with the row and whose it is: "denied by vpce-svc-…/333333333333 (owner …)"."""
    row, people = named(one.decision, one.rows)
    whose = (people.get(name, "") for name in ("owner", "ticket"))
    return f"{one.decision.reason}, {row_words(str(row), *whose) if row else 'no row'}"


def _due(one: Judgment, known: EndpointRecord, grace: timedelta, now: datetime) -> bool:
    """Whether it is cut at once, or a look at least a grace ago wanted it cut already."""
    since = known.unwanted_since
    return at_once(one.decision) or (since is not None and since <= now - grace)
