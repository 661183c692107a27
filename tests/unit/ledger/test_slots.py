"""Slots under a limit in the ledger's table, on moto's DynamoDB and in memory."""

from collections.abc import Iterator

import pytest
from linkgate.errors import Contended
from linkgate.ledger.sets import NamedSets
from linkgate.ledger.slots import CLAIMS, leave, limit_name, take
from linkgate.ledger.table import ItemKey, LedgerTable, Write
from linkgate.model import Status

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
def sets(store: LedgerTable) -> NamedSets:
    return NamedSets(store)


def test_who_holds_a_slot_is_listed_by_account_and_service(sets: NamedSets, store: LedgerTable) -> None:
    for service, account, endpoint in [(SERVICE, CONSUMER, A), (SERVICE, CONSUMER, B), (SERVICE, OTHER, C)]:
        store.write(take(service, account, endpoint))
    store.write(take(SECOND, OTHER, endpoint_id(9)))
    assert sets.by_account(SERVICE, CLAIMS) == {CONSUMER: {A, B}, OTHER: {C}}
    assert sets.by_account(service_id(3), CLAIMS) == {}
    names = [limit_name(SERVICE, CONSUMER), limit_name(SECOND, CONSUMER)]
    assert sets.read(names) == {names[0]: {A, B}}


def test_a_slot_is_taken_while_there_is_room_and_who_has_one_keeps_it(sets: NamedSets, store: LedgerTable) -> None:
    store.write(take(SERVICE, CONSUMER, A, limit=2))
    store.write(take(SERVICE, CONSUMER, B, limit=2))
    for limit in (0, 1, 2):
        with pytest.raises(Contended):
            store.write(take(SERVICE, CONSUMER, C, limit))
    store.write(take(SERVICE, CONSUMER, A, limit=1))
    assert sets.by_account(SERVICE, CLAIMS) == {CONSUMER: {A, B}}


def test_a_slot_given_back_is_free(sets: NamedSets, store: LedgerTable) -> None:
    store.write(take(SERVICE, CONSUMER, A, limit=1))
    store.write(leave(SERVICE, CONSUMER, A))
    store.write(leave(SERVICE, CONSUMER, A))
    assert sets.by_account(SERVICE, CLAIMS) == {CONSUMER: set()}
    store.write(take(SERVICE, CONSUMER, B, limit=1))
    assert sets.by_account(SERVICE, CLAIMS) == {CONSUMER: {B}}


def test_a_slot_that_nobody_took_may_be_given_back(sets: NamedSets, store: LedgerTable) -> None:
    store.write(leave(SERVICE, CONSUMER, A))
    assert sets.by_account(SERVICE, CLAIMS) == {}
    store.write(take(SERVICE, CONSUMER, A, limit=1))
    assert sets.by_account(SERVICE, CLAIMS) == {CONSUMER: {A}}


def test_a_slot_is_taken_together_with_what_it_is_taken_for_or_not_at_all(sets: NamedSets, store: LedgerTable) -> None:
    store.write(Write(ItemKey(A), {"account": CONSUMER}), take(SERVICE, CONSUMER, A, limit=1))
    with pytest.raises(Contended):
        store.write(Write(ItemKey(B), {"account": CONSUMER}), take(SERVICE, CONSUMER, B, limit=1))
    assert [one["endpoint_id"] for one in store.read([ItemKey(A), ItemKey(B)])] == [A]


def test_claims_are_not_listed_among_endpoints(store: LedgerTable) -> None:
    store.write(take(SERVICE, CONSUMER, A))
    assert [list(store.query(SERVICE, status)) for status in Status] == [[] for _ in Status]
