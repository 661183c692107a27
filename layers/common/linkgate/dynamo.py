"""DynamoDB's errors in our words, for both tables."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from linkgate.errors import Contended, SettingsError, Unavailable

BUSY = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"})
CHANGED = frozenset(
    {"TransactionConflictException", "TransactionInProgressException", "ConditionalCheckFailedException"}
)
LOST = frozenset(
    {"None", "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)
"""Reasons for a cancelled transaction that a later look mends; what is wrong with the item itself is none of them."""


@contextmanager
def translated(table: str) -> Iterator[None]:
    """A missing table as SettingsError that names it, "not now" as Unavailable, a lost race as Contended."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ResourceNotFoundException":
            raise SettingsError(f"table {table} does not exist in this account and Region") from error
        if code in BUSY:
            raise Unavailable(f"table {table}: {error}") from error
        if code in CHANGED or (code == "TransactionCanceledException" and _lost(error)):
            raise Contended(f"table {table} changed meanwhile: {error}") from error
        raise
    except BotoCoreError as error:
        raise Unavailable(f"table {table}: {error}") from error


def conflicting(error: ClientError) -> bool:
    """Whether a transaction was cancelled for no other reason than that another one held an item of it."""
    codes = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])}
    return "TransactionConflict" in codes and codes <= {"None", "TransactionConflict"}


def _lost(error: ClientError) -> bool:
    reasons = error.response.get("CancellationReasons", [])
    return all(reason.get("Code", "None") in LOST for reason in reasons)
