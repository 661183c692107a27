"""The story of one batch of bells: look, decide, record, act, record.

Only connections that wait for an answer are judged; of the others the ledger records what EC2 shows. A question
that cannot be answered yet (an endpoint that EC2 does not show, a throttle, a concurrent decision) is asked
again by a fresh delayed bell; only what keeps failing fails its message.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from linkgate.approve.batch import SOON, Batch, fuller, planned
from linkgate.approve.context import ContextReader
from linkgate.approve.judge import Judge
from linkgate.approve.report import Report
from linkgate.approve.tracker import Tracker
from linkgate.aws.allowlist import AllowList
from linkgate.aws.connections import Connections
from linkgate.aws.errors import THROTTLES, Refusal
from linkgate.aws.services import EndpointServices
from linkgate.errors import Throttled, Unavailable
from linkgate.events.bell import CLOUDTRAIL_ORIGIN, ENDPOINTS_PER_BELL, Bell
from linkgate.events.bus import Bus
from linkgate.events.catalog import RECREATE, Withheld, accepted_again_event, decision_event, final_event, tripped_event
from linkgate.events.digest import grouped
from linkgate.events.queue import BellQueue
from linkgate.ledger.breaker import Tripped, rejects_name
from linkgate.ledger.items import EndpointRecord, Judgment, explained, stamp
from linkgate.ledger.ledger import Ledger
from linkgate.model import Connection, Decision, Outcome, Reason, State, Status
from linkgate.policy.why import Answer
from linkgate.retry import pause

FEWER = Throttled("EC2 asks for fewer calls")
RECENT = timedelta(minutes=5)
"""The time between two sweeps (template.yaml, SweepRate)."""
ABSENT_LOOKS = 3
"""Looks in a row, some seconds apart, that must not show an endpoint before it counts as gone: EC2's view may lag."""


