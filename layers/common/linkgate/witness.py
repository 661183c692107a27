"""What happened to connections that wait for nobody: accepted, rejected or deleted, by us or by other hands."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from linkgate.bus import Bus, Event, about, finished_event
from linkgate.entry import Current
from linkgate.ledger import Ledger
from linkgate.model import Connection, Mode, Outcome, State, Status

CLOSED = "Endpoint Connection Closed"


@dataclass(frozen=True, slots=True)
class Witness:
    """Keeps the ledger true to what EC2 shows; acts on nothing."""

    ledger: Ledger
    bus: Bus
    now: Callable[[], datetime]

    def record(self, connections: Iterable[Connection], known: Mapping[str, Current]) -> frozenset[str]:
        """Record connections that wait for nobody, where the ledger does not know it yet.

        Returns the endpoints on which somebody is acting at this moment: to be looked at again later.
        """
        busy = set()
        for connection in connections:
            before = known.get(connection.endpoint)
            status = _status(connection, before)
            if status is None:
                continue
            if before and before.leased_at(self.now()):
                busy.add(connection.endpoint)
                continue
            if status is Status.CLOSED and (before is None or before.status is not Status.CLOSED):
                self.bus.tell([Event(CLOSED, about(connection))])
            if before and not before.settled:
                self._finish(connection, before, status)
            elif before is None or (before.status, before.state) != (status, connection.state):
                self.ledger.seen(connection, status, before, self.now())
        return frozenset(busy)

    def gone(self, known: Iterable[Current]) -> None:
        """Record endpoints that EC2 no longer shows. Told first: a repeated event harms less than a lost one."""
        for current in known:
            if current.status is not Status.CLOSED:
                self.bus.tell([Event(CLOSED, about(current))])
                self.ledger.closed(current, self.now())

    def _finish(self, connection: Connection, before: Current, status: Status) -> None:
        """Complete a line whose act was done by a run that ended before it could say so."""
        live, rejected = connection.state.live, status is Status.REJECTED
        came_true = (before.outcome == Outcome.ACCEPT and live) or (before.outcome == Outcome.REJECT and rejected)
        if came_true and before.mode == Mode.ENFORCE:
            self.bus.tell([finished_event(connection, before.says(), before.entry)])
        answer = f"found {connection.state} at a later look"
        self.ledger.answered(connection, before.entry, answer, status, connection.state, self.now())


def _status(connection: Connection, before: Current | None) -> Status | None:
    """The ledger's word for what EC2 shows; None for a state that says nothing."""
    if connection.state.gone:
        return Status.CLOSED
    if connection.state is State.REJECTED:
        return Status.REJECTED
    if connection.state.live:
        return before.status if before and before.status.live else Status.ACCEPTED
    return None
