"""The allow-list table, read-only: people edit it, Linkgate never does."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from linkgate.aws.dynamodb import by_keys, dynamodb_errors
from linkgate.model import Connection, RowKey
from linkgate.policy.decide import Rows, keys_for, release_keys
from linkgate.policy.rows import CANARY, EVERY, UNIT_PREFIX, Item, key_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource


class AllowList:
    """The allow-list. A decision's rows are fetched by their keys, consistently, whatever the size of the table."""

    def __init__(
        self, dynamodb: "DynamoDBServiceResource", table: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._dynamodb = dynamodb
        self._table = self.name = table
        self._sleep = sleep

    def rows_for(self, connections: Iterable[Connection]) -> Rows:
        """Every row that can matter for these connections, in as few calls as 100 unique keys each allow.

        Those about OUs and organisations come whole, by a query on their prefix for each service and for `*`; the
        `@release` rows come too.
        """
        keys = {key for connection in connections for key in keys_for(connection)}
        services = {key.service for key in keys}
        releases = {key for service in services for key in release_keys(service)}
        return {**self.rows(keys | releases), **self._of(services, UNIT_PREFIX)}

    def rows(self, keys: Iterable[RowKey]) -> Rows:
        """The rows under these keys; a key without a row is absent."""
        wanted = ({"service": key.service, "consumer": key.consumer} for key in sorted(set(keys)))
        return _by_key(by_keys(self._dynamodb.batch_get_item, self._table, wanted, self._sleep))

    def covering(self, services: Iterable[str]) -> Rows:
        """Every row of some services, and of `*`."""
        return self._of({*services, EVERY})

    def canaries(self, services: Iterable[str]) -> Rows:
        """The `@canary:` rows of some services, and of `*`."""
        return self._of({*services, EVERY}, CANARY)

    def whole_table(self) -> Rows:
        """The whole table, rows included whose keys are of no known form."""
        return _by_key(self._pages(self._dynamodb.meta.client.get_paginator("scan")))

    def _of(self, services: Iterable[str], prefix: str = "") -> Rows:
        return _by_key(item for service in sorted(services) for item in self._query(service, prefix))

    def _query(self, service: str, prefix: str = "") -> Iterator[Item]:
        values, condition = {":service": service}, "service = :service"
        if prefix:
            values, condition = values | {":prefix": prefix}, f"{condition} AND begins_with(consumer, :prefix)"
        paginator = self._dynamodb.meta.client.get_paginator("query")
        return self._pages(paginator, KeyConditionExpression=condition, ExpressionAttributeValues=values)

    def _pages(self, paginator: Any, **arguments: Any) -> Iterator[Item]:
        with dynamodb_errors(self._table):
            for page in paginator.paginate(TableName=self._table, ConsistentRead=True, **arguments):
                yield from page["Items"]


def _by_key(items: Iterable[Item]) -> dict[RowKey, Item]:
    return {key_of(item): item for item in items}
