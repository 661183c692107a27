"""Named sets in the ledger's table, on moto's DynamoDB and in memory."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from linkgate.errors import Damaged
from linkgate.ledger.sets import NamedSets, block_name, unwritten, written
from linkgate.ledger.table import ItemKey, LedgerTable, Write
from linkgate.model import RowKey

from tests.fakes import FakeTable
from tests.unit.tables import LEDGER, dynamodb
from tests.world import CONSUMER, endpoint_id, service_id

SERVICE, SECOND = service_id(1), service_id(2)
A, B, C = endpoint_id(1), endpoint_id(2), endpoint_id(3)


@pytest.fixture(params=["fake", "dynamodb"])
def store(request: pytest.FixtureRequest) -> Iterator[LedgerTable]:
    if request.param == "fake":
        yield FakeTable()
        return
    with dynamodb() as resource:
        yield LedgerTable(resource, LEDGER)


@pytest.fixture
def sets(store: LedgerTable) -> NamedSets:
    return NamedSets(store)


# ------------------------------------------------------------------ sets


def test_a_set_that_nobody_wrote_is_empty(sets: NamedSets) -> None:
    assert sets.read(["one", "other"]) == {}


def test_members_come_and_go_and_other_sets_stay(sets: NamedSets) -> None:
    sets.add("one", ["a", "b"])
    sets.add("one", ["b", "c"])
    sets.add("other", ["z"])
    sets.remove("one", ["a", "x"])
    assert sets.read(["one", "other", "third"]) == {"one": {"b", "c"}, "other": {"z"}}


def test_a_set_that_loses_its_last_member_is_left_out(sets: NamedSets) -> None:
    sets.add("one", ["a"])
    sets.remove("one", ["a"])
    assert sets.read(["one"]) == {}
    sets.remove("one", ["a"])
    sets.add("one", ["b"])
    assert sets.read(["one"]) == {"one": {"b"}}


@pytest.mark.parametrize("value", ["text", Decimal(5), {"a": "b"}, ["a"], {Decimal(1)}, None, True])
def test_a_set_that_is_none_has_one_member_that_nobody_wrote_and_is_written_anew(
    sets: NamedSets, store: LedgerTable, value: object
) -> None:
    for name in ("one", "other", "third"):
        store.write(Write(ItemKey(name), {"members": value}))
    (member,) = sets.read(["one"])["one"]
    assert member not in ("a", "b", "text")
    sets.add("one", ["a"])
    sets.remove("other", ["a"])
    sets.keep("third", frozenset({member}), frozenset())
    assert sets.read(["one", "other", "third"]) == {"one": {"a"}}


def test_a_damaged_set_holds_up_no_other_change(store: LedgerTable) -> None:
    store.write(Write(ItemKey("one"), {"members": "text"}))
    changes = [
        [Write(ItemKey(name), add={"members": frozenset({"a"})})] for name in ("other", "one", "third", "fourth")
    ]
    assert [type(one) for one in store.write_each(changes)] == [type(None), Damaged, type(None), type(None)]
    with pytest.raises(Damaged):
        store.write(*(write for change in changes for write in change))


def test_what_is_to_be_forgotten_is_gone_and_the_rest_stays(store: LedgerTable) -> None:
    store.write(Write(ItemKey("one"), {"a": 1, "b": 2, "c": 3}))
    store.write(Write(ItemKey("one"), forget=["a", "b"]))
    store.write(Write(ItemKey("one"), {"d": 4}, forget=["c", "x"]))
    assert store.read([ItemKey("one")]) == [{"endpoint_id": "one", "entry": "current", "d": 4}]


def test_to_add_or_remove_nobody_writes_nothing(sets: NamedSets, store: LedgerTable) -> None:
    sets.add("one", [])
    sets.remove("one", [])
    assert store.read([ItemKey("one")]) == []


def test_more_sets_than_one_call_takes_are_read(sets: NamedSets) -> None:
    names = [f"set {number}" for number in range(103)]
    for name in names:
        sets.add(name, [name])
    assert sets.read(names) == {name: {name} for name in names}


@pytest.mark.parametrize("before", [frozenset(), frozenset("ab")])
@pytest.mark.parametrize("members", [frozenset(), frozenset("a"), frozenset("xy")])
def test_a_set_is_kept_as_it_is_to_be(sets: NamedSets, before: frozenset[str], members: frozenset[str]) -> None:
    sets.add("one", before)
    sets.keep("one", before, members)
    assert sets.read(["one"]) == ({"one": members} if members else {})


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "key", [RowKey(SERVICE, CONSUMER), RowKey(" ", '"]'), RowKey("é#/", ""), RowKey("[", "\\u0000")]
)
def test_a_rows_key_survives_being_a_member(sets: NamedSets, key: RowKey) -> None:
    sets.add(block_name("*"), [written(key)])
    (member,) = sets.read([block_name("*")])[block_name("*")]
    assert unwritten(member) == key
