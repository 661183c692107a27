"""The connection limit: so many and no more, oldest first, and free again when somebody goes."""

import random
from typing import Any

import pytest
from linkgate.aws.errors import Refusal
from linkgate.errors import Unavailable
from linkgate.events.bell import Bell
from linkgate.ledger.slots import limit_name
from linkgate.ledger.table import ItemKey
from linkgate.model import State, Status

from tests.application import SERVICE, Application
from tests.unit.approve.slots import (
    ACCEPTED,
    HELD,
    SECOND,
    SERVED,
    arrive,
    claims,
    held,
    limited,
    live,
    rest,
    settled,
    turn,
)
from tests.world import CONSUMER, OTHER, endpoint_id

# ------------------------------------------------------------------ so many and no more


@pytest.mark.parametrize(("limit", "requests"), [(0, 1), (0, 5), (1, 5), (3, 5), (5, 5), (7, 5), (7, 50)])
def test_of_many_requests_the_oldest_are_accepted_up_to_the_limit(limit: int, requests: int) -> None:
    app = limited(limit)
    # Their ids and the order in which EC2 shows them say nothing of their age.
    order = random.Random(requests).sample(range(requests), requests)
    arrive(app, *order)
    app.world.links = dict(sorted(app.world.links.items()))
    app.work(10)
    assert set(live(app)) == set(order[:limit]) == claims(app)
    assert set(held(app)) == set(order[limit:])
    rest(app)
    assert set(live(app)) == set(order[:limit])
    assert all(len(app.ledger.lines(endpoint)) == 1 for endpoint in app.world.links)


@pytest.mark.parametrize("requests", [3, 9])
def test_one_at_a_time_it_is_first_come_first_served(requests: int) -> None:
    app = limited(2)
    for number in range(requests):
        arrive(app, number)
        app.work(10)
    assert live(app) == [0, 1]
    assert app.bus.kinds(endpoint_id(0)) == [ACCEPTED]
    assert app.bus.kinds(endpoint_id(2)) == [HELD]


def test_each_account_and_each_service_has_its_own_slots() -> None:
    app = limited(1)
    app.world.offer(SECOND)
    app.allow_list.put(SECOND, "@settings", mode="enforce")
    app.allow_list.put("*", "*", effect="allow", limit=1)
    arrive(app, 1, 2)
    arrive(app, 3, 4, account=OTHER)
    arrive(app, 5, 6, service=SECOND)
    rest(app)
    assert live(app) == [1, 3, 5]


def test_a_slot_does_not_count_against_who_holds_it() -> None:
    app = limited(1)
    app.world.refusals[endpoint_id(1)] = [Refusal("InternalError", "sorry")]
    arrive(app, 1)
    app.work()
    assert (live(app), claims(app)) == ([], {1})
    app.edit(SERVICE, CONSUMER, effect="allow", limit=1, note="touched while EC2 was to be asked again")
    app.work(10)
    assert live(app) == [1]


def test_while_ec2_refuses_the_oldest_its_slot_is_not_given_to_the_next() -> None:
    app = limited(1)
    app.world.refusals[endpoint_id(1)] = [Refusal("InternalError", "sorry")]
    arrive(app, 1, 2)
    app.work()
    assert (live(app), held(app)) == ([], [2])
    rest(app)
    assert (live(app), held(app)) == ([1], [2])


@pytest.mark.parametrize("row", ["endpoint", "hand", "everybody"])
def test_every_live_connection_counts_however_it_came_to_be(row: str) -> None:
    app = limited(2)
    arrive(app, 1, 2, send=False)
    if row == "endpoint":
        for number in (1, 2):
            app.allow_list.put(SERVICE, endpoint_id(number), effect="allow")
    elif row == "hand":
        for number in (1, 2):
            app.world.turn(endpoint_id(number), State.AVAILABLE)
    else:
        app.allow_list.delete(SERVICE, CONSUMER)
        app.allow_list.put("*", "*", effect="allow")
    rest(app)
    app.edit(SERVICE, CONSUMER, effect="allow", limit=2)
    arrive(app, 3)
    rest(app)
    assert (live(app), held(app)) == ([1, 2], [3])


def test_other_hands_may_go_over_a_limit_and_all_of_theirs_count() -> None:
    app = limited(1)
    arrive(app, 1, 2, 3)
    app.work(10)
    for number in (2, 3):
        turn(app, number, State.AVAILABLE, "Accept")
    app.work(10)
    assert claims(app) == {1, 2, 3}
    turn(app, 1, State.DELETED, "Delete")
    arrive(app, 4)
    rest(app)
    assert (live(app), held(app)) == ([2, 3], [4])


