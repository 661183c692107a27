"""Sets of names in the ledger table: which rows block a service, which problems were told.

A set is an item of its own, so that one conditional update adds a member, also where the item does not exist yet.
"""

import json
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from datetime import datetime
from typing import Any

from linkgate.errors import Damaged
from linkgate.ledger.table import ItemKey, LedgerTable, Write
from linkgate.model import RowKey
from linkgate.policy.attributes import shown, time

MEMBERS, SINCE = "members", "since"


def account_of(item: Mapping[str, Any]) -> object:
    """The consumer's account in an item, which was called `owner` once; "" where it has none."""
    return item.get("account", item.get("owner", ""))


def members(item: Mapping[str, Any], name: str = MEMBERS) -> frozenset[str]:
    """The members of a stored set. One that is damaged has one member, which nobody wrote: what it is.

    So a row is blocked rather than let in, and a slot taken rather than free, until the set is written anew.
    """
    found = item.get(name, frozenset())
    return frozenset(found) if is_set(found) else frozenset({shown(found)})


def is_set(found: object) -> bool:
    """Whether it is a set of texts, as is written here."""
    return isinstance(found, Set) and all(isinstance(one, str) for one in found)


class NamedSets:
    """Named sets. Those that do not exist are empty; one that is damaged is written anew by the next change."""

    def __init__(self, store: LedgerTable) -> None:
        self._store = store

    def read(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """The members of some sets, consistently read; empty ones are left out."""
        items = self._store.read(ItemKey(name) for name in names)
        return {item["endpoint_id"]: found for item in items if (found := members(item))}

    def by_account(self, service: str, status: str) -> dict[str, frozenset[str]]:
        """The sets that the index lists under a service and a status, by account; a moment old."""
        return {str(account_of(item)): members(item) for item in self._store.query(service, status)}

    def add(self, name: str, members: Iterable[str]) -> None:
        """Make some names members of a set."""
        if some := frozenset(members):
            try:
                self._store.write(Write(ItemKey(name), add={MEMBERS: some}))
            except Damaged:
                self.reset(name, some)

    def remove(self, name: str, members: Iterable[str]) -> None:
        """Make some names members no longer."""
        if some := frozenset(members):
            try:
                self._store.write(Write(ItemKey(name), drop={MEMBERS: some}))
            except Damaged:
                self.reset(name)

    def reset(self, name: str, members: frozenset[str] = frozenset()) -> None:
        """Make a set hold these members, whatever it was."""
        anew = Write(ItemKey(name), values={MEMBERS: members}) if members else Write(ItemKey(name), forget=[MEMBERS])
        self._store.write(anew)

    def since(self, names: Iterable[str]) -> dict[str, datetime]:
        """Since when some sets are not empty, of those that `keep` was told it of and that say it readably."""
        found = dict[str, datetime]()
        for item in self._store.read(ItemKey(name) for name in names):
            if members(item):
                with suppress(ValueError, OverflowError):
                    found[item["endpoint_id"]] = time(str(item.get(SINCE, "")))
        return found

    def keep(self, name: str, before: frozenset[str], members: frozenset[str], since: str = "") -> None:
        """Make a set that was `before` hold these members and no others, and keep `since` when it is not empty."""
        if members:
            self._store.write(Write(ItemKey(name), values={MEMBERS: members} | ({SINCE: since} if since else {})))
        else:
            self.remove(name, before)


def block_name(service: str) -> str:
    """The set of rows whose keys are of no known form and that may have been meant for a service (`*`: for all)."""
    return f"guard#{service}"


def written(key: RowKey) -> str:
    """A row's key as a member of a set."""
    return json.dumps(key)


def unwritten(member: str) -> RowKey:
    """The row's key that a member means; one that nobody wrote is the consumer of a row of no service."""
    try:
        service, consumer = json.loads(member)
    except (ValueError, TypeError):
        service, consumer = "", member
    return RowKey(str(service), str(consumer))
