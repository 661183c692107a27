"""What people read: a headline, which is the subject of an e-mail too, and below it the facts, one a line."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

LONGEST_SUBJECT = 99
"""Characters; SNS takes printable ASCII on one line, of less than a hundred (SNS API reference, Publish)."""
RUNBOOK = "docs/runbook.md#"


def message(headline: str, facts: Iterable[tuple[str, str]]) -> str:
    """The text of a message; facts without a value are left out.

    Further lines of a fact are set in, so that no text of others (a row's key, a canary's evidence) makes a fact.
    """
    lines = (f"{name}: {_set_in(fact)}" for name, fact in facts if fact)
    return "\n".join([" ".join(headline.splitlines()), "", *lines])


def _set_in(fact: str) -> str:
    first, *more = fact.splitlines()
    return "\n".join([first, *(line if line.startswith("  ") else f"  {line}" for line in more)])


def subject(stack: str, text: str) -> str:
    """The subject of the e-mail of a message: the stack and the headline, as far as SNS takes them."""
    line = f"[{stack}] {text.partition(chr(10))[0]}"
    shown = "".join(one if " " <= one <= "~" else "?" for one in line)
    return shown if len(shown) <= LONGEST_SUBJECT else f"{shown[: LONGEST_SUBJECT - 3]}..."


def of_event(event: Mapping[str, Any]) -> str:
    """The text about an event of the bus: its own `summary`, or that an alarm of CloudWatch's is OK again."""
    detail = event["detail"]
    if "summary" in detail:
        return str(detail["summary"])
    times = [detail[name].get("timestamp") for name in ("previousState", "state")]
    how_long = lasted(*map(datetime.fromisoformat, times)) if all(times) else ""
    what, _, runbook = str(detail["configuration"]["description"]).partition(" Runbook: ")
    facts = [("It was about", what), ("It lasted", how_long), ("Next", "nothing"), ("Runbook", runbook)]
    return message(f"OK: the alarm {detail['alarmName']} is over", facts)


def moment(when: datetime | None) -> str:
    """A time to the minute; "" for none."""
    return f"{when:%Y-%m-%d %H:%M} UTC" if when else ""


def lasted(since: datetime, until: datetime) -> str:
    """A span with its ends: "12 minutes, 2026-11-28 18:31 UTC to 2026-11-28 18:43 UTC"."""
    return f"{span(until - since)}, {moment(since)} to {moment(until)}"


def span(time: timedelta) -> str:
    """A span of time in its two largest units: "2 days 3 hours", "12 minutes", "less than a minute"."""
    minutes = int(time.total_seconds()) // 60
    parts = ((minutes // 1440, "day"), (minutes // 60 % 24, "hour"), (minutes % 60, "minute"))
    words = [f"{count} {name}{'s' * (count > 1)}" for count, name in parts if count > 0]
    return " ".join(words[:2]) or "less than a minute"


def row_words(row: str, owner: str = "", ticket: str = "", effect: str = "") -> str:
    """A row with whose it is: "vpce-svc-…/333333333333 (allow, owner payments, ticket OPS-7)"."""
    people = (f"{name} {value}" for name, value in (("owner", owner), ("ticket", ticket)) if value)
    said = ", ".join(filter(None, [effect, *people]))
    return f"{row} ({said})" if row and said else row or "none"
