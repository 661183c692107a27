"""Sets of names in the ledger table: who holds a slot under a limit, which rows shut a service, what was told.

A set is an item of its own, so that one conditional update adds a member, also where the item does not exist yet.
"""

import json
from collections.abc import Iterable

from linkgate.model import RowKey
from linkgate.store import Place, Room, Store, Write

MEMBERS = "members"
CLAIMS = "CLAIMS"
"""The status under which the index lists the claims of a service."""


class Register:
    """Named sets. Those that do not exist are empty."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """The members of some sets, consistently read; empty ones are left out."""
        items = self._store.read(Place(name) for name in names)
        return {item["endpoint_id"]: frozenset(item[MEMBERS]) for item in items if item.get(MEMBERS)}

    def claims(self, service: str) -> dict[str, frozenset[str]]:
        """By account, who holds a slot on a service; by the index, so a moment old."""
        return {item["owner"]: frozenset(item.get(MEMBERS, ())) for item in self._store.query(service, CLAIMS)}

    def add(self, name: str, members: Iterable[str]) -> None:
        """Make some names members of a set."""
        if some := frozenset(members):
            self._store.write(Write(Place(name), add={MEMBERS: some}))

    def remove(self, name: str, members: Iterable[str]) -> None:
        """Make some names members no longer."""
        if some := frozenset(members):
            self._store.write(Write(Place(name), drop={MEMBERS: some}))

    def keep(self, name: str, before: frozenset[str], members: frozenset[str]) -> None:
        """Make a set that was `before` hold these members and no others."""
        if members:
            self._store.write(Write(Place(name), values={MEMBERS: members}))
        else:
            self.remove(name, before)


def limit_name(service: str, owner: str) -> str:
    """The set of an account's endpoints that are live on a service, or accepted and about to be."""
    return f"limit#{service}#{owner}"


def guard_name(service: str) -> str:
    """The set of rows whose keys are of no known form and that may have been meant for a service (`*`: for all)."""
    return f"guard#{service}"


def claim(service: str, owner: str, endpoint: str, limit: int | None = None) -> Write:
    """Take a slot; with a limit, only if there is room. Who has one keeps it."""
    about = {"service": service, "owner": owner, "status": CLAIMS}
    conditions = [] if limit is None else [Room(MEMBERS, endpoint, limit)]
    return Write(Place(limit_name(service, owner)), about, conditions, add={MEMBERS: frozenset({endpoint})})


def release(service: str, owner: str, endpoint: str) -> Write:
    """Give a slot back."""
    return Write(Place(limit_name(service, owner)), drop={MEMBERS: frozenset({endpoint})})


def written(key: RowKey) -> str:
    """A row's key as a member of a set."""
    return json.dumps(key)


def unwritten(member: str) -> RowKey:
    """The row's key that a member means."""
    return RowKey(*json.loads(member))
