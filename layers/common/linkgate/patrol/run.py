"""One run of patrol, a round or a visit: the time that it has, and what comes of it."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from linkgate.errors import NotYet
from linkgate.events.bus import Event
from linkgate.patrol.assessment import Assessment

Left = Callable[[], float]
"""Seconds that are left to the function that asks."""


@dataclass(slots=True)
class Run:
    """`left` tells the seconds that remain; everything else is filled on the way."""

    left: Left
    services: defaultdict[str, list[Assessment]] = field(default_factory=lambda: defaultdict(list))
    """By service, what a round found of its endpoints."""
    failed: dict[str, Exception] = field(default_factory=dict)
    """By service, why a round did not get to its end."""
    absent: dict[str, Exception] = field(default_factory=dict)
    """By canary, why it gave no verdicts; its endpoints are unprobed."""
    digests: list[Event] = field(default_factory=list)
    """Events that tell of many changes and are yet to be published."""
    times_to_verified: list[float] = field(default_factory=list)
    """Milliseconds from EC2's acceptance to the first good round."""

    @property
    def failing(self) -> set[str]:
        """The canaries that gave no verdicts, and not because Lambda is making them ready."""
        return {canary for canary, error in self.absent.items() if not isinstance(error, NotYet)}
