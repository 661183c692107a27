"""Sets of names in the ledger table: who holds a slot under a limit, which rows shut a service, what was told.

A set is an item of its own, so that one conditional update adds a member, also where the item does not exist yet.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from linkgate.ledger.table import ItemKey, LedgerTable, Room, Write
from linkgate.model import RowKey

MEMBERS = "members"
WAITING = "waiting"
CLAIMS = "CLAIMS"
"""The status under which the index lists the claims of a service."""


class Slots(NamedTuple):
    """Under one limit: the endpoints that hold a slot, and the places (see `place`) of those that wait for one."""

    held: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()


NOTHING = Slots()


class NamedSets:
    """Named sets. Those that do not exist are empty."""

    def __init__(self, store: LedgerTable) -> None:
        self._store = store

    def read(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """The members of some sets, consistently read; empty ones are left out."""
        items = self._store.read(ItemKey(name) for name in names)
        return {item["endpoint_id"]: frozenset(item[MEMBERS]) for item in items if item.get(MEMBERS)}

    def places(self, names: Iterable[str]) -> dict[str, Slots]:
        """Who holds a slot under some limits, and who waits for one; limits that nobody asked for are left out."""
        return {item["endpoint_id"]: slots(item) for item in self._store.read(ItemKey(name) for name in names)}

    def claims(self, service: str) -> dict[str, Slots]:
        """By account, who holds a slot on a service and who waits for one; by the index, so a moment old."""
        return {item["owner"]: slots(item) for item in self._store.query(service, CLAIMS)}

    def forget(self, name: str, stale: Slots) -> None:
        """Take slots and places of waiting from endpoints that nobody knows."""
        drop = {kind: members for kind, members in ((MEMBERS, stale.held), (WAITING, stale.waiting)) if members}
        if drop:
            self._store.write(Write(ItemKey(name), drop=drop))

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


def limit_name(service: str, owner: str) -> str:
    """The set of an account's endpoints that are live on a service, or accepted and about to be."""
    return f"limit#{service}#{owner}"


def block_name(service: str) -> str:
    """The set of rows whose keys are of no known form and that may have been meant for a service (`*`: for all)."""
    return f"guard#{service}"


def slots(item: Mapping[str, Any]) -> Slots:
    """The slots under one limit, as the table keeps them."""
    return Slots(frozenset(item.get(MEMBERS, ())), frozenset(item.get(WAITING, ())))


def place(created: str, endpoint: str) -> str:
    """The place of an endpoint among those that wait for a slot: they sort by the time of the request."""
    return f"{created} {endpoint}"


def endpoint_of(place: str) -> str:
    """The endpoint that has a place."""
    return place.rpartition(" ")[2]


def move(
    service: str,
    owner: str,
    take: Slots = NOTHING,
    leave: Slots = NOTHING,
    limit: int | None = None,
) -> list[Write]:
    """Take and give back a slot and a place of waiting, in one write; with a limit a slot only if there is room."""
    sets = {MEMBERS: (take.held, leave.held), WAITING: (take.waiting, leave.waiting)}
    add = {name: taken for name, (taken, _) in sets.items() if taken}
    drop = {name: left for name, (_, left) in sets.items() if left}
    if not add and not drop:
        return []
    room = [Room(MEMBERS, one, limit) for one in take.held] if limit is not None else []
    about = {"service": service, "owner": owner, "status": CLAIMS} if add else {}
    return [Write(ItemKey(limit_name(service, owner)), about, room, add=add, drop=drop)]


def written(key: RowKey) -> str:
    """A row's key as a member of a set."""
    return json.dumps(key)


def unwritten(member: str) -> RowKey:
    """The row's key that a member means."""
    return RowKey(*json.loads(member))
