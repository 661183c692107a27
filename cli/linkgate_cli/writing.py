"""Writing rows: each only if it is still as it was read, so that nobody's edit is overwritten unseen.

In an order in which an interruption lets nobody in who was not to come in, and leaves nobody unlisted who was to stay:
denies, then other rules, then settings, then what releases and what goes.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from linkgate.aws.calls import parts
from linkgate.aws.dynamodb import TRIES, conflicting
from linkgate.model import Effect, RowKey, Rule
from linkgate.policy.rows import KEYS, KNOWN, RELEASE, SETTINGS, parse

from linkgate_cli.failures import INTERRUPTED, Failure
from linkgate_cli.planning import RowChange
from linkgate_cli.refusals import failure_of
from linkgate_cli.session import Session

PER_CALL = 100
"""Of one TransactWriteItems, which is made as a whole or not at all (DynamoDB API reference)."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes rows into the allow-list; `dynamodb` is boto3's resource."""

    dynamodb: Any
    table: str
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, session: Session) -> "Writer":
        """That of the stack's table."""
        return cls(session.dynamodb, session.outputs["AllowListTable"])

    def write(self, changes: Iterable[RowChange], wrote: Callable[[int], None] = lambda _: None) -> None:
        """Write changes, a hundred at once, and tell `wrote` after each call how many are written.

        Failure says how many were written before, and which row somebody else changed.
        """
        done, ordered = 0, sorted(changes, key=_order)
        try:
            for some in parts(ordered, PER_CALL):
                self._together(some, done, len(ordered))
                done += len(some)
                wrote(done)
        except KeyboardInterrupt:
            raise Failure(f"interrupted: {_left(done, len(ordered), under_way=True)}", INTERRUPTED) from None
        except BotoCoreError as error:  # no answer came, such as to a call that timed out
            raise Failure(f"{failure_of(error)}; {_left(done, len(ordered), under_way=True)}") from error
        except ClientError as error:
            if not done:
                raise
            raise Failure(f"{failure_of(error)}; {_left(done, len(ordered))}") from error

    def _together(self, changes: Sequence[RowChange], done: int, total: int) -> None:
        client = self.dynamodb.meta.client
        actions = [_action(self.table, change) for change in changes]
        for attempt in range(TRIES):
            try:
                client.transact_write_items(TransactItems=actions)
                return
            except client.exceptions.TransactionCanceledException as error:
                if attempt < TRIES - 1 and conflicting(error):
                    self.sleep(0.05 * 2**attempt)
                    continue
                raise Failure(f"{_culprits(error, changes)}; {_left(done, total)}") from error


def _order(change: RowChange) -> tuple[int, RowKey]:
    if change.after is None:
        return 4, change.key
    if change.key.consumer in (SETTINGS, RELEASE):
        return (2 if change.key.consumer == SETTINGS else 3), change.key
    row = parse(change.after)
    return (0 if isinstance(row, Rule) and row.effect is Effect.DENY else 1), change.key


def _action(table: str, change: RowChange) -> dict[str, Any]:
    """A put or a delete on condition that every attribute is as it was read; of names that nobody knows, none came."""
    names, values, conditions = dict[str, str](), dict[str, Any](), list[str]()
    before = change.before or {}
    if change.before is None:
        conditions, names = ["attribute_not_exists(#k)"], {"#k": "service"}
    else:
        known = KNOWN | before.keys() | (change.after or {}).keys()
        for number, name in enumerate(sorted(known - set(KEYS))):
            names[f"#n{number}"] = name
            if name in before:
                values[f":v{number}"] = before[name]
                conditions.append(f"#n{number} = :v{number}")
            else:
                conditions.append(f"attribute_not_exists(#n{number})")
        conditions.insert(0, "attribute_exists(#k)")
        names["#k"] = "service"
    asked: dict[str, Any] = {
        "TableName": table,
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": names,
    }
    if values:
        asked["ExpressionAttributeValues"] = values
    if change.after is None:
        return {"Delete": asked | {"Key": dict(zip(KEYS, change.key, strict=True))}}
    return {"Put": asked | {"Item": dict(change.after)}}


def _culprits(error: ClientError, changes: Sequence[RowChange]) -> str:
    reasons: Iterator[Any] = iter(error.response.get("CancellationReasons", []))
    failed = [
        (change, why) for change, why in zip(changes, reasons, strict=False) if why.get("Code") not in (None, "None")
    ]
    if not failed:
        return " ".join(str(error).split())
    change, why = failed[0]
    if why.get("Code") == "ConditionalCheckFailed":
        return f"row {change.key} was changed by somebody else meanwhile"
    return f"row {change.key}: {why.get('Message') or why.get('Code')}"


def _left(done: int, total: int, under_way: bool = False) -> str:
    """What is written; of a call `under_way` nobody knows whether DynamoDB still makes it."""
    many = min(PER_CALL, total - done)
    perhaps = f"; {many} row{'s were' if many > 1 else ' was'} under way" if under_way and many else ""
    if not done:
        return f"nothing was written{' for certain' if perhaps else ''}{perhaps}: plan again"
    return (
        f"{done} of {total} rows are written, each of them whole{perhaps}; run it again to write the rest, "
        "without --plan, since the table is another one now"
    )
