"""What happened to connections that wait for nobody: accepted, rejected or deleted, by us or by other hands."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from linkgate.bus import Bus, Event, about, finished_event
from linkgate.entry import Current
from linkgate.errors import Unavailable
from linkgate.ledger import Ledger
from linkgate.model import Connection, Mode, Outcome, State, Status

CLOSED = "Endpoint Connection Closed"
Busy = Mapping[str, Unavailable | None]
"""Endpoints to be looked at again later: somebody is acting on them (None), or they could not be recorded."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Keeps the ledger true to what EC2 shows; acts on nothing."""

    ledger: Ledger
    bus: Bus
    now: Callable[[], datetime]

    def record(self, connections: Iterable[Connection], known: Mapping[str, Current]) -> Busy:
        """Record connections that wait for nobody, where the ledger does not know it yet.

        One that cannot be recorded does not hold up the others.
        """
        busy: dict[str, Unavailable | None] = {}
        for connection in connections:
            before = known.get(connection.endpoint)
            try:
                if before and before.leased_at(self.now()):
                    busy[connection.endpoint] = None
                elif status := _status(connection, before):
                    self._record(connection, before, status)
            except Unavailable as error:
                busy[connection.endpoint] = error
        return busy

    def gone(self, known: Iterable[Current]) -> Busy:
        """Record endpoints that EC2 no longer shows; returns those to be looked at again, as `record` does."""
        busy: dict[str, Unavailable | None] = {}
        for current in known:
            try:
                if current.status is not Status.CLOSED:
                    self.bus.tell([Event(CLOSED, about(current))])
                    self.ledger.closed(current, self.now())
            except Unavailable as error:
                busy[current.endpoint] = error
        return busy

    def _record(self, connection: Connection, before: Current | None, status: Status) -> None:
        """Tell, then write: a repeated event harms less than a lost one."""
        if status is Status.CLOSED and (before is None or before.status is not Status.CLOSED):
            self.bus.tell([Event(CLOSED, about(connection))])
        if before and not before.settled:
            self._finish(connection, before, status)
        elif before is None or (before.status, before.state) != (status, connection.state):
            self.ledger.seen(connection, status, before, self.now())

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
