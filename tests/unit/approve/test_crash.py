"""A function may die before or after any call to AWS: nothing is lost, and nothing is done twice."""

import functools
from collections import Counter

import pytest
from linkgate.ledger.slots import CLAIMS
from linkgate.model import Outcome, State, Status

from tests.application import SERVICE, Application
from tests.crashes import Crashes, Machine
from tests.world import CONSUMER, OTHER, endpoint_id

LIMITED = "444444444444"
SETTLED = 600
"""Seconds until what died has come back and is done: a message's visibility, then a sweep."""
ALLOWED, DENIED, FIRST, SECOND, HELD, UNWANTED, GONE = map(endpoint_id, range(1, 8))


def story(fatal: int = 0, after: bool = False) -> tuple[Application, Crashes, Machine]:
    """Everything that approve and sweep do, with a death at one of its calls."""
    app = Application()
    app.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="5s")
    for account, attributes in {
        CONSUMER: {"effect": "allow"},
        OTHER: {"effect": "deny"},
        LIMITED: {"effect": "allow", "limit": "1"},
    }.items():
        app.allow_list.put(SERVICE, account, **attributes)
    app.allow_list.put(SERVICE, UNWANTED, effect="allow")
    app.allow_list.put(SERVICE, GONE, effect="allow")
    app.world.connect(FIRST, SERVICE, LIMITED, state=State.AVAILABLE)
    app.settle()
    crashes, machine = Crashes(app, fatal, after), Machine(app)
    for endpoint, account in (
        (ALLOWED, CONSUMER),
        (DENIED, OTHER),
        (SECOND, LIMITED),
        (HELD, "555555555555"),
        (UNWANTED, "666666666666"),
        (GONE, "777777777777"),
    ):
        app.world.connect(endpoint, SERVICE, account)
        crashes.armed = False
        app.send(endpoint, origin="Connect")
        crashes.armed = True
    machine.run(SETTLED)
    app.world.turn(FIRST, State.DELETED)
    app.world.turn(GONE, State.DELETED)
    row = app.allow_list.delete(SERVICE, UNWANTED)
    machine.edit(lambda: app.sweeper.edited({row: None}, f"edit {app.world.now}"))
    stray = app.allow_list.put(SERVICE, "12345", effect="review")
    machine.edit(lambda: app.sweeper.edited({stray: app.allow_list.table[stray]}, f"edit {app.world.now}"))
    machine.run(SETTLED)
    app.allow_list.delete(SERVICE, "12345")
    machine.edit(lambda: app.sweeper.edited({stray: None}, f"edit {app.world.now}"))
    machine.run(2 * SETTLED)
    crashes.armed = False
    return app, crashes, machine


@functools.cache
def calls() -> tuple[str, ...]:
    """Every call of a run in which nobody dies, as the code makes them."""
    app, crashes, machine = story()
    assert machine.deaths == 0
    assert states(app) == EXPECTED
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


def states(app: Application) -> dict[str, tuple[State | None, Status]]:
    return {endpoint: (app.state(endpoint), app.known(endpoint).status) for endpoint in EXPECTED}


def test_the_story_makes_enough_calls_of_every_kind() -> None:
    kinds = Counter(calls())
    assert len(calls()) * 2 >= 30
    assert {name for name, count in kinds.items() if count} >= {
        "FakeEndpointServices.managed",
        "FakeEndpointServices.ensure_notifications",
        "FakeConnections._described",
        "FakeConnections._accept",
        "FakeConnections._reject",
        "FakeAllowList.rows",
        "FakeAllowList._query",
        "FakeAllowList.whole_table",
        "FakeTable.read",
        "FakeTable.query_but",
        "FakeTable.write",
        "FakeBus.publish",
        "FakeQueue.send",
    }


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("part", range(4))
def test_whenever_a_function_dies_the_world_and_the_ledger_agree_in_the_end(part: int, after: bool) -> None:
    for fatal in range(1 + part, len(calls()) + 1, 4):
        app, crashes, machine = story(fatal, after)
        where = f"{'after' if after else 'before'} call {fatal}, {crashes.calls[fatal - 1]}"
        assert machine.deaths == 1, where
        assert states(app) == EXPECTED, where
        assert Counter(app.world.acts) == Counter(ACTS), where
        for endpoint in EXPECTED:
            known = app.known(endpoint)
            assert known.settled, where
            assert known.claimed is known.status.live, where
            lines = app.ledger.lines(endpoint)
            assert all(line.answer for line in lines if line.reason != "by_hand"), where
            assert not any(line.reason == "by_hand" for line in lines), where
            done = [
                line.outcome for line in lines if line.mode == "enforce" and line.answer.startswith(("done", "found"))
            ]
            did = [str(outcome) for outcome, one in app.world.acts if one == endpoint]
            assert [one for one in done if one != "hold"] == [
                "cut" if (one, endpoint) == ("reject", UNWANTED) else one for one in did
            ], where
        claims = app.sets.by_account(SERVICE, CLAIMS)
        assert {one for slots in claims.values() for one in slots} == {ALLOWED, SECOND}, where
        told = Counter((kind, str(detail.get("decision_id", detail))) for kind, detail in app.bus.published)
        assert all(count <= 2 for count in told.values()), where
        assert "Endpoint Connection Cut" in app.bus.kinds(UNWANTED), where
