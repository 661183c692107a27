"""The story of one batch of bells: look, decide, record, act, record.

Only connections that wait for an answer are judged; of the others the ledger records what EC2 shows. A question
that cannot be answered yet (an endpoint that EC2 does not show, a throttle, a concurrent decision) is asked
again by a fresh delayed bell; only what keeps failing fails its message.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from linkgate.approve.batching import SOON, at_once, planned, repeat
from linkgate.approve.context import ContextReader
from linkgate.approve.judge import Judge
from linkgate.approve.report import Report
from linkgate.approve.tracker import Tracker
from linkgate.aws.allowlist import AllowList
from linkgate.aws.connections import Connections, Refusal
from linkgate.aws.errors import INDIVISIBLE, THROTTLES
from linkgate.aws.services import EndpointServices
from linkgate.errors import Throttled, Unavailable
from linkgate.events.bell import ENDPOINTS_PER_BELL, Bell, chunks, who
from linkgate.events.bus import Bus
from linkgate.events.catalog import RECREATE, decision_event, final_event, tripped_event
from linkgate.events.queue import BellQueue
from linkgate.ledger.breaker import Tripped, rejects_name
from linkgate.ledger.items import Judgment
from linkgate.ledger.ledger import Ledger
from linkgate.model import Connection, Outcome, Reason, State, Status
from linkgate.retry import lasts, pause

FEWER = Throttled("EC2 asks for fewer calls")
ABSENT_LOOKS = 3
"""Looks in a row, some seconds apart, that must not show an endpoint before it counts as gone: EC2's view may lag."""


