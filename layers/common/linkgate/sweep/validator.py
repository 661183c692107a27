"""What cannot be read in the allow-list: told once, in words for whoever edits it, and kept in mind where it shuts."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from linkgate.approve.context import ROLE_MISSING
from linkgate.events.bus import Bus
from linkgate.events.catalog import invalid_row_event
from linkgate.ledger.sets import NamedSets, block_name, written
from linkgate.model import MalformedRow, RowKey, Rule
from linkgate.policy.decide import Rows
from linkgate.policy.rows import EVERY, Item, blocks, is_unit, meant_by, parse

TOLD = "invalid-rows"
"""The set of problems that were told: a digest of the row's key and one of the sentence."""
MOST_TOLD = 2000
MOST_SHUT = 100
"""Problems told, and rows kept for each service, at most: DynamoDB keeps 400 KB in one item. All are counted and
logged; of the rows that shut a service one is as good as many."""
MORE = written(RowKey("", "and more"))
"""Stands for the rows that are not kept; only a look at the whole table takes it away."""

Problems = dict[RowKey, MalformedRow]
Remembered = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Validator:
    """Reads rows as decisions do. `organization` says whether rows about OUs and organisations can be judged."""

    register: NamedSets
    bus: Bus
    organization: bool

    def edited(self, changes: Mapping[RowKey, Item | None]) -> dict[str, str]:
        """Read rows that were just written or deleted (None); what is wrong with each that cannot be read.

        What shuts a service is kept before anything is told.
        """
        for key, item in changes.items():
            self._guard(key, item)
        problems = self._problems(item for item in changes.values() if item is not None)
        told = self.register.read([TOLD]).get(TOLD, frozenset())
        about = {_digest(written(key)) for key in changes}
        self._tell(problems, told, {member for member in told if member.split("-")[0] in about})
        return {str(key): str(problem) for key, problem in problems.items()}

    def remembered(self, services: Iterable[str]) -> Remembered:
        """What is kept and was told of some services: to be read before the table that it is compared with."""
        return self.register.read([TOLD, *(block_name(service) for service in {*services, EVERY})])

    def whole(self, rows: Rows, before: Remembered) -> dict[str, str]:
        """Read the whole table; what was `remembered` before it was read and is true no more is forgotten."""
        problems = self._problems(rows.values())
        meant: defaultdict[str, set[str]] = defaultdict(set)
        for key in problems:
            if service := blocks(rows[key]):
                meant[block_name(service)].add(written(key))
        for name in {*meant, *before} - {TOLD}:
            kept, now = before.get(name, frozenset()), meant.get(name, set())
            wanted = now if len(now) <= MOST_SHUT else {*sorted(now)[:MOST_SHUT], MORE}
            self.register.add(name, wanted - kept)
            self.register.remove(name, kept - wanted)
        told = before.get(TOLD, frozenset())
        self._tell(problems, told, told)
        return {str(key): str(problem) for key, problem in problems.items()}

    def _problems(self, items: Iterable[Item]) -> Problems:
        problems = {}
        for row in map(parse, items):
            if isinstance(row, Rule) and is_unit(row.key) and not self.organization:
                problem = f"consumer is {row.key.consumer!r}: {ROLE_MISSING}"
                problems[row.key] = MalformedRow(row.key, "consumer", problem)
            elif isinstance(row, MalformedRow):
                problems[row.key] = row
        return problems

    def _tell(self, problems: Problems, told: frozenset[str], mine: Collection[str]) -> None:
        """Tell of what was not told yet; `mine` of what was told is about the rows that were read."""
        now = {f"{_digest(written(key))}-{_digest(str(problem))}": problem for key, problem in problems.items()}
        new = sorted(now.keys() - told)[: max(0, MOST_TOLD - len(told))]
        self.bus.publish([invalid_row_event(now[member]) for member in new])
        self.register.add(TOLD, new)
        self.register.remove(TOLD, set(mine) - now.keys())

    def _guard(self, key: RowKey, item: Item | None) -> None:
        """Shut, or open again, the services that a row with keys of no known form may have been meant for."""
        meant = meant_by(key)
        if meant is None:
            return
        name = block_name(meant)
        if item is None or not blocks(item):
            self.register.remove(name, [written(key)])
            return
        full = len(self.register.read([name]).get(name, ())) >= MOST_SHUT
        self.register.add(name, [MORE if full else written(key)])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
