"""The rows of the allow-list: which cannot be read, mean nothing, end soon or let nobody in. Pure."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from linkgate.model import Effect, MalformedRow, Rule, Status
from linkgate.policy.rows import is_unit, parse
from linkgate.policy.unused import unused

from linkgate_cli.attention import MEND, Commands
from linkgate_cli.checks.finding import NAMED, rules
from linkgate_cli.output import age, clean

if TYPE_CHECKING:
    from linkgate_cli.evidence import Evidence

SOON_DAYS = 14
"""Where the stack's parameter ExpiringSoonDays cannot be read."""


def unreadable(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    """Rows that cannot be read or judged, and items of the ledger."""
    organization = bool(evidence.parameters.get("OrganizationsRoleArn", "unknown"))
    for key, item in evidence.rows.items():
        row = parse(item)
        if isinstance(row, MalformedRow):
            yield f"row {key} cannot be read: {row.problem}", MEND
        elif isinstance(row, Rule) and is_unit(key) and not organization:
            text = f"row {key} cannot be judged: the parameter OrganizationsRoleArn is empty"
            yield text, "give the stack that role (docs/organizations.md)"
    for view in evidence.overview.services:
        for endpoint, why in view.unreadable.items():
            yield (
                f"the ledger's item about {endpoint} cannot be read: {why}",
                "delete it, and the next sweep writes it anew",
            )


def unused_rows(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str]]:
    """Rows that mean nothing where they stand."""
    managed = [one.service for one in evidence.offered.values() if one.managed]
    if "endpoint services" in evidence.unread:
        return
    for one in unused(evidence.rows, managed):
        yield f"row {one.key} means nothing here: {one.problem}", commands.row("remove", one.key)


def ending(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str] | tuple[str, str, bool]]:
    """Allow rows that end soon."""
    now, days = evidence.overview.now, evidence.parameters.get("ExpiringSoonDays", "")
    soon = timedelta(days=int(days) if days.isdigit() else SOON_DAYS)
    for key, rule in rules(evidence):
        if rule.effect is Effect.ALLOW and rule.expires_at and now < rule.expires_at <= now + soon:
            people = ", ".join(f"{name} {clean(text)}" for name, text in rule.people.items())
            ends = f"row {key} ends in {age(rule.expires_at - now)}" + (f" ({people})" if people else "")
            yield ends, commands.row("allow", key, " --for 90d")


def idle(evidence: "Evidence", commands: Commands) -> Iterator[tuple[str, str] | tuple[str, str, bool]]:
    """Notes: rows by which nobody stands, rows that have ended, rows of endpoints that are gone."""
    now = evidence.overview.now
    deciding = {record.row for record in evidence.overview.records}
    known = {record.endpoint for record in evidence.overview.records if record.status is not Status.CLOSED}
    idle = []
    for key, rule in rules(evidence):
        if rule.expires_at and rule.expires_at <= now:
            yield f"row {key} ended {age(rule.expires_at, now)} ago", commands.row("remove", key), True
        elif key.consumer.startswith("vpce-") and key.consumer not in known:
            yield f"row {key} is about an endpoint that is gone, or never was", commands.row("remove", key), True
        elif rule.effect is Effect.ALLOW and str(key) not in deciding:
            idle.append(str(key))
    if idle:
        named = ", ".join(idle[:NAMED]) + (f" and {len(idle) - NAMED} more" if len(idle) > NAMED else "")
        yield f"{len(idle)} allow rows let nobody in so far: {named}", "no need", True
