"""What a round found of one endpoint: the crossings that count, and what is to be read from them side by side.

A private name counts for an endpoint that uses it, and for a day after it last did: then it is forgotten. Standard
library only.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from linkgate.health.causes import OPEN, UNKNOWN
from linkgate.health.diagnosis import ProbeResult
from linkgate.health.targets import Kind, Target, names_of
from linkgate.model import Connection, Verdict

MISSED_FOR = timedelta(days=1)
"""How long a private name is missed that was in use and no longer works."""
UNREACHED = frozenset({"tcp_timeout", "dns_not_found", UNKNOWN})
"""What a connection looks like that EC2 rejected or deleted a moment ago."""


@dataclass(frozen=True)
class Evidence:
    """The crossings of one endpoint that count; `private_works` says whether one of its private name led to it."""

    crossings: tuple[ProbeResult, ...] = ()
    private_works: bool = False

    @property
    def probed(self) -> bool:
        """Whether anybody knocked at all."""
        return any(one.cause != UNKNOWN for one in self._verdicts)

    @property
    def crossed(self) -> bool:
        """Whether anybody got through."""
        return any(one.good and one.address for one in self._verdicts)

    @property
    def errors(self) -> list[str]:
        """The words of verdicts that say nothing about the door."""
        return [one.detail for one in self._verdicts if one.cause == UNKNOWN]

    @property
    def elsewhere(self) -> bool:
        """Whether all its own names lead out of the canary's VPC."""
        own = [one.verdict.cause for one in self.crossings if one.kind is not Kind.PRIVATE]
        return bool(own) and set(own) == {"dns_unexpected_address"}

    @property
    def doubtful(self) -> bool:
        """Whether it may be rejected or deleted by now, or let in again: EC2 is to be asked."""
        causes = {one.cause for one in self._verdicts}
        return self.open or (self.probed and causes <= UNREACHED)

    @property
    def open(self) -> bool:
        """Whether a door that must be shut is not."""
        return any(one.cause == OPEN for one in self._verdicts)

    @property
    def slowest(self) -> Verdict | None:
        """The good crossing that took longest."""
        good = [one for one in self._verdicts if one.good]
        return max(good, key=lambda one: one.phases.get("total", 0.0), default=None)

    @property
    def days_left(self) -> float | None:
        """Of the certificate that expires first."""
        return min((one.tls_days_left for one in self._verdicts if one.tls_days_left is not None), default=None)

    def zone_of(self, verdict: Verdict) -> str:
        """The zone that a verdict is about, as the consumer calls it; "" where it is about all of them."""
        own = next((one.zone for one in self.crossings if one.verdict is verdict), "")
        return own or self._zones.get(verdict.address, "")

    def unhealthy_addresses(self) -> dict[str, int]:
        """By zone, the addresses that something is wrong with, 0 included; a name without an address is one."""
        bad = {(self.zone_of(one), one.address) for one in self._verdicts if not one.good and one.cause != UNKNOWN}
        counts = Counter(zone for zone, _ in bad)
        return {one.zone: counts[one.zone] for one in self.crossings if one.zone}

    @property
    def _verdicts(self) -> Iterator[Verdict]:
        return (one.verdict for one in self.crossings)

    @cached_property
    def _zones(self) -> dict[str, str]:
        return {one.verdict.address: one.zone for one in self.crossings if one.zone and one.verdict.address}


def gather(
    connection: Connection, verdicts: Mapping[Target, Sequence[Verdict]], private_seen_at: str, now: datetime
) -> Evidence:
    """The crossings of one endpoint that count, from all that its canary brought back.

    `private_seen_at` is when its private name last led to it, "" if it never did.
    """
    found = [ProbeResult(one, target.name.kind, target.name.zone) for target, some in verdicts.items() for one in some]
    own = {one.verdict.address for one in found if one.kind is not Kind.PRIVATE} - {""}
    works = any(one.verdict.good and one.verdict.address in own for one in found if one.kind is Kind.PRIVATE)
    listed = {name.text for name in names_of(connection)}
    recently = works or (bool(private_seen_at) and now - datetime.fromisoformat(private_seen_at) < MISSED_FOR)
    counted = (one for one in found if one.kind is not Kind.PRIVATE or recently or one.verdict.name in listed)
    return Evidence(tuple(counted), works)
