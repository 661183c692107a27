"""What patrol looks at in a round, of one service: who is probed by whom, who is stranded, who must stay out."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from linkgate.aws.services import EndpointService
from linkgate.health.causes import OPEN
from linkgate.health.targets import Target, shut_target, targets_of
from linkgate.ledger.items import EndpointRecord
from linkgate.model import Connection, ServiceSettings, State, Status
from linkgate.patrol.routing import CanaryRouting
from linkgate.policy.decide import Rows, settings_for
from linkgate.policy.probes import Probe

SHUT_DOORS = 20
"""Endpoints that must stay out, of each service and in each round."""
SETTLING = timedelta(minutes=10)
"""How long EC2 may show an accepted connection as pending without anything being wrong."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One endpoint that is looked at. Without `targets` nobody can probe it; `shut`: it must stay out."""

    connection: Connection
    known: EndpointRecord | None
    endpoint_service: EndpointService
    canary: str = ""
    targets: Sequence[Target] = ()
    shut: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Chooses among the connections of one service. `rows` are the settings of it, `default` the stack's own probes."""

    rows: Rows
    reach: CanaryRouting
    default: tuple[Probe, ...]

    def cases(
        self,
        endpoint_service: EndpointService,
        connections: Iterable[Connection],
        known: Mapping[str, EndpointRecord],
        now: datetime,
    ) -> list[Candidate]:
        """The cases of a round."""
        cases, shut = [], []
        for connection in connections:
            current = known.get(connection.endpoint)
            if connection.state is State.AVAILABLE:
                cases.append(self.probed(endpoint_service, connection, current))
            elif current and current.status.live and not _settles(connection, current, now):
                cases.append(Candidate(connection, current, endpoint_service))
            elif current and _stays_out(connection, current, now):
                shut.append(self._shut(endpoint_service, connection, current))
        return cases + _turn(shut, now)

    def probed(
        self, endpoint_service: EndpointService, connection: Connection, known: EndpointRecord | None
    ) -> Candidate:
        """An available connection, with the targets of the canary that reaches it."""
        canary = self.reach.canary_of(connection)
        targets = (
            targets_of(connection, self._probes(endpoint_service.service), endpoint_service.private_dns_name)
            if canary
            else ()
        )
        return Candidate(connection, known, endpoint_service, canary, targets)

    def _shut(self, endpoint_service: EndpointService, connection: Connection, known: EndpointRecord) -> Candidate:
        canary = self.reach.canary_of(connection)
        targets = shut_target(connection, self._probes(endpoint_service.service)) if canary else ()
        return Candidate(connection, known, endpoint_service, canary, targets, shut=True)

    def _probes(self, service: str) -> tuple[Probe, ...]:
        """How a service is probed; () where its settings cannot be read, which the sweep says."""
        settings = settings_for(service, self.rows)
        if not isinstance(settings, ServiceSettings):
            return ()
        return tuple(map(Probe.parse, settings.probe)) or self.default


def _settles(connection: Connection, known: EndpointRecord, now: datetime) -> bool:
    """Whether it was just accepted: `pending` is not unhealthy."""
    if connection.state is not State.PENDING or known.status is not Status.ACCEPTED:
        return False
    return not known.accepted_at or now - datetime.fromisoformat(known.accepted_at) < SETTLING


def _stays_out(connection: Connection, known: EndpointRecord, now: datetime) -> bool:
    rejected = connection.state is State.REJECTED and known.status in (Status.REJECTED, Status.CUT)
    return rejected and not known.fresh_at(now)


def _turn(cases: Iterable[Candidate], now: datetime) -> list[Candidate]:
    """Those that got in when last looked at, and a few others: each as likely as any, and nobody keeps count."""
    minute = int(now.timestamp() // 60)
    opened, rest = [], []
    for case in cases:
        if case.known and case.known.cause == OPEN:
            opened.append(case)
        elif case.targets:
            rest.append(case)
    rest.sort(key=lambda case: zlib.crc32(f"{case.connection.endpoint} {minute}".encode()))
    return opened + rest[:SHUT_DOORS]
