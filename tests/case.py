"""One case of the conformance suite: what is read, what has to come of it, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from linkgate.model import Connection, DecisionContext
from linkgate.policy.decide import Rows, decide, settings_for


@dataclass(frozen=True, slots=True)
class Case:
    """What is read, and what is expected: by the words of a case's `expect`, in the types of a decision."""

    file: str
    name: str
    connection: Connection
    rows: Rows
    context: DecisionContext
    now: datetime
    expected: Mapping[str, Any]

    def differences(self) -> list[str]:
        """A sentence for each expectation that is not met."""
        found = self._found()
        return [
            f"{self.file}: {self.name}: {name}: expected {expected}, found {found[name]}"
            for name, expected in self.expected.items()
            if found[name] != expected
        ]

    def _found(self) -> dict[str, Any]:
        decision = decide(self.connection, self.rows, self.now, self.context)
        settings = settings_for(self.connection.service, self.rows)
        words = self.expected.get("note", "")
        return {
            "outcome": decision.outcome,
            "reason": decision.reason,
            "row": decision.row,
            "cut_now": decision.cut_now,
            "ends": decision.reason.ends,
            "mode": decision.mode,
            "near_misses": {miss.key: miss.reason for miss in decision.near_misses},
            "people": dict(decision.people),
            "note": words if words and words in decision.note else decision.note,
            "settings": {name: getattr(settings, name, settings) for name in self.expected.get("settings", ())},
        }
