"""One service compared: what EC2 shows, what the table says, what the ledger knows; sends bells for what differs."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from linkgate.approve.context import ContextReader, LedgerState, View, age
from linkgate.aws.allowlist import AllowList
from linkgate.aws.connections import Connections, Shown
from linkgate.errors import Contended, Unavailable
from linkgate.events.bell import Bell, chunks
from linkgate.events.bus import Bus
from linkgate.events.catalog import health_event
from linkgate.events.digest import grouped
from linkgate.events.queue import BellQueue
from linkgate.health.causes import UNKNOWN
from linkgate.health.diagnosis import Diagnosis
from linkgate.health.evidence import Evidence
from linkgate.health.status import forgotten, record
from linkgate.ledger.breaker import Tripped, cuts_name, rejects_name
from linkgate.ledger.items import EndpointRecord, Judgment, Records, abandoned, accepts_again
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.slots import limit_name
from linkgate.model import Connection, Decision, Mode, Reason, ServiceSettings, State, Status
from linkgate.policy.decide import Covering
from linkgate.retry import SOON
from linkgate.sweep.contradictions import Contradictions, Finding
from linkgate.sweep.reconcile import Reconciled, Reconciler
from linkgate.sweep.tags import due

MANAGED = "managed-services"
"""The ledger's set of services that are managed, or were and have live endpoints."""
MOST_FORGOTTEN = 500
"""Endpoints of a service that one look calls verified no more: a write each, and a sweep has two minutes."""
TAGS_PER_LOOK = 20
"""Connections tagged in one look at a service: a call each, of which EC2 lets an account make a few a second."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the ledger knows of a service's endpoints and of who holds its slots, and what EC2 showed after that."""

    service: str
    known: Records
    slots: Mapping[str, frozenset[str]]
    shown: Shown


@dataclass(slots=True)
class ComparisonResult:
    """What one look at a service saw and did."""

    pending: int = 0
    stale: int = 0
    refused: int = 0
    requeued: int = 0
    unwanted: int = 0
    unknown: dict[str, str] = field(default_factory=dict)
    """Endpoints in a state that is none of EC2's as far as anybody here knows, and EC2's word for it."""
    cut: list[str] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    """Sentences about what a tripped breaker withholds."""
    refusals: dict[str, str] = field(default_factory=dict)
    """What EC2 refused to cut or to tag, by endpoint, in its words."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Items of the ledger that cannot be read, and why: the endpoints among them are left alone."""
    unplaced: dict[str, str] = field(default_factory=dict)
    """Accounts whose place in the organisation nobody could tell, and why."""
    contradictions: list[Finding] = field(default_factory=list)
    """Connections that contradict the allow-list, or did; published once all services have been looked at."""
    statuses: Counter[Status] = field(default_factory=Counter)
    """How many endpoints stand where, as the ledger knew before this look."""
    attachments: list[str] = field(default_factory=list)
    """Transit gateway attachments, which Linkgate leaves alone."""
    again: timedelta | None = None
    """When to look again, where a grace runs."""