@dataclass(frozen=True, slots=True)
class Approver:
    """Judges the connections that bells point at."""

    services: EndpointServices
    connections: Connections
    allow_list: AllowList
    ledger: Ledger
    census: ContextReader
    bus: Bus
    bells: BellQueue
    now: Callable[[], datetime]

    def answer(self, bells: Sequence[Bell]) -> Report:
        """Judge every connection that a batch of bells points at, service by service; what is too much rings again."""
        report = Report(unreadable=sum(not bell.readable for bell in bells))
        bells, rest = at_once(bells)
        self.bells.send(rest, 0)
        try:
            managed = self.services.managed()
            found = self._look(bells, managed)
        except Unavailable as error:
            self._all_later(bells, error, report)
            return report
        report.unmanaged = {connection.service for connection in found} - managed.keys()
        groups, late = planned((connection for connection in found if connection.service in managed), bells)
        self.bells.send(_attributed(late, bells), SOON)
        for group in groups:
            service, mine = group[0].service, {connection.endpoint for connection in group}
            near = [bell for bell in bells if not bell.endpoints or bell.endpoints & mine]
            if report.throttled:
                self._later(mine, near, report, FEWER, service=service)
            else:
                self._shielded(service, group, near, report)
        self._missing(bells, {one.endpoint for one in found}, report)
        return report

    def _look(self, bells: Iterable[Bell], managed: Iterable[str]) -> list[Connection]:
        """What EC2 shows now of all that the bells name, each connection once."""
        whole = {service for bell in bells if not bell.endpoints for service in bell.services} & set(managed)
        if any(bell.everything for bell in bells):
            whole = set(managed)
        named = {endpoint for bell in bells for endpoint in bell.endpoints}
        found = [connection for service in sorted(whole) for connection in self.connections.of(service)]
        named -= {connection.endpoint for connection in found}
        return found + self.connections.named(named)

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
        rang = _origins(bells)

        def origin(connection: Connection) -> str:
            return rang(connection.endpoint)

        known = self.ledger.current(connection.endpoint for connection in group)
        witness = Tracker(self.ledger, self.bus, self.now)
        seen = witness.record([one for one in group if not one.waits], known, origin)
        rejected = [one for one in group if one.state is State.REJECTED]
        known |= self.ledger.current(one.endpoint for one in rejected)
        judge = Judge(self.allow_list, self.ledger, self.census, self.now)
        judged = judge.judge(service, [one for one in group if one.waits] + rejected, known, origin)
        busy = {**seen.busy, **judged.busy}
        for error in set(busy.values()):
            self._later([one for one, why in busy.items() if why is error], bells, report, error)
        self._serve({*seen.freed, *((service, owner) for owner in judged.freed)})
        refused = self._act(service, judged.lines)
        report.lines += judged.lines
        self._complete(judged.lines, refused, bells, report)
        self._keep(service, judged.lines)

    def _keep(self, service: str, lines: Iterable[Judgment]) -> None:
        """Tell, once, that the breaker keeps rejections from being made."""
        kept = {one.connection.endpoint for one in lines if one.decision.reason is Reason.BREAKER}
        if kept:
            name = rejects_name(service)
            before = self.census.breaker.read([name])[name].tripped
            if not before.endpoints:
                self.bus.publish([tripped_event(service, "rejections", kept)])
            self.census.breaker.trip(name, before, Tripped(before.endpoints | kept))

    def _serve(self, freed: Iterable[tuple[str, str]]) -> None:
        """Send a bell for those whom a freed slot may serve: the account's held connections, the oldest first.

        The index that lists them is a moment old: whom it does not show yet the next sweep finds.
        """
        owners: defaultdict[str, set[str]] = defaultdict(set)
        for service, owner in freed:
            owners[service].add(owner)
        for service, some in sorted(owners.items()):
            try:
                held = [one for one in self.ledger.of(service, Status.HELD) if one.reason == Reason.OVER_LIMIT]
            except Unavailable:
                # Nobody knows who is held: everybody is asked about, a little later.
                self.bells.send([Bell(services=frozenset({service}), origin="a slot was freed", attempt=2)])
                continue
            for owner in sorted(some):
                mine = sorted((one.requested_at, one.endpoint) for one in held if one.owner == owner)
                oldest = frozenset(endpoint for _, endpoint in mine[:ENDPOINTS_PER_BELL])
                if oldest:
                    self.bells.send([Bell(oldest, frozenset({service}), f"a slot of {owner} was freed")])

    def _act(self, service: str, lines: Iterable[Judgment]) -> dict[str, Refusal]:
        """Tell EC2, but for what mode or outcome forbids."""
        todo: defaultdict[Outcome, list[str]] = defaultdict(list)
        for line in lines:
            if line.decision.acts:
                todo[line.decision.outcome].append(line.connection.endpoint)
        publish = {Outcome.ACCEPT: self.connections.accept, Outcome.REJECT: self.connections.reject}
        refused: dict[str, Refusal] = {}
        for outcome, endpoints in todo.items():
            refused |= publish[outcome](service, endpoints)
        return refused

    def _complete(
        self, lines: Sequence[Judgment], refused: Mapping[str, Refusal], bells: Sequence[Bell], report: Report
    ) -> None:
        """Tell the world, then complete the lines: in this order, since a repeated event harms less than a lost one."""
        done = [line for line in lines if line.connection.endpoint not in refused]
        news = [decision_event(line.connection, line.decision, line.entry) for line in done if line.publishes]
        self.bus.publish(news)
        written = self.ledger.together(
            partial(self._answered, line, refused.get(line.connection.endpoint), report) for line in lines
        )
        troubles = zip((line.connection.endpoint for line in lines), written, strict=True)
        failed = {endpoint: trouble for endpoint, trouble in troubles if trouble}
        throttled = {endpoint for endpoint, why in refused.items() if why.code in THROTTLES} - failed.keys()
        if throttled:
            report.throttled = True
            self._later(throttled, bells, report, FEWER, service=lines[0].connection.service)
        for trouble in set(failed.values()):
            self._later([one for one, why in failed.items() if why is trouble], bells, report, trouble)

    def _answered(self, line: Judgment, why: Refusal | None, report: Report, ledger: Ledger) -> None:
        """Write down what EC2 answered to one line."""
        if why is None:
            answer = "done" if line.decision.acts else "nothing to do"
            status, state = _result(line)
            ledger.answered(line.connection, line.entry, answer, status, state, self.now(), line.before)
        elif why.code in THROTTLES:
            tries = line.before.tries if line.before else 0
            ledger.refused(line.connection.endpoint, line.entry, str(why), tries, self.now())
        else:
            self._refused(line, why, report, ledger)

    def _refused(self, line: Judgment, why: Refusal, report: Report, ledger: Ledger) -> None:
        """Keep a refusal: asked again after a growing pause; of a connection once rejected it is the last word."""
        connection, before = line.connection, line.before
        if connection.waits or why.code in INDIVISIBLE:
            tries = 1 + (before.tries if before and before.entry == line.entry else 0)
            ledger.refused(connection.endpoint, line.entry, str(why), tries, self.now() + pause(tries))
            report.refused[connection.endpoint] = why
            return
        self.bus.publish([final_event(connection, line.decision, line.entry)])
        status = Status.CUT if before and before.status is Status.CUT else Status.REJECTED
        answer = f"{why}; {RECREATE}"
        state = connection.state
        ledger.answered(connection, line.entry, answer, status, state, self.now(), before, final=True)

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
        seen = Tracker(self.ledger, self.bus, self.now).gone(missed)
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
        service: str = "",
    ) -> None:
        """Ask about some endpoints again in a while, as long as patience lasts; then the sweep will.

        Out of patience with an error, the message itself fails: what keeps failing is not dropped in silence. A
        throttled question is asked until it is answered. Bells of one kind become one, so that the next call is full.
        """
        wanted, again = frozenset(endpoints), defaultdict[Bell, set[str]](set)
        for bell in sorted(bells, key=lambda bell: (bell.attempt, not bell.endpoints)):  # the most patient first
            mine = bell.endpoints & wanted if bell.endpoints else wanted
            if mine and (lasts(bell.attempt, error)):
                again[repeat(bell, error, absent, service)] |= mine
            elif mine and error:
                report.failed[bell] = error
            else:
                report.given_up |= mine
            wanted -= mine
        for bell, some in again.items():
            self.bells.send(replace(bell, endpoints=part) for part in chunks(sorted(some)))

    def _all_later(self, bells: Iterable[Bell], error: Unavailable, report: Report) -> None:
        """EC2 answers nothing at all: every question again in a while; one that lost patience fails its message."""
        for bell in {bell for bell in bells if not bell.endpoints}:
            if lasts(bell.attempt, error):
                self.bells.send([repeat(bell, error)])
            else:
                report.failed[bell] = error
        naming = [bell for bell in bells if bell.endpoints]
        self._later(frozenset().union(*(bell.endpoints for bell in naming)), naming, report, error)


