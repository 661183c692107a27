"""What no bell said: the services, the whole table, and every service compared with it. One sweep at a time."""

from collections import ChainMap, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from linkgate.aws.calls import parts
from linkgate.events.bell import CLOUDTRAIL_ORIGIN, Bell
from linkgate.events.queue import BellQueue
from linkgate.model import RowKey, UnusedRow
from linkgate.policy.decide import Covering, Rows
from linkgate.policy.rows import EVERY, Item, is_unit, meant_by
from linkgate.sweep.compare import Comparer, ComparisonResult, Look
from linkgate.sweep.expiring import ExpiringRows
from linkgate.sweep.gaps import StackGaps
from linkgate.sweep.lease import Lease
from linkgate.sweep.services import ServiceConfigurator, ServicesResult
from linkgate.sweep.validator import Validator

UNSEEN = "no round of patrol got to it"
PATROLS_TURN = timedelta(minutes=15)
"""How much longer than patrol a sweep has an endpoint be verified: it says so only where patrol cannot any more."""
TOGETHER = 10
"""Services that one Describe shows: a call for each would be most of a sweep of a hundred services."""


@dataclass(slots=True)
class SweepResult:
    """What one sweep saw and did: for the metrics and the log."""

    whole: bool = False
    """Everything was looked at: the numbers are those of the whole stack."""
    services: dict[str, ComparisonResult] = field(default_factory=dict)
    configuration: ServicesResult = field(default_factory=ServicesResult)
    malformed: dict[str, str] = field(default_factory=dict)
    unused: list[UnusedRow] = field(default_factory=list)
    """Rows that mean nothing where they stand."""
    expiring: int = 0
    """Rows that end soon."""
    gaps: tuple[str, ...] = ()
    """What the stack's parameters leave out."""
    postponed: bool = False
    """Another sweep was at work: a bell asks for a look later instead."""
    failed: dict[str, Exception] = field(default_factory=dict)

    def sum(self, count: Callable[[ComparisonResult], int]) -> int:
        """Something counted over all services."""
        return sum(map(count, self.services.values()))

    @contextmanager
    def catching(self, doing: str) -> Iterator[None]:
        """Note what goes wrong while something is done, so that the rest is done all the same."""
        try:
            yield
        except Exception as error:
            self.failed[doing] = error


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Makes the ledger and EC2 follow the table: sends bells for what differs, cuts what must go.

    One at a time, by a lease; `holder` names the run. Who comes second asks for a look a little later. One service's
    trouble is not another's: what failed is in the result, by what was being done.
    """

    comparer: Comparer
    configurator: ServiceConfigurator
    validator: Validator
    expiring: ExpiringRows
    gaps: StackGaps
    lease: Lease
    looks: BellQueue

    def sweep(self, holder: str, attempt: int = 0) -> SweepResult:
        """Look at every managed service and at the whole table."""
        result = SweepResult()
        with self._alone(holder, Bell(origin="sweep", attempt=attempt), result) as mine:
            if mine:
                self._whole(result)
        return result

    def edited(self, changes: Mapping[RowKey, Item | None], holder: str) -> SweepResult:
        """Look at what an edit touched: rows written, or deleted (None). One of `*` touches every service."""
        result = SweepResult()
        with result.catching("the validation of the allow-list"):
            result.malformed = self.validator.edited(changes)
        # A row with keys of no known form may have been meant for another service than it says.
        touched = {key.service for key in changes} | {meant for key in changes if (meant := meant_by(key))}
        managed = self.configurator.services.managed().keys()
        services = frozenset(managed if EVERY in touched else managed & touched)
        if services:
            self._look(Bell(services=services, origin="allow-list edited"), holder, result)
        return result

    def look(self, bells: Iterable[Bell], holder: str) -> SweepResult:
        """Look at the services that bells name: asked for by an earlier sweep, or by a change of a service itself."""
        asked = list(bells)
        attempt = max(bell.attempt for bell in asked)
        if any(bell.origin.startswith(CLOUDTRAIL_ORIGIN) or not bell.services for bell in asked):
            return self.sweep(holder, attempt)
        result, named = SweepResult(), frozenset[str]().union(*(bell.services for bell in asked))
        services = named & self.configurator.services.managed().keys()
        if services:
            self._look(Bell(services=services, origin="sweep", attempt=attempt), holder, result)
        return result

    def _look(self, bell: Bell, holder: str, result: SweepResult) -> None:
        with self._alone(holder, bell, result) as mine:
            if mine:
                rows = self.comparer.allow_list.covering(bell.services)
                self._compare(bell.services, rows, bell.origin, result)

    @contextmanager
    def _alone(self, holder: str, bell: Bell, result: SweepResult) -> Iterator[bool]:
        """Hold the lease, if nobody else does; otherwise send a bell for the same look a little later."""
        mine = self.lease.take(holder)
        if not mine:
            result.postponed = True
            self.looks.send([replace(bell, attempt=bell.attempt + 1)])
        try:
            yield mine
        finally:
            if mine:
                self.lease.give_back(holder)

    def _whole(self, result: SweepResult) -> None:
        result.whole = True
        try:
            managed = self.configurator.services.managed()
        except Exception:
            self.comparer.forget_all(UNSEEN, PATROLS_TURN)
            raise
        before = self.validator.remembered(managed)
        rows = self.comparer.allow_list.whole_table()
        with result.catching("the configuration of the endpoint services"):
            result.configuration = self.configurator.keep(managed, rows)
            result.failed |= result.configuration.failed
        with result.catching("the validation of the allow-list"):
            result.malformed = self.validator.whole(rows, before)
        with result.catching("the rows that mean nothing"):
            result.unused = self.validator.unused(rows, managed)
        with result.catching("the rows that end soon"):
            result.expiring = self.expiring.whole(rows, result.malformed)
        with result.catching("what the stack's parameters leave out"):
            result.gaps = self.gaps.told()
        self._compare(managed, rows, "sweep", result)
        with result.catching("services that are managed no more"):
            self.comparer.leave(managed)

    def _compare(self, services: Iterable[str], rows: Rows, origin: str, result: SweepResult) -> None:
        """Service by service, each with the rows that cover it."""
        by_service: defaultdict[str, dict[RowKey, Item]] = defaultdict(dict)
        units: defaultdict[str, dict[RowKey, Item]] = defaultdict(dict)
        for key, item in rows.items():
            by_service[key.service][key] = item
            if is_unit(key):
                units[key.service][key] = item
        kept = self.comparer.contexts.states(services)
        for some in parts(sorted(services), TOGETHER):
            for look in self._looks(some, result):
                service = look.service
                with result.catching(service):
                    mine = ChainMap(by_service[service], by_service[EVERY])
                    covering = Covering(service, mine, units[service] | units[EVERY])
                    result.services[service] = found = self.comparer.compare(look, covering, kept[service], origin)
                    if found.again is not None:
                        later = int(found.again.total_seconds()) + 1
                        self.looks.send([Bell(services=frozenset({service}), origin="sweep")], later)

    def _looks(self, services: Iterable[str], result: SweepResult) -> list[Look]:
        """What the ledger knows of some services, and then what EC2 shows: who holds a slot was seen by then."""
        kept = {}
        for service in services:
            with result.catching(service):
                kept[service] = self.comparer.ledger.whole(service)
                # Before EC2 is asked, which may be what fails, in patrol as well.
                self.comparer.forget(kept[service][0].values(), UNSEEN, PATROLS_TURN)
        with result.catching(", ".join(kept)):
            shown = self.comparer.connections.of(kept)
            return [Look(service, *kept[service], shown[service]) for service in kept]
        return []
