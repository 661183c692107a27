"""What one round of patrol saw, in numbers: the metrics."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from linkgate.health.evidence import Evidence


@dataclass(slots=True)
class Counts:
    """One service in one round. Phase times in milliseconds: the slowest good crossing of each endpoint."""

    probed: int = 0
    unprobed: int = 0
    unhealthy: list[str] = field(default_factory=list)
    """The endpoints that are UNHEALTHY after this round."""
    errors: int = 0
    """Verdicts of canaries that could not probe what they were sent to."""
    said: dict[str, str] = field(default_factory=dict)
    """Why, in the words of the canary, by endpoint."""
    open: int = 0
    """Endpoints that must stay out and got in."""
    addresses: Counter[str] = field(default_factory=Counter)
    """Unhealthy addresses by zone, as consumers call their zones."""
    phases: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    days_left: float | None = None
    """Of the certificate that expires first."""

    def saw(self, evidence: Evidence) -> None:
        """Count an endpoint that was probed, well or not."""
        self.probed += 1
        self.addresses.update(evidence.unhealthy_addresses())
        if evidence.slowest:
            for name, value in evidence.slowest.phases.items():
                self.phases[name].append(value)
        if evidence.days_left is not None:
            self.days_left = min(evidence.days_left, evidence.days_left if self.days_left is None else self.days_left)


@dataclass(slots=True)
class Round:
    """What one round saw, by service, and what it could not look at."""

    services: defaultdict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    failed: dict[str, Exception] = field(default_factory=dict)
    """By service, why it was not looked at to the end."""
    absent: dict[str, Exception] = field(default_factory=dict)
    """By canary, why it did not come back; its endpoints are unprobed."""
    times_to_verified: list[float] = field(default_factory=list)
    """Milliseconds from EC2's acceptance to the first crossing."""
