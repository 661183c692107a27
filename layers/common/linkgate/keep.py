"""Keeping each endpoint's health in the ledger, as seldom as can be, and telling what changed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from linkgate.bus import Bus, Event
from linkgate.canary import Left
from linkgate.entry import Current
from linkgate.errors import Contended, Unavailable
from linkgate.health import OPEN, grown, is_open, outdated, record, status_after
from linkgate.ledger import Ledger
from linkgate.look import Seen
from linkgate.model import Status
from linkgate.news import health_event, open_event
from linkgate.tally import Round

MARGIN = 10
"""Seconds before the end of a function at which it writes no more, so that it can still say what it did."""
LIVE = tuple(status for status in Status if status.live)
SHUT = (Status.REJECTED, Status.CUT)


class Change(NamedTuple):
    """What a round makes of one endpoint, and what is told about it."""

    known: Current
    status: Status
    recent: str
    health: dict[str, Any]
    news: Event | None


@dataclass(frozen=True, slots=True)
class Keeper:
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
        news = self._still(changes)
        # Told first: a repeated event harms less than a lost one.
        self.bus.tell([one.news for one in news if one.news])
        return kept | self._written(news, left, seen)

    def _change(self, one: Seen) -> Change | None:
        known, found = one.case.known, one.diagnosis
        if known is None or found is None or known.status not in (SHUT if one.case.shut else LIVE):
            return None
        recent = grown(known.recent, one.healthy)
        health = record(found, one.evidence, known.health, self.now())
        if one.case.shut:
            before, after = (is_open(*seen) for seen in ((known.recent, _cause(known)), (recent, found.cause)))
            return Change(known, known.status, recent, health, open_event(known, health) if before != after else None)
        if not one.known:
            return Change(known, known.status, known.recent, health, None)
        status = status_after(known.status, recent)
        return Change(known, status, recent, health, health_event(known, known.status, status, health))

    def _worth_writing(self, one: Change) -> bool:
        known = one.known
        if known.status in SHUT:
            before, after = (_cause(known), known.recent), (one.health["cause"], one.recent)
            return OPEN in (before[0], after[0]) and before != after
        changed = (known.status, known.recent) != (one.status, one.recent)
        return changed or outdated(known.endpoint, known.health, one.health, self.now())

    def _still(self, changes: Sequence[Change]) -> list[Change]:
        """The changes with news of endpoints that nobody touched since: the round may have taken a minute."""
        news = [one for one in changes if one.news]
        now = self.ledger.current(one.known.endpoint for one in news)
        return [one for one in news if _unchanged(one.known, now.get(one.known.endpoint))]

    def _written(self, changes: Sequence[Change], left: Left, seen: Round) -> set[str]:
        kept = set()
        for number, one in enumerate(changes):
            if left() < MARGIN:
                raise Unavailable(f"no time is left to keep the health of {len(changes) - number} endpoints")
            try:
                self.ledger.probed(one.known, one.status, one.recent, one.health, self.now())
            except Contended:
                continue
            kept.add(one.known.endpoint)
            if one.status is Status.VERIFIED and not one.known.verified_at and one.known.accepted_at:
                waited = self.now() - datetime.fromisoformat(one.known.accepted_at)
                seen.times_to_verified.append(waited.total_seconds() * 1000)
        return kept


def _unchanged(before: Current, now: Current | None) -> bool:
    return now is not None and (now.status, now.recent, now.entry) == (before.status, before.recent, before.entry)


def _cause(known: Current) -> object:
    return known.health.get("cause", "")
