"""Rows of the allow-list that end soon: each is published once for each date, before anybody is surprised by it."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from linkgate.events.bus import Bus
from linkgate.events.catalog import expiring_event
from linkgate.ledger.sets import NamedSets
from linkgate.model import Outcome, Reconcile, Rule, ServiceSettings
from linkgate.policy.decide import Rows, settings_for
from linkgate.policy.rows import EVERY, parse
from linkgate.sweep.once import Once

PUBLISHED = "expiring-rows"
"""The set of rows that an event was published about: each row's key with the date at which it ends."""


@dataclass(frozen=True, slots=True)
class ExpiringRows:
    """Finds the rows that end within a time; `within` of 0 finds none."""

    sets: NamedSets
    bus: Bus
    within: timedelta
    now: Callable[[], datetime]

    def whole(self, rows: Rows, malformed: Collection[str] = ()) -> int:
        """Look through the whole table but for `malformed` rows; how many end soon.

        A row whose date moves is published again.
        """
        now = self.now()
        soon = {
            json.dumps([*row.key, row.expires_at.isoformat()]): (row, row.expires_at)
            for row in (parse(item) for item in rows.values() if "expires_at" in item)
            if isinstance(row, Rule) and row.expires_at and now < row.expires_at <= now + self.within
            if str(row.key) not in malformed
        }
        events = {member: expiring_event(row, ends, now, _otherwise(row, rows)) for member, (row, ends) in soon.items()}
        Once(self.sets, self.bus, PUBLISHED).publish(events)
        return len(soon)


def _otherwise(row: Rule, rows: Rows) -> tuple[str, str]:
    """In words, what becomes of a consumer without the row: of new requests, and of live connections."""
    settings = settings_for(row.key.service, rows)
    if row.key.service == EVERY or not isinstance(settings, ServiceSettings):
        return "held or rejected, as each service's default says", "reported or cut, as its reconcile says"
    new = "rejected" if settings.default is Outcome.REJECT else "held"
    live = {Reconcile.OFF: "left alone", Reconcile.REPORT: "reported", Reconcile.ENFORCE: "cut after the grace"}
    return new, live[settings.reconcile]
