"""Keeping each endpoint's health in the ledger, as seldom as can be, and telling what changed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from linkgate.errors import Contended, Unavailable
from linkgate.events.bus import ENTRIES_PER_CALL, Bus, Event
from linkgate.events.catalog import health_event, open_event
from linkgate.health.causes import OPEN
from linkgate.health.status import is_open, outdated, record
from linkgate.ledger.items import EndpointRecord
from linkgate.ledger.ledger import Ledger
from linkgate.model import Status
from linkgate.patrol.canaries import Left
from linkgate.patrol.counts import Round
from linkgate.patrol.probing import Seen

MARGIN = 10
"""Seconds before the end of a function at which it writes no more, so that it can still say what it did."""


class Change(NamedTuple):
    """What a round makes of one endpoint, and what is told about it."""

    known: EndpointRecord
    status: Status
    recent: str
    health: dict[str, Any]
    news: Event | None


@dataclass(frozen=True, slots=True)
class HealthRecorder:
    """Writes health, and nobody else does."""

    ledger: Ledger
    bus: Bus
    now: Callable[[], datetime]

    def keep(self, looked: Iterable[Seen], left: Left, seen: Round) -> set[str]:
        """Keep what was seen of endpoints, and tell what changed; returns those of which the ledger now knows it.

        An endpoint that the ledger does not know as live, or out, is left alone: the approver records it first. Raises
        Unavailable where time, the bus or the ledger ends it.
        """
        changes = [change for one in looked if one.diagnosis and (change := self._change(one))]
        kept = {one.known.endpoint for one in changes if not one.news and not self._worth_writing(one)}
        quiet = [one for one in changes if not one.news and self._worth_writing(one)]
        # First what nobody needs to hear of, so that a bus that refuses keeps nothing else back.
        kept |= self._written(quiet, left, seen)
        news = [one for one in changes if one.news]
        for start in range(0, len(news), ENTRIES_PER_CALL):
            _require_time(left, len(news) - start)
            still = self._still(news[start : start + ENTRIES_PER_CALL])
            # Told first: a repeated event harms less than a lost one. A few at a time, so that few are repeated.
            self.bus.publish([one.news for one in still if one.news])
            kept |= self._written(still, left, seen)
        return kept

    def _change(self, one: Seen) -> Change | None:
        known, found = one.case.known, one.diagnosis
        if known is None or found is None or not (known.status.live or one.case.shut):
            return None
        health = record(found, one.evidence, known.health, self.now())
        if one.case.shut:
            news = open_event(known, health) if one.open != is_open(known.recent, known.cause) else None
            return Change(known, known.status, one.recent, health, news)
        status = one.status or known.status
        return Change(known, status, one.recent, health, health_event(known, known.status, status, health))

    def _worth_writing(self, one: Change) -> bool:
        known = one.known
        if not known.status.live:
            before, after = (known.cause, known.recent), (one.health["cause"], one.recent)
            return OPEN in (before[0], after[0]) and before != after
        changed = (known.status, known.recent) != (one.status, one.recent)
        return changed or outdated(known.endpoint, known.health, one.health, self.now())

    def _still(self, changes: Sequence[Change]) -> list[Change]:
        """The changes of endpoints that nobody touched since: the round may have taken a minute."""
        now = self.ledger.current(one.known.endpoint for one in changes)
        return [one for one in changes if _unchanged(one.known, now.get(one.known.endpoint))]

    def _written(self, changes: Sequence[Change], left: Left, seen: Round) -> set[str]:
        kept = set()
        for number, one in enumerate(changes):
            _require_time(left, len(changes) - number)
            try:
                self.ledger.probed(one.known, one.status, one.recent, one.health, self.now())
            except Contended:
                continue
            kept.add(one.known.endpoint)
            if one.status is Status.VERIFIED and not one.known.verified_at and one.known.accepted_at:
                waited = self.now() - datetime.fromisoformat(one.known.accepted_at)
                seen.times_to_verified.append(waited.total_seconds() * 1000)
        return kept


def _require_time(left: Left, endpoints: int) -> None:
    if left() < MARGIN:
        raise Unavailable(f"no time is left to keep the health of {endpoints} endpoints")


def _unchanged(before: EndpointRecord, now: EndpointRecord | None) -> bool:
    return now is not None and (now.status, now.recent, now.entry) == (before.status, before.recent, before.entry)