@dataclass(frozen=True, slots=True)
class Comparer:
    """Compares services, one after the other."""

    connections: Connections
    allow_list: AllowList
    ledger: Ledger
    contexts: ContextReader
    bus: Bus
    bells: BellQueue
    now: Callable[[], datetime]

    def compare(self, look: Look, rows: Covering, kept: LedgerState, origin: str) -> ComparisonResult:
        """Send bells for endpoints that the ledger does not show as they are, reconcile and tag those that are live."""
        service, known, slots = look.service, look.known, dict(look.slots)
        found = ComparisonResult(statuses=Counter(one.status for one in known.values()), unreadable=known.unreadable)
        found.attachments = look.shown.attachments
        self._mend(service, known, slots, kept, found)
        shown = [one for one in look.shown.connections if one.endpoint not in known.unreadable]
        self._heal(service, known, slots, {one.endpoint for one in shown if not one.state.gone})
        accounts = {one.account for one in shown if not one.state.gone}
        view = View(known, rows, self.contexts.of(service, accounts, rows.common, kept, slots))
        waiting = sorted((one for one in shown if one.waits), key=age)
        different = [one.endpoint for one in shown if not one.waits and _drifted(one, known.get(one.endpoint))]
        judged = list[Judgment]()
        rejected = (one for one in shown if one.state is State.REJECTED)
        different += self._undecided(view, [*waiting, *rejected], found, judged)
        different += known.keys() - {one.endpoint for one in shown}
        self.bells.send(Bell(some, frozenset({service}), origin) for some in chunks(different))
        found.requeued = len(different)
        found.unknown = {one.endpoint: one.raw_state for one in shown if one.state is State.UNKNOWN}
        self._count(view, waiting, found)
        live = [one for one in shown if one.state.live]
        reconciled = self._reconcile(view, live, found)
        self._contradictions(view, judged, reconciled, found)
        with suppress(Unavailable):  # nobody waits for tags: the next look writes them
            self._tag(view, live, found)
        return found

    def leave(self, managed: Collection[str]) -> None:
        """Look at what the ledger calls live of services that were managed once: patrol does not any more.

        A service that is gone takes its connections with it: bells are sent for those that EC2 does not show. What it
        shows is verified no more after a while.
        """
        before = self.contexts.sets.read([MANAGED]).get(MANAGED, frozenset())
        live = {service: self._live(service) for service in sorted(before - set(managed))}
        for known in live.values():
            self.forget(known.values(), "its service is managed no more")
        left = {service: known for service, known in live.items() if known}
        for service, shown in self.connections.of(left).items():
            there = {one.endpoint for one in shown.connections if not one.state.gone}
            missing = sorted(left[service].keys() - there)
            self.bells.send(Bell(some, frozenset({service}), "sweep") for some in chunks(missing))
        if (kept := left.keys() | managed) != before:
            self.contexts.sets.keep(MANAGED, before, frozenset(kept))

    def forget(self, known: Iterable[EndpointRecord], why: str, later: timedelta = timedelta()) -> None:
        """Call nobody verified any more of whom nobody found anything out for an hour, and `later`; some a look."""
        now = self.now()
        due = [one for one in known if forgotten(one.status, one.health, now - later)][:MOST_FORGOTTEN]
        found = [(one, record(Diagnosis(UNKNOWN, why), Evidence(), one.health, now)) for one in due]
        events = (health_event(one, Status.ACCEPTED, health) for one, health in found)
        for some in grouped([event for event in events if event]):
            self.bus.publish(some)
        for one, health in found:
            with suppress(Contended):
                self.ledger.probed(one, Status.ACCEPTED, "", health, now)

    def forget_all(self, why: str, later: timedelta) -> None:
        """Do so where EC2 does not say which services are managed: with those that were when it last did."""
        for service in sorted(self.contexts.sets.read([MANAGED]).get(MANAGED, frozenset())):
            self.forget(self._live(service).values(), why, later)

    def _live(self, service: str) -> dict[str, EndpointRecord]:
        return {one.endpoint: one for one in self.ledger.whole(service)[0].values() if one.status.live}

    def _undecided(
        self, view: View, asking: Iterable[Connection], found: ComparisonResult, judged: list[Judgment]
    ) -> list[str]:
        """Who would be decided on otherwise now: those that wait, the oldest first as the approver will, and rejected
        ones that are allowed again."""
        different = []
        for connection in asking:
            now = self.now()
            one = view.judge(connection, now)
            judged.append(one)
            known, decision = one.before, one.decision
            if not connection.waits:
                wanted = accepts_again(known, decision) or (known and abandoned(known, decision))
                if wanted and not (known and known.paused_at(now)):
                    different.append(connection.endpoint)
                continue
            view.context.decided(connection, decision, now)
            if decision.cut_now and known and known.leased_at(now):
                found.again = SOON  # somebody may be accepting it at this moment
            if known is None or not known.agrees_with(decision) or _unanswered(known, decision, now):
                different.append(connection.endpoint)
        return different

    def _count(self, view: View, waiting: Sequence[Connection], found: ComparisonResult) -> None:
        """Gauges, and a rejections' breaker that withholds nothing any more."""
        settings, tripped = view.settings, view.context.state.rejects.tripped
        patience = settings.stale_after if isinstance(settings, ServiceSettings) else ServiceSettings().stale_after
        found.pending = len(waiting)
        found.stale = sum(connection.created < self.now() - patience for connection in waiting)
        mine = [known for one in waiting if (known := view.known.get(one.endpoint))]
        found.refused = sum(bool(known.refusal) for known in mine)
        unknown = Reason.UNKNOWN_ORGANIZATION
        found.unplaced = {account: one.why for account, one in view.context.lineages.items() if one.unknown is unknown}
        withheld = frozenset(known.endpoint for known in mine if known.reason == Reason.BREAKER)
        if tripped.endpoints and not withheld:
            self.contexts.breaker.trip(rejects_name(view.context.service), tripped, Tripped())
        if withheld:
            found.withheld.append(f"{len(withheld)} rejections wait for a release: {_some(withheld)}")

    def _contradictions(
        self, view: View, judged: Sequence[Judgment], reconciled: Reconciled, found: ComparisonResult
    ) -> None:
        """What of all this contradicts the allow-list; what was cut just now does no more."""
        settings = view.settings
        if not isinstance(settings, ServiceSettings):
            return  # nobody knows what is allowed
        still = (one for one in reconciled.judged if one.connection.endpoint not in reconciled.cut)
        looked = Contradictions(settings, reconciled.withheld, self.now())
        found.contradictions = looked.of([*judged, *still])
        if not looked.enforced and any(one.since and not one.how for one in found.contradictions):
            found.again = min(filter(None, (found.again, max(settings.grace, SOON))))

    def _reconcile(self, view: View, live: Sequence[Connection], found: ComparisonResult) -> Reconciled:
        reconciler = Reconciler(self.connections, self.allow_list, self.ledger, self.contexts, self.bus, self.now)
        reconciled = reconciler.reconcile(view, live)
        found.unwanted, found.cut = reconciled.unwanted, reconciled.cut
        found.again = min(filter(None, (found.again, reconciled.again)), default=None)
        found.refused += len(reconciled.refused)
        found.refusals |= {endpoint: f"cut: {why}" for endpoint, why in reconciled.refused.items()}
        if reconciled.withheld:
            found.withheld.append(f"{len(reconciled.withheld)} cuts wait for a release: {_some(reconciled.withheld)}")
        return reconciled

    def _tag(self, view: View, live: Sequence[Connection], found: ComparisonResult) -> None:
        """Write on accepted connections whose they are, a few a look: nobody waits for it."""
        settings = view.settings
        if not isinstance(settings, ServiceSettings) or settings.mode is not Mode.ENFORCE:
            return
        taken = {one.endpoint: one for one in view.known.values() if one.tags_refused != one.entry}
        for connection, tags in due(live, taken)[:TAGS_PER_LOOK]:
            current = taken[connection.endpoint]
            if why := self.connections.tag(connection.connection_id, tags):
                found.refusals[connection.endpoint] = f"tags: {why}"
                with suppress(Contended):
                    self.ledger.untagged(current)

    def _mend(
        self,
        service: str,
        known: Records,
        slots: dict[str, frozenset[str]],
        kept: LedgerState,
        found: ComparisonResult,
    ) -> None:
        """Write anew what cannot be read of slots and of what the breakers counted."""
        for account in [account for account in slots if limit_name(service, account) in known.unreadable]:
            slots[account] = frozenset(one.endpoint for one in known.values() if one.account == account and one.claimed)
            self.contexts.sets.reset(limit_name(service, account), slots[account])
        for name, counted in ((rejects_name(service), kept.rejects), (cuts_name(service), kept.cuts)):
            if counted.spent.damaged:
                self.contexts.breaker.mend(name, self.now())
                found.unreadable[name] = "what was counted cannot be read: the hour counts as full"

    def _heal(
        self,
        service: str,
        known: Records,
        slots: Mapping[str, frozenset[str]],
        shown: Collection[str],
    ) -> None:
        """Where an account's slots and an endpoint's own item came to differ, the item is right."""
        for current in known.values():
            with suppress(Contended):
                self.ledger.healed(current, slots.get(current.account, frozenset()))
        for account, holders in slots.items():
            nobodys = holders - known.keys() - set(shown) - known.unreadable.keys()
            self.contexts.sets.remove(limit_name(service, account), nobodys)


def _drifted(connection: Connection, known: EndpointRecord | None) -> bool:
    """Whether a connection that waits for nobody is something else in the ledger."""
    if connection.state is State.UNKNOWN:  # recorded once; nothing else is known to be said about it
        recorded = known and (known.state, known.raw_state) == (State.UNKNOWN, connection.raw_state)
        return known is None or (known.settled and not recorded)
    if known is None:
        return not connection.state.gone
    if connection.state.gone:
        return known.status is not Status.CLOSED
    if not known.settled and (known.cutting() or known.refusal) and known.state is connection.state:
        return False  # the sweep's own, or refused: asked again by whoever decides
    live = connection.state.live
    return not known.settled or known.state is not connection.state or {known.claimed, known.status.live} != {live}


def _unanswered(known: EndpointRecord, decision: Decision, now: datetime) -> bool:
    """Whether EC2 was to be told, yet the connection waits: not told, refused some time ago, or not done."""
    if known.paused_at(now):
        return False
    return decision.acts or not known.settled or known.status is Status.CLOSED


def _some(endpoints: Collection[str]) -> str:
    return ", ".join(sorted(endpoints)[:20]) + (" …" if len(endpoints) > 20 else "")
