"""Sets of names in the ledger table: which rows block a service, which problems were told.

A set is an item of its own, so that one conditional update adds a member, also where the item does not exist yet.
"""

import json
from collections.abc import Iterable

from linkgate.ledger.table import ItemKey, LedgerTable, Write
from linkgate.model import RowKey

MEMBERS = "members"


class NamedSets:
    """Named sets. Those that do not exist are empty."""

    def __init__(self, store: LedgerTable) -> None:
        self._store = store

    def read(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """The members of some sets, consistently read; empty ones are left out."""
        items = self._store.read(ItemKey(name) for name in names)
        return {item["endpoint_id"]: frozenset(item[MEMBERS]) for item in items if item.get(MEMBERS)}

    def by_owner(self, service: str, status: str) -> dict[str, frozenset[str]]:
        """The sets that the index lists under a service and a status, by account; a moment old."""
        return {item["owner"]: frozenset(item.get(MEMBERS, ())) for item in self._store.query(service, status)}

    def add(self, name: str, members: Iterable[str]) -> None:
        """Make some names members of a set."""
        if some := frozenset(members):
            self._store.write(Write(ItemKey(name), add={MEMBERS: some}))

    def remove(self, name: str, members: Iterable[str]) -> None:
        """Make some names members no longer."""
        if some := frozenset(members):
            self._store.write(Write(ItemKey(name), drop={MEMBERS: some}))

    def keep(self, name: str, before: frozenset[str], members: frozenset[str]) -> None:
        """Make a set that was `before` hold these members and no others."""
        if members:
            self._store.write(Write(ItemKey(name), values={MEMBERS: members}))
        else:
            self.remove(name, before)


def block_name(service: str) -> str:
    """The set of rows whose keys are of no known form and that may have been meant for a service (`*`: for all)."""
    return f"guard#{service}"


def written(key: RowKey) -> str:
    """A row's key as a member of a set."""
    return json.dumps(key)


def unwritten(member: str) -> RowKey:
    """The row's key that a member means."""
    return RowKey(*json.loads(member))
