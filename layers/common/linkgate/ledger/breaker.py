"""The breaker: how many cuts or rejections of a service an hour lets through, and what waits for a release.

Acts are counted by the minute in which they are decided, in the transaction that writes the decision, so that the count
is exact with several writers. A minute counts until it is wholly older than an hour: never too few are counted.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from linkgate.ledger.sets import is_set
from linkgate.ledger.table import Absent, Is, ItemKey, LedgerTable, Write
from linkgate.model import Budget
from linkgate.policy.attributes import is_number, shown

MINUTES = 61
FULL = 10**9
"""As many acts as no budget lets through: what counts where a count cannot be read."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Acts by the minute (since 1970) in which they were decided, as the ledger keeps them: JSON text, "" for none."""

    text: str = ""

    @property
    def damaged(self) -> bool:
        """Whether it cannot be read: then no act counts as let through any more."""
        return _counts(self.text) is None

    def within_the_hour(self, now: datetime) -> int:
        """How many acts count against the budget now."""
        return sum(self._recent(now).values())

    def one_more(self, now: datetime) -> "Spent":
        """With one act more, decided now; what is too old to count is forgotten."""
        minute = str(_minute(now))
        recent = self._recent(now)
        return Spent(json.dumps({**recent, minute: recent.get(minute, 0) + 1}))

    def _recent(self, now: datetime) -> dict[str, int]:
        counts = _counts(self.text)
        if counts is None:
            return {str(_minute(now)): FULL}
        return {minute: count for minute, count in counts.items() if int(minute) > _minute(now) - MINUTES}


@dataclass(frozen=True, slots=True)
class Tripped:
    """The endpoints that a tripped breaker keeps, and the budget it tripped at; nobody: it is not tripped."""

    endpoints: frozenset[str] = frozenset()
    budget: Budget = Budget(0)  # noqa: RUF009 - frozen


class Counted(NamedTuple):
    """What a breaker counted, and what it keeps."""

    spent: Spent = Spent()
    tripped: Tripped = Tripped()


def cuts_name(service: str) -> str:
    """Where the cuts of a service are counted."""
    return f"cuts#{service}"


def rejects_name(service: str) -> str:
    """Where the rejections of a service are counted."""
    return f"rejects#{service}"


def spend(name: str, before: Spent, now: datetime) -> Write:
    """Count one act more; Contended if somebody else counted since `before` was read."""
    condition = Is("spent", before.text) if before.text else Absent("spent")
    return Write(ItemKey(name), {"spent": before.one_more(now).text}, [condition])


def _counts(text: str) -> Mapping[str, int] | None:
    """Acts by minute; None where that is not what stands there."""
    try:
        counts = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return None
    right = isinstance(counts, dict) and all(
        re.fullmatch("[0-9]{1,12}", minute) and isinstance(count, int) for minute, count in counts.items()
    )
    return counts if right else None


def _minute(now: datetime) -> int:
    return int(now.timestamp()) // 60


class Breaker:
    """What is counted, and what is kept, by name."""

    def __init__(self, store: LedgerTable) -> None:
        self._store = store

    def read(self, names: Iterable[str]) -> dict[str, Counted]:
        """What was counted under some names, consistently read; what never was is as if it were nothing."""
        found = dict.fromkeys(names, Counted())
        for item in self._store.read(ItemKey(name) for name in found):
            kept, amount, spent = item.get("kept", frozenset()), item.get("budget", 0), item.get("spent", "")
            budget = Budget(int(amount) if is_number(amount) else 0, item.get("percent") is True)
            tripped = Tripped(frozenset(kept) if is_set(kept) else frozenset(), budget)
            found[item["endpoint_id"]] = Counted(Spent(spent if isinstance(spent, str) else shown(spent)), tripped)
        return found

    def mend(self, name: str, now: datetime) -> None:
        """Write a count anew that cannot be read: as if the hour were full as of now."""
        self._store.write(Write(ItemKey(name), {"spent": json.dumps({str(_minute(now)): FULL})}))

    def trip(self, name: str, before: Tripped, now: Tripped) -> None:
        """Keep some endpoints from being acted on, or nobody any more."""
        if now.endpoints and now != before:
            self._store.write(
                Write(
                    ItemKey(name), {"kept": now.endpoints, "budget": now.budget.amount, "percent": now.budget.percent}
                )
            )
        elif before.endpoints and not now.endpoints:
            self._store.write(Write(ItemKey(name), drop={"kept": before.endpoints}))
