"""A round over all endpoints, and a visit of those just accepted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from linkgate.aws.allowlist import AllowList
from linkgate.aws.connections import Connections
from linkgate.aws.services import EndpointService, EndpointServices
from linkgate.events.bell import Bell
from linkgate.events.queue import BellQueue
from linkgate.ledger.ledger import Ledger
from linkgate.model import Connection, State
from linkgate.patrol.probing import Probing
from linkgate.patrol.recorder import HealthRecorder
from linkgate.patrol.routing import CanaryRouting
from linkgate.patrol.run import Left, Run
from linkgate.patrol.selection import Candidate, Selection
from linkgate.policy.decide import settings_keys
from linkgate.policy.probes import Probe
from linkgate.retry import lasts

WAKING = timedelta(minutes=10)
"""The time after midnight (UTC) in which an idle canary is woken: a round falls into it, unless rounds are rarer."""


@dataclass(frozen=True, slots=True)
class Patrol:
    """Health, and nothing else. `account` is the stack's own: its canary reaches that account's endpoints only."""

    services: EndpointServices
    connections: Connections
    allow_list: AllowList
    ledger: Ledger
    queue: BellQueue
    probing: Probing
    recorder: HealthRecorder
    account: str
    default_probe: tuple[Probe, ...]
    now: Callable[[], datetime]

    @property
    def own_canary(self) -> str:
        """The name of the stack's own canary; "" if it has none."""
        return self.probing.canaries.own

    def round(self, left: Left) -> Run:
        """Probe the endpoints of every managed service; one service's trouble is not another's."""
        run, services = Run(left), self.services.managed()
        shown = self.connections.of(services) if services else {}
        connections = [one for some in shown.values() for one in some.connections]
        run.services |= {service: [] for service in services}
        for one in self.probing.assess(self._candidates(services, connections), run):
            run.services[one.candidate.connection.service].append(one)
        if self._idle(run):
            run.absent |= self.probing.canaries.wake()
        self._record(run)
        return run

    def _record(self, run: Run) -> None:
        changes = self.recorder.changes(chain.from_iterable(run.services.values()), run)
        for service in sorted({one.known.service for one in changes}):
            try:
                self.recorder.record([one for one in changes if one.known.service == service], run)
            except Exception as error:
                run.failed[service] = error

    def _idle(self, run: Run) -> bool:
        """Whether our own canary is to be invoked for nothing: once a day, where this round had nothing to probe."""
        candidates = [one.candidate for found in run.services.values() for one in found]
        sent = any(one.targets and one.canary == self.own_canary for one in candidates)
        midnight = self.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return bool(self.own_canary) and not sent and self.now() - midnight < WAKING

    def visit(self, bells: Sequence[Bell], left: Left) -> Run:
        """Probe endpoints just accepted, once they are available; until then, and where that fails, visit again.

        A visit that fails says nothing about health yet, since AWS's data path follows its state; rounds do.
        """
        run, services = Run(left), self.services.managed()
        known = self.ledger.current(endpoint for bell in bells for endpoint in bell.endpoints)
        accounts = {one.endpoint: one.account for one in known.values() if one.service in services}
        shown = {one.endpoint: one for one in self.connections.named(accounts, services)}
        candidates = self._candidates(services, [one for one in shown.values() if one.state.passes])
        reached = [one for one in candidates if one.targets]
        assessments = self.probing.assess(reached, run)
        recorded = self.recorder.record(self.recorder.changes([one for one in assessments if one.healthy], run), run)
        again = {one.connection.endpoint for one in reached} - recorded
        again |= {one.endpoint for one in shown.values() if one.state is State.PENDING}
        for bell in bells:
            later = bell.endpoints & (again | (accounts.keys() - shown.keys()))
            if later and lasts(bell.attempt):
                self.queue.send([bell.again(later)])
        return run

    def _candidates(
        self, services: Mapping[str, EndpointService], connections: Sequence[Connection]
    ) -> list[Candidate]:
        if not connections:
            return []
        known = self.ledger.current(one.endpoint for one in connections)
        names = sorted({one.service for one in connections})
        rows = self.allow_list.rows(key for service in names for key in settings_keys(service))
        routing = CanaryRouting(self.allow_list.canaries(names), self.own_canary, self.account)
        return Selection(services, rows, routing, self.default_probe).candidates(connections, known, self.now())
