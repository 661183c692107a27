"""The connection limit: exact whoever hurries, oldest first, free again when somebody goes, and healed by the sweep."""

import random
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkgate.aws.errors import Refusal
from linkgate.errors import Unavailable
from linkgate.events.bell import Bell
from linkgate.ledger.slots import leave, limit_name, take
from linkgate.ledger.table import ItemKey, Write
from linkgate.model import Outcome, State, Status
from linkgate.sweep.lease import NAME

from tests.application import SERVICE, Application
from tests.world import CONSUMER, OTHER, Killed, endpoint_id, service_id

SECOND = service_id(2)
HELD, ACCEPTED, WOULD = "Endpoint Connection Held", "Endpoint Connection Accepted", "Would Accept"
SERVED = f"a slot of {CONSUMER} was freed"


def limited(limit: int, **settings: str) -> Application:
    """A house that lets CONSUMER have so many connections."""
    app = Application()
    app.allow_list.put(SERVICE, "@settings", **{"mode": "enforce", **settings})
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", limit=limit)
    return app


def arrive(app: Application, *numbers: int, send: bool = True, **whose: str) -> None:
    """Endpoints are created a second apart, in this order."""
    for number in numbers:
        app.world.connect(endpoint_id(number), whose.get("service", SERVICE), whose.get("owner", CONSUMER))
        if send:
            app.send(endpoint_id(number), origin="Connect")
        app.world.advance(1)


def rest(app: Application) -> None:
    """Until nothing is left to be done: bells answered, and a sweep that finds nothing more."""
    app.work(600)
    for _ in range(3):
        app.settle()
        app.work(600)
    assert app.sweeper.sweep("a sweep").sum(lambda found: found.requeued) == 0


def live(app: Application) -> list[int]:
    """The numbers of the endpoints that are live in EC2, as they came."""
    return [int(name.removeprefix("vpce-"), 16) for name in app.world.links if alive(app, name)]


def alive(app: Application, endpoint: str) -> bool:
    state = app.state(endpoint)
    return state is not None and state.live


def held(app: Application) -> list[int]:
    """The numbers of the endpoints that the ledger holds for want of a slot."""
    return [int(name.removeprefix("vpce-"), 16) for name, one in sorted(app.ledger.currents.items()) if waits(one)]


def waits(one: Any) -> bool:
    return one.status is Status.HELD and one.over_limit


def claims(app: Application, owner: str = CONSUMER, service: str = SERVICE) -> set[int]:
    """Who holds a slot, by the claims alone."""
    name = limit_name(service, owner)
    members = app.register.read([name]).get(name, frozenset())
    return {int(member.removeprefix("vpce-"), 16) for member in members}


def taken(app: Application, number: int) -> None:
    """A slot is taken behind the back of the endpoint's own item."""
    app.ledger.store.write(take(SERVICE, CONSUMER, endpoint_id(number)))


def given_back(app: Application, number: int) -> None:
    """A slot is given back behind the back of the endpoint's own item."""
    app.ledger.store.write(leave(SERVICE, CONSUMER, endpoint_id(number)))


def turn(app: Application, number: int, state: State, origin: str = "") -> None:
    """Other hands change a connection, and the notification of it rings."""
    app.world.turn(endpoint_id(number), state)
    app.send(endpoint_id(number), origin=origin)


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
    arrive(app, 3, 4, owner=OTHER)
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
    arrive(app, 3, owner=OTHER)
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
    owners = [f"{number:012}" for number in range(20)]
    for number, owner in enumerate(owners):
        arrive(app, number, owner=owner)
    app.work(10)
    for number in range(20):
        turn(app, number, State.DELETED, "Delete")
    looked, query = [], app.ledger.store.query

    def counted(service: str, status: str) -> Any:
        looked.append((service, status))
        return query(service, status)

    app.ledger.store.query = counted  # type: ignore[method-assign]
    app.approver.answer(app.bells.take())
    assert looked == [(SERVICE, Status.HELD)]


# ------------------------------------------------------------------ another limit


@pytest.mark.parametrize(("after", "expected"), [({"limit": 4}, 4), ({}, 6), ({"limit": 2}, 2)])
@pytest.mark.parametrize("stream", [True, False])
def test_a_raised_limit_serves_who_has_waited_longest(after: dict[str, int], expected: int, stream: bool) -> None:
    app = limited(2)
    order = [4, 2, 6, 1, 5, 3]
    arrive(app, *order)
    app.work(10)
    if stream:
        app.edit(SERVICE, CONSUMER, effect="allow", **after)
    else:
        app.allow_list.put(SERVICE, CONSUMER, effect="allow", **after)
        app.sweeper.sweep("a sweep")
    app.work(10)
    assert live(app) == order[:expected]
    assert claims(app) == set(order[:expected])


