"""What both tables have in common: what DynamoDB's errors mean, and reading many items by their keys."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from linkgate.aws.calls import parts
from linkgate.errors import Contended, Damaged, SettingsError, Unavailable

BUSY = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"})
CHANGED = frozenset(
    {"TransactionConflictException", "TransactionInProgressException", "ConditionalCheckFailedException"}
)
LOST = frozenset(
    {"None", "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)
"""Reasons for a cancelled transaction that a later look mends; what is wrong with the item itself is none of them."""
MISTYPED = "incorrect data type"
"""What DynamoDB says of a set that is none: seen in its messages, not documented."""
KEYS_PER_CALL = 100
"""Keys that one BatchGetItem takes (DynamoDB API reference)."""
TRIES = 6
"""Of reading keys that DynamoDB left unprocessed, and of a transaction that met another one on the same item."""


def by_keys(
    get: Callable[..., Any], table: str, keys: Iterable[Mapping[str, str]], sleep: Callable[[float], None]
) -> Iterator[dict[str, Any]]:
    """The items under some unique keys, consistently read with `get`, a client's batch_get_item.

    Unprocessed keys are asked for again; raises Unavailable if some always stay.
    """
    for wanted in parts(keys, KEYS_PER_CALL):
        for attempt in range(TRIES):
            with dynamodb_errors(table):
                answer = get(RequestItems={table: {"Keys": wanted, "ConsistentRead": True}})
            yield from answer["Responses"].get(table, [])
            unprocessed = answer.get("UnprocessedKeys", {}).get(table)
            if not unprocessed:
                break
            wanted = unprocessed["Keys"]
            sleep(0.05 * 2**attempt)
        else:
            raise Unavailable(f"DynamoDB left {len(wanted)} keys of {table} unprocessed {TRIES} times")


@contextmanager
def dynamodb_errors(table: str) -> Iterator[None]:
    """A missing table as SettingsError that names it, "not now" as Unavailable, a faster writer as Contended."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ResourceNotFoundException":
            raise SettingsError(f"table {table} does not exist in this account and Region") from error
        if code in BUSY:
            raise Unavailable(f"table {table}: {error}") from error
        if code in CHANGED or (code == "TransactionCanceledException" and _cancelled(error) <= LOST):
            raise Contended(f"table {table} changed meanwhile: {error}") from error
        if MISTYPED in _messages(error):
            raise Damaged(f"table {table} holds an item of another form: {error}") from error
        raise
    except BotoCoreError as error:
        raise Unavailable(f"table {table}: {error}") from error


def conflicting(error: ClientError) -> bool:
    """Whether a transaction was cancelled for no other reason than that another one held an item of it."""
    codes = _cancelled(error)
    return "TransactionConflict" in codes and codes <= {"None", "TransactionConflict"}


def _cancelled(error: ClientError) -> set[str]:
    """Why a transaction was cancelled: a code for each of its items, "None" where nothing was wrong."""
    return {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])}


def _messages(error: ClientError) -> str:
    """What DynamoDB says, of a cancelled transaction about each of its items."""
    about = (str(reason.get("Message", "")) for reason in error.response.get("CancellationReasons", []))
    return " ".join([str(error), *about])
