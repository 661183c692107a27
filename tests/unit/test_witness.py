"""The ledger stays true to what EC2 shows of connections that wait for nobody, and what was seen is told."""

from contextlib import suppress
from dataclasses import replace

import pytest
from linkgate.errors import Contended
from linkgate.model import State, Status
from linkgate.witness import Witness

from tests.house import SERVICE, House
from tests.world import endpoint_id

A, B = endpoint_id(1), endpoint_id(2)
CLOSED = "Endpoint Connection Closed"


@pytest.fixture
def house() -> House:
    """A house that accepted two connections."""
    made = House()
    made.allow_list.put(SERVICE, "*", effect="allow")
    for endpoint in (A, B):
        made.connect(endpoint)
    made.work(10)
    made.settle()
    made.bus.told.clear()
    return made


def look(house: House) -> None:
    """What EC2 shows of every connection, recorded."""
    shown = house.connections.of(SERVICE)
    known = house.ledger.current(connection.endpoint for connection in shown)
    Witness(house.ledger, house.bus, house.world.clock).record(shown, known)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.PENDING, Status.ACCEPTED),
        (State.AVAILABLE, Status.ACCEPTED),
        (State.PARTIAL, Status.ACCEPTED),
        (State.REJECTED, Status.REJECTED),
        (State.DELETING, Status.CLOSED),
        (State.DELETED, Status.CLOSED),
        (State.FAILED, Status.CLOSED),
        (State.EXPIRED, Status.CLOSED),
    ],
)
def test_each_state_has_its_status(house: House, state: State, status: Status) -> None:
    house.world.turn(A, state)
    look(house)
    assert (house.known(A).status, house.known(A).state) == (status, state)
    assert house.bus.kinds(A) == ([CLOSED] if status is Status.CLOSED else [])


def test_a_state_that_nobody_has_heard_of_changes_nothing(house: House) -> None:
    before = house.known(A)
    house.world.turn(A, State.UNKNOWN)
    look(house)
    assert house.known(A) == before


@pytest.mark.parametrize("status", [Status.VERIFIED, Status.UNHEALTHY])
def test_health_stays_what_patrol_found_while_the_connection_lives(house: House, status: Status) -> None:
    house.ledger.currents[A] = replace(house.known(A), status=status)
    house.world.turn(A, State.PARTIAL)
    look(house)
    assert (house.known(A).status, house.known(A).state) == (status, State.PARTIAL)


def test_what_is_known_already_is_not_written_again(house: House) -> None:
    def rival() -> None:
        raise AssertionError("a write")

    house.ledger.rival = rival
    look(house)


def test_an_endpoint_that_lives_again_after_a_rejection_is_accepted(house: House) -> None:
    house.world.turn(A, State.REJECTED)
    look(house)
    house.world.turn(A, State.AVAILABLE)
    look(house)
    assert house.known(A).status is Status.ACCEPTED


def test_several_closed_endpoints_are_told_each_once(house: House) -> None:
    for endpoint in (A, B):
        house.world.turn(endpoint, State.DELETED)
    look(house)
    look(house)
    assert sorted(detail["endpoint_id"] for _, detail in house.bus.told) == [A, B]


def contend(house: House, endpoint: str) -> None:
    """Somebody else changes an endpoint's status between our look and our write."""
    house.ledger.currents[endpoint] = replace(house.known(endpoint), status=Status.UNHEALTHY)


def test_a_closed_endpoint_is_told_even_if_another_write_is_contended(house: House) -> None:
    for endpoint in (A, B):
        house.world.turn(endpoint, State.DELETED)
    shown = house.connections.of(SERVICE)
    known = house.ledger.current([A, B])
    contend(house, B)
    with suppress(Contended):
        Witness(house.ledger, house.bus, house.world.clock).record(shown, known)
    look(house)
    assert sorted(detail["endpoint_id"] for _, detail in house.bus.told) == [A, B]


def test_a_vanished_endpoint_is_told_even_if_another_write_is_contended(house: House) -> None:
    known = house.ledger.current([A, B])
    contend(house, B)
    witness = Witness(house.ledger, house.bus, house.world.clock)
    with suppress(Contended):
        witness.gone(known.values())
    witness.gone(house.ledger.current([A, B]).values())
    assert sorted(detail["endpoint_id"] for _, detail in house.bus.told) == [A, B]