def test_the_limit_of_the_row_that_decides_is_the_one_that_counts() -> None:
    app = limited(1)
    app.allow_list.put(SERVICE, endpoint_id(3), effect="allow", limit=3)
    arrive(app, 1, 2, 3, 4)
    app.work(10)
    assert (live(app), held(app)) == ([1, 3], [2, 4])


# ------------------------------------------------------------------ a slot is freed


@pytest.mark.parametrize("state", [State.DELETING, State.DELETED, State.REJECTED, State.FAILED, State.EXPIRED])
def test_a_freed_slot_goes_to_who_has_waited_longest_and_nobody_else(state: State) -> None:
    app = limited(2)
    arrive(app, 5, 3, 4, 1, 2)
    app.work(10)
    assert live(app) == [5, 3]
    turn(app, 3, state)
    app.work(10)
    assert live(app) == [5, 4]
    assert claims(app) == {5, 4}


def test_a_slot_is_freed_by_an_endpoint_that_ec2_no_longer_shows() -> None:
    app = limited(1)
    arrive(app, 1, 2, 3)
    app.work(10)
    app.world.forget(endpoint_id(1))
    app.send(endpoint_id(1), origin="Delete")
    app.work(10)
    assert live(app) == [2]


@pytest.mark.parametrize("together", [True, False])
def test_three_freed_slots_go_to_exactly_the_three_oldest_held(together: bool) -> None:
    app = limited(7)
    order = random.Random(7).sample(range(50), 50)
    arrive(app, *order)
    app.work(10)
    gone = order[1:6:2]
    for number in gone:
        turn(app, number, State.DELETED, "Delete")
        if not together:
            app.work(10)
    rest(app)
    assert set(live(app)) == set(order[:10]) - set(gone)
    assert all(len(app.ledger.lines(endpoint_id(number))) == 2 for number in order[7:10])
    assert all(len(app.ledger.lines(endpoint_id(number))) == 1 for number in order[10:])


@pytest.mark.parametrize("consumer", [{"effect": "deny"}, {"effect": "review"}, None])
def test_a_slot_is_freed_by_a_decision_that_is_no_accept_any_more(consumer: dict[str, str] | None) -> None:
    app = limited(1)
    app.world.refusals[endpoint_id(1)] = [Refusal("InternalError", "sorry")] * 9
    arrive(app, 1, 2)
    app.work()
    assert claims(app) == {1}
    if consumer:
        app.edit(SERVICE, endpoint_id(1), **consumer)
    else:
        app.world.links[endpoint_id(1)].turn(app.world.now, State.REJECTED)
        app.send(endpoint_id(1))
    app.work(10)
    assert (live(app), claims(app)) == ([2], {2})


def test_who_waits_for_a_slot_is_rung_for_when_its_holder_is_no_longer_let_in() -> None:
    app = limited(1)
    app.world.refusals[endpoint_id(1)] = [Refusal("InternalError", "sorry")] * 9
    arrive(app, 1, 2)
    app.work()
    app.allow_list.put(SERVICE, endpoint_id(1), effect="review")
    app.send(endpoint_id(1))
    app.work(10)
    assert (live(app), claims(app)) == ([2], {2})
    assert app.ledger.lines(endpoint_id(2))[-1].rang == SERVED


def test_of_those_who_wait_the_sweep_rings_for_the_one_whom_a_slot_serves_alone() -> None:
    app = settled()
    turn(app, 1, State.DELETED, "Delete")
    app.approver.answer(app.bells.take())
    app.bells.queue.clear()
    app.sweeper.sweep("a sweep")
    assert [bell.endpoints for bell in app.bells.waiting()] == [{endpoint_id(3)}]


def test_a_slot_freed_while_nobody_rang_is_found_by_the_sweep() -> None:
    app = limited(2)
    arrive(app, 1, 2, 3, 4)
    app.work(10)
    app.world.turn(endpoint_id(1), State.DELETED)
    app.settle()
    app.work(10)
    assert live(app) == [2, 3]


def test_a_freed_slot_serves_nobody_who_is_held_for_another_reason() -> None:
    app = limited(1)
    app.allow_list.put(SERVICE, endpoint_id(2), effect="review")
    arrive(app, 1, 2, 3)
    app.work(10)
    turn(app, 1, State.DELETED, "Delete")
    app.approver.answer(app.bells.take())
    assert app.bells.waiting() == [Bell(frozenset({endpoint_id(3)}), frozenset({SERVICE}), SERVED)]
    app.work(10)
    assert live(app) == [3]


