"""The whole application on fakes: bells go through a queue, the approver judges, time passes at will."""

from datetime import timedelta

from linkgate.approve.approver import Approver
from linkgate.approve.context import ContextReader
from linkgate.approve.report import Report
from linkgate.events.bell import Bell
from linkgate.ledger.breaker import Breaker
from linkgate.ledger.items import EndpointRecord
from linkgate.ledger.sets import NamedSets
from linkgate.model import State
from linkgate.patrol.patrol import Patrol
from linkgate.patrol.probing import Probing
from linkgate.patrol.recorder import HealthRecorder
from linkgate.patrol.run import Run
from linkgate.policy.probes import Probe
from linkgate.sweep.compare import Comparer
from linkgate.sweep.expiring import ExpiringRows
from linkgate.sweep.gaps import StackGaps
from linkgate.sweep.lease import Lease
from linkgate.sweep.services import ServiceConfigurator
from linkgate.sweep.sweeper import Sweeper, SweepResult
from linkgate.sweep.validator import Validator

from tests.fakes import (
    FakeAllowList,
    FakeBus,
    FakeCanaries,
    FakeConnections,
    FakeEndpointServices,
    FakeLedger,
    FakeQueue,
    FakeTopic,
)
from tests.organization import FakeOrganization
from tests.world import CONSUMER, REGION, World, service_id

SERVICE = service_id(1)
TOPIC = "arn:aws:sns:eu-west-1:111111111111:linkgate"
PROBE = "tcp://:443"


class Application:
    """Linkgate over a world with one enforced service, `SERVICE`."""

    def __init__(self) -> None:
        self.world = World()
        self.services, self.connections = FakeEndpointServices(self.world), FakeConnections(self.world)
        self.allow_list, self.ledger, self.bus = FakeAllowList(), FakeLedger(), FakeBus()
        self.bells, self.visits, self.canary = FakeQueue(self.world), FakeQueue(self.world), FakeCanaries()
        self.sets, self.organization = NamedSets(self.ledger.store), FakeOrganization()
        self.breaker, self.looks = Breaker(self.ledger.store), FakeQueue(self.world)
        contexts, lease = (
            ContextReader(self.sets, self.breaker, self.organization),
            Lease(self.ledger.store, self.world.clock),
        )
        clock, seen = self.world.clock, (self.connections, self.allow_list, self.ledger)
        self.approver = Approver(self.services, *seen, contexts, self.bus, self.bells, clock)
        comparer = Comparer(*seen, contexts, self.bus, self.bells, clock)
        configurator = ServiceConfigurator(self.services, self.sets, self.bus, TOPIC, clock)
        validator = Validator(self.sets, self.bus, organization=True)
        expiring = ExpiringRows(self.sets, self.bus, timedelta(days=14), clock)
        self.subscribers = FakeTopic()
        gaps = StackGaps(self.sets, self.bus, self.subscribers, ())
        self.sweeper = Sweeper(comparer, configurator, validator, expiring, gaps, lease, self.looks)
        self.patrol = Patrol(
            self.services,
            *seen,
            self.visits,
            Probing(self.connections, self.canary, clock),
            HealthRecorder(self.ledger, self.bus, clock),
            CONSUMER,
            (Probe.parse(PROBE),),
            clock,
        )
        self.world.offer(SERVICE)
        self.allow_list.put(SERVICE, "@settings", mode="enforce")

    def connect(self, endpoint: str, account: str = CONSUMER, region: str = REGION, service: str = SERVICE) -> None:
        """A consumer creates an endpoint, and the notification of it rings."""
        self.world.connect(endpoint, service, account, region)
        self.send(endpoint, origin="Connect")

    def send(self, *endpoints: str, origin: str = "") -> None:
        """A bell for some endpoints, or for nothing in particular."""
        self.bells.send([Bell(frozenset(endpoints), frozenset(), origin)])

    def edit(self, service: str, consumer: str, **attributes: object) -> SweepResult:
        """Somebody writes a row, and the table's stream tells the sweep."""
        key = self.allow_list.put(service, consumer, **attributes)
        return self.sweeper.edited({key: self.allow_list.table[key]}, "an edit")

    def delete(self, service: str, consumer: str) -> SweepResult:
        """Somebody deletes a row, and the table's stream tells the sweep."""
        return self.sweeper.edited({self.allow_list.delete(service, consumer): None}, "an edit")

    def work(self, seconds: float = 0) -> Report:
        """Let time pass; every bell is answered when it is due, all that are due together. The last report."""
        end, report = self.world.now + timedelta(seconds=seconds), Report()
        while due := [moment for queue in (self.bells, self.looks) if (moment := queue.next_due()) and moment <= end]:
            self.world.now = max(self.world.now, min(due))
            if bells := self.bells.take():
                report = self.approver.answer(bells)
            if looks := self.looks.take():
                self.sweeper.look(looks, "a look")
        self.world.now = end
        return report

    def round(self, left: float = 900) -> Run:
        """A round of patrol that has so many seconds."""
        return self.patrol.round(lambda: left)

    def visit(self, *bells: Bell, left: float = 900) -> Run:
        """Patrol's visit of endpoints just accepted."""
        return self.patrol.visit(bells, lambda: left)

    def settle(self) -> SweepResult:
        """A sweep, and all that it rings at once."""
        finding = self.sweeper.sweep("a sweep")
        self.work()
        return finding

    def state(self, endpoint: str) -> State | None:
        return self.world.state(endpoint)

    def known(self, endpoint: str) -> EndpointRecord:
        """What the ledger knows of an endpoint."""
        return self.ledger.currents[endpoint]
