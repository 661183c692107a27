"""One contract for the ledger's table, held by the real one on moto's DynamoDB and by the fake of the other tests."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import Stubber
from linkgate.aws.dynamodb import TRIES
from linkgate.errors import Contended, SettingsError, Unavailable
from linkgate.ledger.table import Absent, Condition, Is, ItemKey, LedgerTable, Present, Room, Write

from tests.fakes import FakeTable
from tests.unit.tables import LEDGER, dynamodb
from tests.world import endpoint_id, service_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

HERE, THERE = ItemKey("here"), ItemKey("there", "2026#line")
SERVICE = service_id(1)


@pytest.fixture(params=["fake", "dynamodb"])
def store(request: pytest.FixtureRequest) -> Iterator[LedgerTable]:
    if request.param == "fake":
        yield FakeTable()
        return
    with dynamodb() as resource:
        yield LedgerTable(resource, LEDGER)


@pytest.fixture
def resource() -> Iterator["DynamoDBServiceResource"]:
    with dynamodb() as found:
        yield found


def item(store: LedgerTable, place: ItemKey = HERE) -> dict[str, Any] | None:
    """An item without its keys; None if there is none."""
    found = store.read([place])
    return {name: value for name, value in found[0].items() if name not in ("endpoint_id", "entry")} if found else None


# ------------------------------------------------------------------ reading and writing


def test_what_was_never_written_is_not_there(store: LedgerTable) -> None:
    assert store.read([HERE, THERE]) == []
    assert store.read([]) == []


def test_a_write_makes_an_item_and_the_next_changes_what_it_names(store: LedgerTable) -> None:
    store.write(Write(HERE, {"kept": "old", "changed": 1, "nested": {"list": ["a", True]}}))
    store.write(Write(HERE, {"changed": 2}))
    assert item(store) == {"kept": "old", "changed": 2, "nested": {"list": ["a", True]}}


def test_an_item_has_its_key(store: LedgerTable) -> None:
    store.write(Write(THERE, {"name": "value"}))
    assert store.read([THERE, HERE]) == [{"endpoint_id": "there", "entry": "2026#line", "name": "value"}]


def test_many_items_are_read_at_once_each_once(store: LedgerTable) -> None:
    places = [ItemKey(endpoint_id(number)) for number in range(205)]
    for place in places:
        store.write(Write(place, {"name": place.subject}))
    found = store.read([*places, *places, HERE])
    assert sorted(one["endpoint_id"] for one in found) == sorted(place.subject for place in places)


def test_the_index_lists_a_service_in_one_status(store: LedgerTable) -> None:
    for number, (service, status) in enumerate(
        [(SERVICE, "HELD"), (SERVICE, "HELD"), (SERVICE, "CLAIMS"), (service_id(2), "HELD")]
    ):
        store.write(Write(ItemKey(endpoint_id(number)), {"service": service, "status": status}))
    store.write(Write(ItemKey(endpoint_id(0), "a line"), {"service": SERVICE}))
    listed = list(store.query(SERVICE, "HELD"))
    assert sorted(one["endpoint_id"] for one in listed) == [endpoint_id(0), endpoint_id(1)]
    assert list(store.query(service_id(3), "HELD")) == []


# ------------------------------------------------------------------ sets


def test_members_are_added_to_a_set_that_may_not_exist_yet(store: LedgerTable) -> None:
    store.write(Write(HERE, {"status": "CLAIMS"}, add={"members": frozenset("ab")}))
    store.write(Write(HERE, add={"members": frozenset("bc")}))
    assert item(store) == {"status": "CLAIMS", "members": set("abc")}


def test_members_are_taken_from_a_set(store: LedgerTable) -> None:
    store.write(Write(HERE, add={"members": frozenset("abc")}))
    store.write(Write(HERE, {"name": "value"}, drop={"members": frozenset("bx")}))
    assert item(store) == {"name": "value", "members": set("ac")}


def test_a_set_that_loses_its_last_member_is_gone(store: LedgerTable) -> None:
    store.write(Write(HERE, {"name": "value"}, add={"members": frozenset("a")}))
    store.write(Write(HERE, drop={"members": frozenset("ab")}))
    assert item(store) == {"name": "value"}
    store.write(Write(HERE, drop={"members": frozenset("a")}))
    assert item(store) == {"name": "value"}


def test_a_set_is_written_whole(store: LedgerTable) -> None:
    store.write(Write(HERE, add={"members": frozenset("abc")}))
    store.write(Write(HERE, {"members": frozenset("xy")}))
    assert item(store) == {"members": set("xy")}


# ------------------------------------------------------------------ conditions


KEPT = {"name": "value", "off": False, "members": frozenset("ab")}
EXISTING: dict[Condition, bool] = {
    Is("name", "value"): True,
    Is("name", "other"): False,
    Is("off", False): True,
    Is("off", True): False,
    Is("missing", "value"): False,
    Is("name", "value", or_absent=True): True,
    Is("name", "other", or_absent=True): False,
    Is("missing", "value", or_absent=True): True,
    Absent("missing"): True,
    Absent("name"): False,
    Present("name"): True,
    Present("missing"): False,
    Room("members", "c", 3): True,
    Room("members", "c", 2): False,
    Room("members", "a", 2): True,
    Room("members", "a", 0): True,
    Room("missing", "a", 1): True,
}
NOWHERE: dict[Condition, bool] = {
    Is("name", "value"): False,
    Is("name", "value", or_absent=True): True,
    Absent("name"): True,
    Absent("endpoint_id"): True,
    Present("name"): False,
    Present("entry"): False,
    Room("members", "a", 1): True,
}


def tried(store: LedgerTable, *writes: Write) -> bool:
    """Whether a write was made."""
    try:
        store.write(*writes)
    except Contended:
        return False
    return True


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("condition", "holds"), EXISTING.items(), ids=str)
def test_a_condition_on_an_item_decides_whether_it_is_changed(
    store: LedgerTable, condition: Condition, holds: bool, together: bool
) -> None:
    store.write(Write(HERE, KEPT))
    writes = [Write(HERE, {"new": 1}, [condition]), *([Write(THERE, {"new": 1})] if together else [])]
    assert tried(store, *writes) is holds
    assert item(store) == {**KEPT, **({"new": 1} if holds else {})}
    assert (item(store, THERE) is not None) is (holds and together)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("condition", "holds"), NOWHERE.items(), ids=str)
def test_a_condition_on_an_item_that_does_not_exist_decides_whether_it_is_made(
    store: LedgerTable, condition: Condition, holds: bool, together: bool
) -> None:
    writes = [Write(HERE, {"new": 1}, [condition]), *([Write(THERE, {"new": 1})] if together else [])]
    assert tried(store, *writes) is holds
    assert item(store) == ({"new": 1} if holds else None)
    assert (item(store, THERE) is not None) is (holds and together)


def test_every_condition_must_hold(store: LedgerTable) -> None:
    store.write(Write(HERE, KEPT))
    assert not tried(store, Write(HERE, {"new": 1}, [Present("name"), Is("off", True)]))
    assert not tried(store, Write(HERE, {"new": 1}, [Is("off", True), Present("name")]))
    assert tried(store, Write(HERE, {"new": 1}, [Present("name"), Is("off", False), Absent("missing")]))


def test_two_conditions_on_one_attribute_and_a_change_of_it(store: LedgerTable) -> None:
    store.write(Write(HERE, KEPT))
    conditions: list[Condition] = [Present("name"), Is("name", "value"), Room("members", "c", 3)]
    assert tried(store, Write(HERE, {"name": "new"}, conditions, add={"members": frozenset("c")}))
    assert item(store) == {**KEPT, "name": "new", "members": set("abc")}


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_of_several_changes_all_are_made_or_none(store: LedgerTable, broken: int) -> None:
    places = [HERE, THERE, ItemKey("elsewhere")]
    conditions = [[Present("missing" if number == broken else "endpoint_id")] for number in range(3)]
    store.write(*(Write(place, KEPT) for place in places))
    writes = [
        Write(place, {"new": 1}, condition, {"members": frozenset("z")})
        for place, condition in zip(places, conditions, strict=True)
    ]
    assert not tried(store, *writes)
    assert [item(store, place) for place in places] == [KEPT, KEPT, KEPT]


def test_room_is_left_until_the_limit_is_reached_and_again_when_somebody_goes(store: LedgerTable) -> None:
    def take(member: str) -> bool:
        return tried(store, Write(HERE, {}, [Room("members", member, 2)], {"members": frozenset({member})}))

    assert [take(member) for member in "aabcb"] == [True, True, True, False, True]
    store.write(Write(HERE, drop={"members": frozenset("a")}))
    assert [take(member) for member in "ca"] == [True, False]


# ------------------------------------------------------------------ the real one alone


class Slow:
    """DynamoDB that answers some keys of each call and leaves the rest unprocessed; `calls` is how many were asked."""

    def __init__(self, resource: "DynamoDBServiceResource", at_once: int) -> None:
        self.resource, self.at_once = resource, at_once
        self.calls: list[int] = []
        self.waits: list[float] = []

    @property
    def meta(self) -> Any:
        return SimpleNamespace(client=self)

    def batch_get_item(self, RequestItems: Any) -> Any:
        table = RequestItems[LEDGER]
        assert table["ConsistentRead"]
        self.calls.append(len(table["Keys"]))
        now, later = table["Keys"][: self.at_once], table["Keys"][self.at_once :]
        asked: Any = {LEDGER: {**table, "Keys": now}}
        answer: Any = self.resource.batch_get_item(RequestItems=asked) if now else {"Responses": {}}
        return {**answer, "UnprocessedKeys": {LEDGER: {**table, "Keys": later}} if later else {}}

    def store(self) -> LedgerTable:
        resource: Any = self
        return LedgerTable(resource, LEDGER, self.waits.append)


@pytest.mark.parametrize(("keys", "calls"), [(0, []), (1, [1]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
def test_each_call_asks_for_a_hundred_unique_keys_at_most(
    resource: "DynamoDBServiceResource", keys: int, calls: list[int]
) -> None:
    slow = Slow(resource, 100)
    places = [ItemKey(endpoint_id(number)) for number in range(keys)]
    assert slow.store().read([*places, *places]) == []
    assert slow.calls == calls


def test_unprocessed_keys_are_asked_for_again_a_little_later_each_time(resource: "DynamoDBServiceResource") -> None:
    places = [ItemKey(endpoint_id(number)) for number in range(10)]
    for place in places:
        LedgerTable(resource, LEDGER).write(Write(place, {"name": "value"}))
    slow = Slow(resource, 3)
    assert {one["endpoint_id"] for one in slow.store().read(places)} == {place.subject for place in places}
    assert slow.calls == [10, 7, 4, 1]
    assert slow.waits == sorted(set(slow.waits))


def test_a_table_that_never_processes_its_keys_is_unavailable(resource: "DynamoDBServiceResource") -> None:
    slow = Slow(resource, 0)
    with pytest.raises(Unavailable, match=f"left 1 keys of ledger unprocessed {TRIES} times"):
        slow.store().read([HERE])
    assert slow.calls == [1] * TRIES


def test_every_page_of_the_index_is_read(resource: "DynamoDBServiceResource") -> None:
    store = LedgerTable(resource, LEDGER)
    for number in range(12):
        about = {"service": SERVICE, "status": "HELD", "text": "x" * 200_000}
        store.write(Write(ItemKey(endpoint_id(number)), about))
    assert len(list(store.query(SERVICE, "HELD"))) == 12


def test_a_table_that_does_not_exist_is_named(resource: "DynamoDBServiceResource") -> None:
    store = LedgerTable(resource, "missing")
    calls: list[Callable[[], object]] = [
        lambda: store.read([HERE]),
        lambda: list(store.query(SERVICE, "HELD")),
        lambda: store.write(Write(HERE, {"name": "value"})),
        lambda: store.write(Write(HERE, {"name": "value"}), Write(THERE, {"name": "value"})),
    ]
    for call in calls:
        with pytest.raises(SettingsError, match="table missing does not exist"):
            call()


def cancelled(stubber: Stubber, *reasons: str) -> None:
    """DynamoDB cancels the next transaction, for one reason an item."""
    stubber.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        "Transaction cancelled",
        modeled_fields={"CancellationReasons": [{"Code": reason} for reason in reasons]},
    )


class Stubbed:
    """A store whose DynamoDB answers what the test prepared; `waits` are the pauses it made."""

    def __init__(self, resource: "DynamoDBServiceResource") -> None:
        self.stubber = Stubber(resource.meta.client)
        self.waits: list[float] = []
        self.store = LedgerTable(resource, LEDGER, self.waits.append)

    def write(self) -> None:
        with self.stubber:
            self.store.write(Write(HERE, {"name": "value"}), Write(THERE, {"name": "value"}))
        self.stubber.assert_no_pending_responses()


@pytest.fixture
def stubbed(resource: "DynamoDBServiceResource") -> Stubbed:
    return Stubbed(resource)


@pytest.mark.parametrize("times", range(1, TRIES))
def test_a_transaction_that_met_another_is_tried_again_a_little_later_each_time(stubbed: Stubbed, times: int) -> None:
    for _ in range(times):
        cancelled(stubbed.stubber, "None", "TransactionConflict")
    stubbed.stubber.add_response("transact_write_items", {})
    stubbed.write()
    assert stubbed.waits == sorted(set(stubbed.waits))
    assert len(stubbed.waits) == times


def test_a_transaction_that_meets_another_each_time_is_contended(stubbed: Stubbed) -> None:
    for _ in range(TRIES):
        cancelled(stubbed.stubber, "TransactionConflict", "TransactionConflict")
    with pytest.raises(Contended):
        stubbed.write()
    stubbed.stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    "reasons",
    [
        ("None", "ConditionalCheckFailed"),
        ("TransactionConflict", "ConditionalCheckFailed"),
        ("TransactionConflict", "ThrottlingError"),
        ("None", "ProvisionedThroughputExceeded"),
    ],
)
def test_a_transaction_cancelled_for_another_reason_is_not_tried_again(
    stubbed: Stubbed, reasons: tuple[str, str]
) -> None:
    cancelled(stubbed.stubber, *reasons)
    with pytest.raises(Contended):
        stubbed.write()
    assert stubbed.waits == []


def test_a_conflict_that_ends_in_a_lost_condition_is_contended(stubbed: Stubbed) -> None:
    cancelled(stubbed.stubber, "TransactionConflict", "None")
    cancelled(stubbed.stubber, "ConditionalCheckFailed", "None")
    with pytest.raises(Contended):
        stubbed.write()
    assert len(stubbed.waits) == 1


def test_what_is_wrong_with_an_item_itself_passes_through(stubbed: Stubbed) -> None:
    cancelled(stubbed.stubber, "None", "ValidationError")
    with pytest.raises(stubbed.store._client.exceptions.TransactionCanceledException):
        stubbed.write()


def test_one_change_alone_is_no_transaction_which_would_cost_twice(resource: "DynamoDBServiceResource") -> None:
    with Stubber(resource.meta.client) as stubber:
        stubber.add_response("update_item", {})
        LedgerTable(resource, LEDGER).write(Write(HERE, {"name": "value"}))
        stubber.add_client_error("update_item", "ConditionalCheckFailedException")
        with pytest.raises(Contended):
            LedgerTable(resource, LEDGER).write(Write(HERE, {"name": "value"}, [Absent("name")]))
        stubber.assert_no_pending_responses()


# ------------------------------------------------------------------ many changes in few calls


def about(number: int, *conditions: Condition, items: int = 1) -> list[Write]:
    """A change of a subject of its own."""
    places = [ItemKey(endpoint_id(number), f"item {item}") for item in range(items)]
    return [Write(place, {"name": "value"}, conditions) for place in places]


def made(store: LedgerTable, numbers: range, items: int = 1) -> list[int]:
    """Whose items are all there."""
    wanted = {number: {write.place for write in about(number, items=items)} for number in numbers}
    found = store.read(place for places in wanted.values() for place in places)
    there = {ItemKey(item["endpoint_id"], item["entry"]) for item in found}
    return [number for number, places in wanted.items() if places <= there]


def test_many_changes_are_all_made(store: LedgerTable) -> None:
    changes = [about(number, Absent("name"), items=3) for number in range(70)]
    assert store.write_each(changes) == [None] * 70
    assert made(store, range(70), items=3) == list(range(70))
    assert store.write_each([]) == []


def test_a_change_whose_condition_does_not_hold_concerns_itself_alone(store: LedgerTable) -> None:
    store.write(*about(2), *about(3))
    changes = [[*about(number, Absent("name")), *about(100 + number)] for number in range(6)]
    found = store.write_each(changes)
    assert [type(one) for one in found] == [Contended if number in (2, 3) else type(None) for number in range(6)]
    assert made(store, range(100, 106)) == [100, 101, 104, 105]


def test_of_two_changes_of_one_item_the_second_is_made_after_the_first(store: LedgerTable) -> None:
    changes = [[Write(HERE, {"name": word}, [Absent("name")])] for word in ("first", "second")]
    first, second, third = store.write_each([*changes, [Write(THERE, {"name": "third"})]])
    assert (first, third) == (None, None)
    assert isinstance(second, Contended)
    assert [item["name"] for item in store.read([HERE, THERE])] == ["first", "third"]


@pytest.mark.parametrize(("items", "calls"), [(3, [99, 51]), (4, [100, 100])])
def test_a_call_takes_a_hundred_items_and_no_change_is_torn(
    resource: "DynamoDBServiceResource", items: int, calls: list[int]
) -> None:
    asked = []
    resource.meta.client.meta.events.register(
        "provide-client-params.dynamodb.TransactWriteItems",
        lambda params, **_: asked.append(len(params["TransactItems"])),
    )
    LedgerTable(resource, LEDGER).write_each([about(number, items=items) for number in range(50)])
    assert asked == calls


@pytest.mark.parametrize("error", ["ThrottlingException", "ProvisionedThroughputExceededException"])
def test_what_dynamodb_cannot_take_twice_in_a_row_is_not_tried_further(stubbed: Stubbed, error: str) -> None:
    asked = []
    stubbed.store._client.meta.events.register("before-parameter-build.dynamodb.*", lambda **_: asked.append(1))
    for operation in ("transact_write_items", "update_item", "update_item"):
        stubbed.stubber.add_client_error(operation, error)
    with stubbed.stubber:
        found = stubbed.store.write_each([about(number) for number in range(250)])
    assert (len(asked), [type(one) for one in found]) == (3, [Unavailable] * 250)


def test_what_dynamodb_cannot_take_holds_nothing_else_up(stubbed: Stubbed) -> None:
    stubbed.stubber.add_client_error("transact_write_items", "ThrottlingException")
    stubbed.stubber.add_response("update_item", {})
    stubbed.stubber.add_client_error("update_item", "ThrottlingException")
    stubbed.stubber.add_response("update_item", {})
    with stubbed.stubber:
        found = stubbed.store.write_each([about(number) for number in range(3)])
    assert [type(one) for one in found] == [type(None), Unavailable, type(None)]


def test_changes_that_are_too_large_together_are_made_one_by_one(stubbed: Stubbed) -> None:
    stubbed.stubber.add_client_error("transact_write_items", "ValidationException", "too large")
    for _ in range(3):
        stubbed.stubber.add_response("update_item", {})
    with stubbed.stubber:
        assert stubbed.store.write_each([about(number) for number in range(3)]) == [None] * 3
    stubbed.stubber.assert_no_pending_responses()


def test_a_change_that_is_wrong_in_itself_is_no_matter_of_waiting(stubbed: Stubbed) -> None:
    stubbed.stubber.add_client_error("transact_write_items", "ValidationException", "too large")
    stubbed.stubber.add_client_error("update_item", "ValidationException", "too large")
    with stubbed.stubber, pytest.raises(stubbed.store._client.exceptions.ClientError):
        stubbed.store.write_each([about(number) for number in range(3)])
