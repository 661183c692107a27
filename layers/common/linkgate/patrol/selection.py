"""Which connections a run assesses, what is probed of them, and by which canary."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from linkgate.aws.services import EndpointService
from linkgate.health.causes import OPEN
from linkgate.health.targets import Target, closed_targets, targets_of
from linkgate.ledger.items import EndpointRecord
from linkgate.model import Connection, ServiceSettings, State, Status
from linkgate.patrol.routing import CanaryRouting, Route
from linkgate.policy.decide import Rows, settings_for
from linkgate.policy.probes import Probe

MOST_CLOSED = 20
"""Endpoints that must stay out, of each service and in each round."""
NO_ADDRESS = Route(why="an endpoint of a Gateway Load Balancer has no name and no address that a canary could cross")
SETTLING = timedelta(minutes=10)
"""How long EC2 may show an accepted connection as pending without anything being wrong."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One endpoint to assess. Without `targets` nobody can probe it; `closed`: it must stay out.

    `unrouted` is why no canary reaches it.
    """

    connection: Connection
    known: EndpointRecord | None
    private_dns_state: str
    closed: bool = False
    canary: str = ""
    targets: Sequence[Target] = ()
    unrouted: str = ""

    @property
    def unreached(self) -> str:
        """Why nobody probed it, in words."""
        if not self.canary:
            return self.unrouted
        return "its canary did not come back" if self.targets else "its service's settings or its names give no target"

    @property
    def crossed(self) -> bool:
        """Whether its canary verified it once; an item of before this was kept counts as if it had."""
        known = self.known
        if known is None or not (known.verified_at or known.status is Status.VERIFIED):
            return False
        return (known.health.get("by") or self.canary) == self.canary

    @property
    def recent(self) -> str:
        """Its last rounds, as the ledger has them."""
        return self.known.recent if self.known else ""

    @property
    def left_out(self) -> str:
        """The addresses that its canary could not cross in that round, in words."""
        return str(self.known.health.get("left_out", "")) if self.known else ""

    @property
    def cause(self) -> str:
        """What the last round that found anything out found wrong."""
        return self.known.cause if self.known else ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Chooses among connections. `rows` are the settings of their services, `default` the stack's own probes."""

    services: Mapping[str, EndpointService]
    rows: Rows
    routing: CanaryRouting
    default: tuple[Probe, ...]

    def candidates(
        self, connections: Iterable[Connection], known: Mapping[str, EndpointRecord], now: datetime
    ) -> list[Candidate]:
        """Connections in which traffic may pass; those that the ledger alone calls live; a few that must stay out."""
        found, closed = [], defaultdict[str, list[Candidate]](list)
        for connection in connections:
            record = known.get(connection.endpoint)
            live = record is not None and record.status.live
            if connection.state.passes or (live and connection.state is State.UNKNOWN):
                found.append(self._candidate(connection, record))
            elif record and record.status.live and not _settles(connection, record, now):
                state = self.services[connection.service].private_dns_state
                found.append(Candidate(connection, record, state))
            elif record and _stays_out(connection, record, now):
                closed[connection.service].append(self._candidate(connection, record, closed=True))
        return found + [one for some in closed.values() for one in _sample(some, now)]

    def _candidate(self, connection: Connection, known: EndpointRecord | None, closed: bool = False) -> Candidate:
        service = self.services[connection.service]
        canary, unrouted = NO_ADDRESS if service.gateway else self.routing.route(connection)
        probes = self._probes(connection.service) if canary else ()
        targets = (
            closed_targets(connection, probes) if closed else targets_of(connection, probes, service.private_dns_name)
        )
        return Candidate(connection, known, service.private_dns_state, closed, canary, targets, unrouted)

    def _probes(self, service: str) -> tuple[Probe, ...]:
        """How a service is probed; () where its settings cannot be read, which the sweep reports."""
        settings = settings_for(service, self.rows)
        if not isinstance(settings, ServiceSettings):
            return ()
        return tuple(map(Probe.parse, settings.probe)) or self.default


def _settles(connection: Connection, known: EndpointRecord, now: datetime) -> bool:
    """Whether it was just accepted: `pending` is not unhealthy."""
    if connection.state is not State.PENDING or known.status is not Status.ACCEPTED:
        return False
    return not known.accepted_at or now - known.accepted_at < SETTLING


def _stays_out(connection: Connection, known: EndpointRecord, now: datetime) -> bool:
    rejected = connection.state is State.REJECTED and known.status in (Status.REJECTED, Status.CUT)
    return rejected and not known.fresh_at(now)


def _sample(closed: Sequence[Candidate], now: datetime) -> list[Candidate]:
    """Those that were open in the last round, and a few others: each as likely as any, and nobody keeps count."""
    minute = int(now.timestamp() // 60)
    rest = [one for one in closed if one.cause != OPEN and one.targets]
    rest.sort(key=lambda one: zlib.crc32(f"{one.connection.endpoint} {minute}".encode()))
    return [one for one in closed if one.cause == OPEN] + rest[:MOST_CLOSED]
