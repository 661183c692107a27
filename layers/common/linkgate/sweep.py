"""What no bell told: wiring, gates, and every connection whose truth differs from the ledger's. Rings, never acts."""

from collections import ChainMap, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

from linkgate.allowlist import AllowList
from linkgate.bell import Bell, chunks
from linkgate.bus import Bus, Event
from linkgate.connections import Connections
from linkgate.entry import Current
from linkgate.errors import Contended
from linkgate.gate import Gate, Gates
from linkgate.ledger import Ledger
from linkgate.model import Connection, Decision, Reason, RowKey, ServiceSettings, State, Status
from linkgate.organization import Organization
from linkgate.policy import Rows, decide, keys_for, settings_for, unit_rows
from linkgate.register import Register
from linkgate.ring import Ringer
from linkgate.rows import EVERY, Item
from linkgate.standing import standings
from linkgate.validator import Validator

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
    unplaced: dict[str, str] = field(default_factory=dict)
    """Accounts whose place in the organisation nobody could tell, and why."""
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
    register: Register
    organization: Organization | None
    bus: Bus
    bells: Ringer
    topic: str
    now: Callable[[], datetime]

    def sweep(self) -> Finding:
        """Look at every managed service and at the whole table.

        One service's trouble is not another's: what failed is in the finding, by what was being done.
        """
        finding = Finding()
        managed = self.gates.managed()
        with finding.kept("the wiring of the gates"):
            self._check(managed, finding)
        rows = self.allow_list.whole_table()
        with finding.kept("the validation of the allow-list"):
            finding.malformed = self._validator().whole(rows, managed)
        self._ring(managed, rows, "sweep", finding)
        return finding

    def edited(self, changes: Mapping[RowKey, Item | None]) -> Finding:
        """Look at what an edit touched: rows written, or deleted (None). One of `*` touches every service."""
        finding = Finding()
        with finding.kept("the validation of the allow-list"):
            finding.malformed = self._validator().edited(changes)
        managed = self.gates.managed()
        touched = {key.service for key in changes}
        services = managed.keys() if EVERY in touched else managed.keys() & touched
        if services:
            self._ring(services, self.allow_list.covering(services), "allow-list edited", finding)
        return finding

    def _validator(self) -> Validator:
        return Validator(self.register, self.bus, self.organization is not None)

    def _ring(self, services: Iterable[str], rows: Rows, cause: str, finding: Finding) -> None:
        """Ring for every endpoint of some services of which the ledger does not tell the truth."""
        by_service: defaultdict[str, dict[RowKey, Item]] = defaultdict(dict)
        for key, item in rows.items():
            by_service[key.service][key] = item
        for service in sorted(services):
            with finding.kept(service):
                different = self._compare(service, ChainMap(by_service[service], by_service[EVERY]), finding)
                self.bells.ring(_bells(service, different, cause))
                finding.rung += len(different)
            finding.services += 1

    def _check(self, managed: Mapping[str, Gate], finding: Finding) -> None:
        """Wire every gate's notification and say what leaves a gate open or shut, when that changes."""
        unwired = self.gates.wire(managed, self.topic)
        told = self.register.read(map(gate_name, managed))
        for service, gate in managed.items():
            problems = gate.problems() + ((unwired[service],) if service in unwired else ())
            if problems:
                finding.misconfigured[service] = problems
            name = gate_name(service)
            before = told.get(name, frozenset())
            with finding.kept(f"the gate of {service}"):
                if before != frozenset(problems):
                    self.bus.tell([Event("Gate Misconfigured", {"service_id": service, "problems": list(problems)})])
                    self.register.keep(name, before, frozenset(problems))

    def _compare(self, service: str, rows: Rows, finding: Finding) -> list[str]:
        """The endpoints of one service whose truth the ledger does not tell, those that wait longest first."""
        # Claims before connections: who holds one was seen by then.
        claims = self.register.claims(service)
        shown = self.connections.of(service)
        known = self.ledger.current({one.endpoint for one in shown}.union(*claims.values()))
        self._heal(known, claims, finding)
        waiting = sorted((one for one in shown if one.waits), key=lambda one: (one.created, one.endpoint))
        different = [one.endpoint for one in shown if not one.waits and _drifted(one, known.get(one.endpoint))]
        different += self._undecided(service, waiting, known, rows, claims, finding)
        listed = (current for status in OPEN for current in self.ledger.of(service, status))
        different += {current.endpoint for current in listed} - {one.endpoint for one in shown}
        settings = settings_for(service, rows)
        patience = settings.stale_after if isinstance(settings, ServiceSettings) else ServiceSettings().stale_after
        finding.pending += len(waiting)
        finding.refused += sum(bool(current.refusal) for one in waiting if (current := known.get(one.endpoint)))
        finding.stale += sum(connection.created < self.now() - patience for connection in waiting)
        return different

    def _undecided(
        self,
        service: str,
        waiting: Sequence[Connection],
        known: Mapping[str, Current],
        rows: Rows,
        claims: Mapping[str, frozenset[str]],
        finding: Finding,
    ) -> list[str]:
        """Who waits, and would be decided on otherwise now: the oldest first, as the approver will."""
        owners = {connection.owner for connection in waiting}
        standing = standings(service, owners, rows, self.register, self.organization, claims)
        unknown = Reason.UNKNOWN_ORGANIZATION
        finding.unplaced |= {owner: one.why for owner, one in standing.lineages.items() if one.unknown is unknown}
        units, different = unit_rows(service, rows), []
        for connection in waiting:
            read = {key: rows[key] for key in keys_for(connection) if key in rows} | units
            decision = decide(connection, read, self.now(), standing.of(connection))
            standing.decided(connection, decision)
            current = known.get(connection.endpoint)
            if current is None or not current.agrees_with(decision) or _unanswered(current, decision, self.now()):
                different.append(connection.endpoint)
        return different

    def _heal(self, known: Mapping[str, Current], claims: Mapping[str, frozenset[str]], finding: Finding) -> None:
        """Where an account's claims and an endpoint's own item came to differ, the item is right."""
        for current in known.values():
            with finding.kept(f"the claim of {current.endpoint}"), suppress(Contended):
                self.ledger.healed(current, current.endpoint in claims.get(current.owner, ()))


def gate_name(service: str) -> str:
    """The set of problems last told of a service's gate."""
    return f"gate#{service}"


def _drifted(connection: Connection, known: Current | None) -> bool:
    """Whether a connection that waits for nobody is something else in the ledger."""
    if connection.state is State.UNKNOWN:
        return False  # nothing is known to be said about it
    if known is None:
        return not connection.state.gone
    if connection.state.gone:
        return known.status is not Status.CLOSED
    claimed = connection.state.live
    return not known.settled or known.state is not connection.state or known.claimed is not claimed


def _unanswered(known: Current, decision: Decision, now: datetime) -> bool:
    """Whether EC2 was to be told, yet the connection waits: not told, refused some time ago, or not done."""
    if known.paused_at(now):
        return False
    return decision.acts or not known.settled or known.status is Status.CLOSED


def _bells(service: str, endpoints: Iterable[str], cause: str) -> Iterator[Bell]:
    return (Bell(some, frozenset({service}), cause) for some in chunks(endpoints))
