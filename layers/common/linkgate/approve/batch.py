"""The bells that one run answers: what it takes of them, who made each request, and how the rest is asked again.

EC2 counts calls and not connections, so few and full ones are wanted. The function takes few bells at once, so that a
lone one is answered without waiting for others; under load bells become fuller from run to run, since one carries up to
five hundred endpoints. The numbers are chosen by bench.storm; docs/decisions.md says how much hangs on each of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from linkgate.approve.context import age
from linkgate.approve.report import Report
from linkgate.aws.connections import PER_CALL
from linkgate.errors import Unavailable
from linkgate.events.bell import Bell, chunks, who
from linkgate.events.queue import BellQueue
from linkgate.model import Connection
from linkgate.retry import following, lasts

FULL = 10
"""Bells that one run takes at most: the event source's BatchSize. So many say that more are waiting."""
GROUPS = 20
"""Groups of connections that one run judges, a call of EC2 for each, so that it ends before its timeout."""
SOON = 1
"""Seconds until another run judges the rest."""


@dataclass(slots=True)
class Batch:
    """Some bells, the report on them, and the queue that takes repeats of them."""

    bells: Sequence[Bell]
    report: Report
    queue: BellQueue
    _origins: dict[str, str] = field(init=False, default_factory=dict)
    """By endpoint the origin of its bell; of several bells the one that says who did something."""

    def __post_init__(self) -> None:
        for bell in self.bells:
            for endpoint in bell.endpoints:
                if endpoint not in self._origins or (who(bell.origin) and not who(self._origins[endpoint])):
                    self._origins[endpoint] = bell.origin

    def about(self, endpoints: set[str]) -> "Batch":
        """The bells that name some endpoints, or no endpoint at all."""
        return Batch(
            [one for one in self.bells if not one.endpoints or one.endpoints & endpoints], self.report, self.queue
        )

    def origin(self, connection: Connection) -> str:
        """The origin of the bell for a connection."""
        return self._origin(connection.endpoint)

    def _origin(self, endpoint: str) -> str:
        return self._origins.get(endpoint, self.bells[0].origin if self.bells else "")

    @property
    def full(self) -> bool:
        """Whether more bells are waiting, as far as this batch can tell."""
        return len(self.bells) >= FULL

    def attributed(self, late: Iterable[Bell]) -> Iterator[Bell]:
        """Bells for another run, each with the origin of its endpoints."""
        for bell in late:
            parts = defaultdict[str, set[str]](set)
            for endpoint in bell.endpoints:
                parts[self._origin(endpoint)].add(endpoint)
            yield from (replace(bell, endpoints=frozenset(some), origin=origin) for origin, some in parts.items())

    def fail(self, service: str, error: Exception) -> None:
        """Fail the messages of a service: a batch about endpoints of it may hold bells of other services."""
        mine = (bell for bell in self.bells if bell.everything or bell.endpoints or service in bell.services)
        self.report.failed |= dict.fromkeys(mine, error)

    def repeat(self, retry: Mapping[str, Exception | None], service: str = "", absent: bool = False) -> None:
        """Ask about endpoints again in a while, each for its reason, as long as patience lasts; then the sweep will.

        Out of patience with an error, the message itself fails: what keeps failing is not dropped in silence. A
        throttled question is asked until it is answered. Bells of one kind become one, so that the next call is full.
        """
        patient_first = sorted(self.bells, key=lambda bell: (bell.attempt, not bell.endpoints))
        for error in set(retry.values()):
            wanted, again = frozenset(one for one, why in retry.items() if why is error), list[Bell]()
            for bell in patient_first:
                mine = bell.endpoints & wanted if bell.endpoints else wanted
                if mine and lasts(bell.attempt, error):
                    services = frozenset({service}) if service else bell.services
                    again.append(_repeated(replace(bell, endpoints=mine, services=services), error, absent))
                elif mine and error:
                    self.report.failed[bell] = error
                else:
                    self.report.given_up |= mine
                wanted -= mine
            self.queue.send(merged(again))

    def repeat_all(self, error: Unavailable) -> None:
        """EC2 answers nothing at all: ask about everything again in a while."""
        whole = {bell for bell in self.bells if not bell.endpoints}
        lasting = {bell for bell in whole if lasts(bell.attempt, error)}
        self.queue.send(_repeated(bell, error) for bell in lasting)
        self.report.failed |= dict.fromkeys(whole - lasting, error)
        naming = Batch([bell for bell in self.bells if bell.endpoints], self.report, self.queue)
        naming.repeat(dict.fromkeys((endpoint for bell in naming.bells for endpoint in bell.endpoints), error))


def fuller(bells: Sequence[Bell]) -> list[Bell]:
    """A full batch as at most half as many bells, to be sent on at once; [] where it is to be answered itself."""
    fewer = list(merged(bells)) if len(bells) >= FULL else []
    return fewer if len(fewer) <= len(bells) // 2 else []


def merged(bells: Iterable[Bell]) -> Iterator[Bell]:
    """Bells of one kind as one, in parts that a message carries; what names no endpoint or no service stays so."""
    kinds: defaultdict[tuple[Bell, bool, bool], list[Bell]] = defaultdict(list)
    for bell in bells:
        kind = replace(bell, endpoints=frozenset(), services=frozenset())
        kinds[kind, bool(bell.endpoints), bool(bell.services)].append(bell)
    for (kind, named, _), some in kinds.items():
        endpoints = sorted(frozenset[str]().union(*(bell.endpoints for bell in some)))
        services = frozenset[str]().union(*(bell.services for bell in some))
        for part in chunks(endpoints) if named else [frozenset[str]()]:
            yield replace(kind, endpoints=part, services=services)


def planned(found: Iterable[Connection], bells: Iterable[Bell]) -> tuple[list[list[Connection]], list[Bell]]:
    """Connections of a service, a hundred together, in the order in which to judge them, and bells for all others.

    Those that wait come last: connections accepted out of band take their slot first. Of them full groups come before
    small ones, and the oldest of a service are together.
    """
    kinds = defaultdict[tuple[str, bool], list[Connection]](list)
    for one in sorted(found, key=age):
        kinds[one.service, one.waits].append(one)
    groups = [some[at : at + PER_CALL] for some in kinds.values() for at in range(0, len(some), PER_CALL)]
    groups.sort(key=lambda group: (group[0].waits, -len(group), age(group[0])))
    tried = {endpoint: bell.attempt for bell in bells for endpoint in bell.endpoints}
    rest = [
        Bell(
            frozenset(one.endpoint for one in group),
            frozenset({group[0].service}),
            attempt=max(1, *(tried.get(one.endpoint, 0) for one in group)),
        )
        for group in groups[GROUPS:]
    ]
    return groups[:GROUPS], rest


def _repeated(bell: Bell, error: Exception | None, absent: bool = False) -> Bell:
    return replace(bell.again(bell.endpoints, absent), attempt=following(bell.attempt, error))
