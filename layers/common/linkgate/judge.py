"""Deciding on the connections of one service that wait for an answer, and writing it down before anybody acts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from linkgate.abreast import Each, lanes
from linkgate.allowlist import AllowList
from linkgate.breaker import rejects_name, spend
from linkgate.connections import Connections
from linkgate.entry import Current
from linkgate.errors import Contended, Unavailable
from linkgate.ledger import Ledger
from linkgate.model import Connection, Decision, Outcome, Reason, Status
from linkgate.policy import Rows, decide
from linkgate.standing import Census, Standings, place_of

OLDER = 100
"""Older requests of an account that are judged with one of it, at most."""


@dataclass(frozen=True, slots=True)
class Line:
    """A connection, the decision on it, and the ledger's sort key of that decision; `news` if it is worth telling."""

    connection: Connection
    decision: Decision
    entry: str
    news: bool
    before: Current | None = None
    """What was known of it before."""


@dataclass(slots=True)
class Judged:
    """What came of it: lines to act on; who must be asked about again, and why; accounts that gave back a slot."""

    lines: list[Line] = field(default_factory=list)
    busy: dict[str, Unavailable | None] = field(default_factory=dict)
    freed: set[str] = field(default_factory=set)

    def join(self, other: "Judged") -> None:
        """Add what came of others."""
        self.lines += other.lines
        self.busy |= other.busy
        self.freed |= other.freed


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides by the table, the claims and the ledger as they are now."""

    connections: Connections
    allow_list: AllowList
    ledger: Ledger
    census: Census
    now: Callable[[], datetime]
    each: Each = map

    def judge(
        self,
        service: str,
        asking: Iterable[Connection],
        known: Mapping[str, Current],
        cause: Callable[[Connection], str],
    ) -> Judged:
        """Decide on connections of one service, the oldest first: a slot goes to who has waited longest.

        Rejected ones are accepted if they are allowed again, and otherwise left as they are. One that cannot be
        recorded now does not hold up the others, but for younger ones of its account that want a slot as well.
        """
        group, judged = list(asking), Judged()
        if not group:
            return judged
        rows = self.allow_list.rows_for(group)
        standing = self.census.of(service, {connection.owner for connection in group}, rows)
        if older := self._older(group, rows, standing):
            # They ask under the rows of the same accounts, but for rows of their own.
            rows = {**rows, **self.allow_list.rows_for(older)}
            known = {**known, **self.ledger.current(one.endpoint for one in older)}
        group = sorted({*group, *older}, key=place_of)
        standing.wait(one for one in group if one.waits)

        def in_turn(lane: Iterable[Connection]) -> Judged:
            return self._in_turn(lane, rows, standing, known, cause)

        for part in self.each(in_turn, self._lanes(group, rows, standing)):
            judged.join(part)
        judged.lines.sort(key=lambda line: place_of(line.connection))
        return judged

    def _lanes(self, group: Sequence[Connection], rows: Rows, standing: Standings) -> list[list[Connection]]:
        """An account's connections share its slots, and all rejections share a counter: they are written in turn."""
        now, rejected = self.now(), set[str]()
        for connection in group:
            decision = decide(connection, rows, now, standing.of(connection, now))
            if decision.rejects or decision.reason is Reason.BREAKER:
                rejected.add(connection.owner)
        return lanes(group, lambda one: None if one.owner in rejected else one.owner)

    def _in_turn(
        self,
        lane: Iterable[Connection],
        rows: Rows,
        standing: Standings,
        known: Mapping[str, Current],
        cause: Callable[[Connection], str],
    ) -> Judged:
        judged, stalled = Judged(), set[str]()
        for connection in lane:
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

    def _older(self, group: Sequence[Connection], rows: Rows, standing: Standings) -> list[Connection]:
        """Who waits for a slot longer than one of the group that would get it, and is not in the group."""
        here, wanted, now = {connection.endpoint for connection in group}, set[str](), self.now()
        for connection in group:
            decision = decide(connection, rows, now, standing.of(connection, now))
            if decision.outcome is Outcome.ACCEPT and decision.limit is not None:
                wanted |= {endpoint for endpoint in standing.older(connection)[:OLDER] if endpoint not in here}
        found = self.connections.named(wanted) if wanted else []
        return [one for one in found if one.waits and one.service == standing.service]

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
        decision = decide(connection, rows, now, standing.of(connection, now))
        if not connection.waits and not accepts_again(known, decision):
            return None
        agrees = known is not None and known.status is not Status.CLOSED and known.agrees_with(decision)
        if known and agrees and (known.paused_at(now) or (known.settled and not _lost(known, decision, now))):
            return None
        if known and (known.leased_at(now) or known.fresh_at(now)):
            # Somebody is acting, or acted so recently that this look may be older than the act.
            raise Contended(f"{connection.endpoint} was decided on a moment ago")
        # Who has the slot already is in nobody's way: the older one waits for it to be used, or given back.
        wants = decision.outcome is Outcome.ACCEPT and decision.limit is not None and not (known and known.claimed)
        if stalled and wants:
            raise Contended(f"an older connection of {connection.owner} is still to be decided on")
        if known and agrees and not known.settled:
            self.ledger.taken_over(known, now)
            return Line(connection, decision, known.entry, news=True, before=known)
        decision, entry = self._recorded(connection, decision, rows, standing, known, cause(connection))
        news = known is None or known.says() != decision.says() or decision.acts
        return Line(connection, decision, entry, news, known)

    def _recorded(
        self,
        connection: Connection,
        decision: Decision,
        rows: Rows,
        standing: Standings,
        known: Current | None,
        cause: str,
    ) -> tuple[Decision, str]:
        """Write a decision down; one that finds a slot taken or a rejection counted meanwhile is made again."""
        try:
            entry = self._write(connection, decision, rows, standing, known, cause)
        except Contended:
            if not (decision.rejects or (decision.outcome is Outcome.ACCEPT and decision.limit is not None)):
                raise
            self.census.refresh(standing, connection.owner)
            again = decide(connection, rows, self.now(), standing.of(connection, self.now()))
            if not (decision.rejects or again.says() != decision.says()):
                raise  # it was not the slot: somebody else decided on the same connection
            decision = again
            entry = self._write(connection, decision, rows, standing, known, cause)
        standing.decided(connection, decision, self.now())
        return decision, entry

    def _write(
        self,
        connection: Connection,
        decision: Decision,
        rows: Rows,
        standing: Standings,
        known: Current | None,
        cause: str,
    ) -> str:
        now = self.now()
        counted = decision.rejects and standing.counts(connection)
        also = [spend(rejects_name(connection.service), standing.spent, now)] if counted else []
        return self.ledger.decided(connection, decision, rows, standing.of(connection, now), known, cause, now, *also)


def accepts_again(known: Current | None, decision: Decision) -> bool:
    """Whether a rejected connection is to be accepted: it is allowed, and EC2 has not refused that yet."""
    tried = known is not None and known.final
    return decision.acts and decision.outcome is Outcome.ACCEPT and not tried


def _lost(known: Current, decision: Decision, now: datetime) -> bool:
    """Whether EC2 took an answer long ago and the connection waits all the same."""
    return decision.acts and not known.fresh_at(now)
