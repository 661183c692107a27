"""One sweep at a time: a lease in the ledger table, which expires where a sweep ended without giving it back."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from linkgate.errors import Contended
from linkgate.ledger.items import stamp
from linkgate.ledger.table import Before, Condition, Is, ItemKey, LedgerTable, Write

LENGTH = timedelta(seconds=120)
"""The sweep's timeout: nobody sweeps for longer."""
NAME = "lease#sweep"
_END = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z")


class Lease:
    """The lease of the sweep."""

    def __init__(self, table: LedgerTable, now: Callable[[], datetime]) -> None:
        self._table = table
        self._now = now

    def take(self, holder: str) -> bool:
        """Whether the lease is the holder's now."""
        return self._taken(holder, Before("until", stamp(self._now()))) or self._taken_damaged(holder)

    def _taken(self, holder: str, condition: Condition) -> bool:
        values = {"holder": holder, "until": stamp(self._now() + LENGTH)}
        try:
            self._table.write(Write(ItemKey(NAME), values, [condition]))
        except Contended:
            return False
        return True

    def _taken_damaged(self, holder: str) -> bool:
        """Take a lease whose end nobody of us wrote: it would keep every sweep from running, for ever."""
        for item in self._table.read([ItemKey(NAME)]):
            until, latest = item.get("until"), stamp(self._now() + 2 * LENGTH)
            if not (isinstance(until, str) and _END.fullmatch(until) and until <= latest):
                return self._taken(holder, Is("until", until))
        return False

    def give_back(self, holder: str) -> None:
        """End the lease, unless it expired and has another holder now."""
        with suppress(Contended):
            self._table.write(Write(ItemKey(NAME), {"until": ""}, [Is("holder", holder)]))
