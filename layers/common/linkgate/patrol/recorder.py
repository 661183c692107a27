"""Recording each endpoint's health in the ledger, as seldom as can be, and publishing what changed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from linkgate.errors import Contended, Unavailable
from linkgate.events.bus import ENTRIES_PER_CALL, Bus, Event
from linkgate.events.catalog import health_event, open_event
from linkgate.events.digest import grouped
from linkgate.health.causes import OPEN
from linkgate.health.status import is_open, outdated, record
from linkgate.ledger.items import EndpointRecord
from linkgate.ledger.ledger import Ledger
from linkgate.model import Status
from linkgate.patrol.assessment import Assessment
from linkgate.patrol.run import Run

MARGIN = 10
"""Seconds before the end of a function at which it writes no more, so that it can still report what it did."""


class Change(NamedTuple):
    """What a round makes of one endpoint: what to write, whether that is worth it, and what to publish."""

    known: EndpointRecord
    status: Status
    recent: str
    health: dict[str, Any]
    matters: bool
    event: Event | None


@dataclass(frozen=True, slots=True)
class HealthRecorder:
    """Writes health, and nothing else does."""

    ledger: Ledger
    bus: Bus
    now: Callable[[], datetime]

    def changes(self, assessments: Iterable[Assessment], run: Run) -> list[Change]:
        """What becomes of all endpoints of a run; its digests are left in the run until something is published.

        An endpoint that the ledger does not know as live, or out, is left alone: the approver records it first.
        """
        changes = []
        for one in assessments:
            try:
                changes.append(self._change(one))
            except Exception as error:  # whatever it is, only this endpoint stays as it is
                run.failed[one.candidate.connection.service] = error
        found = [change for change in changes if change]
        run.digests, events = grouped([one.event for one in found if one.event])
        marked = iter(events)
        return [one._replace(event=next(marked)) if one.event else one for one in found]

    def record(self, changes: Sequence[Change], run: Run) -> set[str]:
        """Record and publish changes of a run; returns the endpoints whose health the ledger has now.

        Raises Unavailable where time, the bus or the ledger ends it.
        """
        recorded = {one.known.endpoint for one in changes if not one.matters}
        # First what needs no event, so that a bus that refuses keeps nothing else back.
        recorded |= self._written([one for one in changes if one.matters and not one.event], run)
        events = [one for one in changes if one.event]
        for start in range(0, len(events), ENTRIES_PER_CALL):
            _require_time(run, len(events) - start)
            still = self._still(events[start : start + ENTRIES_PER_CALL])
            # Published first: a repeated event harms less than a lost one. A few at a time, so that few are repeated.
            self.bus.publish(run.digests)
            run.digests = []
            self.bus.publish([one.event for one in still if one.event])
            recorded |= self._written(still, run)
        return recorded

    def _change(self, one: Assessment) -> Change | None:
        known, found, status, closed = one.candidate.known, one.diagnosis, one.status, one.candidate.closed
        if known is None or status is None or not (closed or known.status.live):
            return None
        # Why an endpoint that is let in cannot be probed is worth knowing, and once where no canary reaches it.
        news = not one.candidate.canary and known.health.get("detail") != found.evidence
        if not found.conclusive and not one.forgotten and (closed or not (one.evidence.verdicts or news)):
            return None
        health = record(found, one.evidence, known.health, self.now(), one.candidate.canary, one.recent)
        if closed:
            event = open_event(known, health) if one.open != is_open(known.recent, known.cause) else None
            matters = OPEN in (known.cause, found.cause) and (known.cause, known.recent) != (found.cause, one.recent)
        else:
            event = health_event(known, status, health)
            moved = (known.status, known.recent) != (status, one.recent)
            matters = moved or news or outdated(known.endpoint, known.health, health, self.now())
        return Change(known, status, one.recent, health, matters, event)

    def _still(self, changes: Sequence[Change]) -> list[Change]:
        """The changes of endpoints that nobody touched since: the round may have taken a minute."""
        now = self.ledger.current(one.known.endpoint for one in changes)
        return [one for one in changes if _unchanged(one.known, now.get(one.known.endpoint))]

    def _written(self, changes: Sequence[Change], run: Run) -> set[str]:
        written = set()
        for number, one in enumerate(changes):
            _require_time(run, len(changes) - number)
            try:
                self.ledger.probed(one.known, one.status, one.recent, one.health, self.now())
            except Contended:
                continue
            written.add(one.known.endpoint)
            if one.status is Status.VERIFIED and not one.known.verified_at and one.known.accepted_at:
                waited = self.now() - one.known.accepted_at
                run.times_to_verified.append(waited.total_seconds() * 1000)
        return written


def _require_time(run: Run, endpoints: int) -> None:
    if run.left() < MARGIN:
        raise Unavailable(f"no time is left to record the health of {endpoints} endpoints")


def _unchanged(before: EndpointRecord, now: EndpointRecord | None) -> bool:
    return now is not None and (now.status, now.recent, now.entry) == (before.status, before.recent, before.entry)
