"""One sweep at a time: a lease in the ledger table, which expires where a sweep ended without giving it back."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from linkgate.errors import Contended
from linkgate.ledger.items import stamp
from linkgate.ledger.table import Before, Is, ItemKey, LedgerTable, Write

LENGTH = timedelta(seconds=120)
"""The sweep's timeout: nobody sweeps for longer."""
NAME = "lease#sweep"


class Lease:
    """The lease of the sweep."""

    def __init__(self, table: LedgerTable, now: Callable[[], datetime]) -> None:
        self._table = table
        self._now = now

    def take(self, holder: str) -> bool:
        """Whether the lease is the holder's now."""
        values = {"holder": holder, "until": stamp(self._now() + LENGTH)}
        try:
            self._table.write(Write(ItemKey(NAME), values, [Before("until", stamp(self._now()))]))
        except Contended:
            return False
        return True

    def give_back(self, holder: str) -> None:
        """End the lease, unless it expired and has another holder now."""
        with suppress(Contended):
            self._table.write(Write(ItemKey(NAME), {"until": ""}, [Is("holder", holder)]))
