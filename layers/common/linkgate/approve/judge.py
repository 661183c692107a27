"""Deciding on the connections of one service that wait for an answer, and writing it down before anybody acts."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import zip_longest

from linkgate.approve.context import ContextReader, ServiceContext, age
from linkgate.aws.allowlist import AllowList
from linkgate.errors import Contended, Leased, Unavailable
from linkgate.ledger.breaker import rejects_name, spend
from linkgate.ledger.items import EndpointRecord, abandoned, accepts_again
from linkgate.ledger.ledger import Ledger
from linkgate.model import Connection, Decision, Outcome, Reason, Status
from linkgate.policy.decide import Rows, decide


@dataclass(frozen=True, slots=True)
class Record:
    """A connection, the decision on it, and the ledger's sort key of that decision; `news` if it is worth telling."""

    connection: Connection
    decision: Decision
    entry: str
    news: bool
    before: EndpointRecord | None = None
    """What was known of it before."""


@dataclass(slots=True)
class JudgmentResult:
    """What came of it: lines to act on; who must be asked about again, and why; accounts that gave back a slot."""

    lines: list[Record] = field(default_factory=list)
    busy: dict[str, Unavailable | None] = field(default_factory=dict)
    freed: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides by the table, the claims and the ledger as they are now."""

    allow_list: AllowList
    ledger: Ledger
    census: ContextReader
    now: Callable[[], datetime]

    def judge(
        self,
        service: str,
        asking: Iterable[Connection],
        known: Mapping[str, EndpointRecord],
        origin: Callable[[Connection], str],
    ) -> JudgmentResult:
        """Decide on connections of one service, the oldest first: a slot goes to who has waited longest.

        Rejected ones are accepted if they are allowed again, and otherwise left as they are. One that cannot be
        recorded now does not hold up the others, but for younger ones of its account that want a slot as well.
        """
        group, judged = list(asking), JudgmentResult()
        if not group:
            return judged
        rows = self.allow_list.rows_for(group)
        standing = self.census.of(service, {connection.owner for connection in group}, rows)
        group.sort(key=age)
        standing.released |= {one.endpoint for one in known.values() if one.rejecting()}  # it was counted

        stalled = set[str]()
        for wave in self._waves(group, rows, standing):
            written = self.ledger.together(
                partial(self._line, connection, rows, standing, known, connection.owner in stalled, origin)
                for connection in wave
            )
            # What was written counts before anything is read again: what is read has it already.
            for connection, line in sorted(zip(wave, written, strict=True), key=_is_trouble):
                before = known.get(connection.endpoint)
                try:
                    if isinstance(line, Unavailable):
                        line = self._once_more(connection, rows, standing, known, origin, line)
                except Unavailable as error:
                    judged.busy[connection.endpoint] = None if isinstance(error, Contended) else error
                    stalled.add(connection.owner)
                    continue
                if line:
                    judged.lines.append(line)
                    standing.decided(connection, line.decision, self.now())
                    if before and before.claimed and line.decision.outcome is not Outcome.ACCEPT:
                        judged.freed.add(connection.owner)
        judged.lines.sort(key=lambda line: age(line.connection))
        return judged

    def _waves(self, group: Sequence[Connection], rows: Rows, standing: ServiceContext) -> Iterator[list[Connection]]:
        """Whose lines are written together: an account's connections share its slots, all rejections a counter."""
        now, rejected, lanes = self.now(), set[str](), defaultdict[str | None, list[Connection]](list)
        for connection in group:
            decision = decide(connection, rows, now, standing.of(connection, now))
            if decision.rejects or decision.reason is Reason.BREAKER:
                rejected.add(connection.owner)
        for connection in group:
            lanes[None if connection.owner in rejected else connection.owner].append(connection)
        for wave in zip_longest(*lanes.values()):
            yield [connection for connection in wave if connection]

    def _line(
        self,
        connection: Connection,
        rows: Rows,
        standing: ServiceContext,
        known: Mapping[str, EndpointRecord],
        stalled: bool,
        origin: Callable[[Connection], str],
        ledger: Ledger,
    ) -> Record | None:
        """The ledger line to act on: a new one, or one that somebody left open; None where there is nothing to do."""
        now, before = self.now(), known.get(connection.endpoint)
        decision = decide(connection, rows, now, standing.of(connection, now))
        if not connection.waits and not accepts_again(before, decision):
            if before and abandoned(before, decision):
                ledger.answered(
                    connection, before.entry, "no longer allowed", before.status, connection.state, now, before
                )
            return None
        agrees = before is not None and before.status is not Status.CLOSED and before.agrees_with(decision)
        if before and agrees and (before.paused_at(now) or (before.settled and not _lost(before, decision, now))):
            return None
        if before and (before.leased_at(now) or before.fresh_at(now)):
            # Somebody is acting, or acted so recently that this look may be older than the act.
            raise Leased(f"{connection.endpoint} was decided on a moment ago")
        # Who has the slot already is in nobody's way: the older one waits for it to be used, or given back.
        if stalled and _wants_slot(decision) and not (before and before.claimed):
            raise Leased(f"an older connection of {connection.owner} is still to be decided on")
        if before and agrees and not before.settled:
            ledger.taken_over(before, now)
            return Record(connection, decision, before.entry, news=True, before=before)
        counted = decision.rejects and standing.counts(connection)
        also = [spend(rejects_name(connection.service), standing.spent, now)] if counted else []
        taken = standing.of(connection, now)
        entry = ledger.decided(connection, decision, rows, taken, before, origin(connection), now, *also)
        news = before is None or before.says() != decision.says() or decision.acts
        return Record(connection, decision, entry, news, before)

    def _once_more(
        self,
        connection: Connection,
        rows: Rows,
        standing: ServiceContext,
        known: Mapping[str, EndpointRecord],
        origin: Callable[[Connection], str],
        error: Unavailable,
    ) -> Record | None:
        """Decide again where a slot was taken or a rejection counted meanwhile; otherwise the error stands."""
        now = self.now()
        decision = decide(connection, rows, now, standing.of(connection, now))
        if not _changed(error) or not (decision.rejects or _wants_slot(decision)):
            raise error
        self.census.refresh(standing, connection.owner)
        again = decide(connection, rows, now, standing.of(connection, now))
        if not (decision.rejects or again.says() != decision.says()):
            raise error  # it was not the slot: somebody else decided on the same connection
        return self._line(connection, rows, standing, known, False, origin, self.ledger)


def _is_trouble(written: tuple[Connection, object]) -> bool:
    return isinstance(written[1], Unavailable)


def _changed(error: Unavailable) -> bool:
    """Whether another writer was faster: what is known of slots and rejections is old."""
    return isinstance(error, Contended) and not isinstance(error, Leased)


def _wants_slot(decision: Decision) -> bool:
    return decision.outcome is Outcome.ACCEPT and decision.limit is not None


def _lost(known: EndpointRecord, decision: Decision, now: datetime) -> bool:
    """Whether EC2 took an answer long ago and the connection waits all the same."""
    return decision.acts and not known.fresh_at(now)