def test_a_slot_freed_where_nobody_waits_rings_for_nobody() -> None:
    app = limited(1)
    arrive(app, 1)
    app.work(10)
    turn(app, 1, State.DELETED, "Delete")
    app.work()
    assert app.bells.queue == []


@pytest.mark.parametrize("together", [True, False])
def test_a_newcomer_may_overtake_since_nothing_is_reserved_and_the_limit_stays_exact(together: bool) -> None:
    app = limited(1)
    arrive(app, 1, 2)
    app.work(10)
    app.world.turn(endpoint_id(1), State.DELETED)
    arrive(app, 3, send=False)
    bells = [Bell(frozenset({endpoint_id(1)}), origin="Delete"), Bell(frozenset({endpoint_id(3)}), origin="Connect")]
    for batch in [bells] if together else [[bell] for bell in bells]:
        app.approver.answer(batch)
    rest(app)
    assert (live(app), held(app), claims(app)) == ([3], [2], {3})


def test_whom_the_index_does_not_show_yet_the_next_sweep_serves() -> None:
    app = limited(1)
    arrive(app, 1)
    app.work(10)
    app.ledger.store.index_lags()
    arrive(app, 2)
    app.work(10)
    turn(app, 1, State.DELETED, "Delete")
    app.work(10)
    assert (live(app), held(app)) == ([], [2])
    app.settle()
    app.work(10)
    assert live(app) == [2]


def test_what_a_table_of_before_says_of_who_waits_is_passed_over() -> None:
    app = limited(1)
    arrive(app, 1, 2)
    app.work(10)
    app.ledger.store.items[ItemKey(limit_name(SERVICE, CONSUMER))]["waiting"] = {f"2026-11-23 {endpoint_id(9)}"}
    turn(app, 1, State.DELETED, "Delete")
    rest(app)
    assert (live(app), claims(app)) == ([2], {2})


def test_of_more_than_a_hundred_held_the_oldest_are_served_in_whatever_order_ec2_shows_them() -> None:
    app = limited(0)
    order = list(reversed(range(150)))
    arrive(app, *order)
    app.work(10)
    app.world.links = dict(sorted(app.world.links.items()))
    app.edit(SERVICE, CONSUMER, effect="allow", limit=3)
    app.work(10)
    assert set(live(app)) == set(order[:3])


def test_a_freed_slot_is_served_even_if_ec2_takes_no_act_of_the_same_batch() -> None:
    app = limited(1)
    app.allow_list.put(SERVICE, OTHER, effect="allow")
    arrive(app, 1, 2)
    app.work(10)
    turn(app, 1, State.DELETED, "Delete")
    arrive(app, 3, account=OTHER)
    app.world.broken[SERVICE] = Unavailable("no route")
    app.work()
    app.world.broken.clear()
    app.work(600)
    assert live(app) == [2, 3]


def test_a_table_that_is_busy_while_a_freed_slot_is_served_fails_no_other_question() -> None:
    app = limited(1)
    arrive(app, 1, 2)
    app.work(10)
    app.world.forget(endpoint_id(1))
    query = app.ledger.store.query

    def busy(service: str, status: str) -> Any:
        raise Unavailable("table ledger: throttled")

    app.ledger.store.query = busy  # type: ignore[method-assign]
    unseen = Bell(frozenset({endpoint_id(9)}), origin="Connect")
    app.approver.answer([Bell(frozenset({endpoint_id(1)}), absent=2), unseen])
    assert unseen.again(unseen.endpoints, absent=True) in app.bells.waiting()
    app.ledger.store.query = query  # type: ignore[method-assign]
    app.work(10)
    assert live(app) == [2]


def test_who_waits_is_read_once_a_service_however_many_accounts_freed_a_slot() -> None:
    app = Application()
    app.allow_list.put(SERVICE, "*", effect="allow", limit=1)
    accounts = [f"{number:012}" for number in range(20)]
    for number, account in enumerate(accounts):
        arrive(app, number, account=account)
    app.work(10)
    for number in range(20):
        turn(app, number, State.DELETED, "Delete")
    looked, query = [], app.ledger.store.query

    def counted(service: str, status: str) -> Any:
        looked.append((service, status))
        return query(service, status)

    app.ledger.store.query = counted  # type: ignore[method-assign]
    app.work()
    assert looked == [(SERVICE, Status.HELD)]
