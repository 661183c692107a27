"""Keeping pace with EC2, which counts calls and not connections: full calls, few repeats, no run too long."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from linkgate.abreast import lanes
from linkgate.bell import Bell, chunks
from linkgate.connections import PER_CALL
from linkgate.errors import Throttled
from linkgate.model import Connection
from linkgate.standing import place_of

SLOW = timedelta(seconds=10)
SLOWEST = 3
"""The repeat (4 seconds) beyond which a throttled question is not asked more seldom."""
FULL, COMPANY = 95, 3
"""While EC2 asks for fewer calls, a call for fewer connections than this waits so many times for others to join it."""
MEETING = 4
"""Seconds between the moments at which what several runs put off comes together."""
CALLS, LOOKS = 6, 2000
"""Full calls that one run makes, and connections that it looks at.

EC2 takes five calls a second: with more of them a run waits for tokens, and others with it (bench.storm: 1.24 times
what the buckets allow with 10, 1.06 with 6, both with a whole vCPU; docs/decisions.md says what that leaves out).
"""
STORM, SMALL = 500, 5
"""A run in which so many wait makes no more small calls than EC2 has room for in a second."""
WAIT, AGAIN = timedelta(seconds=40), 1
"""How long a run waits for EC2, of the function's minute, and how many seconds pass between two tries."""


@dataclass(slots=True)
class Pace:
    """Whether EC2 asked for fewer calls a moment ago: kept from run to run, as long as the function stays warm."""

    slow_until: datetime | None = None

    def slow_down(self, now: datetime) -> None:
        """EC2 asked for fewer calls just now, or is about to."""
        self.slow_until = now + SLOW

    def slow(self, now: datetime) -> bool:
        """Whether calls are to be few and full."""
        return self.slow_until is not None and now < self.slow_until


def repeat(bell: Bell, error: Exception | None, absent: bool = False, service: str = "") -> Bell:
    """A bell to be rung again, without its endpoints."""
    again = bell.again(frozenset(), absent)
    attempt = min(again.attempt, SLOWEST) if isinstance(error, Throttled) else again.attempt
    return replace(again, attempt=attempt, services=frozenset({service}) if service else again.services)


def meeting(now: datetime) -> int:
    """Seconds until calls for few that were put off by several runs come together."""
    return MEETING - int(now.timestamp()) % MEETING


def at_once(bells: Sequence[Bell]) -> tuple[list[Bell], list[Bell]]:
    """The bells of one run, and those that are too much for it: what was put off fills its calls by service."""
    asked = Counter(service for bell in bells if bell.attempt for service in bell.services for _ in bell.endpoints)

    def turn(bell: Bell) -> tuple[bool, bool, int, list[str], int]:
        # Whatever names no endpoint first, then what was put off, the fullest services first, then what was passed on.
        full = sum(asked[one] for one in bell.services)
        return bool(bell.endpoints), not bell.attempt, -full, sorted(bell.services), -len(bell.endpoints)

    taken, rest, room = list[Bell](), list[Bell](), {True: CALLS * PER_CALL, False: LOOKS}
    for bell in sorted(bells, key=turn):
        again = bell.attempt > 0
        fits = room[again] > 0
        (taken if fits else rest).append(bell)
        room[again] -= len(bell.endpoints)
    return taken, list(_merged(rest))


def planned(found: Iterable[Connection]) -> tuple[list[list[Connection]], list[list[Connection]]]:
    """Connections of a service, a hundred together, in the order in which to judge them, and those for another run.

    Those that wait come last: whoever is live by other hands takes a slot first. Of them full calls come before small
    ones, and the oldest of a service are together.
    """
    lined = lanes(sorted(found, key=place_of), lambda one: (one.service, one.waits))
    groups = [lane[at : at + PER_CALL] for lane in lined for at in range(0, len(lane), PER_CALL)]
    groups.sort(key=lambda group: (group[0].waits, -len(group), place_of(group[0])))
    now, late = list[list[Connection]](), list[list[Connection]]()
    room = {True: CALLS, False: LOOKS // PER_CALL}
    for group in groups:
        waits = group[0].waits
        (now if room[waits] > 0 else late).append(group)
        room[waits] -= 1
    return now, late


def _merged(bells: Iterable[Bell]) -> Iterator[Bell]:
    """Bells of one kind as one, in parts that a message carries."""
    kinds: defaultdict[Bell, set[str]] = defaultdict(set)
    for bell in bells:
        kinds[replace(bell, endpoints=frozenset())] |= bell.endpoints
    for kind, endpoints in kinds.items():
        yield from (replace(kind, endpoints=some) for some in chunks(sorted(endpoints)) if endpoints)
        if not endpoints:
            yield kind
