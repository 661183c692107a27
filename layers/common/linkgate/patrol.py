"""Accepted is not working: patrol picks targets, sends the canary across them, and keeps each endpoint's health."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from linkgate.allowlist import AllowList
from linkgate.bell import Bell
from linkgate.bus import Bus, Event, about
from linkgate.cause import CAUSES, GOOD
from linkgate.connections import Connections
from linkgate.entry import Current
from linkgate.errors import Contended, Unavailable
from linkgate.gate import Gates
from linkgate.health import grown, status_after
from linkgate.ledger import Ledger
from linkgate.model import Connection, ServiceSettings, State, Status
from linkgate.policy import settings_for, settings_keys
from linkgate.ring import Ringer

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

PATIENCE = 9
TARGETS_PER_CALL = 100
TIMEOUT_SECONDS = 3

Target = dict[str, Any]
VerdictDict = Mapping[str, Any]


class Canary:
    """The canary function in the consumer's VPC."""

    def __init__(self, functions: "LambdaClient", name: str) -> None:
        self._functions = functions
        self._name = name

    def probe(self, targets: Sequence[Target]) -> list[VerdictDict]:
        """Send the canary to targets; raises Unavailable, with its own words, if it does not come back."""
        verdicts: list[VerdictDict] = []
        rest = iter(targets)
        while some := list(islice(rest, TARGETS_PER_CALL)):
            answer = self._functions.invoke(FunctionName=self._name, Payload=json.dumps({"targets": some}))
            payload = answer["Payload"].read().decode()
            if answer.get("FunctionError"):
                raise Unavailable(f"the canary {self._name} failed: {payload[:500]}")
            verdicts += json.loads(payload)["verdicts"]
        return verdicts


@dataclass(slots=True)
class Round:
    """What one round saw, by service and in all: the metrics."""

    probed: dict[str, int] = field(default_factory=dict)
    unhealthy: dict[str, int] = field(default_factory=dict)
    unprobed: dict[str, int] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    times_to_verified: list[float] = field(default_factory=list)
    """Milliseconds from EC2's acceptance to the first crossing."""


@dataclass(frozen=True, slots=True)
class Patrol:
    """Health, and nobody else's. `account` is the stack's own: its canary reaches that account's endpoints only."""

    gates: Gates
    connections: Connections
    allow_list: AllowList
    ledger: Ledger
    bus: Bus
    queue: Ringer
    canary: Canary | None
    account: str
    default_probe: tuple[str, ...]
    now: Callable[[], datetime]

    def walk(self) -> Round:
        """One round over every available connection of every managed service; one's trouble is not another's."""
        seen = Round()
        for service in self.gates.managed():
            try:
                self._round(service, seen)
            except Exception as error:
                seen.failed[service] = error
        return seen

    def _round(self, service: str, seen: Round) -> None:
        available = [one for one in self.connections.of(service) if one.state is State.AVAILABLE]
        mine = [one for one in available if self._reaches(one)]
        verdicts = self._probe(service, mine)
        seen.probed[service] = len(verdicts)
        seen.unhealthy[service] = sum(any(one["cause"] for one in found) for found in verdicts.values())
        seen.unprobed[service] = len(available) - len(verdicts)
        self._keep(mine, verdicts, seen)

    def visit(self, bells: Iterable[Bell]) -> Round:
        """Look at endpoints just accepted: once available, probe them; until then, look again a little later.

        A visit that fails says nothing about health yet, since AWS's data path follows its state; rounds do.
        """
        seen = Round()
        for bell in bells:
            found = self.connections.named(bell.endpoints)
            again = {one.endpoint for one in found if one.state is State.PENDING}
            again |= bell.endpoints - {one.endpoint for one in found}
            ready = [one for one in found if one.state is State.AVAILABLE and self._reaches(one)]
            for service in {one.service for one in ready}:
                group = [one for one in ready if one.service == service]
                verdicts = self._probe(service, group)
                good = [
                    one for one in group if not any(v["cause"] for v in verdicts.get(one.endpoint, [{"cause": "-"}]))
                ]
                self._keep(good, verdicts, seen)
                again |= {one.endpoint for one in group} - {one.endpoint for one in good}
            if again and bell.attempt < PATIENCE:
                self.queue.ring([bell.again(frozenset(again))])
        return seen

    def _reaches(self, connection: Connection) -> bool:
        return self.canary is not None and connection.owner == self.account and bool(connection.dns_names)

    def _probe(self, service: str, group: Sequence[Connection]) -> dict[str, list[VerdictDict]]:
        """The verdicts on a service's endpoints, by endpoint id."""
        if not group or self.canary is None:
            return {}
        settings = settings_for(service, self.allow_list.rows(settings_keys(service)))
        if not isinstance(settings, ServiceSettings):
            return {}  # nobody knows how to probe it: unprobed, and the sweep names the row
        probes = settings.probe or self.default_probe
        found: dict[str, list[VerdictDict]] = {}
        for verdict in self.canary.probe([_target(one, url) for one in group for url in probes]):
            found.setdefault(verdict["endpoint_id"], []).append(_understood(verdict))
        return found

    def _keep(self, group: Sequence[Connection], verdicts: Mapping[str, Sequence[VerdictDict]], seen: Round) -> None:
        """Write one round into the ledger and tell what changed."""
        known = self.ledger.current(connection.endpoint for connection in group)
        for connection in group:
            current, found = known.get(connection.endpoint), verdicts.get(connection.endpoint, ())
            if current is None or not current.status.live or not found:
                continue  # the approver records it first, or the canary said nothing: the next round finds it
            bad = next((one for one in found if one["cause"]), None)
            recent = grown(current.recent, bad is None)
            status = status_after(current.status, recent)
            sample = bad or found[0]
            # Told first: a repeated event harms less than a lost one.
            self.bus.tell(_news(connection, current, status, sample))
            try:
                self.ledger.probed(current, status, recent, _health(sample, self.now()), self.now())
            except Contended:
                continue
            if status is Status.VERIFIED and not current.verified_at and current.accepted_at:
                waited = self.now() - datetime.fromisoformat(current.accepted_at)
                seen.times_to_verified.append(waited.total_seconds() * 1000)


