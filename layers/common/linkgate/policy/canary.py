"""Which function a `@canary:` row may name: patrol's role invokes canaries by their names, and nothing else. Pure."""

import re

from linkgate.model import MalformedRow
from linkgate.policy.attributes import CANARY_EXAMPLE, shown
from linkgate.policy.rows import CanaryRow

PREFIX = "linkgate-canary"
"""What the name of a canary of another stack begins with (stacks/consumer-canary.yaml)."""

_ARN = re.compile(r"arn:[^:]+:lambda:([^:]+):[0-9]{12}:function:([^:]+)(?::.+)?")


def region_of(function: str) -> str:
    """The Region in a function's ARN; "" for the bare name of a function here."""
    match = _ARN.fullmatch(function)
    return match[1] if match else ""


def invocable(row: CanaryRow, own: str) -> CanaryRow | MalformedRow:
    """The row, or why it names nobody's canary; `own` is the name of the stack's own, "" if it has none."""
    match = _ARN.fullmatch(row.function)
    if match and (match[2].startswith(PREFIX) or match[2] == own):
        return row
    problem = (
        f"function is {shown(row.function)}: expected a function whose name begins with {PREFIX}, such as "
        f"{CANARY_EXAMPLE}, or the stack's own canary: patrol may invoke no others"
    )
    return MalformedRow(row.key, "function", problem)
