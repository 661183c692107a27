"""The bells that one run answers: who made each request, and how what cannot be answered yet is asked again."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from linkgate.approve.batching import merged
from linkgate.approve.report import Report
from linkgate.errors import Unavailable
from linkgate.events.bell import Bell, who
from linkgate.events.queue import BellQueue
from linkgate.model import Connection
from linkgate.retry import following, lasts


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


def _repeated(bell: Bell, error: Exception | None, absent: bool = False) -> Bell:
    return replace(bell.again(bell.endpoints, absent), attempt=following(bell.attempt, error))
