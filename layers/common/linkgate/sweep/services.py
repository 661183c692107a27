"""The configuration of endpoint services: notifications, allowed principals, and what is wrong with them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from linkgate.aws.errors import Refusal
from linkgate.aws.services import EndpointService, EndpointServices, lost
from linkgate.errors import Unavailable
from linkgate.events.bus import Bus, Event
from linkgate.events.catalog import misconfigured_event
from linkgate.events.digest import grouped
from linkgate.ledger.sets import NamedSets
from linkgate.model import MalformedRow, Mode, Outcome, Sync
from linkgate.policy.decide import Rows, settings_for
from linkgate.policy.principals import plan, problems, wanted

LOST = "lost-services"
"""The set of lost services that an event was published about; the ledger has it under this name."""


@dataclass(slots=True)
class ServicesResult:
    """What is wrong, by service; what permission sync cannot express; and what could not be found out."""

    misconfigured: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    """Services of which not everything could be found out: nothing counts as mended there."""


@dataclass(frozen=True, slots=True)
class ServiceConfigurator:
    """Makes services notify `topic` and principals follow the rows; publishes problems when they change."""

    services: EndpointServices
    sets: NamedSets
    bus: Bus
    topic: str
    now: Callable[[], datetime]

    def keep(self, managed: Mapping[str, EndpointService], rows: Rows) -> ServicesResult:
        """Look at every service; `rows` is the whole table. What fails for one service does not touch the others."""
        found = ServicesResult()
        notifying = [service for service, one in managed.items() if not one.gateway]
        notifications = self.services.ensure_notifications(notifying, self.topic)
        for service, endpoint_service in managed.items():
            wrong = endpoint_service.problems() + notifications.get(service, ())
            try:
                wrong += self._principals(service, rows, found)
            except Exception as error:  # whatever it is, only this service fails
                found.failed[f"the principals of {service}"] = error
                found.unknown.add(service)
            if wrong:
                found.misconfigured[service] = wrong
        missing = lost(managed, rows, self.services.tag_value)
        found.misconfigured |= {service: (why,) for service, why in missing.items()}
        self._publish(managed, frozenset(missing), found)
        return found

    def _principals(self, service: str, rows: Rows, found: ServicesResult) -> tuple[str, ...]:
        """Make allowed principals follow the rows, as far as `@settings` says; what is wrong with them."""
        settings = settings_for(service, rows)
        if isinstance(settings, MalformedRow):
            return ()  # nobody knows what is wanted
        sync = settings.sync_permissions if settings.mode is Mode.ENFORCE else Sync.OFF
        if sync is Sync.OFF and settings.default is not Outcome.REJECT:
            return ()
        present = self.services.principals(service)
        change = plan(sync, present, wanted(service, rows, self.now(), self.topic.split(":")[1]))
        refused = self.services.permit(service, change)
        if note := _words(refused) or change.short:
            found.notes[service] = note
        # EC2 words a refusal anew each time, which must not make a new problem of it; its code stays the same.
        codes = sorted({why.code for why in refused.values()})
        refusals = tuple(f"EC2 refuses to change its principals: {code}" for code in codes)
        return problems((present | change.add) - change.remove, settings) + refusals

    def _publish(self, managed: Iterable[str], missing: frozenset[str], found: ServicesResult) -> None:
        """Publish the problems of each service where they are others than those published last."""
        before = self.sets.read([LOST]).get(LOST, frozenset())
        services = {*managed, *missing, *before}
        published, now = self.sets.read(map(problems_name, services)), self.now()
        events, changes = list[Event](), list[tuple[str, frozenset[str], frozenset[str], str]]()
        wrong = {service: found.misconfigured.get(service, ()) for service in sorted(services - found.unknown)}
        last = {service: published.get(problems_name(service), frozenset()) for service in wrong}
        changed = [service for service in wrong if last[service] != frozenset(wrong[service])]
        since = self.sets.since(map(problems_name, changed))
        for service in changed:
            name = problems_name(service)
            began = since.get(name, now)
            events.append(misconfigured_event(service, wrong[service], last[service], began, now))
            changes.append((name, last[service], frozenset(wrong[service]), began.isoformat()))
        try:
            for some in grouped(events):
                self.bus.publish(some)
            for change in changes:
                self.sets.keep(*change)
        except Unavailable as error:
            found.failed["what is wrong with services"] = error
        if before != missing:
            self.sets.keep(LOST, before, missing)


def problems_name(service: str) -> str:
    """The set of problems last published of a service; the ledger has it under this older name."""
    return f"gate#{service}"


def _words(refused: Mapping[str, Refusal]) -> str:
    """The first principal that EC2 refuses and why, and how many more there are; "" if there is none."""
    more = f"; and {len(refused) - 1} more" if len(refused) > 1 else ""
    return next((f"EC2 refuses the principal {one}: {why}{more}" for one, why in refused.items()), "")
