"""The allow-list table, read-only: people edit it, Linkgate never does."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from linkgate.dynamo import translated
from linkgate.errors import Unavailable
from linkgate.model import Connection, RowKey
from linkgate.policy import Rows, keys_for, release_keys
from linkgate.rows import EVERY, UNIT_PREFIX, Item, key_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

KEYS_PER_CALL = 100
"""Keys that one BatchGetItem takes (DynamoDB API reference)."""
TRIES = 6


class AllowList:
    """The allow-list. A decision's rows are fetched by their keys, consistently, whatever the size of the table."""

    def __init__(
        self, dynamodb: "DynamoDBServiceResource", table: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._sleep = sleep

    def rows_for(self, connections: Iterable[Connection]) -> Rows:
        """Every row that can matter for these connections, in as few calls as 100 unique keys each allow.

        Those about OUs and organisations come whole, by a query on their prefix for each service and for `*`; the
        `@release` rows come too.
        """
        keys = {key for connection in connections for key in keys_for(connection)}
        services = sorted({key.service for key in keys})
        found = dict(self.rows({*keys, *(key for service in services for key in release_keys(service))}))
        for service in services:
            found |= _by_key(self._query(service, UNIT_PREFIX))
        return found

    def rows(self, keys: Iterable[RowKey]) -> Rows:
        """The rows under these keys; a key without a row is absent. Unprocessed keys are asked for again."""
        unique = iter(sorted(set(keys)))
        found: dict[RowKey, Item] = {}
        while wanted := [dict(zip(("service", "consumer"), key, strict=True)) for key in islice(unique, KEYS_PER_CALL)]:
            found |= _by_key(self._get(wanted))
        return found

    def covering(self, services: Iterable[str]) -> Rows:
        """Every row of some services, and of `*`."""
        return {key: item for service in {*services, EVERY} for key, item in _by_key(self._query(service)).items()}

    def whole_table(self) -> Rows:
        """The whole table, rows included whose keys are of no known form."""
        return _by_key(self._pages(self._dynamodb.meta.client.get_paginator("scan")))

    def _query(self, service: str, prefix: str = "") -> Iterator[Item]:
        values, condition = {":service": service}, "service = :service"
        if prefix:
            values, condition = values | {":prefix": prefix}, f"{condition} AND begins_with(consumer, :prefix)"
        paginator = self._dynamodb.meta.client.get_paginator("query")
        return self._pages(paginator, KeyConditionExpression=condition, ExpressionAttributeValues=values)

    def _pages(self, paginator: Any, **arguments: Any) -> Iterator[Item]:
        with translated(self._table):
            for page in paginator.paginate(TableName=self._table, ConsistentRead=True, **arguments):
                yield from page["Items"]

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


def _by_key(items: Iterable[Item]) -> dict[RowKey, Item]:
    return {key_of(item): item for item in items}
