"""Keeping pace with EC2, which counts calls and not connections: full calls, few repeats, no run too long."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from linkgate.bell import Bell, chunks
from linkgate.errors import Throttled

SLOW = timedelta(seconds=30)
SLOWEST = 5
"""The repeat (16 seconds) beyond which a throttled question is not asked more seldom."""
FULL, COMPANY = 80, 4
"""While EC2 asks for fewer calls, a call for fewer connections than this waits so many times for others to join it."""
AT_ONCE = 1000
"""Connections that one run judges: each takes DynamoDB some hundredths of a second, of the function's minute."""


@dataclass(slots=True)
class Pace:
    """Whether EC2 asked for fewer calls a moment ago: kept from run to run, as long as the function stays warm."""

    slow_until: datetime | None = None

    def throttled(self, now: datetime) -> None:
        """EC2 asked for fewer calls just now."""
        self.slow_until = now + SLOW

    def slow(self, now: datetime) -> bool:
        """Whether calls are to be few and full."""
        return self.slow_until is not None and now < self.slow_until


def repeat(bell: Bell, error: Exception | None, absent: bool = False, service: str = "") -> Bell:
    """A bell to be rung again, without its endpoints."""
    again = bell.again(frozenset(), absent)
    attempt = min(again.attempt, SLOWEST) if isinstance(error, Throttled) else again.attempt
    return replace(again, attempt=attempt, services=frozenset({service}) if service else again.services)


def at_once(bells: Sequence[Bell]) -> tuple[list[Bell], list[Bell]]:
    """The bells of one run, and those that are too much for it; those of one service together, to fill its calls."""
    taken, rest, endpoints = list[Bell](), list[Bell](), 0
    for bell in sorted(bells, key=lambda bell: sorted(bell.services)):
        fits = not taken or endpoints + len(bell.endpoints) <= AT_ONCE
        (taken if fits else rest).append(bell)
        endpoints += len(bell.endpoints) if fits else 0
    return taken, list(_merged(rest))


def _merged(bells: Iterable[Bell]) -> Iterator[Bell]:
    """Bells of one kind as one, in parts that a message carries."""
    kinds: defaultdict[Bell, set[str]] = defaultdict(set)
    for bell in bells:
        kinds[replace(bell, endpoints=frozenset())] |= bell.endpoints
    for kind, endpoints in kinds.items():
        yield from (replace(kind, endpoints=some) for some in chunks(sorted(endpoints)) if endpoints)
        if not endpoints:
            yield kind
