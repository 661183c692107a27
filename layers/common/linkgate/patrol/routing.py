"""Which canary reaches which endpoint: `@canary:` rows say it, and the stack's own reaches the stack's own account.

Describe tells neither VPC nor zone of a consumer, so nobody else can know. Whatever is doubtful reaches nobody.
"""

from dataclasses import dataclass
from typing import NamedTuple

from linkgate.model import Connection, MalformedRow, RowKey
from linkgate.policy.canary import invocable
from linkgate.policy.decide import Rows
from linkgate.policy.rows import CANARY, EVERY, CanaryRow, parse


class Route(NamedTuple):
    """The function that reaches an endpoint; "" where nobody knows one that patrol may invoke, and `why` not."""

    canary: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class CanaryRouting:
    """Who reaches whom. `own` is the stack's own canary ("" if it has none), `account` the stack's own."""

    rows: Rows
    own: str
    account: str

    def route(self, connection: Connection) -> Route:
        """The way to an endpoint: its own row before its account's, of these the service's own before that of `*`."""
        keys = (
            RowKey(service, f"{CANARY}{consumer}")
            for consumer in (connection.endpoint, connection.account)
            for service in (connection.service, EVERY)
        )
        key = next((key for key in keys if key in self.rows), None)
        if key is not None:
            return self._named(key)
        ours = connection.account == self.account
        if ours and self.own:
            return Route(self.own)
        none = "this stack has no canary of its own, and " if ours else ""
        row = f"{connection.service}/{CANARY}{connection.account}"
        return Route(why=f"no canary reaches it: {none}there is no row {row}")

    def _named(self, key: RowKey) -> Route:
        row = parse(self.rows[key])
        named = invocable(row, self.own) if isinstance(row, CanaryRow) else row
        if isinstance(named, CanaryRow):
            return Route(named.function)
        problem = named.problem if isinstance(named, MalformedRow) else "it is about something else"
        return Route(why=f"no canary reaches it: row {key}: {problem}")
