"""The verdicts of one endpoint that count in a round, and what is to be read from them side by side.

A private name counts for an endpoint that uses it, and for a day after it last did: then it is forgotten. One that a
canary may not probe always counts as not probed: nobody else could say whether it is used.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from linkgate.health.causes import OPEN, UNKNOWN
from linkgate.health.targets import names_of
from linkgate.health.verdict import Verdict
from linkgate.model import Connection

DUAL_STACK = "dualstack"
"""IpAddressType of an endpoint that has addresses of both families (EC2 API reference, VpcEndpointConnection)."""
MISSED_FOR = timedelta(days=1)
"""How long a private name is missed that was in use and no longer works."""
UNREACHED = frozenset({"tcp_timeout", "dns_not_found", UNKNOWN})
"""What a connection looks like that EC2 rejected or deleted a moment ago."""


@dataclass(frozen=True)
class Evidence:
    """The verdicts that count; `private_works` says whether one of the private name led to this endpoint."""

    verdicts: tuple[Verdict, ...] = ()
    private_works: bool = False
    ip_type: str = ""
    """EC2's word for the families of the endpoint's addresses."""

    @property
    def probed(self) -> bool:
        """Whether any probe took place."""
        return any(one.cause != UNKNOWN for one in self.verdicts)

    @property
    def errors(self) -> list[str]:
        """Why probes did not take place, in the canary's words."""
        return [one.detail for one in self.verdicts if one.cause == UNKNOWN]

    @property
    def left_out(self) -> str:
        """Addresses that the canary cannot cross and therefore did not ask for, in words; "" if there are none."""
        probed = [one.address for one in self.verdicts if one.address]
        alone = self.ip_type.lower() == DUAL_STACK and probed and not any(":" in one for one in probed)
        return "its IPv6 addresses, since its canary has no IPv6" if alone else ""

    @property
    def elsewhere(self) -> bool:
        """Whether all its own names lead out of the canary's VPC."""
        return {one.cause for one in self.verdicts if not one.private} == {"dns_unexpected_address"}

    @property
    def doubtful(self) -> bool:
        """Whether it may be rejected or deleted by now, or let in again: EC2 is to be asked."""
        causes = {one.cause for one in self.verdicts}
        return OPEN in causes or (self.probed and causes <= UNREACHED)

    @property
    def slowest(self) -> Verdict | None:
        """The good verdict that took longest."""
        good = [one for one in self.verdicts if one.good]
        return max(good, key=lambda one: one.phases.get("total", 0.0), default=None)

    @property
    def days_left(self) -> float | None:
        """Of the chain that ends first."""
        return min((one.tls_days_left for one in self.verdicts if one.tls_days_left is not None), default=None)

    def zone_of(self, verdict: Verdict) -> str:
        """The zone that a verdict is about, as the consumer calls it; "" where it is about all of them."""
        return verdict.zone or self._zones.get(verdict.address, "")

    def unhealthy_addresses(self) -> dict[str, int]:
        """By zone, the addresses that something is wrong with, 0 included; a name without an address is one."""
        bad = {(self.zone_of(one), one.address) for one in self.verdicts if not one.good and one.cause != UNKNOWN}
        counts = Counter(zone for zone, _ in bad)
        return {one.zone: counts[one.zone] for one in self.verdicts if one.zone}

    @cached_property
    def _zones(self) -> dict[str, str]:
        return {one.address: one.zone for one in self.verdicts if one.zone and one.address}


def gather(connection: Connection, verdicts: Sequence[Verdict], private_seen_at: str, now: datetime) -> Evidence:
    """The verdicts of one endpoint that count, of all that its canary gave.

    `private_seen_at` is when its private name last led to it, "" if it never did.
    """
    own = {one.address for one in verdicts if not one.private} - {""}
    works = any(one.good and one.address in own for one in verdicts if one.private)
    missed = bool(private_seen_at) and now - datetime.fromisoformat(private_seen_at) < MISSED_FOR
    listed = names_of(connection)
    always = works or missed
    counted = (
        one for one in verdicts if always or not one.private or one.cause == UNKNOWN or one.target.name in listed
    )
    return Evidence(tuple(counted), works, connection.ip_type)
