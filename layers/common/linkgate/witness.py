"""What happened to connections that wait for nobody: accepted, rejected or deleted, by us or by other hands."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from linkgate.bus import Bus, Event, about, finished_event
from linkgate.entry import Current
from linkgate.ledger import Ledger
from linkgate.model import Connection, Outcome, State, Status

CLOSED = "Endpoint Connection Closed"


@dataclass(frozen=True, slots=True)
class Witness:
    """Keeps the ledger true to what EC2 shows; acts on nothing."""

    ledger: Ledger
    bus: Bus
    now: Callable[[], datetime]

    def record(self, connections: Iterable[Connection], known: Mapping[str, Current]) -> None:
        """Record connections that wait for nobody, where the ledger does not know it yet."""
        for connection in connections:
            told: list[Event] = []
            before = known.get(connection.endpoint)
            status = _status(connection, before)
            if status is None or (before and before.open_at(self.now())):
                continue
            if before and not before.settled:
                told += self._finish(connection, before, status)
            elif before is None or (before.status, before.state) != (status, connection.state):
                self.ledger.seen(connection, status, before, self.now())
            if status is Status.CLOSED and (before is None or before.status is not Status.CLOSED):
                told.append(Event(CLOSED, about(connection)))
            # At once, since a later write may be contended and end the loop.
            self.bus.tell(told)

    def gone(self, known: Iterable[Current]) -> None:
        """Record endpoints that EC2 no longer shows."""
        for current in known:
            if current.status is not Status.CLOSED:
                self.ledger.closed(current, self.now())
                self.bus.tell([Event(CLOSED, about(current))])

    def _finish(self, connection: Connection, before: Current, status: Status) -> list[Event]:
        """Complete a line whose act was done by a run that ended before it could say so."""
        answer = f"found {connection.state} at a later look"
        self.ledger.answered(connection, before.entry, answer, status, connection.state, self.now())
        came_true = connection.state.live if before.outcome == Outcome.ACCEPT else status is Status.REJECTED
        return [finished_event(connection, before.says(), before.entry)] if came_true else []


def _status(connection: Connection, before: Current | None) -> Status | None:
    """The ledger's word for what EC2 shows; None for a state that says nothing."""
    if connection.state.gone:
        return Status.CLOSED
    if connection.state is State.REJECTED:
        return Status.REJECTED
    if connection.state.live:
        return before.status if before and before.status.live else Status.ACCEPTED
    return None
