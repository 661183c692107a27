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
from linkgate.answer import THROTTLES
from linkgate.bell import ENDPOINTS_PER_BELL, Bell, chunks
from linkgate.bus import Bus, decision_event
from linkgate.connections import Connections, Refusal
from linkgate.entry import pause
from linkgate.errors import Throttled, Unavailable
from linkgate.gate import Gates
from linkgate.judge import Judge, Line
from linkgate.ledger import Ledger
from linkgate.model import Connection, Outcome, State, Status
from linkgate.organization import Organization
from linkgate.register import Register
from linkgate.ring import Ringer
from linkgate.witness import Witness

PATIENCE = 9
"""Delayed repeats (about four minutes in all) before a question is left to the sweep."""
CALL = 100
"""Connections that are judged together; EC2 documents no maximum for one Accept, a hundred keeps answers small."""
ABSENT_LOOKS = 3
"""Looks in a row, some seconds apart, that must not show an endpoint before it counts as gone: EC2's view may lag."""


@dataclass(slots=True)
class Report:
    """What became of a batch: for the metrics, the log, and the queue."""

    lines: list[Line] = field(default_factory=list)
    unreadable: int = 0
    unmanaged: set[str] = field(default_factory=set)
    refused: dict[str, Refusal] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)
    failed: dict[Bell, Exception] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Approver:
    """Judges the connections that bells point at."""

    gates: Gates
    connections: Connections
    allow_list: AllowList
    ledger: Ledger
    register: Register
    organization: Organization | None
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
        by_service: defaultdict[str, list[Connection]] = defaultdict(list)
        for connection in found:
            by_service[connection.service].append(connection)
        report.unmanaged = by_service.keys() - managed.keys()
        for service in by_service.keys() & managed.keys():
            group = by_service[service]
            for start in range(0, len(group), CALL):
                self._shielded(service, group[start : start + CALL], bells, report)
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
        except Unavailable as error:
            self._later(mine, bells, report, error)
        except Exception as error:  # whatever it is, only the bells of this service fail
            for bell in bells:
                if bell.everything or bell.endpoints & mine or service in bell.services:
                    report.failed[bell] = error

    def _judge(self, service: str, group: Sequence[Connection], bells: Sequence[Bell], report: Report) -> None:
        """Look at connections of one service, decide, record, act, record."""
        known = self.ledger.current(connection.endpoint for connection in group)
        seen = Witness(self.ledger, self.bus, self.now).record([one for one in group if not one.waits], known)
        judge = Judge(self.allow_list, self.ledger, self.register, self.organization, self.now)
        waiting = [connection for connection in group if connection.waits]
        judged = judge.judge(service, waiting, known, lambda connection: _cause(connection, bells))
        for endpoint, error in {**seen.busy, **judged.busy}.items():
            self._later([endpoint], bells, report, error)
        refused = self._act(service, judged.lines)
        report.lines += judged.lines
        self._complete(judged.lines, refused, bells, report)
        self._serve({*seen.freed, *((service, owner) for owner in judged.freed)})

    def _serve(self, freed: Iterable[tuple[str, str]]) -> None:
        """Ring for those whom a freed slot may serve: the held ones of the account, the oldest first."""
        for service, owner in sorted(freed):
            held = [one for one in self.ledger.of(service, Status.HELD) if one.owner == owner and one.over_limit]
            oldest = sorted(held, key=lambda one: one.requested_at)[:ENDPOINTS_PER_BELL]
            if oldest:
                endpoints = frozenset(one.endpoint for one in oldest)
                self.bells.ring([Bell(endpoints, frozenset({service}), f"a slot of {owner} was freed")])

    def _act(self, service: str, lines: Iterable[Line]) -> dict[str, Refusal]:
        """Tell EC2; what the mode or the outcome forbids is not told."""
        todo: defaultdict[Outcome, list[str]] = defaultdict(list)
        for line in lines:
            if line.decision.acts:
                todo[line.decision.outcome].append(line.connection.endpoint)
        refused: dict[str, Refusal] = {}
        for outcome, endpoints in todo.items():
            refused |= self.connections.apply(service, outcome, endpoints)
        return refused

    def _complete(
        self, lines: Sequence[Line], refused: Mapping[str, Refusal], bells: Sequence[Bell], report: Report
    ) -> None:
        """Tell the world, then complete the lines: in this order, since a repeated event harms less than a lost one."""
        done = [line for line in lines if line.connection.endpoint not in refused]
        self.bus.tell([decision_event(line.connection, line.decision, line.entry) for line in done if line.news])
        for line in lines:
            why = refused.get(line.connection.endpoint)
            try:
                if why:
                    self._refused(line, why, bells, report)
                else:
                    answer = "done" if line.decision.acts else "nothing to do"
                    status, state = _result(line)
                    self.ledger.answered(line.connection, line.entry, answer, status, state, self.now())
            except Unavailable as error:
                self._later([line.connection.endpoint], bells, report, error)

    def _refused(self, line: Line, why: Refusal, bells: Sequence[Bell], report: Report) -> None:
        """Keep a refusal: a throttled call is asked again at once, any other after a growing pause."""
        endpoint, tries = line.connection.endpoint, line.tries + 1
        if why.code in THROTTLES:
            self.ledger.refused(line.connection, line.entry, str(why), line.tries, self.now())
            self._later([endpoint], bells, report, Throttled(str(why)))
        else:
            self.ledger.refused(line.connection, line.entry, str(why), tries, self.now() + pause(tries))
            report.refused[endpoint] = why

    def _missing(self, bells: Sequence[Bell], found: set[str], report: Report) -> None:
        """Endpoints that EC2 does not show: gone if the ledger knows them, otherwise perhaps not visible yet."""
        longest_last = sorted(bells, key=lambda bell: bell.absent)  # the longest missed counts
        looks = {endpoint: bell.absent + 1 for bell in longest_last for endpoint in bell.endpoints - found}
        try:
            known = self.ledger.current(looks)
        except Unavailable as error:
            self._later(looks, bells, report, error)
            return
        missed = [
            one for one in known.values() if looks[one.endpoint] >= ABSENT_LOOKS and not one.leased_at(self.now())
        ]
        seen = Witness(self.ledger, self.bus, self.now).gone(missed)
        for endpoint, trouble in seen.busy.items():
            self._later([endpoint], bells, report, trouble)
        self._serve(seen.freed)
        done = {one.endpoint for one in known.values() if one.status is Status.CLOSED} | {
            one.endpoint for one in missed
        }
        self._later(looks.keys() - done, bells, report, absent=True)

    def _later(
        self,
        endpoints: Iterable[str],
        bells: Iterable[Bell],
        report: Report,
        error: Exception | None = None,
        absent: bool = False,
    ) -> None:
        """Ask about some endpoints again in a while, as long as patience lasts; then the sweep will.

        Out of patience with an error, the message itself fails: what keeps failing is not dropped in silence.
        """
        wanted = frozenset(endpoints)
        for bell in sorted(bells, key=lambda bell: bell.attempt):  # the most patient first
            mine = bell.endpoints & wanted if bell.endpoints else wanted
            if mine and bell.attempt < PATIENCE:
                self.bells.ring(bell.again(some, absent) for some in chunks(sorted(mine)))
            elif mine and error:
                report.failed[bell] = error
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


def _result(line: Line) -> tuple[Status, State]:
    """Where an endpoint stands after EC2 took an answer, or none was to be given."""
    if not line.decision.acts:
        return Status.HELD, line.connection.state
    if line.decision.outcome is Outcome.ACCEPT:
        return Status.ACCEPTED, State.PENDING
    return Status.REJECTED, State.REJECTED
