"""What no bell told: wiring, gates, and every connection whose truth differs from the ledger's. Rings, never acts."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from linkgate.allowlist import AllowList
from linkgate.bell import Bell, chunks
from linkgate.bus import Bus, Event
from linkgate.connections import Connections
from linkgate.entry import Current
from linkgate.gate import Gate, Gates
from linkgate.ledger import Ledger
from linkgate.model import Connection, Decision, MalformedRow, Reason, RowKey, ServiceSettings, State, Status
from linkgate.policy import decide, keys_for, settings_for, settings_keys
from linkgate.ring import Ringer
from linkgate.rows import EVERY, Item, parse

OPEN = (Status.HELD, Status.ACCEPTED, Status.VERIFIED, Status.UNHEALTHY, Status.REJECTED)
"""Statuses of endpoints that EC2 still shows."""


@dataclass(slots=True)
class Finding:
    """What one sweep saw: for the metrics and the log."""

    services: int = 0
    pending: int = 0
    stale: int = 0
    refused: int = 0
    rung: int = 0
    misconfigured: dict[str, tuple[str, ...]] = field(default_factory=dict)
    malformed: dict[str, str] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)

    @contextmanager
    def kept(self, doing: str) -> Iterator[None]:
        """Keep what goes wrong while something is done, so that the rest is done all the same."""
        try:
            yield
        except Exception as error:
            self.failed[doing] = error


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Compares the whole of a service with the table and the ledger, and rings for what differs."""

    gates: Gates
    connections: Connections
    allow_list: AllowList
    ledger: Ledger
    bus: Bus
    bells: Ringer
    topic: str
    now: Callable[[], datetime]

    def sweep(self, cause: str, only: frozenset[str] | None = None) -> Finding:
        """Look at every managed service, or only at some after an edit of their rows (`*` touches all).

        One service's trouble is not another's: what failed is in the finding, by what was being done.
        """
        finding = Finding()
        managed = self.gates.managed()
        if only is None:
            with finding.kept("the wiring of the gates"):
                self._check(managed, finding)
        services = managed.keys() if only is None or EVERY in only else managed.keys() & only
        for service in sorted(services):
            with finding.kept(service):
                different = self._compare(service, finding)
                self.bells.ring(_bells(service, different, cause))
                finding.rung += len(different)
        finding.services = len(services)
        return finding

    def validate(self, items: Iterable[Item]) -> dict[str, str]:
        """Read edited rows; tell of each that cannot be read, and return them: row -> a sentence that names it."""
        malformed = {}
        for row in map(parse, items):
            if isinstance(row, MalformedRow):
                malformed[str(row.key)] = str(row)
                detail = {"row": str(row.key), "attribute": row.attribute, "problem": row.problem}
                self.bus.tell([Event("Allow List Row Invalid", detail)])
        return malformed

    def _check(self, managed: Mapping[str, Gate], finding: Finding) -> None:
        """Wire every gate's notification and say what leaves a gate open or shut, when that changes."""
        unwired = self.gates.wire(managed, self.topic)
        for service, gate in managed.items():
            problems = gate.problems() + ((unwired[service],) if service in unwired else ())
            if problems:
                finding.misconfigured[service] = problems
            subject, text = f"gate#{service}", "; ".join(problems)
            with finding.kept(f"the gate of {service}"):
                if self.ledger.remembered(subject) != text:
                    self.bus.tell([Event("Gate Misconfigured", {"service_id": service, "problems": list(problems)})])
                    self.ledger.remember(subject, text)

    def _compare(self, service: str, finding: Finding) -> set[str]:
        """The endpoints of one service whose truth the ledger does not tell."""
        shown = self.connections.of(service)
        known = self.ledger.current(connection.endpoint for connection in shown)
        waiting = [connection for connection in shown if connection.waits]
        rows = self.allow_list.rows({*settings_keys(service), *(key for one in waiting for key in keys_for(one))})
        settings = settings_for(service, rows)
        if isinstance(settings, MalformedRow):
            finding.malformed[str(settings.key)] = str(settings)
        patience = settings.stale_after if isinstance(settings, ServiceSettings) else ServiceSettings().stale_after
        finding.pending += len(waiting)
        finding.refused += sum(bool(current.refusal) for one in waiting if (current := known.get(one.endpoint)))
        finding.stale += sum(connection.created < self.now() - patience for connection in waiting)
        different = {one.endpoint for one in shown if not one.waits and _drifted(one, known.get(one.endpoint))}
        for connection in waiting:
            decision = decide(connection, rows, self.now())
            if decision.reason is Reason.MALFORMED_ROW and decision.note:
                finding.malformed[str(decision.row)] = decision.note
            current = known.get(connection.endpoint)
            if current is None or not current.agrees_with(decision) or _unanswered(current, decision, self.now()):
                different.add(connection.endpoint)
        listed = (current for status in OPEN for current in self.ledger.of(service, status))
        return different | ({current.endpoint for current in listed} - {one.endpoint for one in shown})


def touched(keys: Iterable[RowKey]) -> frozenset[str]:
    """The services that edited rows are about."""
    return frozenset(key.service for key in keys)


def _drifted(connection: Connection, known: Current | None) -> bool:
    """Whether a connection that waits for nobody is something else in the ledger."""
    if connection.state is State.UNKNOWN:
        return False  # nothing is known to be said about it
    if known is None:
        return not connection.state.gone
    if connection.state.gone:
        return known.status is not Status.CLOSED
    return not known.settled or known.state is not connection.state


def _unanswered(known: Current, decision: Decision, now: datetime) -> bool:
    """Whether EC2 was to be told, yet the connection waits: not told, refused some time ago, or not done."""
    if known.paused_at(now):
        return False
    return decision.acts or not known.settled or known.status is Status.CLOSED


def _bells(service: str, endpoints: Iterable[str], cause: str) -> Iterator[Bell]:
    return (Bell(some, frozenset({service}), cause) for some in chunks(endpoints))
