"""What a check gives, and what several of them need."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from linkgate.model import RowKey, Rule
from linkgate.policy.rows import parse

from linkgate_cli.attention import Commands

if TYPE_CHECKING:
    from linkgate_cli.evidence import Evidence

NAMED = 5
"""Rows and accounts that a sentence names."""


class Finding(NamedTuple):
    """What a check found; `mend` is a command where one mends it, else a sentence. A `note` is nothing wrong."""

    check: str
    text: str
    mend: str
    note: bool = False


Check = Callable[["Evidence", Commands], Iterator[tuple[str, str] | tuple[str, str, bool]]]


def rules(evidence: "Evidence") -> Iterator[tuple[RowKey, Rule]]:
    """The rows that are rules and can be read."""
    read = ((key, parse(item)) for key, item in evidence.rows.items())
    return ((key, row) for key, row in read if isinstance(row, Rule))
