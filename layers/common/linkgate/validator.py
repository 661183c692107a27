"""What cannot be read in the allow-list: told once, in words for whoever edits it, and kept in mind where it shuts."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from linkgate.bus import Bus, Event
from linkgate.model import MalformedRow, RowKey, Rule
from linkgate.policy import Rows
from linkgate.register import Register, guard_name, written
from linkgate.rows import EVERY, Item, is_unit, parse, shut_by
from linkgate.standing import ROLE_MISSING

TOLD = "invalid-rows"
"""The set of problems that were told: the row's key and a digest of the sentence."""
MOST_TOLD = 2000
"""Problems told at most, since DynamoDB keeps 400 KB in one item; more are counted and logged all the same."""

Problems = dict[RowKey, MalformedRow]


@dataclass(frozen=True, slots=True)
class Validator:
    """Reads rows as decisions do. `organization` says whether rows about OUs and organisations can be judged."""

    register: Register
    bus: Bus
    organization: bool

    def edited(self, changes: Mapping[RowKey, Item | None]) -> dict[str, str]:
        """Read rows that were just written or deleted (None); what is wrong with each that cannot be read."""
        problems = self._problems(item for item in changes.values() if item is not None)
        self._tell(problems, changes.keys())
        for key, item in changes.items():
            self._guard(key, item)
        return {str(key): str(problem) for key, problem in problems.items()}

    def whole(self, rows: Rows, services: Iterable[str]) -> dict[str, str]:
        """Read the whole table; `services` are those whose guards are to be put right."""
        problems = self._problems(rows.values())
        self._tell(problems, None)
        meant: defaultdict[str, set[str]] = defaultdict(set)
        for key in problems:
            if service := shut_by(rows[key]):
                meant[service].add(written(key))
        names = {guard_name(service): service for service in {*services, *meant, EVERY}}
        known = self.register.read(names)
        for name, service in names.items():
            before, now = known.get(name, frozenset()), frozenset(meant.get(service, ()))
            self.register.add(name, now - before)
            self.register.remove(name, before - now)
        return {str(key): str(problem) for key, problem in problems.items()}

    def _problems(self, items: Iterable[Item]) -> Problems:
        problems = {}
        for row in map(parse, items):
            if isinstance(row, Rule) and is_unit(row.key) and not self.organization:
                problems[row.key] = MalformedRow(
                    row.key, "consumer", f"consumer is {row.key.consumer!r}: {ROLE_MISSING}"
                )
            elif isinstance(row, MalformedRow):
                problems[row.key] = row
        return problems

    def _tell(self, problems: Problems, keys: Iterable[RowKey] | None) -> None:
        """Tell of what was not told yet, of all rows or of some; forget what is mended."""
        told = self.register.read([TOLD]).get(TOLD, frozenset())
        about = None if keys is None else {written(key) for key in keys}
        mine = {member for member in told if about is None or _row(member) in about}
        now = {_member(problem): problem for problem in problems.values()}
        new = sorted(now.keys() - mine)[: MOST_TOLD - len(told)]
        self.bus.tell([_event(now[member]) for member in new])
        self.register.add(TOLD, new)
        self.register.remove(TOLD, mine - now.keys())

    def _guard(self, key: RowKey, item: Item | None) -> None:
        """Shut, or open again, the services that a row with keys of no known form may have been meant for."""
        meant = shut_by({"service": key.service, "consumer": key.consumer})
        if meant:
            change = self.register.add if item is not None and shut_by(item) else self.register.remove
            change(guard_name(meant), [written(key)])


def _event(problem: MalformedRow) -> Event:
    detail = {"row": str(problem.key), "attribute": problem.attribute, "problem": problem.problem}
    return Event("Allow List Row Invalid", detail | {"summary": f"The allow-list's {problem}."})


def _member(problem: MalformedRow) -> str:
    digest = hashlib.sha256(str(problem).encode("utf-8", "replace")).hexdigest()[:16]
    return json.dumps([*problem.key, digest])


def _row(member: str) -> str:
    service, consumer, _ = json.loads(member)
    return written(RowKey(service, consumer))
