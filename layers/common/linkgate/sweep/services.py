"""The upkeep of the gates: their wiring, their allowed principals, and what leaves them open or shut."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from linkgate.aws.services import EndpointService, EndpointServices, lost
from linkgate.errors import Unavailable
from linkgate.events.bus import Bus
from linkgate.events.catalog import misconfigured_event
from linkgate.ledger.sets import NamedSets
from linkgate.model import MalformedRow, Mode, Outcome, Sync
from linkgate.policy.decide import Rows, settings_for
from linkgate.policy.principals import plan, problems, wanted

LOST = "lost-services"
"""The set of services that were told as lost."""


@dataclass(slots=True)
class ServicesResult:
    """What is wrong with gates, by service; what permission sync cannot express; and what could not be found out."""

    misconfigured: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    """Services of which not everything could be found out: nothing counts as mended there."""


@dataclass(frozen=True, slots=True)
class ServiceConfigurator:
    """Wires notifications to `topic`, makes principals follow the rows, and tells of problems when they change."""

    services: EndpointServices
    register: NamedSets
    bus: Bus
    topic: str
    now: Callable[[], datetime]

    def keep(self, managed: Mapping[str, EndpointService], rows: Rows) -> ServicesResult:
        """Look at every gate; `rows` is the whole table. One gate's trouble is not another's."""
        found = ServicesResult()
        unnotified = self.services.ensure_notifications(managed, self.topic)
        for service, endpoint_service in managed.items():
            wrong = endpoint_service.problems() + ((unnotified[service],) if service in unnotified else ())
            try:
                wrong += self._principals(service, rows, found)
            except Exception as error:  # whatever it is, only this gate fails
                found.failed[f"the principals of {service}"] = error
                found.unknown.add(service)
            if wrong:
                found.misconfigured[service] = wrong
        missing = lost(managed, rows)
        found.misconfigured |= {service: (why,) for service, why in missing.items()}
        self._tell(managed, frozenset(missing), found)
        return found

    def _principals(self, service: str, rows: Rows, found: ServicesResult) -> tuple[str, ...]:
        """Make allowed principals follow the rows, as far as `@settings` says; what is wrong with them."""
        settings = settings_for(service, rows)
        if isinstance(settings, MalformedRow):
            return ()  # nobody knows what is wanted
        sync = settings.sync_permissions if settings.mode is Mode.ENFORCE else Sync.OFF
        if sync is Sync.OFF and settings.default is not Outcome.REJECT:
            return ()
        present, refused = self.services.principals(service), ""
        if sync is not Sync.OFF:
            change = plan(sync, present, wanted(service, rows, self.now(), self.topic.split(":")[1]))
            if change.short:
                found.notes[service] = change.short
            if change:
                refused = self.services.permit(service, change)
                present = (present | change.add) - change.remove
        if refused:
            found.notes[service] = refused
        # EC2 words a refusal anew each time; its code is told once.
        told = (f"EC2 refuses to change its principals: {refused.split(':')[0]}",) if refused else ()
        return problems(present, settings) + told

    def _tell(self, managed: Iterable[str], missing: frozenset[str], found: ServicesResult) -> None:
        """Tell of a gate's problems when they change, once."""
        before = self.register.read([LOST]).get(LOST, frozenset())
        services = {*managed, *missing, *before}
        told = self.register.read(map(problems_name, services))
        for service in sorted(services - found.unknown):
            name, wrong = problems_name(service), found.misconfigured.get(service, ())
            if told.get(name, frozenset()) != frozenset(wrong):
                try:
                    self.bus.publish([misconfigured_event(service, wrong)])
                    self.register.keep(name, told.get(name, frozenset()), frozenset(wrong))
                except Unavailable as error:
                    found.failed[f"the gate of {service}"] = error
        if before != missing:
            self.register.keep(LOST, before, missing)


def problems_name(service: str) -> str:
    """The set of problems last told of a service's gate."""
    return f"gate#{service}"
