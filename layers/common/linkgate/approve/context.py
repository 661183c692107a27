"""How the consumers of one service stand while it is decided on them: slots taken, place in their organisation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from linkgate.aws.organizations import Organization
from linkgate.errors import Unavailable
from linkgate.ledger.breaker import Breaker, Counted, Spent, cuts_name, rejects_name
from linkgate.ledger.items import EndpointRecord, Judgment
from linkgate.ledger.sets import NamedSets, block_name, unwritten
from linkgate.ledger.slots import CLAIMS, limit_name
from linkgate.model import (
    OUTSIDE,
    Connection,
    Decision,
    DecisionContext,
    Lineage,
    MalformedRow,
    Outcome,
    Reason,
    RowKey,
    ServiceSettings,
)
from linkgate.policy.decide import Covering, Rows, decide, released, settings_for, unit_rows
from linkgate.policy.rows import EVERY

ROLE_MISSING = "its rows about OUs and organisations cannot be judged: the parameter OrganizationsRoleArn is empty"


class LedgerState(NamedTuple):
    """What the ledger keeps about one service: unmatched rows that block it, and what its breakers counted."""

    unmatched: tuple[RowKey, ...] = ()
    rejects: Counted = Counted()
    cuts: Counted = Counted()


@dataclass(slots=True)
class ServiceContext:
    """By account, who holds slots on one service and where the account stands; what blocks it; rejections."""

    service: str
    state: LedgerState = LedgerState()  # noqa: RUF009 - immutable
    lineages: Mapping[str, Lineage] = field(default_factory=dict)
    slots: dict[str, frozenset[str]] = field(default_factory=dict)
    spent: Spent = Spent()  # noqa: RUF009 - frozen
    rejects: int = 0
    """As many rejections an hour are let through, but for those that are released."""
    released: frozenset[str] = frozenset()

    def of(self, connection: Connection, now: datetime) -> DecisionContext:
        """What is taken into account for one connection: its own slot does not count against it."""
        others = self.slots.get(connection.account, frozenset()) - {connection.endpoint}
        breaker = connection.waits and self.counts(connection) and self.spent.within_the_hour(now) >= self.rejects
        return DecisionContext(
            len(others), self.lineages.get(connection.account, OUTSIDE), self.state.unmatched, breaker
        )

    def counts(self, connection: Connection) -> bool:
        """Whether its rejection counts: nobody released it."""
        return connection.endpoint not in self.released

    def decided(self, connection: Connection, decision: Decision, now: datetime) -> None:
        """Count a slot that was just taken or given back, and a rejection."""
        mine, held = {connection.endpoint}, self.slots.get(connection.account, frozenset())
        self.slots[connection.account] = held | mine if decision.outcome is Outcome.ACCEPT else held - mine
        if decision.rejects and self.counts(connection):
            self.spent = self.spent.one_more(now)


@dataclass(frozen=True, slots=True)
class View:
    """What one look at a service decides by: what the ledger knows, the rows, and how the accounts stand."""

    known: Mapping[str, EndpointRecord]
    rows: Covering
    context: ServiceContext

    @property
    def settings(self) -> ServiceSettings | MalformedRow:
        """The settings of the service."""
        return settings_for(self.context.service, self.rows.common)

    def judge(self, connection: Connection, now: datetime) -> Judgment:
        """Decide on a connection of the service."""
        rows, taken = self.rows.of(connection), self.context.of(connection, now)
        known = self.known.get(connection.endpoint)
        return Judgment(connection, known, decide(connection, rows, now, taken), rows, taken, self.context.spent)


def age(connection: Connection) -> tuple[datetime, str]:
    """By what connections sort, the oldest request first."""
    return connection.created, connection.endpoint


@dataclass(frozen=True, slots=True)
class ContextReader:
    """Finds out how consumers stand."""

    sets: NamedSets
    breaker: Breaker
    organization: Organization | None

    def of(
        self,
        service: str,
        accounts: Iterable[str],
        rows: Rows,
        kept: LedgerState | None = None,
        slots: Mapping[str, frozenset[str]] | None = None,
    ) -> ServiceContext:
        """How some accounts stand on a service; `kept` and all of the service's `slots` where they were read already.

        `rows` holds at least settings, releases and the rows about OUs and organisations. Raises Unavailable.
        """
        named = sorted(set(accounts))
        kept = kept or self.states([service])[service]
        return ServiceContext(
            service,
            state=kept,
            lineages=_lineages(named, self.organization) if unit_rows(service, rows) else {},
            slots=self.slots(service, named) if slots is None else dict(slots),
            spent=kept.rejects.spent,
            rejects=self._rejects(service, rows, slots),
            released=released(service, rows),
        )

    def view(
        self, service: str, connections: Iterable[Connection], rows: Rows, known: Mapping[str, EndpointRecord]
    ) -> View:
        """What some connections of a service are decided by; `rows` were read for them. Raises Unavailable."""
        context = self.of(service, {connection.account for connection in connections}, rows)
        return View(known, Covering(service, rows, unit_rows(service, rows)), context)

    def refresh(self, standing: ServiceContext, account: str) -> None:
        """Read again what other writers changed meanwhile: the slots of an account, and the rejections."""
        name = rejects_name(standing.service)
        standing.slots |= self.slots(standing.service, [account])
        standing.spent = self.breaker.read([name])[name].spent

    def states(self, services: Iterable[str]) -> dict[str, LedgerState]:
        """What the ledger keeps about some services, consistently read."""
        names = sorted(set(services))
        sets = self.sets.read(block_name(name) for name in (*names, EVERY))
        counted = self.breaker.read(made(name) for name in names for made in (rejects_name, cuts_name))

        def unmatched(service: str) -> tuple[RowKey, ...]:
            blocks = (sets.get(block_name(name), frozenset()) for name in (service, EVERY))
            return tuple(sorted(map(unwritten, frozenset().union(*blocks))))

        return {
            name: LedgerState(unmatched(name), counted[rejects_name(name)], counted[cuts_name(name)]) for name in names
        }

    def slots(self, service: str, accounts: Iterable[str]) -> dict[str, frozenset[str]]:
        """Who holds the slots of some accounts on a service, consistently read."""
        names = {limit_name(service, account): account for account in accounts}
        found = self.sets.read(names)
        return {account: found.get(name, frozenset()) for name, account in names.items()}

    def _rejects(self, service: str, rows: Rows, slots: Mapping[str, frozenset[str]] | None) -> int:
        settings = settings_for(service, rows)
        if not isinstance(settings, ServiceSettings):
            return 0  # it rejects nobody
        budget = settings.max_rejects
        if not budget.percent:
            return budget.of(0)
        found = self.sets.by_account(service, CLAIMS) if slots is None else slots
        return budget.of(sum(map(len, found.values())))


def _lineages(accounts: Iterable[str], organization: Organization | None) -> dict[str, Lineage]:
    if organization is None:
        return dict.fromkeys(accounts, Lineage(unknown=Reason.MALFORMED_ROW, why=ROLE_MISSING))
    found = {}
    for account in accounts:
        try:
            found[account] = Lineage(organization.lineage(account))
        except Unavailable as error:
            found[account] = Lineage(unknown=Reason.UNKNOWN_ORGANIZATION, why=str(error))
    return found
