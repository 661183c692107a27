"""Accepted is not working: patrol chooses whom to look at, sends canaries, keeps each endpoint's health, and tells."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from linkgate.aws.allowlist import AllowList
from linkgate.aws.connections import Connections
from linkgate.aws.services import EndpointServices
from linkgate.events.bell import Bell
from linkgate.events.queue import BellQueue
from linkgate.health.targets import Probe
from linkgate.ledger.ledger import Ledger
from linkgate.model import Connection, State
from linkgate.patrol.canaries import Left
from linkgate.patrol.counts import Counts, Round
from linkgate.patrol.probing import Probing, Seen
from linkgate.patrol.recorder import HealthRecorder
from linkgate.patrol.routing import CanaryRouting
from linkgate.patrol.selection import Candidate, Selection
from linkgate.policy.decide import settings_keys
from linkgate.retry import lasts


@dataclass(frozen=True, slots=True)
class Patrol:
    """Health, and nobody else's. `account` is the stack's own: its canary reaches that account's endpoints only."""

    services: EndpointServices
    connections: Connections
    allow_list: AllowList
    ledger: Ledger
    queue: BellQueue
    lookout: Probing
    keeper: HealthRecorder
    account: str
    default_probe: tuple[Probe, ...]
    now: Callable[[], datetime]

    @property
    def own_canary(self) -> str:
        """The name of the stack's own canary; "" if it has none."""
        return self.lookout.canaries.own

    def walk(self, left: Left) -> Round:
        """One round over every live connection of every managed service; one's trouble is not another's.

        `left` tells the seconds that remain.
        """
        seen, shown = Round(), dict[str, list[Connection]]()
        services = self.services.managed()
        for service in services:
            try:
                shown[service] = self.connections.of(service)
            except Exception as error:
                seen.failed[service] = error
        known = self.ledger.current(one.endpoint for some in shown.values() for one in some)
        choice, now = self._choice(shown), self.now()
        cases = {service: choice.cases(services[service], some, known, now) for service, some in shown.items()}
        looked = self.lookout.look([case for some in cases.values() for case in some], left, seen)
        for service in shown:
            mine = [one for one in looked if one.case.endpoint_service.service == service]
            seen.services[service] = _counted(mine)
            try:
                self.keeper.keep(mine, left, seen)
            except Exception as error:
                seen.failed[service] = error
        return seen

    def visit(self, bells: Sequence[Bell], left: Left) -> Round:
        """Look at endpoints just accepted: once available, probe them; until then, look again a little later.

        A visit that fails says nothing about health yet, since AWS's data path follows its state; rounds do.
        """
        seen = Round()
        shown = {one.endpoint: one for one in self.connections.named({one for bell in bells for one in bell.endpoints})}
        cases = self._accepted([one for one in shown.values() if one.state is State.AVAILABLE])
        looked = self.lookout.look(cases, left, seen)
        kept = self.keeper.keep([one for one in looked if one.healthy], left, seen)
        again = {case.connection.endpoint for case in cases} - kept
        again |= {one.endpoint for one in shown.values() if one.state is State.PENDING}
        for bell in bells:
            later = (bell.endpoints & again) | (bell.endpoints - shown.keys())
            if later and lasts(bell.attempt):
                self.queue.send([bell.again(later)])
        return seen

    def _accepted(self, ready: Sequence[Connection]) -> list[Candidate]:
        """Whom of the connections that are available now a canary reaches."""
        if not ready:
            return []
        services, choice = self.services.managed(), self._choice({one.service for one in ready})
        known = self.ledger.current(one.endpoint for one in ready)
        mine = [one for one in ready if one.service in services]
        cases = [choice.probed(services[one.service], one, known.get(one.endpoint)) for one in mine]
        return [case for case in cases if case.targets]

    def _choice(self, services: Iterable[str]) -> Selection:
        names = sorted(services)
        rows = self.allow_list.rows(key for service in names for key in settings_keys(service))
        reach = CanaryRouting(self.allow_list.canaries(names), self.own_canary, self.account)
        return Selection(rows, reach, self.default_probe)


def _counted(looked: Iterable[Seen]) -> Counts:
    """One service in numbers. An endpoint that must stay out is not counted among those that are probed."""
    tally = Counts()
    for one in looked:
        endpoint = one.case.connection.endpoint
        if one.case.shut:
            tally.open += one.open
            continue
        if one.evidence.errors:
            tally.errors += len(one.evidence.errors)
            tally.said[endpoint] = one.evidence.errors[0]
        if not one.known:
            tally.unprobed += 1
        elif one.evidence.probed:
            tally.saw(one.evidence)
        if one.unhealthy:
            tally.unhealthy.append(endpoint)
    return tally
