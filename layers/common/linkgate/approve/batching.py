"""Keeping pace with EC2, which counts calls and not connections: few calls, and full ones.

Which bells one run answers, and which calls it makes of what it found; what is too much is asked again. The numbers are
chosen by bench.storm; docs/decisions.md says how much hangs on each of them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from linkgate.approve.context import age
from linkgate.aws.connections import PER_CALL
from linkgate.events.bell import Bell, chunks
from linkgate.model import Connection

CALLS, LOOKS = 4, 2000
"""Full calls that one run makes, and connections that it looks at: EC2 takes five calls a second of all runs."""
STORM = 50
"""A run that finds so many waiting is in a storm: EC2 will have no room for a call for few."""
FULL, COMPANY, SOON = 80, 3, 1
"""In a storm a call for fewer than this waits for others to join it, so many times, so many seconds each."""


def at_once(bells: Sequence[Bell]) -> tuple[list[Bell], list[Bell]]:
    """The bells of one run, and those that are too much for it: what was put off fills its calls by service."""
    asked = Counter(service for bell in bells if bell.attempt for service in bell.services for _ in bell.endpoints)

    def turn(bell: Bell) -> tuple[bool, int, list[str]]:
        # Whatever names no endpoint first, then the fullest services, one after the other.
        full = sum(asked[one] for one in bell.services)
        return bool(bell.endpoints), -full, sorted(bell.services)

    taken, rest, room = list[Bell](), list[Bell](), {True: CALLS * PER_CALL, False: LOOKS}
    for bell in sorted(bells, key=turn):
        again = bell.attempt > 0
        fits = room[again] > 0
        (taken if fits else rest).append(bell)
        room[again] -= len(bell.endpoints)
    return taken, list(merged(rest))


def planned(found: Iterable[Connection], bells: Iterable[Bell]) -> tuple[list[list[Connection]], list[Bell]]:
    """Connections of a service, a hundred together, in the order in which to judge them, and bells for all others.

    Those that wait come last: connections accepted out of band take their slot first. Of them full calls come before
    small ones, and the oldest of a service are together.
    """
    groups, room = _groups(found), {True: CALLS, False: LOOKS // PER_CALL}
    storm = sum(len(group) for group in groups if group[0].waits) >= STORM
    longest_last = sorted(bells, key=lambda bell: bell.attempt)
    tried = {endpoint: bell.attempt for bell in longest_last for endpoint in bell.endpoints}
    mine, rest = list[list[Connection]](), list[Bell]()
    for group in groups:
        waits, turns = group[0].waits, max(tried.get(one.endpoint, 0) for one in group)
        named = all(one.endpoint in tried for one in group)
        alone = storm and waits and len(group) < FULL and named and turns < COMPANY
        if room[waits] > 0 and not alone:
            room[waits] -= 1
            mine.append(group)
        else:
            endpoints = frozenset(one.endpoint for one in group)
            rest.append(Bell(endpoints, frozenset({group[0].service}), attempt=turns + 1 if alone else max(1, turns)))
    return mine, rest


def _groups(found: Iterable[Connection]) -> list[list[Connection]]:
    kinds = defaultdict[tuple[str, bool], list[Connection]](list)
    for one in sorted(found, key=age):
        kinds[one.service, one.waits].append(one)
    groups = [some[at : at + PER_CALL] for some in kinds.values() for at in range(0, len(some), PER_CALL)]
    return sorted(groups, key=lambda group: (group[0].waits, -len(group), age(group[0])))


def merged(bells: Iterable[Bell]) -> Iterator[Bell]:
    """Bells of one kind as one, in parts that a message carries."""
    kinds: defaultdict[Bell, set[str]] = defaultdict(set)
    for bell in bells:
        kinds[replace(bell, endpoints=frozenset())] |= bell.endpoints
    for kind, endpoints in kinds.items():
        yield from (replace(kind, endpoints=some) for some in chunks(sorted(endpoints)) if endpoints)
        if not endpoints:
            yield kind
