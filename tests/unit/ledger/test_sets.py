"""Named sets in the ledger's table, on moto's DynamoDB and in memory."""

from collections.abc import Iterator

import pytest
from linkgate.ledger.sets import NamedSets, block_name, unwritten, written
from linkgate.ledger.table import ItemKey, LedgerTable
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
def register(store: LedgerTable) -> NamedSets:
    return NamedSets(store)


# ------------------------------------------------------------------ sets


def test_a_set_that_nobody_wrote_is_empty(register: NamedSets) -> None:
    assert register.read(["one", "other"]) == {}


def test_members_come_and_go_and_other_sets_stay(register: NamedSets) -> None:
    register.add("one", ["a", "b"])
    register.add("one", ["b", "c"])
    register.add("other", ["z"])
    register.remove("one", ["a", "x"])
    assert register.read(["one", "other", "third"]) == {"one": {"b", "c"}, "other": {"z"}}


def test_a_set_that_loses_its_last_member_is_left_out(register: NamedSets) -> None:
    register.add("one", ["a"])
    register.remove("one", ["a"])
    assert register.read(["one"]) == {}
    register.remove("one", ["a"])
    register.add("one", ["b"])
    assert register.read(["one"]) == {"one": {"b"}}


def test_to_add_or_remove_nobody_writes_nothing(register: NamedSets, store: LedgerTable) -> None:
    register.add("one", [])
    register.remove("one", [])
    assert store.read([ItemKey("one")]) == []


def test_more_sets_than_one_call_takes_are_read(register: NamedSets) -> None:
    names = [f"set {number}" for number in range(103)]
    for name in names:
        register.add(name, [name])
    assert register.read(names) == {name: {name} for name in names}


@pytest.mark.parametrize("before", [frozenset(), frozenset("ab")])
@pytest.mark.parametrize("members", [frozenset(), frozenset("a"), frozenset("xy")])
def test_a_set_is_kept_as_it_is_to_be(register: NamedSets, before: frozenset[str], members: frozenset[str]) -> None:
    register.add("one", before)
    register.keep("one", before, members)
    assert register.read(["one"]) == ({"one": members} if members else {})


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "key", [RowKey(SERVICE, CONSUMER), RowKey(" ", '"]'), RowKey("é#/", ""), RowKey("[", "\\u0000")]
)
def test_a_rows_key_survives_being_a_member(register: NamedSets, key: RowKey) -> None:
    register.add(block_name("*"), [written(key)])
    (member,) = register.read([block_name("*")])[block_name("*")]
    assert unwritten(member) == key