@pytest.mark.parametrize("limit", [0, 1])
def test_a_lowered_limit_keeps_the_live_ones_and_holds_the_next_until_enough_are_gone(limit: int) -> None:
    app = limited(3)
    arrive(app, 1, 2, 3)
    app.work(10)
    app.edit(SERVICE, CONSUMER, effect="allow", limit=limit)
    arrive(app, 4, 5)
    rest(app)
    assert (live(app), held(app)) == ([1, 2, 3], [4, 5])
    for number in (1, 2):
        turn(app, number, State.DELETED, "Delete")
    rest(app)
    assert live(app) == [3]
    turn(app, 3, State.DELETED, "Delete")
    rest(app)
    assert live(app) == [4][:limit]


def test_a_limit_that_changes_is_written_once_for_each_who_waits_and_told_to_nobody() -> None:
    app = limited(1)
    arrive(app, 1, 2)
    app.work(10)
    app.bus.told.clear()
    app.edit(SERVICE, CONSUMER, effect="allow", limit=0)
    rest(app)
    assert [line.reason for line in app.ledger.lines(endpoint_id(2))] == ["over_limit", "over_limit"]
    assert app.bus.kinds() == []


# ------------------------------------------------------------------ observe


def test_observe_mode_says_the_same_numbers() -> None:
    app = limited(2, mode="observe")
    arrive(app, 3, 1, 2, 4)
    rest(app)
    assert live(app) == []
    assert [app.bus.kinds(endpoint_id(number)) for number in (3, 1, 2, 4)] == [[WOULD], [WOULD], [HELD], [HELD]]
    turn(app, 1, State.DELETED, "Delete")
    rest(app)
    assert app.bus.kinds(endpoint_id(2)) == [HELD, WOULD]
    app.edit(SERVICE, "@settings", mode="enforce")
    rest(app)
    assert (live(app), held(app)) == ([3, 2], [4])


def test_what_other_hands_accept_takes_the_slot_of_who_was_only_observed() -> None:
    app = limited(1, mode="observe")
    arrive(app, 1, 2)
    app.work(10)
    turn(app, 2, State.AVAILABLE, "Accept")
    rest(app)
    assert (held(app), claims(app)) == ([1], {2})
    app.edit(SERVICE, "@settings", mode="enforce")
    rest(app)
    assert live(app) == [2]


@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_under_a_lowered_limit_as_many_of_those_who_wait_keep_a_slot_as_it_says(mode: str) -> None:
    app = limited(2, mode="observe")
    arrive(app, 1, 2)
    app.work(10)
    app.allow_list.put(SERVICE, "@settings", mode=mode)
    app.edit(SERVICE, CONSUMER, effect="allow", limit=1)
    rest(app)
    assert (len(claims(app)), len(held(app))) == (1, 1)
    assert claims(app).isdisjoint(held(app))


# ------------------------------------------------------------------ several approvers


def faster(app: Application, number: int) -> Callable[[], None]:
    """Another approver, with a bell of its own."""

    def answer() -> None:
        app.approver.answer([Bell(frozenset({endpoint_id(number)}), origin="another approver")])

    return answer


def test_an_approver_that_was_faster_leaves_no_room() -> None:
    app = limited(1)
    arrive(app, 1, 2, send=False)
    app.ledger.store.rival = faster(app, 2)
    app.send(endpoint_id(1))
    assert app.work().failed == {}
    assert (live(app), held(app)) == ([2], [1])
    rest(app)
    assert (live(app), held(app)) == ([2], [1])


def test_what_is_made_again_for_want_of_a_slot_is_one_line_and_one_event() -> None:
    app = limited(1)
    arrive(app, 1, 2, send=False)
    app.ledger.store.rival = faster(app, 2)
    app.send(endpoint_id(1))
    app.work(600)
    assert [(line.outcome, line.reason) for line in app.ledger.lines(endpoint_id(1))] == [("hold", "over_limit")]
    assert app.bus.kinds(endpoint_id(1)) == [HELD]


