"""The allow-list on moto's DynamoDB: rows by their keys, as few calls as keys need, nothing left out."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from linkgate.aws.allowlist import AllowList
from linkgate.errors import SettingsError, Unavailable
from linkgate.model import Connection, RowKey, State

from tests.unit.tables import ALLOW_LIST, dynamodb
from tests.world import CONSUMER, OTHER, REGION, endpoint_id, service_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

SERVICE = service_id(1)


class Slow:
    """DynamoDB that answers a few keys of each call and leaves the rest unprocessed; `calls` is what was asked."""

    def __init__(self, resource: "DynamoDBServiceResource", at_once: int) -> None:
        self.resource, self.at_once, self.meta = resource, at_once, resource.meta
        self.calls: list[list[Any]] = []
        self.waits: list[float] = []

    def batch_get_item(self, RequestItems: Any) -> Any:
        keys = RequestItems[ALLOW_LIST]["Keys"]
        assert RequestItems[ALLOW_LIST]["ConsistentRead"]
        self.calls.append(keys)
        now, later = keys[: self.at_once], keys[self.at_once :]
        table: Any = {**RequestItems[ALLOW_LIST], "Keys": now}
        answer: Any = self.resource.batch_get_item(RequestItems={ALLOW_LIST: table}) if now else {"Responses": {}}
        return {**answer, "UnprocessedKeys": {ALLOW_LIST: {**table, "Keys": later}} if later else {}}

    def list(self) -> AllowList:
        resource: Any = self
        return AllowList(resource, ALLOW_LIST, self.waits.append)


@pytest.fixture
def resource() -> Iterator["DynamoDBServiceResource"]:
    with dynamodb() as found:
        yield found


def put(resource: "DynamoDBServiceResource", service: str, consumer: str, **attributes: Any) -> RowKey:
    resource.Table(ALLOW_LIST).put_item(Item={"service": service, "consumer": consumer, **attributes})
    return RowKey(service, consumer)


def asking(number: int, account: str = CONSUMER) -> Connection:
    created = datetime(2026, 11, 23, tzinfo=UTC)
    return Connection(SERVICE, endpoint_id(number), account, REGION, State.PENDING_ACCEPTANCE, created)


def test_the_rows_of_a_connection_are_those_that_may_matter_for_it(resource: "DynamoDBServiceResource") -> None:
    wanted = {
        put(resource, service, consumer, effect="allow")
        for service in (SERVICE, "*")
        for consumer in (endpoint_id(1), CONSUMER, "*", "@settings", "@release")
    }
    put(resource, service_id(2), CONSUMER, effect="allow")
    put(resource, SERVICE, OTHER, effect="allow")
    put(resource, SERVICE, endpoint_id(2), effect="allow")
    assert AllowList(resource, ALLOW_LIST).rows_for([asking(1)]).keys() == wanted


def test_the_rows_about_canaries_are_those_of_the_services_and_of_everybody(
    resource: "DynamoDBServiceResource",
) -> None:
    wanted = {
        put(resource, service, f"@canary:{consumer}", function="arn")
        for service in (SERVICE, service_id(2), "*")
        for consumer in (CONSUMER, endpoint_id(1))
    }
    put(resource, service_id(3), f"@canary:{CONSUMER}", function="arn")
    put(resource, SERVICE, "@settings", mode="enforce")
    put(resource, SERVICE, CONSUMER, effect="allow")
    found = AllowList(resource, ALLOW_LIST).canaries([SERVICE, service_id(2), SERVICE])
    assert found.keys() == wanted
    assert AllowList(resource, ALLOW_LIST).canaries([]).keys() == {key for key in wanted if key.service == "*"}


def test_a_row_comes_as_pythons_own_types(resource: "DynamoDBServiceResource") -> None:
    key = put(
        resource, SERVICE, "*", effect="allow", limit=2, regions={"eu-west-1"}, tags=["a", {"b": True}], gone=None
    )
    row = AllowList(resource, ALLOW_LIST).rows([key])[key]
    assert row == {
        "service": SERVICE,
        "consumer": "*",
        "effect": "allow",
        "limit": Decimal(2),
        "regions": {"eu-west-1"},
        "tags": ["a", {"b": True}],
        "gone": None,
    }


def test_nobody_asks_and_nothing_is_read(resource: "DynamoDBServiceResource") -> None:
    slow = Slow(resource, 100)
    assert slow.list().rows_for([]) == {}
    assert slow.calls == []


@pytest.mark.parametrize(("connections", "calls"), [(1, [10]), (46, [100]), (47, [100, 2])])
def test_each_call_asks_for_a_hundred_unique_keys_at_most(
    resource: "DynamoDBServiceResource", connections: int, calls: list[int]
) -> None:
    slow = Slow(resource, 100)
    group = [asking(number) for number in range(connections)]
    slow.list().rows_for([*group, *group])
    assert [len(keys) for keys in slow.calls] == calls


def test_unprocessed_keys_are_asked_for_again_a_little_later_each_time(resource: "DynamoDBServiceResource") -> None:
    keys = {put(resource, SERVICE, str(number), effect="allow") for number in range(10)}
    slow = Slow(resource, 3)
    assert slow.list().rows(keys).keys() == keys
    assert [len(call) for call in slow.calls] == [10, 7, 4, 1]
    assert slow.waits == sorted(slow.waits)
    assert len(slow.waits) == 3


def test_a_table_that_never_processes_its_keys_is_unavailable(resource: "DynamoDBServiceResource") -> None:
    slow = Slow(resource, 0)
    with pytest.raises(Unavailable, match="left 1 keys of allow-list unprocessed 6 times"):
        slow.list().rows([RowKey(SERVICE, "*")])


def test_a_table_that_does_not_exist_is_named(resource: "DynamoDBServiceResource") -> None:
    with pytest.raises(SettingsError, match="table missing does not exist"):
        AllowList(resource, "missing").rows([RowKey(SERVICE, "*")])
