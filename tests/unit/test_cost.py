"""A decision costs the same with ten rows and with a hundred thousand."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from linkgate.allowlist import AllowList
from linkgate.approve import Approver
from linkgate.bell import Bell
from linkgate.breaker import Breaker
from linkgate.ledger import Ledger
from linkgate.register import Register
from linkgate.standing import Census
from linkgate.store import Store
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item

from tests.simulation import SERVICE, House
from tests.unit.tables import ALLOW_LIST, LEDGER, REGION, dynamodb
from tests.world import endpoint_id, service_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

BATCH = 40
FEW, MANY = 10, 100_000


def fill(rows: int) -> None:
    """Rows of accounts, a thousand a service at most, past the API, which would take minutes."""
    table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[ALLOW_LIST]
    for number in range(rows):
        key = {"service": {"S": service_id(1 + number // 1000)}, "consumer": {"S": f"{number % 1000:012d}"}}
        service, consumer = (DynamoType(value) for value in key.values())
        table.items[service][consumer] = Item(service, consumer, {**key, "effect": {"S": "allow"}})


def batch(resource: "DynamoDBServiceResource") -> tuple[int, Counter[str]]:
    """How many of 40 new connections of as many accounts are accepted, and what that asks of DynamoDB."""
    house, asked = House(), Counter[str]()

    def count(model: Any, **_: object) -> None:
        asked[model.name] += 1

    for service in (SERVICE, "*"):
        resource.Table(ALLOW_LIST).put_item(Item={"service": service, "consumer": "@settings", "mode": "enforce"})
    resource.meta.client.meta.events.register("before-call.dynamodb.*", count)
    store = Store(resource, LEDGER)
    approver = Approver(
        house.gates,
        house.connections,
        AllowList(resource, ALLOW_LIST),
        Ledger(store),
        Census(Register(store), Breaker(store), house.organization),
        house.bus,
        house.bells,
        house.world.clock,
    )
    for number in range(BATCH):
        house.world.connect(endpoint_id(number), SERVICE, f"{number:012d}")
    report = approver.answer([Bell(frozenset(map(endpoint_id, range(BATCH))))])
    assert len(report.lines) == BATCH
    return len(house.world.acts), asked


def test_a_batch_asks_dynamodb_as_often_with_ten_rows_as_with_a_hundred_thousand() -> None:
    found = []
    for rows in (FEW, MANY):
        with dynamodb() as resource:
            fill(rows)
            found.append(batch(resource))
    # 40 current items; the guards of the service and of `*`; the breakers of its cuts and rejections; the limits of 40
    # accounts; and 166 rows (4 of each connection, 2 of everybody, 2 of settings, 2 of releases): 100 keys a call. Two
    # queries for OUs. A line is written as 2 items, with a third for the slot of an accepted one, answered in 2: 100
    # items a call.
    asked = {"BatchGetItem": 1 + 1 + 1 + 1 + 2, "Query": 2}
    assert found == [(FEW, asked | {"TransactWriteItems": 1 + 1}), (BATCH, asked | {"TransactWriteItems": 2 + 1})]
