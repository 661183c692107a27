"""A decision costs the same with ten rows and with thousands."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from linkgate.approve.approver import Approver
from linkgate.approve.context import ContextReader
from linkgate.aws.allowlist import AllowList
from linkgate.events.bell import Bell
from linkgate.ledger.breaker import Breaker
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.sets import NamedSets
from linkgate.ledger.table import LedgerTable
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item

from tests.application import SERVICE, Application
from tests.unit.tables import ALLOW_LIST, LEDGER, REGION, dynamodb
from tests.world import endpoint_id, service_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

BATCH = 40
FEW, MANY = 10, 5_000


def fill(rows: int) -> None:
    """Rows of accounts, a thousand a service at most, past the API, which would take minutes."""
    table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[ALLOW_LIST]
    for number in range(rows):
        key = {"service": {"S": service_id(1 + number // 1000)}, "consumer": {"S": f"{number % 1000:012d}"}}
        service, consumer = (DynamoType(value) for value in key.values())
        table.items[service][consumer] = Item(service, consumer, {**key, "effect": {"S": "allow"}})


def batch(resource: "DynamoDBServiceResource") -> tuple[int, Counter[str]]:
    """How many of 40 new connections of as many accounts are accepted, and what that asks of DynamoDB."""
    app, asked = Application(), Counter[str]()

    def count(model: Any, **_: object) -> None:
        asked[model.name] += 1

    for service in (SERVICE, "*"):
        resource.Table(ALLOW_LIST).put_item(Item={"service": service, "consumer": "@settings", "mode": "enforce"})
    resource.meta.client.meta.events.register("before-call.dynamodb.*", count)
    store = LedgerTable(resource, LEDGER)
    approver = Approver(
        app.services,
        app.connections,
        AllowList(resource, ALLOW_LIST),
        Ledger(store),
        ContextReader(NamedSets(store), Breaker(store), app.organization),
        app.bus,
        app.bells,
        app.world.clock,
    )
    for number in range(BATCH):
        app.world.connect(endpoint_id(number), SERVICE, f"{number:012d}")
    report = approver.answer([Bell(frozenset(map(endpoint_id, range(BATCH))))])
    resource.meta.client.meta.events.unregister("before-call.dynamodb.*", count)
    assert len(report.lines) == BATCH
    return len(app.world.acts), asked


def test_a_batch_asks_dynamodb_as_often_with_ten_rows_as_with_thousands() -> None:
    found = []
    for rows in (FEW, MANY):
        with dynamodb() as resource:
            fill(rows)
            found.append(batch(resource))
    # 40 current items before the look, and after it; the guards of the service and of `*`; the breakers of its cuts and
    # rejections; the limits of 40 accounts; and 166 rows (4 of each connection, 2 of everybody, 2 of settings, 2 of
    # releases): 100 keys a call. Two queries for OUs. A line is written as 2 items, with a third for the slot of an
    # accepted one, answered in 2: 100 items a call.
    asked = {"BatchGetItem": 1 + 1 + 1 + 1 + 1 + 2, "Query": 2}
    assert found == [(FEW, asked | {"TransactWriteItems": 1 + 1}), (BATCH, asked | {"TransactWriteItems": 2 + 1})]