class Baton:
    """Lets several runs go step by step, one at a time, in an order that a seed decides."""

    def __init__(self, seed: int) -> None:
        self.chance, self.ready = random.Random(seed), threading.Condition()
        self.running: list[threading.Thread] = []
        self.turn: threading.Thread | None = None
        self.lifetimes: dict[threading.Thread, int] = {}
        self.errors: list[BaseException] = []

    def weave(self, app: Application) -> None:
        """Every look and every write of a house is a step."""
        edges: list[tuple[object, Sequence[str]]] = [
            (app.ledger.store, ("read", "query", "write")),
            (app.connections, ("named", "of", "_tell")),
            (app.allow_list, ("rows",)),
        ]
        for edge, names in edges:
            for name in names:
                setattr(edge, name, partial(self._stepped, getattr(edge, name)))

    def _stepped(self, call: Callable[..., Any], *arguments: Any) -> Any:
        self.step()
        return call(*arguments)

    def step(self) -> None:
        """Somebody goes on: perhaps another. Whose lifetime is over is killed."""
        me = threading.current_thread()
        if me in self.running:
            self.lifetimes[me] -= 1
            if self.lifetimes[me] < 0:
                raise Killed
            self._pass_on()
            with self.ready:
                self.ready.wait_for(lambda: self.turn is me)

    def _pass_on(self) -> None:
        with self.ready:
            self.turn = self.chance.choice(self.running) if self.running else None
            self.ready.notify_all()

    def run(self, *jobs: tuple[Callable[[], object], int]) -> None:
        """Each job, and the number of steps it lives; ends when all have ended. What they raised is raised."""
        threads = [threading.Thread(target=self._live, args=(job,)) for job, _ in jobs]
        self.running = list(threads)
        self.lifetimes = {thread: steps for thread, (_, steps) in zip(threads, jobs, strict=True)}
        for thread in threads:
            thread.start()
        self._pass_on()
        for thread in threads:
            thread.join()
        assert not self.errors, self.errors

    def _live(self, job: Callable[[], object]) -> None:
        me = threading.current_thread()
        with self.ready:
            self.ready.wait_for(lambda: self.turn is me)
        try:
            job()
        except Killed:
            pass
        except BaseException as error:
            self.errors.append(error)
        self.running.remove(me)
        self._pass_on()


LONG = 10_000


def watched(app: Application, limit: int) -> list[list[int]]:
    """What was live after an act of ours that let one too many in: must stay empty."""
    publish, over = app.world.publish, list[list[int]]()

    def told(service: str, outcome: Outcome, endpoint: str) -> Refusal | None:
        answer = publish(service, outcome, endpoint)
        if outcome is Outcome.ACCEPT and answer is None and len(live(app)) > limit:
            over.append(live(app))
        return answer

    app.world.publish = told  # type: ignore[method-assign]
    return over


def answering(app: Application, chance: random.Random, requests: int) -> Callable[[], object]:
    """An approver with a batch of bells: some endpoints each, or the whole service."""
    some = [endpoint_id(number) for number in range(requests) if chance.random() < 0.7]
    bells = [Bell(frozenset(half)) for half in (some[::2], some[1::2]) if half]
    return partial(app.approver.answer, bells or [Bell(services=frozenset({SERVICE}))])


def leaving(app: Application, baton: Baton, number: int, state: State) -> Callable[[], object]:
    """Other hands delete or reject an endpoint in the middle of it all."""

    def leave() -> None:
        baton.step()
        app.world.turn(endpoint_id(number), state)

    return leave


@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(2, 7), st.booleans())
def test_however_approvers_sweeps_deletions_and_crashes_interleave_the_limit_is_exact(
    seed: int, limit: int, requests: int, deadly: bool
) -> None:
    app, baton, chance = limited(limit), Baton(seed), random.Random(seed)
    over = watched(app, limit)
    arrive(app, *range(requests), send=False)
    baton.weave(app)
    for _ in range(2):
        jobs: list[tuple[Callable[[], object], int]] = [(partial(app.sweeper.sweep, "a sweep"), LONG)]
        for _ in range(3):
            lifetime = chance.randint(1, 40) if deadly and chance.random() < 0.4 else LONG
            jobs.append((answering(app, chance, requests), lifetime))
        for number in range(requests):
            if chance.random() < 0.2:
                state = chance.choice([State.DELETED, State.REJECTED])
                jobs.append((leaving(app, baton, number, state), LONG))
        baton.run(*jobs)
        app.world.advance(chance.choice([1, 30, 70]))
    rest(app)
    wanting = [name for name in app.world.links if alive(app, name) or app.state(name) is State.PENDING_ACCEPTANCE]
    assert over == []
    assert len(live(app)) == min(limit, len(wanting))
    assert claims(app) == set(live(app))


def test_fifty_requests_split_between_approvers_fill_exactly_seven_slots() -> None:
    for seed in range(5):
        app, baton = limited(7), Baton(seed)
        over = watched(app, 7)
        arrive(app, *range(50), send=False)
        order = random.Random(seed).sample(range(50), 50)
        baton.weave(app)
        batches = [[Bell(frozenset({endpoint_id(number)})) for number in order[start::4]] for start in range(4)]
        baton.run(*((partial(app.approver.answer, batch), LONG) for batch in batches))
        rest(app)
        assert (len(live(app)), len(held(app)), over) == (7, 43, [])


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


def settled() -> Application:
    """A house with two slots, which 1 and 2 hold while 3 and 4 wait."""
    app = limited(2)
    arrive(app, 1, 2, 3, 4)
    rest(app)
    assert (live(app), claims(app), held(app)) == ([1, 2], {1, 2}, [3, 4])
    return app


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
