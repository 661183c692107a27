"""The checks of `doctor`: each says in one sentence what is wrong and what mends it, or nothing. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from linkgate_cli.attention import Commands
from linkgate_cli.checks import running, table, wiring
from linkgate_cli.checks.finding import Check, Finding

if TYPE_CHECKING:
    from linkgate_cli.evidence import Evidence

CHECKS: Mapping[str, Check] = {
    "tags": wiring.tags,
    "services": wiring.services,
    "notifications": wiring.notifications,
    "principals": wiring.principals,
    "regions": wiring.regions,
    "functions": running.functions,
    "queues": running.queues,
    "alarms": running.alarms,
    "canaries": running.canaries,
    "other hands": running.other_hands,
    "unreadable": table.unreadable,
    "unused rows": table.unused_rows,
    "ending rows": table.ending,
    "idle rows": table.idle,
}
"""The checks by name, in the order in which they are shown."""


def examine(evidence: "Evidence") -> list[Finding]:
    """Every finding, in the order of the checks; what could not be looked at comes last."""
    commands = Commands([one.service for one in evidence.overview.services])
    found = [Finding(name, *one) for name, check in CHECKS.items() for one in check(evidence, commands)]
    unread = [
        Finding("not looked at", f"{part}: {why}", "docs/permissions.md lists what doctor reads")
        for part, why in evidence.unread.items()
    ]
    return found + unread
