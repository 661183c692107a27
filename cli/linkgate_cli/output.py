"""What a command shows: text and tables for people, JSON for programs.

Texts of others (reasons, tags, notes, AWS's words) cannot move the cursor or colour the screen: a `Screen` shows
nothing of them that is not printable. `clean` makes one line of them as well. What is coloured is also said in words;
NO_COLOR and pipes are rich's own business.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

VERSION = 1
"""Of all JSON documents: a new one only where a name goes away or means something else."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]+")
_HIDDEN = re.compile(rf"(?!\n){_CONTROL.pattern.removesuffix('+')}")
GOOD, BAD, WARN, DIM = "green", "bold red", "yellow", "dim"


class Screen(Console):
    """A console on which nothing in a text is markup, nor a command to the terminal."""

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, stderr=stderr)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is shown; those that steer the terminal are rich's own."""
        for one in super().render(renderable, options):
            yield one if one.is_control else one._replace(text=visible(one.text))


def console() -> Console:
    """Standard output."""
    return Screen()


def notes() -> Console:
    """Standard error: for what accompanies an answer, so that pipes carry the answer alone."""
    return Screen(stderr=True)


def say_json(kind: str, body: Mapping[str, Any]) -> None:
    """One JSON document: {"linkgate": kind, "version": 1, …}; its schema is schemas/<kind>.json."""
    print(json.dumps({"linkgate": kind, "version": VERSION, **body}, indent=2, default=_plain))


def visible(text: str) -> str:
    """A text of others without what is not to be seen, but for the ends of its lines."""
    return _HIDDEN.sub(" ", text)


def clean(text: object) -> str:
    """The same on one line."""
    return _CONTROL.sub(" ", str(text)).strip()


def table(*columns: str, rows: Iterable[Iterable[str | Text]]) -> Table:
    """A table; the first column is never broken."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        made.add_row(*(one if isinstance(one, Text) else Text(clean(one)) for one in row))
    return made


def age(since: datetime | timedelta | None, now: datetime | None = None) -> str:
    """How long ago, in one unit: "40 s", "12 min", "3 h", "2 d"; "" for never."""
    if since is None:
        return ""
    span = since if isinstance(since, timedelta) else (now or datetime.now(since.tzinfo)) - since
    seconds = max(0, int(span.total_seconds()))
    for unit, size, below in (("s", 1, 90), ("min", 60, 5400), ("h", 3600, 48 * 3600)):
        if seconds < below:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86400} d"


def _plain(value: object) -> object:
    """What JSON has no form for: times in ISO 8601, sets as sorted lists."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
