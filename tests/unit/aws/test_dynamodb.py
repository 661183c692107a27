"""What DynamoDB's errors mean to us: look again later, somebody was faster, or a wrong deployment."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from linkgate.aws.dynamodb import dynamodb_errors
from linkgate.errors import Contended, Damaged, SettingsError, Unavailable


def refused(code: str, *reasons: str) -> Exception:
    response: Any = {
        "Error": {"Code": code, "Message": "no"},
        "CancellationReasons": [{"Code": one} for one in reasons],
    }
    return ClientError(response, "TransactWriteItems")


def meaning(error: Exception) -> Exception:
    try:
        with dynamodb_errors("ledger"):
            raise error
    except Exception as found:
        return found


def test_a_missing_table_is_named() -> None:
    found = meaning(refused("ResourceNotFoundException"))
    assert isinstance(found, SettingsError)
    assert "table ledger does not exist" in str(found)


@pytest.mark.parametrize(
    "error",
    [
        refused("ThrottlingException"),
        refused("ProvisionedThroughputExceededException"),
        refused("RequestLimitExceeded"),
        EndpointConnectionError(endpoint_url="https://dynamodb"),
    ],
)
def test_a_busy_or_distant_table_is_unavailable(error: Exception) -> None:
    found = meaning(error)
    assert type(found) is Unavailable
    assert "table ledger" in str(found)


@pytest.mark.parametrize(
    "error",
    [
        refused("TransactionConflictException"),
        refused("TransactionCanceledException", "None", "ConditionalCheckFailed"),
        refused("TransactionCanceledException", "TransactionConflict", "None"),
        refused("TransactionCanceledException", "None", "ThrottlingError"),
        refused("TransactionCanceledException", "ProvisionedThroughputExceeded", "None"),
    ],
)
def test_a_transaction_that_somebody_else_disturbed_is_contended(error: Exception) -> None:
    assert isinstance(meaning(error), Contended)


@pytest.mark.parametrize(
    "error",
    [
        refused("TransactionCanceledException", "None", "ValidationError"),
        refused("TransactionCanceledException", "ItemCollectionSizeLimitExceeded"),
        refused("AccessDeniedException"),
        refused("ValidationException"),
        ValueError("ours"),
    ],
)
def test_what_no_later_look_mends_passes_through(error: Exception) -> None:
    assert meaning(error) is error


def test_a_stored_set_that_is_none_is_damaged_alone_and_in_a_transaction() -> None:
    words = "An operand in the update expression has an incorrect data type"
    alone: Any = {"Error": {"Code": "ValidationException", "Message": words}}
    together: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "no"},
        "CancellationReasons": [{"Code": "None"}, {"Code": "ValidationError", "Message": words}],
    }
    for response in (alone, together):
        assert isinstance(meaning(ClientError(response, "TransactWriteItems")), Damaged)