def _target(connection: Connection, probe: str) -> Target:
    """A probe such as https://:443/healthz on the regional name, which EC2 lists first."""
    scheme, _, rest = probe.partition("://")
    name = connection.dns_names[0]
    return {
        "endpoint_id": connection.endpoint,
        "service_id": connection.service,
        "name": name,
        "url": f"{scheme}://{name}{rest}",
        "expect": "open",
        "timeout_seconds": TIMEOUT_SECONDS,
    }


def _understood(verdict: VerdictDict) -> VerdictDict:
    """A verdict in words that this patrol knows: a canary deployed elsewhere may be newer."""
    cause = verdict["cause"]
    if cause == GOOD or cause in CAUSES:
        return verdict
    return {**verdict, "cause": "probe_error", "detail": f"{cause}: {verdict.get('detail', '')}"}


def _health(verdict: VerdictDict, now: datetime) -> dict[str, Any]:
    """The part of a verdict that the ledger keeps; DynamoDB has no floats."""
    phases = {name: Decimal(str(value)) for name, value in verdict.get("phases", {}).items()}
    texts = {name: str(verdict.get(name, "")) for name in ("url", "address", "cause", "detail")}
    return texts | {"phases": phases, "checked_at": now.isoformat()}


def _news(connection: Connection, before: Current, status: Status, verdict: VerdictDict) -> list[Event]:
    """Verified, Unhealthy or Recovered, in words that an engineer woken at night can act on."""
    if status is before.status or status is Status.ACCEPTED:
        return []
    cause, who = str(verdict.get("cause", "")), f"Endpoint {connection.endpoint} of account {connection.owner}"
    if status is Status.UNHEALTHY:
        kind = "Endpoint Unhealthy"
        meaning, step = CAUSES[cause]
        where = f"{verdict.get('url', '')} at {verdict.get('address') or 'no address'}: {verdict.get('detail', '')}"
        summary = f"{who} on {connection.service} is unhealthy ({cause}): {meaning}. Next: {step}. Seen: {where}."
    elif before.status is Status.UNHEALTHY:
        kind, summary = "Endpoint Recovered", f"{who} on {connection.service} answers again."
    else:
        kind, summary = "Endpoint Verified", f"{who} on {connection.service} answers."
    detail = about(connection) | {
        "cause": cause,
        "detail": str(verdict.get("detail", "")),
        "url": str(verdict.get("url", "")),
        "phases": dict(verdict.get("phases", {})),
        "summary": summary,
    }
    return [Event(kind, detail)]
