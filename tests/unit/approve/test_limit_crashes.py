"""The connection limit survives approvers that die, and a sweep heals what a restored table parted."""

from collections.abc import Sequence

import pytest
from linkgate.aws.errors import Refusal
from linkgate.events.bell import Bell
from linkgate.ledger.table import ItemKey, Write
from linkgate.model import Outcome, State
from linkgate.sweep.lease import NAME

from tests.application import SERVICE, Application
from tests.unit.approve.slots import arrive, claims, given_back, held, limited, live, rest, settled, taken, turn
from tests.world import CONSUMER, Killed, endpoint_id

# ------------------------------------------------------------------ crashes


def killed(app: Application, before: bool, *numbers: int) -> None:
    """A run that ends after it decided: before EC2 was told, or after."""

    def die(outcome: Outcome, endpoints: Sequence[str]) -> None:
        raise Killed

    app.world.before_act = die if before else None
    app.world.killed_after_act = not before
    app.send(*map(endpoint_id, numbers))
    with pytest.raises(Killed):
        app.work()
    app.world.before_act, app.world.killed_after_act = None, False


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("end", [None, State.DELETED, State.REJECTED])
def test_a_crash_between_decision_and_answer_neither_loses_a_slot_nor_gives_it_twice(
    before: bool, end: State | None
) -> None:
    app = limited(1)
    arrive(app, 1, 2, send=False)
    killed(app, before, 1)
    app.send(endpoint_id(2))
    app.work(30)
    assert held(app) == [2]
    if end:
        app.world.turn(endpoint_id(1), end)
    rest(app)
    assert (live(app), claims(app)) == (([1], {1}) if end is None else ([2], {2}))


@pytest.mark.parametrize("died", [True, False])
def test_a_younger_one_that_has_the_slot_and_an_older_one_that_comes_later_do_not_wait_for_each_other(
    died: bool,
) -> None:
    app = limited(1)
    arrive(app, 1, 2, send=False)
    if died:
        killed(app, True, 2)
    else:
        app.world.refusals[endpoint_id(2)] = [Refusal("InternalError", "sorry")]
        app.send(endpoint_id(2))
        app.work()
    app.send(endpoint_id(1))
    rest(app)
    assert len(live(app)) == 1
    assert claims(app) == set(live(app))


@pytest.mark.parametrize("before", [True, False])
def test_a_slot_taken_by_a_run_that_died_is_freed_with_an_endpoint_that_ec2_shows_no_more(before: bool) -> None:
    app = limited(1)
    arrive(app, 1, 2, send=False)
    killed(app, before, 1)
    app.world.forget(endpoint_id(1))
    app.send(endpoint_id(2))
    rest(app)
    assert (live(app), claims(app)) == ([2], {2})


@pytest.mark.parametrize("forgotten", [True, False])
@pytest.mark.parametrize("written", [True, False])
def test_a_slot_is_not_lost_by_a_run_that_dies_while_it_closes_an_abandoned_decision(
    forgotten: bool, written: bool
) -> None:
    app = limited(1)
    arrive(app, 1, 2, send=False)
    killed(app, True, 1)
    app.world.advance(61)
    app.world.turn(endpoint_id(1), State.DELETED)
    store, write = app.ledger.store, app.ledger.store.write

    def die(*writes: Write) -> None:
        store.write = write  # type: ignore[method-assign]
        if written:
            write(*writes)
        raise Killed

    store.write = die  # type: ignore[method-assign]
    app.send(endpoint_id(1))
    with pytest.raises(Killed):
        app.work()
    if forgotten:
        app.world.forget(endpoint_id(1))
    rest(app)
    assert (live(app), claims(app)) == ([2], {2})


# ------------------------------------------------------------------ healed by the sweep


@pytest.mark.parametrize("lost", [[1], [1, 2]])
def test_a_claim_that_was_lost_is_made_again(lost: list[int]) -> None:
    app = settled()
    for number in lost:
        given_back(app, number)
    app.sweeper.sweep("a sweep")
    assert claims(app) == {1, 2}


@pytest.mark.parametrize("shown", [True, False])
def test_a_claim_of_an_endpoint_that_holds_no_slot_is_taken_away_and_the_slot_is_served(shown: bool) -> None:
    app = settled()
    turn(app, 2, State.DELETED, "Delete")
    app.approver.answer(app.bells.take())
    app.bells.queue.clear()
    if not shown:
        app.world.forget(endpoint_id(2))
    taken(app, 2)
    rest(app)
    assert (live(app), claims(app)) == ([1, 3], {1, 3})


def test_a_claim_of_an_endpoint_that_nobody_knows_is_taken_away() -> None:
    app = limited(1)
    taken(app, 9)
    arrive(app, 1)
    rest(app)
    assert (live(app), claims(app)) == ([1], {1})


@pytest.mark.parametrize("change", ["accept", "delete"])
def test_an_index_that_lags_behind_heals_nothing_that_is_right(change: str) -> None:
    app = settled()
    app.ledger.store.index_lags()
    if change == "accept":
        app.edit(SERVICE, CONSUMER, effect="allow", limit=3)
    else:
        turn(app, 1, State.DELETED, "Delete")
    app.work(10)
    for _ in range(3):
        app.sweeper.sweep("a sweep")
    assert claims(app) == ({1, 2, 3} if change == "accept" else {2, 3})


def test_bells_of_a_sweep_whose_index_lags_write_nothing() -> None:
    app = limited(1)
    arrive(app, 1, 2, send=False)
    app.ledger.store.index_lags()
    app.send(endpoint_id(1), endpoint_id(2))
    app.work(10)
    for _ in range(3):
        app.settle()
        app.work(100)
    assert [len(app.ledger.lines(endpoint_id(number))) for number in (1, 2)] == [1, 1]
    assert live(app) == [1]


def test_endpoints_recorded_before_there_were_claims_are_counted_by_the_sweep() -> None:
    app = settled()
    for number in (1, 2):
        del app.ledger.store.items[ItemKey(endpoint_id(number))]["claimed"]
        given_back(app, number)
    rest(app)
    assert (claims(app), live(app), held(app)) == ({1, 2}, [1, 2], [3, 4])
    assert [app.known(endpoint_id(number)).claimed for number in (1, 2)] == [True, True]


def test_where_nothing_differs_the_sweep_writes_nothing_but_its_lease() -> None:
    app = settled()
    written, write = list[ItemKey](), app.ledger.store.write

    def noted(*writes: Write) -> None:
        written.extend(one.place for one in writes)
        write(*writes)

    app.ledger.store.write = noted  # type: ignore[method-assign]
    assert app.sweeper.sweep("a sweep").failed == {}
    assert written == [ItemKey(NAME)] * 2


def test_a_decision_on_an_older_look_does_not_take_the_claim_of_what_other_hands_accepted() -> None:
    app = limited(1)
    app.allow_list.put(SERVICE, CONSUMER, effect="review")
    arrive(app, 1)
    app.work(10)
    app.allow_list.put(SERVICE, CONSUMER, effect="review", note="let this one in by hand")

    def accept_by_hand() -> None:
        app.world.turn(endpoint_id(1), State.AVAILABLE)
        app.approver.answer([Bell(frozenset({endpoint_id(1)}), origin="Accept")])

    app.ledger.store.rival = accept_by_hand
    app.send(endpoint_id(1))
    app.work()
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", limit=1)
    app.sweeper.sweep("a sweep")
    arrive(app, 2, send=False)
    app.approver.answer([Bell(frozenset({endpoint_id(2)}))])
    assert live(app) == [1]
