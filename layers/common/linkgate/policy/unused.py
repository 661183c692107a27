"""What a row says in vain: it can be read, holds nobody up, and means nothing where it stands. Pure."""

from collections.abc import Collection, Iterator, Mapping

from linkgate.model import MalformedRow, RowKey, Rule, UnusedRow
from linkgate.policy.rows import EVERY, Item, Row, SettingsRow, parse


def unused(rows: Mapping[RowKey, Item], managed: Collection[str]) -> Iterator[UnusedRow]:
    """The rows of a whole table that mean nothing, or not all that they say, while these services are `managed`."""
    for item in rows.values():
        row = parse(item)
        if not isinstance(row, MalformedRow) and (found := _in_vain(row, managed)):
            yield UnusedRow(row.key, *found)


def _in_vain(row: Row, managed: Collection[str]) -> tuple[str, str] | None:
    """The attribute, what was read and what is expected."""
    service, consumer = row.key
    if service not in (EVERY, *managed):
        return (
            "service",
            f"service is {service!r}, which is not managed here: expected one with the tag linkgate = managed",
        )
    if isinstance(row, Rule) and row.cut and consumer == EVERY:
        return "cut", "cut is now, and consumer is '*', so it cuts nobody at once: expected one consumer"
    if isinstance(row, SettingsRow) and service == EVERY and "mode" in row.values:
        return (
            "mode",
            f"mode is {row.values['mode']}, and service is '*', which sets no mode: expected it on one service",
        )
    return None
