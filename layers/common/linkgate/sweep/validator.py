"""Rows of the allow-list that cannot be read or mean nothing: published once, the first remembered where they block."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from linkgate.approve.context import ROLE_MISSING
from linkgate.events.bus import Bus, Event
from linkgate.events.catalog import invalid_row_event, unused_row_event
from linkgate.ledger.sets import NamedSets, block_name, written
from linkgate.model import MalformedRow, RowKey, Rule, UnusedRow
from linkgate.policy.attributes import shortened
from linkgate.policy.canary import invocable
from linkgate.policy.decide import Rows
from linkgate.policy.rows import EVERY, CanaryRow, Item, Row, blocks, is_unit, meant_by, parse
from linkgate.policy.unused import unused
from linkgate.sweep.once import Once

PUBLISHED = "invalid-rows"
"""The set of problems that an event was published about: a digest of the row's key and one of the sentence."""
UNUSED = "unused-rows"
"""The set of rows that mean nothing and that an event was published about: each row's key and the attribute."""
MOST_BLOCKS = 100
"""Problems published, and rows remembered for each service, at most: DynamoDB keeps 400 KB in one item. All are counted
and logged; of the rows that block a service one is as good as many."""
MORE = written(RowKey("", "and more"))
"""Stands for the rows that are not remembered; only a look at the whole table takes it away."""

Remembered = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Validator:
    """Reads rows as decisions do. `organization` says whether rows about OUs and organisations can be judged.

    `own_canary` is the name of the stack's own canary, "" if it has none.
    """

    sets: NamedSets
    bus: Bus
    organization: bool
    own_canary: str = ""

    def edited(self, changes: Mapping[RowKey, Item | None]) -> dict[str, str]:
        """Read rows that were just written or deleted (None); what is wrong with each that cannot be read.

        What blocks a service is remembered before anything is published.
        """
        for key, item in changes.items():
            self._block(key, item)
        published = Once(self.sets, self.bus, PUBLISHED).read()
        about = {_digest(written(key)) for key in changes}
        mine = {member for member in published if member.split("-")[0] in about}
        return self._publish([item for item in changes.values() if item is not None], published, mine)

    def remembered(self, services: Iterable[str]) -> Remembered:
        """What is remembered of some services: to be read before the table that it is compared with."""
        return self.sets.read([PUBLISHED, *(block_name(service) for service in {*services, EVERY})])

    def whole(self, rows: Rows, before: Remembered) -> dict[str, str]:
        """Read the whole table; what was `remembered` before it was read and is true no more is forgotten."""
        meant: defaultdict[str, set[str]] = defaultdict(set)
        for key, item in rows.items():
            if service := blocks(item):
                meant[block_name(service)].add(written(key))
        for name in {*meant, *before} - {PUBLISHED}:
            known, now = before.get(name, frozenset()), meant.get(name, set())
            wanted = now if len(now) <= MOST_BLOCKS else {*sorted(now)[:MOST_BLOCKS], MORE}
            self.sets.add(name, wanted - known)
            self.sets.remove(name, known - wanted)
        published = before.get(PUBLISHED, frozenset())
        return self._publish(rows.values(), published, published)

    def unused(self, rows: Rows, managed: Collection[str]) -> list[UnusedRow]:
        """Read the whole table for what means nothing: published once, and it blocks nobody."""
        found = list(unused(rows, managed))
        events = {json.dumps([*row.key, row.attribute]): unused_row_event(row) for row in found}
        Once(self.sets, self.bus, UNUSED).publish(events)
        return found

    def _publish(self, items: Iterable[Item], published: frozenset[str], mine: Collection[str]) -> dict[str, str]:
        """Publish new problems; those of `mine`, which are about these rows, are forgotten once mended."""
        read = ((self._read(item), item) for item in items)
        problems = [(row, item) for row, item in read if isinstance(row, MalformedRow)]
        now = {f"{_digest(written(row.key))}-{_digest(str(row))}": _event(row, item) for row, item in problems}
        Once(self.sets, self.bus, PUBLISHED).publish(now, published, mine)
        return {str(row.key): str(row) for row, _ in problems}

    def _read(self, item: Item) -> Row:
        row = parse(item)
        if isinstance(row, Rule) and is_unit(row.key) and not self.organization:
            return MalformedRow(row.key, "consumer", f"consumer is {row.key.consumer!r}: {ROLE_MISSING}")
        return invocable(row, self.own_canary) if isinstance(row, CanaryRow) else row

    def _block(self, key: RowKey, item: Item | None) -> None:
        """Block, or no longer, the services that a row with keys of no known form may have been meant for."""
        meant = meant_by(key)
        if meant is None:
            return
        name = block_name(meant)
        if item is None or not blocks(item):
            self.sets.remove(name, [written(key)])
            return
        full = len(self.sets.read([name]).get(name, ())) >= MOST_BLOCKS
        self.sets.add(name, [MORE if full else written(key)])


def _event(row: MalformedRow, item: Item) -> Event:
    """The event about a row; its owner and ticket as far as they can be read."""
    texts = (value if isinstance(value := item.get(name), str) else "" for name in ("owner", "ticket"))
    owner, ticket = map(shortened, texts)  # nobody has read them: an item has up to 400 KB, an event 256
    return invalid_row_event(row, owner, ticket)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
