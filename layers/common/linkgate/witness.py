"""What happened to connections that wait for nobody: accepted, rejected or deleted, by us or by other hands."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from linkgate.bus import Bus, Event, about, finished_event
from linkgate.entry import Current
from linkgate.errors import Unavailable
from linkgate.ledger import Ledger
from linkgate.model import Connection, Mode, Outcome, State, Status

CLOSED = "Endpoint Connection Closed"


@dataclass(slots=True)
class Seen:
    """What a look could not record, and whose slots it found free.

    `busy`: endpoints to be looked at again later, since somebody is acting on them (None) or they could not be
    recorded. `freed`: services and accounts that have a slot more now.
    """

    busy: dict[str, Unavailable | None] = field(default_factory=dict)
    freed: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Witness:
    """Keeps the ledger true to what EC2 shows; acts on nothing."""

    ledger: Ledger
    bus: Bus
    now: Callable[[], datetime]

    def record(self, connections: Iterable[Connection], known: Mapping[str, Current]) -> Seen:
        """Record connections that wait for nobody, where the ledger does not know it yet.

        One that cannot be recorded does not hold up the others.
        """
        seen = Seen()
        for connection in connections:
            before = known.get(connection.endpoint)
            try:
                if before and before.leased_at(self.now()):
                    seen.busy[connection.endpoint] = None
                elif status := _status(connection, before):
                    self._record(connection, before, status)
                    if before and before.claimed and not status.live:
                        seen.freed.add((before.service, before.owner))
            except Unavailable as error:
                seen.busy[connection.endpoint] = error
        return seen

    def gone(self, known: Iterable[Current]) -> Seen:
        """Record endpoints that EC2 no longer shows; returns those to be looked at again, as `record` does."""
        seen = Seen()
        for current in known:
            try:
                if current.status is not Status.CLOSED:
                    self.bus.tell([Event(CLOSED, about(current))])
                    self.ledger.closed(current, self.now())
                    if current.claimed:
                        seen.freed.add((current.service, current.owner))
            except Unavailable as error:
                seen.busy[current.endpoint] = error
        return seen

    def _record(self, connection: Connection, before: Current | None, status: Status) -> None:
        """Tell, then write: a repeated event harms less than a lost one."""
        if status is Status.CLOSED and (before is None or before.status is not Status.CLOSED):
            self.bus.tell([Event(CLOSED, about(connection))])
        if before and not before.settled:
            self._finish(connection, before, status)
        elif before is None or (before.status, before.state, before.claimed) != _now(connection, status):
            self.ledger.seen(connection, status, before, self.now())

    def _finish(self, connection: Connection, before: Current, status: Status) -> None:
        """Complete a line whose act was done by a run that ended before it could say so."""
        live, rejected = connection.state.live, status is Status.REJECTED
        came_true = (before.outcome == Outcome.ACCEPT and live) or (before.outcome == Outcome.REJECT and rejected)
        if came_true and before.mode == Mode.ENFORCE:
            self.bus.tell([finished_event(connection, before.says(), before.entry)])
        answer = f"found {connection.state} at a later look"
        self.ledger.answered(connection, before.entry, answer, status, connection.state, self.now())
        if before.claimed is not status.live:
            self.ledger.seen(connection, status, replace(before, status=status), self.now())


def _now(connection: Connection, status: Status) -> tuple[Status, State, bool]:
    return status, connection.state, status.live


def _status(connection: Connection, before: Current | None) -> Status | None:
    """The ledger's word for what EC2 shows; None for a state that says nothing."""
    if connection.state.gone:
        return Status.CLOSED
    if connection.state is State.REJECTED:
        return Status.REJECTED
    if connection.state.live:
        return before.status if before and before.status.live else Status.ACCEPTED
    return None
