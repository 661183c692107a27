"""Deciding on the connections of one service that wait for an answer, and writing it down before anybody acts."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from linkgate.allowlist import AllowList
from linkgate.entry import Current
from linkgate.errors import Contended, Unavailable
from linkgate.ledger import Ledger
from linkgate.model import Connection, Decision, Outcome, Status
from linkgate.organization import Organization
from linkgate.policy import Rows, decide
from linkgate.register import Register
from linkgate.standing import Standings, standings


@dataclass(frozen=True, slots=True)
class Line:
    """A connection, the decision on it, and the ledger's sort key of that decision; `news` if it is worth telling."""

    connection: Connection
    decision: Decision
    entry: str
    news: bool
    tries: int = 0


@dataclass(slots=True)
class Judged:
    """What came of it: lines to act on; who must be asked about again, and why; accounts that gave back a slot."""

    lines: list[Line] = field(default_factory=list)
    busy: dict[str, Unavailable | None] = field(default_factory=dict)
    freed: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides by the table, the claims and the ledger as they are now."""

    allow_list: AllowList
    ledger: Ledger
    register: Register
    organization: Organization | None
    now: Callable[[], datetime]

    def judge(
        self,
        service: str,
        waiting: Iterable[Connection],
        known: Mapping[str, Current],
        cause: Callable[[Connection], str],
    ) -> Judged:
        """Decide on connections of one service, the oldest first: a slot goes to who has waited longest.

        One that cannot be recorded now does not hold up the others, but for younger ones of its account that want a
        slot as well.
        """
        oldest_first = sorted(waiting, key=lambda connection: (connection.created, connection.endpoint))
        judged, stalled = Judged(), set[str]()
        if not oldest_first:
            return judged
        rows = self.allow_list.rows_for(oldest_first)
        standing = self._standings(service, {connection.owner for connection in oldest_first}, rows)
        for connection in oldest_first:
            before = known.get(connection.endpoint)
            try:
                if line := self._line(connection, rows, standing, before, connection.owner in stalled, cause):
                    judged.lines.append(line)
                    if before and before.claimed and line.decision.outcome is not Outcome.ACCEPT:
                        judged.freed.add(connection.owner)
            except Unavailable as error:
                judged.busy[connection.endpoint] = None if isinstance(error, Contended) else error
                stalled.add(connection.owner)
        return judged

    def _standings(self, service: str, owners: Iterable[str], rows: Rows) -> Standings:
        return standings(service, owners, rows, self.register, self.organization)

    def _line(
        self,
        connection: Connection,
        rows: Rows,
        standing: Standings,
        known: Current | None,
        stalled: bool,
        cause: Callable[[Connection], str],
    ) -> Line | None:
        """The ledger line to act on: a new one, or one that somebody left open; None where there is nothing to do."""
        now = self.now()
        decision = decide(connection, rows, now, standing.of(connection))
        agrees = known is not None and known.status is not Status.CLOSED and known.agrees_with(decision)
        if known and agrees and (known.paused_at(now) or (known.settled and not _lost(known, decision, now))):
            return None
        if known and (known.leased_at(now) or known.fresh_at(now)):
            # Somebody is acting, or acted so recently that this look may be older than the act.
            raise Contended(f"{connection.endpoint} was decided on a moment ago")
        if stalled and decision.outcome is Outcome.ACCEPT and decision.limit is not None:
            raise Contended(f"an older connection of {connection.owner} is still to be decided on")
        if known and agrees and not known.settled:
            self.ledger.taken_over(known, now)
            return Line(connection, decision, known.entry, news=True, tries=known.tries)
        decision, entry = self._recorded(connection, decision, rows, standing, known, cause(connection))
        news = known is None or known.says() != decision.says() or decision.acts
        return Line(connection, decision, entry, news)

    def _recorded(
        self,
        connection: Connection,
        decision: Decision,
        rows: Rows,
        standing: Standings,
        known: Current | None,
        cause: str,
    ) -> tuple[Decision, str]:
        """Write a decision down; one that finds its slot taken meanwhile is made again."""
        now = self.now()
        try:
            entry = self.ledger.decided(connection, decision, rows, standing.of(connection), known, cause, now)
        except Contended:
            if decision.outcome is not Outcome.ACCEPT or decision.limit is None:
                raise
            standing.claims |= self._standings(connection.service, [connection.owner], {}).claims
            decision = decide(connection, rows, now, standing.of(connection))
            if decision.outcome is Outcome.ACCEPT:
                raise
            entry = self.ledger.decided(connection, decision, rows, standing.of(connection), known, cause, now)
        standing.decided(connection, decision)
        return decision, entry


def _lost(known: Current, decision: Decision, now: datetime) -> bool:
    """Whether EC2 took an answer long ago and the connection waits all the same."""
    return decision.acts and not known.fresh_at(now)
