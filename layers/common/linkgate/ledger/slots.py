"""Who holds a slot under the limit of an account on a service: a set in the ledger's table, changed in one update.

A decision that accepts takes a slot in the transaction that writes it down, on condition that there is room: so the
limit is exact with any number of writers. Nobody waits in line: who is held over the limit is judged again when a slot
is freed. (Tables of before have an attribute `waiting` beside the members; nothing reads it.)
"""

from linkgate.ledger.sets import MEMBERS
from linkgate.ledger.table import ItemKey, Room, Write

CLAIMS = "CLAIMS"
"""The status under which the index lists the slots of a service."""


LIMIT = "limit#"


def limit_name(service: str, account: str) -> str:
    """The set of an account's endpoints that are live on a service, or accepted and about to be."""
    return f"{LIMIT}{service}#{account}"


def is_limit(name: str) -> bool:
    """Whether an item of the ledger is such a set."""
    return name.startswith(LIMIT)


def take(service: str, account: str, endpoint: str, limit: int | None = None) -> Write:
    """Give an endpoint a slot; with a limit only if it has one already or there is room."""
    about = {"service": service, "account": account, "status": CLAIMS}
    room = [] if limit is None else [Room(MEMBERS, endpoint, limit)]
    return Write(ItemKey(limit_name(service, account)), about, room, add={MEMBERS: frozenset({endpoint})})


def leave(service: str, account: str, endpoint: str) -> Write:
    """Take an endpoint's slot away, if it has one."""
    return Write(ItemKey(limit_name(service, account)), drop={MEMBERS: frozenset({endpoint})})
