"""Which canary reaches which endpoint: `@canary:` rows say it, and the stack's own reaches the stack's own account.

Describe tells neither VPC nor zone of a consumer, so nobody else can know. Whatever is doubtful reaches nobody.
"""

import re
from dataclasses import dataclass

from linkgate.model import Connection, RowKey
from linkgate.policy.decide import Rows
from linkgate.policy.rows import CANARY, EVERY, CanaryRow, parse

PREFIX = "linkgate-canary"
"""What the name of a canary of another stack begins with: patrol's role may invoke no other functions."""

_ARN = re.compile(r"arn:[^:]+:lambda:([^:]+):[0-9]{12}:function:([^:]+)(?::.+)?")


def region_of(function: str) -> str:
    """The Region in a function's ARN; "" for the bare name of a function here."""
    match = _ARN.fullmatch(function)
    return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class CanaryRouting:
    """Who reaches whom. `own` is the stack's own canary ("" if it has none), `account` the stack's own."""

    rows: Rows
    own: str
    account: str

    def canary_of(self, connection: Connection) -> str:
        """The function that reaches an endpoint; "" if nobody knows one that patrol may invoke.

        The endpoint's own row before its account's, and of these the service's own before that of `*`.
        """
        keys = (
            RowKey(service, f"{CANARY}{consumer}")
            for consumer in (connection.endpoint, connection.account)
            for service in (connection.service, EVERY)
        )
        row = next((self.rows[key] for key in keys if key in self.rows), None)
        if row is None:
            return self.own if connection.account == self.account else ""
        read = parse(row)
        return read.function if isinstance(read, CanaryRow) and self._permitted(read.function) else ""

    def _permitted(self, function: str) -> bool:
        match = _ARN.fullmatch(function)
        return match is not None and (match[2].startswith(PREFIX) or match[2] == self.own)
