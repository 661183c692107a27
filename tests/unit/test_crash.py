"""A function may die before or after any call to AWS: nothing is lost, and nothing is done twice."""

import functools
from collections import Counter

import pytest
from linkgate.model import Outcome, State, Status

from tests.crashes import Crashes, Machine
from tests.house import SERVICE, House
from tests.world import CONSUMER, OTHER, endpoint_id

LIMITED = "444444444444"
SETTLED = 600
"""Seconds until what died has come back and is done: a message's visibility, then a sweep."""
ALLOWED, DENIED, FIRST, SECOND, HELD, UNWANTED, GONE = map(endpoint_id, range(1, 8))


def story(fatal: int = 0, after: bool = False) -> tuple[House, Crashes, Machine]:
    """Everything that approve and sweep do, with a death at one of its calls."""
    house = House()
    house.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="5s")
    for owner, attributes in {
        CONSUMER: {"effect": "allow"},
        OTHER: {"effect": "deny"},
        LIMITED: {"effect": "allow", "limit": "1"},
    }.items():
        house.allow_list.put(SERVICE, owner, **attributes)
    house.allow_list.put(SERVICE, UNWANTED, effect="allow")
    house.allow_list.put(SERVICE, GONE, effect="allow")
    house.world.connect(FIRST, SERVICE, LIMITED, state=State.AVAILABLE)
    house.settle()
    crashes, machine = Crashes(house, fatal, after), Machine(house)
    for endpoint, owner in (
        (ALLOWED, CONSUMER),
        (DENIED, OTHER),
        (SECOND, LIMITED),
        (HELD, "555555555555"),
        (UNWANTED, "666666666666"),
        (GONE, "777777777777"),
    ):
        house.world.connect(endpoint, SERVICE, owner)
        crashes.armed = False
        house.ring(endpoint, cause="Connect")
        crashes.armed = True
    machine.run(SETTLED)
    house.world.turn(FIRST, State.DELETED)
    house.world.turn(GONE, State.DELETED)
    row = house.allow_list.delete(SERVICE, UNWANTED)
    machine.edit(lambda: house.sweeper.edited({row: None}, f"edit {house.world.now}"))
    stray = house.allow_list.put(SERVICE, "12345", effect="review")
    machine.edit(lambda: house.sweeper.edited({stray: house.allow_list.table[stray]}, f"edit {house.world.now}"))
    machine.run(SETTLED)
    house.allow_list.delete(SERVICE, "12345")
    machine.edit(lambda: house.sweeper.edited({stray: None}, f"edit {house.world.now}"))
    machine.run(2 * SETTLED)
    crashes.armed = False
    return house, crashes, machine


@functools.cache
def calls() -> tuple[str, ...]:
    """Every call of a run in which nobody dies, as the code makes them."""
    house, crashes, machine = story()
    assert machine.deaths == 0
    assert states(house) == EXPECTED
    return tuple(crashes.calls)


EXPECTED = {
    ALLOWED: (State.AVAILABLE, Status.ACCEPTED),
    DENIED: (State.REJECTED, Status.REJECTED),
    FIRST: (State.DELETED, Status.CLOSED),
    SECOND: (State.AVAILABLE, Status.ACCEPTED),
    HELD: (State.PENDING_ACCEPTANCE, Status.HELD),
    UNWANTED: (State.REJECTED, Status.CUT),
    GONE: (State.DELETED, Status.CLOSED),
}
ACTS = {
    (Outcome.ACCEPT, ALLOWED),
    (Outcome.REJECT, DENIED),
    (Outcome.ACCEPT, SECOND),
    (Outcome.ACCEPT, UNWANTED),
    (Outcome.REJECT, UNWANTED),
    (Outcome.ACCEPT, GONE),
}


def states(house: House) -> dict[str, tuple[State | None, Status]]:
    return {endpoint: (house.state(endpoint), house.known(endpoint).status) for endpoint in EXPECTED}


def test_the_story_makes_enough_calls_of_every_kind() -> None:
    kinds = Counter(calls())
    assert len(calls()) * 2 >= 30
    assert {name for name, count in kinds.items() if count} >= {
        "FakeGates.managed",
        "FakeGates.wire",
        "FakeConnections.named",
        "FakeConnections.of",
        "FakeConnections._accept",
        "FakeConnections._reject",
        "FakeAllowList.rows",
        "FakeAllowList._query",
        "FakeAllowList.whole_table",
        "FakeStore.read",
        "FakeStore.query_but",
        "FakeStore.write",
        "FakeBus.tell",
        "FakeRinger.ring",
    }


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("part", range(4))
def test_whenever_a_function_dies_the_world_and_the_ledger_agree_in_the_end(part: int, after: bool) -> None:
    for fatal in range(1 + part, len(calls()) + 1, 4):
        house, crashes, machine = story(fatal, after)
        where = f"{'after' if after else 'before'} call {fatal}, {crashes.calls[fatal - 1]}"
        assert machine.deaths == 1, where
        assert states(house) == EXPECTED, where
        assert Counter(house.world.acts) == Counter(ACTS), where
        for endpoint in EXPECTED:
            known = house.known(endpoint)
            assert known.settled, where
            assert known.claimed is known.status.live, where
            lines = house.ledger.lines(endpoint)
            assert all(line.answer for line in lines if line.reason != "by_hand"), where
            assert not any(line.reason == "by_hand" for line in lines), where
            done = [
                line.outcome for line in lines if line.mode == "enforce" and line.answer.startswith(("done", "found"))
            ]
            did = [str(outcome) for outcome, one in house.world.acts if one == endpoint]
            assert [one for one in done if one != "hold"] == [
                "cut" if (one, endpoint) == ("reject", UNWANTED) else one for one in did
            ], where
        claims = house.register.claims(SERVICE)
        assert {one for slots in claims.values() for one in slots.held} == {ALLOWED, SECOND}, where
        told = Counter((kind, str(detail.get("decision_id", detail))) for kind, detail in house.bus.told)
        assert all(count <= 2 for count in told.values()), where
        assert "Endpoint Connection Cut" in house.bus.kinds(UNWANTED), where
