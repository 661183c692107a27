"""Tags on accepted connections, so that the console shows more than opaque ids. Pure."""

import re
from collections.abc import Iterable, Mapping

from linkgate.ledger.items import EndpointRecord
from linkgate.model import Connection, Mode, Outcome

NAMES = CONSUMER, ROW, DECISION, TICKET = "linkgate:consumer", "linkgate:row", "linkgate:decision", "linkgate:ticket"
LONGEST, MOST = 256, 50
"""Characters of a value, and tags of a resource (EC2 User Guide, "Tag your Amazon EC2 resources")."""
_FOREIGN = re.compile(r"[^\w \-+=.:/@]")
"""What not every AWS service takes in a tag; `\\w` are letters and digits of any script, and `_`."""


def labels(known: EndpointRecord) -> dict[str, str]:
    """The tags of an endpoint that Linkgate accepted and that is live; {} for every other one."""
    ours = known.outcome == Outcome.ACCEPT and known.mode == Mode.ENFORCE and known.settled
    if not (ours and known.status.live):
        return {}
    values = {
        CONSUMER: known.account,
        # A key has no other asterisk than the one that stands for every service or everybody.
        ROW: known.row.replace("*", "every"),
        DECISION: known.entry.rpartition("#")[2],
        TICKET: known.ticket,
    }
    return {name: _FOREIGN.sub("_", value)[:LONGEST] for name, value in values.items() if value}


def due(
    connections: Iterable[Connection], known: Mapping[str, EndpointRecord]
) -> list[tuple[Connection, dict[str, str]]]:
    """Live connections whose tags do not say what the ledger says, oldest first, with the tags to write.

    A ticket of a former decision is written over with "". What cannot be tagged (EC2 names no id, or has no room for
    more tags) is left out.
    """
    found = []
    for connection in connections:
        current = known.get(connection.endpoint)
        wanted = labels(current) if current and connection.state.live and connection.connection_id else {}
        tags = dict.fromkeys(connection.tags.keys() & set(NAMES), "") | wanted
        room = len({*connection.tags, *tags}) <= MOST
        if wanted and room and not tags.items() <= connection.tags.items():
            found.append((connection, tags))
    return sorted(found, key=lambda pair: (pair[0].created, pair[0].endpoint))