@dataclass(frozen=True, slots=True)
class Approver:
    """Judges the connections that bells point at."""

    services: EndpointServices
    connections: Connections
    allow_list: AllowList
    ledger: Ledger
    contexts: ContextReader
    bus: Bus
    bells: BellQueue
    now: Callable[[], datetime]

    def answer(self, bells: Sequence[Bell]) -> Report:
        """Judge every connection that a batch of bells points at, service by service; what is too much is asked again.

        One service's trouble is not another's.
        """
        report = Report(unreadable=sum(not bell.readable for bell in bells))
        bells = [bell for bell in bells if not bell.foreign]
        if not bells:
            return report
        if fewer := fuller(bells):
            self.bells.send(fewer, 0)
            return report
        batch = Batch(bells, report, self.bells)
        try:
            managed = self.services.managed()
            found, named = self._look(batch, managed.keys())
        except Unavailable as error:
            batch.repeat_all(error)
            return report
        # CloudTrail also tells of endpoints that this account has on the services of others.
        notified = (bell for bell in bells if not bell.origin.startswith(CLOUDTRAIL_ORIGIN))
        report.unmanaged = {service for bell in notified for service in bell.services} - managed.keys()
        groups, late = planned((one for one in found if one.service in managed), bells)
        self.bells.send(batch.attributed(late), SOON)
        for group in groups:
            service, endpoints = group[0].service, {connection.endpoint for connection in group}
            about = batch.about(endpoints)
            if report.throttled:
                about.repeat(dict.fromkeys(endpoints, FEWER), service)
                continue
            try:
                self._judge(service, group, about)
            except Unavailable as error:
                about.repeat(dict.fromkeys(endpoints, error))
            except Exception as error:  # whatever it is, only the bells of this service fail
                about.fail(service, error)
        # What is gone with its service is managed by nobody, and missing all the same.
        there = {one.endpoint for one in found if one.service in managed or not one.state.gone}
        self._missing(batch, named - there)
        return report

    def _look(self, batch: Batch, managed: Set[str]) -> tuple[list[Connection], set[str]]:
        """What EC2 shows now of all that the bells name, each connection once, and the endpoints that were looked for.

        Of services that are not managed only endpoints that the ledger knows are looked for, and of those that were
        deleted, which may be of AWS's own services. Each act of ours is notified and trailed: under load those that
        were just answered are left to the sweep.
        """
        whole = set[str]().union(*(bell.services or managed for bell in batch.bells if not bell.endpoints)) & managed
        found = [one for shown in self.connections.of(whole).values() for one in shown.connections] if whole else []
        known = self.ledger.current(endpoint for bell in batch.bells for endpoint in bell.endpoints)
        batch.report.damaged |= known.unreadable
        recently, accounts, services = self.now() - RECENT, dict[str, str](), set[str]()
        for bell in batch.bells:
            ours = (bell.services or managed) & managed
            for endpoint in bell.endpoints if ours and not bell.deletion else bell.endpoints & known.keys():
                before = known.get(endpoint)
                if endpoint in known.unreadable or (batch.full and before and before.answered_since(recently)):
                    continue
                # One that waits has no narrower place to be looked for than among all that wait.
                accounts[endpoint] = before.account if before and before.status is not Status.HELD else ""
                services |= ours | ({before.service} if before else set())
        for one in found:
            accounts.pop(one.endpoint, None)
        return found + self.connections.named(accounts, services - whole), {*accounts, *(one.endpoint for one in found)}

    def _judge(self, service: str, group: Sequence[Connection], batch: Batch) -> None:
        """Look at connections of one service, decide, record, act, record."""
        known = self.ledger.current(connection.endpoint for connection in group)
        batch.report.damaged |= known.unreadable
        group = [one for one in group if one.endpoint not in known.unreadable]
        tracker = Tracker(self.ledger, self.bus, self.now)
        seen = tracker.record([one for one in group if not one.waits], known, batch.origin)
        rejected = [one for one in group if one.state is State.REJECTED]
        known |= self.ledger.current(one.endpoint for one in rejected)
        judge = Judge(self.allow_list, self.ledger, self.contexts, self.now)
        judged = judge.judge(service, [one for one in group if one.waits] + rejected, known, batch.origin)
        batch.repeat({**seen.retry_later, **judged.retry_later})
        self._serve({*seen.freed, *((service, account) for account in judged.freed)})
        refused = self._act(service, judged.lines)
        batch.report.lines += judged.lines
        self._complete(service, judged.lines, refused, batch)
        self._withhold(service, judged.lines)

    def _withhold(self, service: str, lines: Iterable[Judgment]) -> None:
        """Publish that the breaker withholds rejections, and again whenever it withholds twice as many."""
        withheld = {one.connection.endpoint for one in lines if one.decision.reason is Reason.BREAKER}
        if withheld:
            name = rejects_name(service)
            before = self.contexts.breaker.read([name])[name].tripped
            every = before.endpoints | withheld
            if len(every).bit_length() > len(before.endpoints).bit_length():
                known = sorted(self.ledger.current(every).values(), key=lambda one: one.endpoint)
                still = [one for one in known if one.reason == Reason.BREAKER and one.status is Status.HELD]
                who = [Withheld(one.endpoint, one.account, f"row {one.row}" if one.row else "no row") for one in still]
                lets, table = "max_rejects", self.allow_list.name
                self.bus.publish([tripped_event(service, "rejections", who, lets, table, self.now())])
            self.contexts.breaker.trip(name, before, Tripped(every))

    def _serve(self, freed: Iterable[tuple[str, str]]) -> None:
        """Send a bell for those whom a freed slot may serve: the account's held connections, the oldest first.

        The index that lists them is a moment old: whom it does not show yet the next sweep finds.
        """
        accounts: defaultdict[str, set[str]] = defaultdict(set)
        for service, account in freed:
            accounts[service].add(account)
        for service, some in sorted(accounts.items()):
            try:
                held = [one for one in self.ledger.of(service, Status.HELD) if one.reason == Reason.OVER_LIMIT]
            except Unavailable:
                # Nobody knows who is held: everybody is asked about, a little later.
                self.bells.send([Bell(services=frozenset({service}), origin="a slot was freed", attempt=2)])
                continue
            for account in sorted(some):
                mine = sorted((stamp(one.requested_at), one.endpoint) for one in held if one.account == account)
                oldest = frozenset(endpoint for _, endpoint in mine[:ENDPOINTS_PER_BELL])
                if oldest:
                    self.bells.send([Bell(oldest, frozenset({service}), f"a slot of {account} was freed")])

    def _act(self, service: str, lines: Sequence[Judgment]) -> dict[str, Refusal]:
        """Tell EC2, but for what mode or outcome forbids; what it refused."""
        refused: dict[str, Refusal] = {}
        acts = ((Outcome.ACCEPT, self.connections.accept), (Outcome.REJECT, self.connections.reject))
        for outcome, act in acts:
            mine = [one for one in lines if one.decision.acts and one.decision.outcome is outcome]
            if mine:
                refused |= act(service, [one.connection.endpoint for one in mine])
        return refused

    def _complete(self, service: str, lines: Sequence[Judgment], refused: Mapping[str, Refusal], batch: Batch) -> None:
        """Publish, then complete the lines: in this order, since a repeated event harms less than a lost one."""
        done = [line for line in lines if line.publishes and line.connection.endpoint not in refused]
        self.bus.publish([decision_event(line.connection, line.decision, line.entry) for line in done])
        for some in grouped([accepted_again_event(*again, self.now()) for again in _undone(done)]):
            self.bus.publish(some)
        written = self.ledger.together(
            partial(self._answered, line, refused.get(line.connection.endpoint), batch.report) for line in lines
        )
        troubles = zip((line.connection.endpoint for line in lines), written, strict=True)
        failed = {endpoint: trouble for endpoint, trouble in troubles if trouble}
        throttled = {endpoint for endpoint, why in refused.items() if why.code in THROTTLES} - failed.keys()
        if throttled:
            batch.report.throttled = True
            batch.repeat(dict.fromkeys(throttled, FEWER), service)
        batch.repeat(failed)

    def _answered(self, line: Judgment, why: Refusal | None, report: Report, ledger: Ledger) -> None:
        """Write down what EC2 answered to one line."""
        if why is None:
            answer = "done" if line.decision.acts else "nothing to do"
            status, state = _result(line)
            now = self.now()
            said = explained(line, now)
            ledger.answered(line.connection, line.entry, answer, status, state, now, line.before, why=said)
        elif why.code in THROTTLES:
            self._keep(line, why, line.before.tries if line.before else 0, self.now(), ledger)
        else:
            self._refused(line, why, report, ledger)

    def _refused(self, line: Judgment, why: Refusal, report: Report, ledger: Ledger) -> None:
        """Keep a refusal: asked again after a growing pause, unless it is final and nothing waits for an answer."""
        connection, before = line.connection, line.before
        if connection.waits or not why.final:
            tries = 1 + (before.tries if before and before.entry == line.entry else 0)
            self._keep(line, why, tries, self.now() + pause(tries), ledger)
            report.refused[connection.endpoint] = why
            return
        self.bus.publish([final_event(connection, line.decision, line.entry)])
        status = Status.CUT if before and before.status is Status.CUT else Status.REJECTED
        answer = f"{why}; {RECREATE}"
        state = connection.state
        said = explained(line, self.now(), Answer(str(why)))
        ledger.answered(connection, line.entry, answer, status, state, self.now(), before, final=True, why=said)

    def _keep(self, line: Judgment, why: Refusal, tries: int, until: datetime, ledger: Ledger) -> None:
        said = explained(line, self.now(), Answer(str(why), until))
        ledger.refused(line.connection.endpoint, line.entry, str(why), tries, until, said)

    def _missing(self, batch: Batch, missing: Collection[str]) -> None:
        """Endpoints that EC2 does not show: gone if the ledger knows them, otherwise perhaps not visible yet."""
        longest_last = sorted(batch.bells, key=lambda bell: bell.absent)  # the longest missed counts
        looks = {one: bell.absent + 1 for bell in longest_last for one in bell.endpoints if one in missing}
        try:
            known = self.ledger.current(looks).values()
        except Unavailable as error:
            batch.repeat(dict.fromkeys(looks, error))
            return
        gone = [one for one in known if looks[one.endpoint] >= ABSENT_LOOKS and not one.leased_at(self.now())]
        seen = Tracker(self.ledger, self.bus, self.now).gone(gone)
        batch.repeat(seen.retry_later)
        self._serve(seen.freed)
        done = {one.endpoint for one in known if one in gone or one.status is Status.CLOSED}
        batch.repeat(dict.fromkeys(looks.keys() - done), absent=True)


def _undone(done: Iterable[Judgment]) -> list[tuple[EndpointRecord, Decision]]:
    """Of those just accepted, who was rejected out of band before."""
    accepted = (one for one in done if one.decision.acts and one.decision.outcome is Outcome.ACCEPT and one.before)
    return [
        (one.before, one.decision)
        for one in accepted
        if one.before and one.before.status is Status.REJECTED and one.before.by_hand_at
    ]


def _result(line: Judgment) -> tuple[Status, State]:
    """Where an endpoint stands after EC2 took an answer, or none was to be given."""
    if not line.decision.acts:
        return Status.HELD, line.connection.state
    if line.decision.outcome is Outcome.ACCEPT:
        return Status.ACCEPTED, State.PENDING
    return Status.REJECTED, State.REJECTED
