"""What happened to connections that wait for nobody: accepted, rejected or deleted, by us or out of band."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from linkgate.errors import Unavailable
from linkgate.events.bell import who
from linkgate.events.bus import Bus
from linkgate.events.catalog import closed_event, finished_event, out_of_band_event
from linkgate.ledger.items import EndpointRecord, out_of_band_act
from linkgate.ledger.ledger import Ledger
from linkgate.model import Connection, Mode, Outcome, State, Status
from linkgate.policy.why import came_true

Origin = Callable[[Connection], str]


def _nothing(_: Connection) -> str:
    return ""


@dataclass(slots=True)
class Observation:
    """What a look could not record, and whose slots it found free.

    `retry_later`: endpoints to be looked at again later, since somebody is acting on them (None) or they could not be
    recorded. `freed`: services and accounts that have a slot more now.
    """

    retry_later: dict[str, Unavailable | None] = field(default_factory=dict)
    freed: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Tracker:
    """Keeps the ledger true to what EC2 shows; acts on nothing."""

    ledger: Ledger
    bus: Bus
    now: Callable[[], datetime]

    def record(
        self, connections: Iterable[Connection], known: Mapping[str, EndpointRecord], origin: Origin = _nothing
    ) -> Observation:
        """Record connections that wait for nobody, where the ledger does not know it yet.

        One that cannot be recorded does not hold up the others. `origin` gives the origin of a connection's bell.
        """
        seen, unrecorded = Observation(), list[tuple[Connection, Status]]()
        for connection in connections:
            before = known.get(connection.endpoint)
            status = _status(connection, before)
            if before and (before.leased_at(self.now()) or self._older(before, status)):
                seen.retry_later[connection.endpoint] = None
            elif status and not _kept_open(before, status):
                unrecorded.append((connection, status))
        written = self.ledger.together(
            partial(self._record, connection, known.get(connection.endpoint), status, origin(connection))
            for connection, status in unrecorded
        )
        for (connection, status), trouble in zip(unrecorded, written, strict=True):
            before = known.get(connection.endpoint)
            if trouble:
                seen.retry_later[connection.endpoint] = trouble
            elif before and before.claimed and not status.live:
                seen.freed.add((before.service, before.account))
        return seen

    def _older(self, before: EndpointRecord, status: Status | None) -> bool:
        """Whether a look seems older than a cut or a rejection of ours that EC2 took a moment ago."""
        ours = before.outcome in (Outcome.REJECT, Outcome.CUT) and not before.status.live
        return ours and before.fresh_at(self.now()) and status is not None and status.live

    def gone(self, known: Iterable[EndpointRecord]) -> Observation:
        """Record endpoints that EC2 no longer shows; returns those to be looked at again, as `record` does."""
        seen = Observation()
        for current in known:
            try:
                if current.status is not Status.CLOSED:
                    self.bus.publish([closed_event(current)])
                    self.ledger.closed(current, self.now())
                    if current.claimed:
                        seen.freed.add((current.service, current.account))
            except Unavailable as error:
                seen.retry_later[current.endpoint] = error
        return seen

    def _record(
        self, connection: Connection, before: EndpointRecord | None, status: Status, origin: str, ledger: Ledger
    ) -> None:
        """Publish, then write: a repeated event harms less than a lost one. What `ledger` is given is written last."""
        if status is Status.CLOSED and (before is None or before.status is not Status.CLOSED):
            self.bus.publish([closed_event(connection)])
        if before and not before.settled:
            before = self._finished(connection, before, status)
        if before and before.by_hand and (name := who(origin, "Accept" if before.status.live else "Reject")):
            self.ledger.attributed(before, name)
        if before is None or _shown(before) != (status, connection.state, connection.raw_state, status.live):
            by_hand = origin if _out_of_band(before, status, origin) else None
            if by_hand is not None:
                line = out_of_band_act(connection, status, before, by_hand, self.now())
                self.bus.publish([out_of_band_event(connection, line)])
            ledger.seen(connection, status, before, self.now(), by_hand)

    def _finished(self, connection: Connection, before: EndpointRecord, status: Status) -> EndpointRecord:
        """Complete a line whose act was done by a run that ended before it could say so; what is known then."""
        wanted = before.mode == Mode.ENFORCE and before.outcome in CAME_TRUE.get(status, ())
        if wanted:
            self.bus.publish([finished_event(connection, before.says(), before.entry)])
        answer = f"found {connection.state} at a later look"
        # What the line did not want is not its answer, and is recorded as what was done out of band.
        stands = status if wanted or status is Status.CLOSED else before.status
        said = came_true(before.why, *before.says()) if wanted else ""
        self.ledger.answered(connection, before.entry, answer, stands, connection.state, self.now(), before, why=said)
        return self.ledger.current([connection.endpoint])[connection.endpoint]


CAME_TRUE = {
    Status.ACCEPTED: (Outcome.ACCEPT,),
    Status.REJECTED: (Outcome.REJECT,),
    Status.CUT: (Outcome.CUT,),
}
"""What an open decision wanted, by what was found."""


def _shown(known: EndpointRecord) -> tuple[Status, State, str, bool]:
    return known.status, known.state, known.raw_state, known.claimed


def _kept_open(before: EndpointRecord | None, status: Status) -> bool:
    """Whether EC2 refused, for want of a permission say, to accept a rejected connection again: the line waits."""
    return bool(before and not before.settled and before.refusal and before.status is status and not status.live)


def _out_of_band(before: EndpointRecord | None, status: Status, origin: str) -> bool:
    """Whether it was done out of band: not by us. Of a connection never seen before nobody knows who did it."""
    if status in (Status.CLOSED, Status.HELD):
        return False
    if before is None or before.status is Status.CLOSED:
        return bool(who(origin))
    if status.live:
        return not before.status.live
    return before.status not in (Status.REJECTED, Status.CUT)


def _status(connection: Connection, before: EndpointRecord | None) -> Status | None:
    """The ledger's word for what EC2 shows; None where that says nothing yet about what somebody is at."""
    if connection.state.gone:
        return Status.CLOSED
    if connection.state is State.REJECTED:
        return Status.CUT if before and (before.cutting() or before.status is Status.CUT) else Status.REJECTED
    if connection.state is State.UNKNOWN and not (before and not before.settled):
        # What is live stays so until somebody knows that it is not, and what is new is held.
        return before.status if before and before.status is not Status.CLOSED else Status.HELD
    if not connection.state.live or (before and before.cutting()):
        return None
    return before.status if before and before.status.live else Status.ACCEPTED