def _origins(bells: Sequence[Bell]) -> Callable[[str], str]:
    """What rang for an endpoint; of several bells the one that says who did something."""
    found: dict[str, str] = {}
    for bell in bells:
        for endpoint in bell.endpoints:
            if endpoint not in found or (who(bell.origin) and not who(found[endpoint])):
                found[endpoint] = bell.origin
    otherwise = bells[0].origin if bells else ""
    return lambda endpoint: found.get(endpoint, otherwise)


def _attributed(late: Iterable[Bell], bells: Sequence[Bell]) -> Iterator[Bell]:
    """Bells for another run, each with what rang for its endpoints."""
    rang = _origins(bells)
    for bell in late:
        parts = defaultdict[str, set[str]](set)
        for endpoint in bell.endpoints:
            parts[rang(endpoint)].add(endpoint)
        yield from (replace(bell, endpoints=frozenset(some), origin=origin) for origin, some in parts.items())


def _result(line: Judgment) -> tuple[Status, State]:
    """Where an endpoint stands after EC2 took an answer, or none was to be given."""
    if not line.decision.acts:
        return Status.HELD, line.connection.state
    if line.decision.outcome is Outcome.ACCEPT:
        return Status.ACCEPTED, State.PENDING
    return Status.REJECTED, State.REJECTED
