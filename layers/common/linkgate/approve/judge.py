"""Deciding on the connections of one service that wait for an answer, and writing it down before anybody acts."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from linkgate.approve.context import ContextReader, View, age
from linkgate.aws.allowlist import AllowList
from linkgate.errors import Contended, Unavailable
from linkgate.ledger.breaker import rejects_name, spend
from linkgate.ledger.items import EndpointRecord, Judgment, abandoned, accepts_again, explained
from linkgate.ledger.ledger import Ledger
from linkgate.model import Connection, Decision, Outcome, Status


@dataclass(slots=True)
class JudgmentResult:
    """What came of it: lines to act on; who must be asked about again, and why; accounts that gave back a slot."""

    lines: list[Judgment] = field(default_factory=list)
    retry_later: dict[str, Unavailable | None] = field(default_factory=dict)
    freed: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides by the table, the claims and the ledger as they are now."""

    allow_list: AllowList
    ledger: Ledger
    contexts: ContextReader
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
        view, blocked_accounts = self.contexts.view(service, group, self.allow_list.rows_for(group), known), set[str]()
        view.context.released |= {one.endpoint for one in known.values() if one.rejecting()}  # it was counted
        rest = self._decided(view, sorted(group, key=age), blocked_accounts, judged)
        while rest:
            wave, rest = _wave(rest)
            written = self.ledger.together(partial(self._record, one, view, origin) for one in wave)
            # What was written counts before anything is read again: what is read has it already.
            for one, line in sorted(zip(wave, written, strict=True), key=_is_trouble):
                try:
                    if isinstance(line, Unavailable):
                        line = self._once_more(one, view, origin, line)
                except Unavailable as error:
                    judged.retry_later[one.connection.endpoint] = None if isinstance(error, Contended) else error
                    blocked_accounts.add(one.connection.account)
                    continue
                if line:
                    judged.lines.append(line)
                    if line.before and line.before.claimed and line.decision.outcome is not Outcome.ACCEPT:
                        judged.freed.add(line.connection.account)
            if any(isinstance(line, Unavailable) for line in written):
                rest = self._decided(view, [one.connection for one in rest], blocked_accounts, judged)
        judged.lines.sort(key=lambda line: age(line.connection))
        return judged

    def _decided(
        self, view: View, connections: Iterable[Connection], blocked_accounts: set[str], judged: JudgmentResult
    ) -> list[Judgment]:
        """Decide, each decision counting for the next; what there is to do.

        `blocked_accounts`: those whose slots wait.
        """
        found = []
        for connection in connections:
            now = self.now()
            one = view.judge(connection, now)
            known = one.before
            if _nothing_to_do(one, now):
                continue
            if not _abandoned(one):
                # Somebody is acting, or acted so recently that this look may be older than the act.
                theirs = known is not None and (known.leased_at(now) or known.fresh_at(now))
                # Who has the slot already is in nobody's way: the older one waits for it to be used, or given back.
                behind = (
                    connection.account in blocked_accounts
                    and _wants_slot(one.decision)
                    and not (known and known.claimed)
                )
                if theirs or behind:
                    judged.retry_later[connection.endpoint] = None
                    blocked_accounts.add(connection.account)
                    continue
                view.context.decided(connection, one.decision, now)
            found.append(one)
        return found

    def _record(
        self, one: Judgment, view: View, origin: Callable[[Connection], str], ledger: Ledger
    ) -> Judgment | None:
        """The ledger's line to act on: a new one, or one that was left open; None where there is nothing to do."""
        connection, decision, known, now = one.connection, one.decision, one.before, self.now()
        if _nothing_to_do(one, now):
            return None
        if known and _abandoned(one):
            answer, said = "no longer allowed", explained(one, now)
            ledger.answered(connection, known.entry, answer, known.status, connection.state, now, known, why=said)
            return None
        if known and _agrees(one) and not known.settled:
            ledger.taken_over(known, now)
            return replace(one, entry=known.entry, publishes=True)
        counted = decision.rejects and view.context.counts(connection)
        also = [spend(rejects_name(connection.service), one.spent, now)] if counted else []
        entry = ledger.decided(one, origin(connection), now, *also)
        publishes = known is None or known.says() != decision.says() or decision.acts
        return replace(one, entry=entry, publishes=publishes)

    def _once_more(
        self, one: Judgment, view: View, origin: Callable[[Connection], str], error: Unavailable
    ) -> Judgment | None:
        """Decide again where a slot was taken or a rejection counted meanwhile; otherwise the error stands."""
        if not isinstance(error, Contended) or not (one.decision.rejects or _wants_slot(one.decision)):
            raise error
        self.contexts.refresh(view.context, one.connection.account)
        again = view.judge(one.connection, self.now())
        if not (one.decision.rejects or again.decision.says() != one.decision.says()):
            raise error  # it was not the slot: somebody else decided on the same connection
        line = self._record(again, view, origin, self.ledger)
        if line:
            view.context.decided(one.connection, again.decision, self.now())
        return line


def _agrees(one: Judgment) -> bool:
    """Whether the ledger's last decision says the same."""
    known = one.before
    return known is not None and known.status is not Status.CLOSED and known.agrees_with(one.decision)


def _abandoned(one: Judgment) -> bool:
    """Whether an accept of a rejected connection, which EC2 refused, is no longer wanted."""
    return not one.connection.waits and one.before is not None and abandoned(one.before, one.decision)


def _nothing_to_do(one: Judgment, now: datetime) -> bool:
    """Whether the ledger says it all, EC2 is to be left in peace, or a rejected connection stays what it is."""
    known, decision = one.before, one.decision
    if not one.connection.waits and not accepts_again(known, decision):
        return not _abandoned(one)
    if known is None or not _agrees(one):
        return False
    return known.paused_at(now) or (known.settled and not _lost(known, decision, now))


def _wave(judgments: Iterable[Judgment]) -> tuple[list[Judgment], list[Judgment]]:
    """What is written together, and the rest: an account's connections share its slots, all rejections a counter."""
    every = list(judgments)
    rejected = {one.connection.account for one in every if one.decision.rejects}
    wave, rest, lanes = list[Judgment](), list[Judgment](), set[str | None]()
    for one in every:
        lane = None if one.connection.account in rejected else one.connection.account
        (rest if lane in lanes else wave).append(one)
        lanes.add(lane)
    return wave, rest


def _is_trouble(written: tuple[Judgment, object]) -> bool:
    return isinstance(written[1], Unavailable)


def _wants_slot(decision: Decision) -> bool:
    return decision.outcome is Outcome.ACCEPT and decision.limit is not None


def _lost(known: EndpointRecord, decision: Decision, now: datetime) -> bool:
    """Whether EC2 took an answer long ago and the connection waits all the same."""
    return decision.acts and not known.fresh_at(now)
