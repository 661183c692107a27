"""The allow-list table: rows fetched by their keys, consistently, never by scan."""

import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING

from linkgate.dynamo import translated
from linkgate.errors import Unavailable
from linkgate.model import Connection, RowKey
from linkgate.policy import Rows, keys_for
from linkgate.rows import Item, key_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

KEYS_PER_CALL = 100
"""Keys that one BatchGetItem takes (DynamoDB API reference)."""
TRIES = 6


class AllowList:
    """The allow-list, read-only: people edit it, Linkgate never does."""

    def __init__(
        self, dynamodb: "DynamoDBServiceResource", table: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._sleep = sleep

    def rows_for(self, connections: Iterable[Connection]) -> Rows:
        """Every row that can matter for these connections, in as few calls as 100 unique keys each allow."""
        return self.rows(key for connection in connections for key in keys_for(connection))

    def rows(self, keys: Iterable[RowKey]) -> Rows:
        """The rows under these keys; a key without a row is absent. Unprocessed keys are asked for again."""
        unique = iter(sorted(set(keys)))
        found: dict[RowKey, Item] = {}
        while wanted := [dict(zip(("service", "consumer"), key, strict=True)) for key in islice(unique, KEYS_PER_CALL)]:
            found |= {key_of(item): item for item in self._get(wanted)}
        return found

    def _get(self, keys: list[dict[str, str]]) -> list[Item]:
        items: list[Item] = []
        for attempt in range(TRIES):
            with translated(self._table):
                answer = self._dynamodb.batch_get_item(
                    RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}}
                )
            items += answer["Responses"].get(self._table, [])
            unprocessed = answer.get("UnprocessedKeys", {}).get(self._table)
            if not unprocessed:
                return items
            keys = [{name: str(value) for name, value in key.items()} for key in unprocessed["Keys"]]
            self._sleep(0.05 * 2**attempt)
        raise Unavailable(f"DynamoDB left {len(keys)} keys of {self._table} unprocessed {TRIES} times")
