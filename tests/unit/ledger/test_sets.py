"""Named sets in the ledger's table, on moto's DynamoDB and in memory."""

from collections.abc import Iterator

import pytest
from linkgate.errors import Contended
from linkgate.ledger.sets import NamedSets, Slots, block_name, endpoint_of, limit_name, move, place, unwritten, written
from linkgate.ledger.table import ItemKey, LedgerTable, Write
from linkgate.model import RowKey, Status

from tests.fakes import FakeTable
from tests.unit.tables import LEDGER, dynamodb
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

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


# ------------------------------------------------------------------ slots


def held(*endpoints: str) -> Slots:
    return Slots(frozenset(endpoints))


def waiting(*places: str) -> Slots:
    return Slots(waiting=frozenset(places))


def take(service: str, owner: str, endpoint: str, limit: int | None = None) -> list[Write]:
    return move(service, owner, take=held(endpoint), limit=limit)


def leave(service: str, owner: str, endpoint: str) -> list[Write]:
    return move(service, owner, leave=held(endpoint))


def test_who_holds_a_slot_is_listed_by_account_and_service(register: NamedSets, store: LedgerTable) -> None:
    for service, owner, endpoint in [(SERVICE, CONSUMER, A), (SERVICE, CONSUMER, B), (SERVICE, OTHER, C)]:
        store.write(*take(service, owner, endpoint))
    store.write(*take(SECOND, OTHER, endpoint_id(9)))
    assert register.claims(SERVICE) == {CONSUMER: held(A, B), OTHER: held(C)}
    assert register.claims(service_id(3)) == {}
    names = [limit_name(SERVICE, CONSUMER), limit_name(SECOND, CONSUMER)]
    assert register.places(names) == {names[0]: held(A, B)}


def test_a_slot_is_taken_while_there_is_room_and_who_has_one_keeps_it(register: NamedSets, store: LedgerTable) -> None:
    store.write(*take(SERVICE, CONSUMER, A, limit=2))
    store.write(*take(SERVICE, CONSUMER, B, limit=2))
    for limit in (0, 1, 2):
        with pytest.raises(Contended):
            store.write(*take(SERVICE, CONSUMER, C, limit))
    store.write(*take(SERVICE, CONSUMER, A, limit=1))
    assert register.claims(SERVICE) == {CONSUMER: held(A, B)}


def test_a_slot_given_back_is_free(register: NamedSets, store: LedgerTable) -> None:
    store.write(*take(SERVICE, CONSUMER, A, limit=1))
    store.write(*leave(SERVICE, CONSUMER, A))
    store.write(*leave(SERVICE, CONSUMER, A))
    assert register.claims(SERVICE) == {CONSUMER: held()}
    store.write(*take(SERVICE, CONSUMER, B, limit=1))
    assert register.claims(SERVICE) == {CONSUMER: held(B)}


def test_a_slot_that_nobody_took_may_be_given_back(register: NamedSets, store: LedgerTable) -> None:
    store.write(*leave(SERVICE, CONSUMER, A))
    assert register.claims(SERVICE) == {}
    store.write(*take(SERVICE, CONSUMER, A, limit=1))
    assert register.claims(SERVICE) == {CONSUMER: held(A)}


def test_a_slot_is_taken_together_with_what_it_is_taken_for_or_not_at_all(
    register: NamedSets, store: LedgerTable
) -> None:
    store.write(Write(ItemKey(A), {"owner": CONSUMER}), *take(SERVICE, CONSUMER, A, limit=1))
    with pytest.raises(Contended):
        store.write(Write(ItemKey(B), {"owner": CONSUMER}), *take(SERVICE, CONSUMER, B, limit=1))
    assert [one["endpoint_id"] for one in store.read([ItemKey(A), ItemKey(B)])] == [A]


def test_who_waits_takes_no_room_and_leaves_its_place_for_a_slot(register: NamedSets, store: LedgerTable) -> None:
    first, second = place("2026-11-23T03:00:00.000000Z", B), place("2026-11-23T03:00:01.000000Z", A)
    store.write(*move(SERVICE, CONSUMER, take=waiting(first)))
    store.write(*move(SERVICE, CONSUMER, take=waiting(second)))
    store.write(*take(SERVICE, CONSUMER, C, limit=1))
    assert register.claims(SERVICE) == {CONSUMER: Slots(frozenset({C}), frozenset({first, second}))}
    store.write(*move(SERVICE, CONSUMER, take=held(B), leave=waiting(first), limit=2))
    assert register.claims(SERVICE) == {CONSUMER: Slots(frozenset({B, C}), frozenset({second}))}


def test_the_places_of_those_who_wait_sort_by_the_time_of_the_request() -> None:
    places = [place("2026-11-23T03:00:00.000000Z", B), place("2026-11-23T03:00:01.000000Z", A)]
    assert places == sorted(places)
    assert list(map(endpoint_of, places)) == [B, A]


def test_where_nothing_is_taken_or_given_back_there_is_nothing_to_write() -> None:
    assert move(SERVICE, CONSUMER, limit=1) == []


def test_what_nobody_knows_is_forgotten_and_the_rest_stays(register: NamedSets, store: LedgerTable) -> None:
    gone, stays = place("2026-11-23T03:00:00.000000Z", C), place("2026-11-23T03:00:01.000000Z", B)
    store.write(*move(SERVICE, CONSUMER, take=Slots(frozenset({A, C}), frozenset({gone, stays}))))
    name = limit_name(SERVICE, CONSUMER)
    register.forget(name, Slots())
    register.forget(name, Slots(frozenset({C}), frozenset({gone})))
    assert register.claims(SERVICE) == {CONSUMER: Slots(frozenset({A}), frozenset({stays}))}


def test_claims_are_not_listed_among_endpoints(store: LedgerTable) -> None:
    store.write(*take(SERVICE, CONSUMER, A))
    assert [list(store.query(SERVICE, status)) for status in Status] == [[] for _ in Status]


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "key", [RowKey(SERVICE, CONSUMER), RowKey(" ", '"]'), RowKey("é#/", ""), RowKey("[", "\\u0000")]
)
def test_a_rows_key_survives_being_a_member(register: NamedSets, key: RowKey) -> None:
    register.add(block_name("*"), [written(key)])
    (member,) = register.read([block_name("*")])[block_name("*")]
    assert unwritten(member) == key
