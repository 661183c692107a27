"""The story of one batch of bells: look, decide, record, act, record.

Only connections that wait for an answer are judged; of the others the ledger records what EC2 shows. A question
that cannot be answered yet (an endpoint that EC2 does not show, a throttle, a concurrent decision) is asked
again by a fresh delayed bell; only what keeps failing fails its message.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from linkgate.allowlist import AllowList
from linkgate.bell import Bell, chunks
from linkgate.bus import Bus, decision_event
from linkgate.connections import THROTTLES, Connections, Refusal
from linkgate.entry import Current
from linkgate.errors import Unavailable
from linkgate.gate import Gates
from linkgate.ledger import Ledger
from linkgate.model import Connection, Decision, Outcome, State, Status
from linkgate.policy import Rows, decide
from linkgate.ring import Ringer
from linkgate.witness import Witness

PATIENCE = 9
"""Delayed repeats (about four minutes in all) before a question is left to the sweep."""
CALL = 100
"""Endpoints that one Accept or Reject names; EC2 documents no maximum, a hundred keeps answers small."""


@dataclass(slots=True)
class Report:
    """What became of a batch: for the metrics, the log, and the queue."""

    decisions: list[Decision] = field(default_factory=list)
    unreadable: int = 0
    unmanaged: set[str] = field(default_factory=set)
    refused: dict[str, Refusal] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)
    failed: dict[Bell, Exception] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """A connection, the decision on it, and the ledger's sort key of that decision; `news` if it is worth telling."""

    connection: Connection
    decision: Decision
    entry: str
    news: bool


