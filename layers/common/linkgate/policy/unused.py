"""What a row says in vain: it can be read, holds nobody up, and means nothing where it stands. Pure."""

from collections.abc import Collection, Iterator

from linkgate.model import MalformedRow, RowKey, UnusedRow
from linkgate.policy.attributes import shown
from linkgate.policy.decide import Rows
from linkgate.policy.rows import EVERY, SETTINGS, Item, parse

_PROBLEMS = {
    "service": "which is not managed here: expected one with the tag linkgate = TagValue of this stack",
    "cut": "and consumer is *, so it cuts nobody at once: expected one consumer",
    "mode": "and service is *, which sets no mode: expected it on one service",
}
"""By attribute, why it means nothing and what is expected."""


def unused(rows: Rows, managed: Collection[str]) -> Iterator[UnusedRow]:
    """The rows of a whole table that mean nothing, or not all that they say, while these services are `managed`."""
    for key, item in rows.items():
        attribute = _in_vain(key, item, managed)
        if attribute and not isinstance(parse(item), MalformedRow):
            yield UnusedRow(key, attribute, f"{attribute} is {shown(item[attribute])}, {_PROBLEMS[attribute]}")


def _in_vain(key: RowKey, item: Item, managed: Collection[str]) -> str:
    """The attribute that means nothing if the row can be read; "" where there is none."""
    if key.service != EVERY and key.service not in managed:
        return "service"
    if key.consumer == EVERY and "cut" in item:
        return "cut"
    return "mode" if key == (EVERY, SETTINGS) and "mode" in item else ""