@dataclass(frozen=True, slots=True)
class Approver:
    """Judges the connections that bells point at."""

    gates: Gates
    connections: Connections
    allow_list: AllowList
    ledger: Ledger
    bus: Bus
    bells: Ringer
    now: Callable[[], datetime]

    def answer(self, bells: Sequence[Bell]) -> Report:
        """Judge every connection that a batch of bells points at, service by service."""
        report = Report(unreadable=sum(not bell.readable for bell in bells))
        try:
            managed = self.gates.managed()
            found = self._look(bells, managed)
        except Unavailable as error:
            self._all_later(bells, error, report)
            return report
        report.unmanaged = {service for bell in bells for service in bell.services} - managed.keys()
        by_service: defaultdict[str, list[Connection]] = defaultdict(list)
        for connection in found:
            by_service[connection.service].append(connection)
        for service, group in by_service.items():
            if service in managed:
                self._shielded(service, group, bells, report)
            else:
                report.unmanaged.add(service)
        self._missing(bells, {one.endpoint for one in found}, report)
        return report

    def _look(self, bells: Iterable[Bell], managed: Iterable[str]) -> list[Connection]:
        """What EC2 shows now of all that the bells name, each connection once."""
        whole = {service for bell in bells if not bell.endpoints for service in bell.services} & set(managed)
        if any(bell.everything for bell in bells):
            whole = set(managed)
        named = {endpoint for bell in bells for endpoint in bell.endpoints}
        found = [connection for service in sorted(whole) for connection in self.connections.of(service)]
        return found + self.connections.named(named - {connection.endpoint for connection in found})

    def _shielded(self, service: str, group: Sequence[Connection], bells: Sequence[Bell], report: Report) -> None:
        """One service's trouble is not another's: what AWS cannot answer now is asked later, the rest fails."""
        mine = {connection.endpoint for connection in group}
        try:
            self._judge(service, group, bells, report)
        except Unavailable:
            self._later(mine, bells, report)
        except Exception as error:  # whatever it is, only the bells of this service fail
            for bell in bells:
                if bell.everything or bell.endpoints & mine or service in bell.services:
                    report.failed[bell] = error

    def _judge(self, service: str, group: Sequence[Connection], bells: Sequence[Bell], report: Report) -> None:
        """Look at one service's connections, decide, record, act, record."""
        known = self.ledger.current(connection.endpoint for connection in group)
        Witness(self.ledger, self.bus, self.now).record([one for one in group if not one.waits], known)
        waiting = [connection for connection in group if connection.waits]
        rows = self.allow_list.rows_for(waiting)
        lines = []
        for connection in waiting:
            decision = decide(connection, rows, self.now())
            if line := self._line(connection, decision, rows, known.get(connection.endpoint), bells, report):
                lines.append(line)
                report.decisions.append(decision)
        refused = self._act(service, lines)
        self._complete(lines, refused)
        throttled = {endpoint for endpoint, why in refused.items() if why.code in THROTTLES}
        self._later(throttled, bells, report)
        report.refused |= {endpoint: why for endpoint, why in refused.items() if endpoint not in throttled}

    def _line(
        self,
        connection: Connection,
        decision: Decision,
        rows: Rows,
        known: Current | None,
        bells: Sequence[Bell],
        report: Report,
    ) -> Line | None:
        """The ledger line to act on: a new one or an unfinished one; None where there is nothing to do now."""
        if known and known.open_at(self.now()):
            self._later([connection.endpoint], bells, report)
            return None
        news = known is None or known.says() != decision.says()
        if known and known.status is not Status.CLOSED and known.agrees_with(decision):
            if not known.settled:
                return Line(connection, decision, known.entry, news=True)
            if not decision.acts or known.fresh_at(self.now()):
                return None
        try:
            cause = _cause(connection, bells)
            entry = self.ledger.decided(connection, decision, rows, known, cause, self.now())
        except Unavailable:
            self._later([connection.endpoint], bells, report)
            return None
        return Line(connection, decision, entry, news or decision.acts)

    def _act(self, service: str, lines: Iterable[Line]) -> dict[str, Refusal]:
        """Tell EC2, a hundred endpoints a call; what the mode or the outcome forbids is not told."""
        refused: dict[str, Refusal] = {}
        todo: defaultdict[Outcome, list[str]] = defaultdict(list)
        for line in lines:
            if line.decision.acts:
                todo[line.decision.outcome].append(line.connection.endpoint)
        for outcome, endpoints in todo.items():
            for start in range(0, len(endpoints), CALL):
                refused |= self.connections.apply(service, outcome, endpoints[start : start + CALL])
        return refused

    def _complete(self, lines: Sequence[Line], refused: Mapping[str, Refusal]) -> None:
        """Tell the world, then complete the lines: in this order, since a repeated event harms less than a lost one."""
        self.bus.tell(
            [
                decision_event(line.connection, line.decision, line.entry)
                for line in lines
                if line.news and line.connection.endpoint not in refused
            ]
        )
        for line in lines:
            why = refused.get(line.connection.endpoint)
            answer = str(why) if why else ("done" if line.decision.acts else "nothing to do")
            status, state = _result(line, why)
            self.ledger.answered(line.connection, line.entry, answer, status, state, self.now())

    def _missing(self, bells: Sequence[Bell], found: set[str], report: Report) -> None:
        """Endpoints that EC2 does not show: gone if the ledger knows them, otherwise perhaps not visible yet."""
        lost = {endpoint for bell in bells for endpoint in bell.endpoints} - found
        try:
            known = self.ledger.current(lost)
            Witness(self.ledger, self.bus, self.now).gone(known.values())
        except Unavailable:
            known = {}
        self._later(lost - known.keys(), bells, report)

    def _later(self, endpoints: Iterable[str], bells: Iterable[Bell], report: Report) -> None:
        """Ask about some endpoints again in a while, as long as patience lasts; then the sweep will."""
        wanted = frozenset(endpoints)
        for bell in sorted(bells, key=lambda bell: bell.attempt):  # the most patient first
            mine = bell.endpoints & wanted if bell.endpoints else wanted
            if bell.attempt < PATIENCE:
                self.bells.ring(bell.again(some) for some in chunks(mine))
            else:
                report.given_up |= mine
            wanted -= mine

    def _all_later(self, bells: Iterable[Bell], error: Unavailable, report: Report) -> None:
        """EC2 answers nothing at all: every question again in a while; one that lost patience fails its message."""
        for bell in bells:
            if bell.attempt < PATIENCE:
                self.bells.ring([bell.again(bell.endpoints)])
            else:
                report.failed[bell] = error


def _cause(connection: Connection, bells: Iterable[Bell]) -> str:
    named = [bell for bell in bells if connection.endpoint in bell.endpoints]
    return next((bell.cause for bell in (*named, *bells)), "")


def _result(line: Line, why: Refusal | None) -> tuple[Status, State]:
    """Where an endpoint stands after EC2's answer."""
    if why is not None or not line.decision.acts:
        return Status.HELD, line.connection.state
    if line.decision.outcome is Outcome.ACCEPT:
        return Status.ACCEPTED, State.PENDING
    return Status.REJECTED, State.REJECTED
