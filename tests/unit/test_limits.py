"""The connection limit: exact whoever hurries, oldest first, free again when somebody goes, and healed by the sweep."""

import random
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkgate.bell import Bell
from linkgate.connections import Refusal
from linkgate.errors import Unavailable
from linkgate.lease import NAME
from linkgate.model import Outcome, State, Status
from linkgate.register import Slots, limit_name, move
from linkgate.store import Place, Write

from tests.simulation import SERVICE, House
from tests.world import CONSUMER, OTHER, Killed, endpoint_id, service_id

SECOND = service_id(2)
HELD, ACCEPTED, WOULD = "Endpoint Connection Held", "Endpoint Connection Accepted", "Would Accept"
SERVED = f"a slot of {CONSUMER} was freed"


def limited(limit: int, **settings: str) -> House:
    """A house that lets CONSUMER have so many connections."""
    house = House()
    house.allow_list.put(SERVICE, "@settings", **{"mode": "enforce", **settings})
    house.allow_list.put(SERVICE, CONSUMER, effect="allow", limit=limit)
    return house


def arrive(house: House, *numbers: int, ring: bool = True, **whose: str) -> None:
    """Endpoints are created a second apart, in this order."""
    for number in numbers:
        house.world.connect(endpoint_id(number), whose.get("service", SERVICE), whose.get("owner", CONSUMER))
        if ring:
            house.ring(endpoint_id(number), cause="Connect")
        house.world.advance(1)


def rest(house: House) -> None:
    """Until nothing is left to be done: bells answered, and a sweep that finds nothing more."""
    house.work(600)
    for _ in range(3):
        house.settle()
        house.work(600)
    assert house.sweeper.sweep("a sweep").sum(lambda found: found.rung) == 0


def live(house: House) -> list[int]:
    """The numbers of the endpoints that are live in EC2, as they came."""
    return [int(name.removeprefix("vpce-"), 16) for name in house.world.links if alive(house, name)]


def alive(house: House, endpoint: str) -> bool:
    state = house.state(endpoint)
    return state is not None and state.live


def held(house: House) -> list[int]:
    """The numbers of the endpoints that the ledger holds for want of a slot."""
    return [int(name.removeprefix("vpce-"), 16) for name, one in sorted(house.ledger.currents.items()) if waits(one)]


def waits(one: Any) -> bool:
    return one.status is Status.HELD and one.over_limit


def claims(house: House, owner: str = CONSUMER, service: str = SERVICE) -> set[int]:
    """Who holds a slot, by the claims alone."""
    name = limit_name(service, owner)
    members = house.register.read([name]).get(name, frozenset())
    return {int(member.removeprefix("vpce-"), 16) for member in members}


def slot(number: int) -> Slots:
    return Slots(frozenset({endpoint_id(number)}))


def taken(house: House, number: int) -> None:
    """A slot is taken behind the back of the endpoint's own item."""
    house.ledger.store.write(*move(SERVICE, CONSUMER, take=slot(number)))


def given_back(house: House, number: int) -> None:
    """A slot is given back behind the back of the endpoint's own item."""
    house.ledger.store.write(*move(SERVICE, CONSUMER, leave=slot(number)))


def turn(house: House, number: int, state: State, cause: str = "") -> None:
    """Other hands change a connection, and the notification of it rings."""
    house.world.turn(endpoint_id(number), state)
    house.ring(endpoint_id(number), cause=cause)


# ------------------------------------------------------------------ so many and no more


@pytest.mark.parametrize(("limit", "requests"), [(0, 1), (0, 5), (1, 5), (3, 5), (5, 5), (7, 5), (7, 50)])
def test_of_many_requests_the_oldest_are_accepted_up_to_the_limit(limit: int, requests: int) -> None:
    house = limited(limit)
    # Their ids and the order in which EC2 shows them say nothing of their age.
    order = random.Random(requests).sample(range(requests), requests)
    arrive(house, *order)
    house.world.links = dict(sorted(house.world.links.items()))
    house.work(10)
    assert set(live(house)) == set(order[:limit]) == claims(house)
    assert set(held(house)) == set(order[limit:])
    rest(house)
    assert set(live(house)) == set(order[:limit])
    assert all(len(house.ledger.lines(endpoint)) == 1 for endpoint in house.world.links)


@pytest.mark.parametrize("requests", [3, 9])
def test_one_at_a_time_it_is_first_come_first_served(requests: int) -> None:
    house = limited(2)
    for number in range(requests):
        arrive(house, number)
        house.work(10)
    assert live(house) == [0, 1]
    assert house.bus.kinds(endpoint_id(0)) == [ACCEPTED]
    assert house.bus.kinds(endpoint_id(2)) == [HELD]


def test_each_account_and_each_service_has_its_own_slots() -> None:
    house = limited(1)
    house.world.offer(SECOND)
    house.allow_list.put(SECOND, "@settings", mode="enforce")
    house.allow_list.put("*", "*", effect="allow", limit=1)
    arrive(house, 1, 2)
    arrive(house, 3, 4, owner=OTHER)
    arrive(house, 5, 6, service=SECOND)
    rest(house)
    assert live(house) == [1, 3, 5]


def test_a_slot_does_not_count_against_who_holds_it() -> None:
    house = limited(1)
    house.world.refusals[endpoint_id(1)] = [Refusal("InternalError", "sorry")]
    arrive(house, 1)
    house.work()
    assert (live(house), claims(house)) == ([], {1})
    house.edit(SERVICE, CONSUMER, effect="allow", limit=1, note="touched while EC2 was to be asked again")
    house.work(10)
    assert live(house) == [1]


def test_while_ec2_refuses_the_oldest_its_slot_is_not_given_to_the_next() -> None:
    house = limited(1)
    house.world.refusals[endpoint_id(1)] = [Refusal("InternalError", "sorry")]
    arrive(house, 1, 2)
    house.work()
    assert (live(house), held(house)) == ([], [2])
    rest(house)
    assert (live(house), held(house)) == ([1], [2])


@pytest.mark.parametrize("row", ["endpoint", "hand", "everybody"])
def test_every_live_connection_counts_however_it_came_to_be(row: str) -> None:
    house = limited(2)
    arrive(house, 1, 2, ring=False)
    if row == "endpoint":
        for number in (1, 2):
            house.allow_list.put(SERVICE, endpoint_id(number), effect="allow")
    elif row == "hand":
        for number in (1, 2):
            house.world.turn(endpoint_id(number), State.AVAILABLE)
    else:
        house.allow_list.delete(SERVICE, CONSUMER)
        house.allow_list.put("*", "*", effect="allow")
    rest(house)
    house.edit(SERVICE, CONSUMER, effect="allow", limit=2)
    arrive(house, 3)
    rest(house)
    assert (live(house), held(house)) == ([1, 2], [3])


def test_other_hands_may_go_over_a_limit_and_all_of_theirs_count() -> None:
    house = limited(1)
    arrive(house, 1, 2, 3)
    house.work(10)
    for number in (2, 3):
        turn(house, number, State.AVAILABLE, "Accept")
    house.work(10)
    assert claims(house) == {1, 2, 3}
    turn(house, 1, State.DELETED, "Delete")
    arrive(house, 4)
    rest(house)
    assert (live(house), held(house)) == ([2, 3], [4])


def test_the_limit_of_the_row_that_decides_is_the_one_that_counts() -> None:
    house = limited(1)
    house.allow_list.put(SERVICE, endpoint_id(3), effect="allow", limit=3)
    arrive(house, 1, 2, 3, 4)
    house.work(10)
    assert (live(house), held(house)) == ([1, 3], [2, 4])


# ------------------------------------------------------------------ a slot is freed


@pytest.mark.parametrize("state", [State.DELETING, State.DELETED, State.REJECTED, State.FAILED, State.EXPIRED])
def test_a_freed_slot_goes_to_who_has_waited_longest_and_nobody_else(state: State) -> None:
    house = limited(2)
    arrive(house, 5, 3, 4, 1, 2)
    house.work(10)
    assert live(house) == [5, 3]
    turn(house, 3, state)
    house.work(10)
    assert live(house) == [5, 4]
    assert claims(house) == {5, 4}


def test_a_slot_is_freed_by_an_endpoint_that_ec2_no_longer_shows() -> None:
    house = limited(1)
    arrive(house, 1, 2, 3)
    house.work(10)
    house.world.forget(endpoint_id(1))
    house.ring(endpoint_id(1), cause="Delete")
    house.work(10)
    assert live(house) == [2]


@pytest.mark.parametrize("together", [True, False])
def test_three_freed_slots_go_to_exactly_the_three_oldest_held(together: bool) -> None:
    house = limited(7)
    order = random.Random(7).sample(range(50), 50)
    arrive(house, *order)
    house.work(10)
    gone = order[1:6:2]
    for number in gone:
        turn(house, number, State.DELETED, "Delete")
        if not together:
            house.work(10)
    rest(house)
    assert set(live(house)) == set(order[:10]) - set(gone)
    assert all(len(house.ledger.lines(endpoint_id(number))) == 2 for number in order[7:10])
    assert all(len(house.ledger.lines(endpoint_id(number))) == 1 for number in order[10:])


@pytest.mark.parametrize("consumer", [{"effect": "deny"}, {"effect": "review"}, None])
def test_a_slot_is_freed_by_a_decision_that_is_no_accept_any_more(consumer: dict[str, str] | None) -> None:
    house = limited(1)
    house.world.refusals[endpoint_id(1)] = [Refusal("InternalError", "sorry")] * 9
    arrive(house, 1, 2)
    house.work()
    assert claims(house) == {1}
    if consumer:
        house.edit(SERVICE, endpoint_id(1), **consumer)
    else:
        house.world.links[endpoint_id(1)].turn(house.world.now, State.REJECTED)
        house.ring(endpoint_id(1))
    house.work(10)
    assert (live(house), claims(house)) == ([2], {2})


def test_who_waits_for_a_slot_is_rung_for_when_its_holder_is_no_longer_let_in() -> None:
    house = limited(1)
    house.world.refusals[endpoint_id(1)] = [Refusal("InternalError", "sorry")] * 9
    arrive(house, 1, 2)
    house.work()
    house.allow_list.put(SERVICE, endpoint_id(1), effect="review")
    house.ring(endpoint_id(1))
    house.work(10)
    assert (live(house), claims(house)) == ([2], {2})
    assert house.ledger.lines(endpoint_id(2))[-1].rang == SERVED


def test_of_those_who_wait_the_sweep_rings_for_the_one_whom_a_slot_serves_alone() -> None:
    house = settled()
    turn(house, 1, State.DELETED, "Delete")
    house.approver.answer(house.bells.take())
    house.bells.queue.clear()
    house.sweeper.sweep("a sweep")
    assert [bell.endpoints for bell in house.bells.waiting()] == [{endpoint_id(3)}]


def test_a_slot_freed_while_nobody_rang_is_found_by_the_sweep() -> None:
    house = limited(2)
    arrive(house, 1, 2, 3, 4)
    house.work(10)
    house.world.turn(endpoint_id(1), State.DELETED)
    house.settle()
    house.work(10)
    assert live(house) == [2, 3]


def test_a_freed_slot_serves_nobody_who_is_held_for_another_reason() -> None:
    house = limited(1)
    house.allow_list.put(SERVICE, endpoint_id(2), effect="review")
    arrive(house, 1, 2, 3)
    house.work(10)
    turn(house, 1, State.DELETED, "Delete")
    house.approver.answer(house.bells.take())
    assert house.bells.waiting() == [Bell(frozenset({endpoint_id(3)}), frozenset({SERVICE}), SERVED)]
    house.work(10)
    assert live(house) == [3]


def test_a_slot_freed_where_nobody_waits_rings_for_nobody() -> None:
    house = limited(1)
    arrive(house, 1)
    house.work(10)
    turn(house, 1, State.DELETED, "Delete")
    house.work()
    assert house.bells.queue == []


@pytest.mark.parametrize("together", [True, False])
def test_a_newcomer_does_not_overtake_who_waits_for_the_freed_slot(together: bool) -> None:
    house = limited(1)
    arrive(house, 1, 2)
    house.work(10)
    house.world.turn(endpoint_id(1), State.DELETED)
    arrive(house, 3, ring=False)
    bells = [Bell(frozenset({endpoint_id(1)}), cause="Delete"), Bell(frozenset({endpoint_id(3)}), cause="Connect")]
    for batch in [bells] if together else [[bell] for bell in bells]:
        house.approver.answer(batch)
    rest(house)
    assert live(house) == [2]


def test_of_more_than_a_hundred_held_the_oldest_are_served_in_whatever_order_ec2_shows_them() -> None:
    house = limited(0)
    order = list(reversed(range(150)))
    arrive(house, *order)
    house.work(10)
    house.world.links = dict(sorted(house.world.links.items()))
    house.edit(SERVICE, CONSUMER, effect="allow", limit=3)
    house.work(10)
    assert set(live(house)) == set(order[:3])


def test_a_freed_slot_is_served_even_if_ec2_takes_no_act_of_the_same_batch() -> None:
    house = limited(1)
    house.allow_list.put(SERVICE, OTHER, effect="allow")
    arrive(house, 1, 2)
    house.work(10)
    turn(house, 1, State.DELETED, "Delete")
    arrive(house, 3, owner=OTHER)
    house.world.broken[SERVICE] = Unavailable("no route")
    house.work()
    house.world.broken.clear()
    house.work(600)
    assert live(house) == [2, 3]


def test_a_table_that_is_busy_while_a_freed_slot_is_served_fails_no_other_question() -> None:
    house = limited(1)
    arrive(house, 1, 2)
    house.work(10)
    house.world.forget(endpoint_id(1))
    read = house.ledger.store.read

    def busy(places: Iterable[Place]) -> Any:
        wanted = list(places)
        if Place(limit_name(SERVICE, CONSUMER)) in wanted:
            raise Unavailable("table ledger: throttled")
        return read(wanted)

    house.ledger.store.read = busy  # type: ignore[method-assign]
    unseen = Bell(frozenset({endpoint_id(9)}), cause="Connect")
    house.approver.answer([Bell(frozenset({endpoint_id(1)}), absent=2), unseen])
    assert unseen.again(unseen.endpoints, absent=True) in house.bells.waiting()
    house.ledger.store.read = read  # type: ignore[method-assign]
    house.work(10)
    assert live(house) == [2]


def test_who_waits_is_read_once_a_service_however_many_accounts_freed_a_slot() -> None:
    house = House()
    house.allow_list.put(SERVICE, "*", effect="allow", limit=1)
    owners = [f"{number:012}" for number in range(20)]
    for number, owner in enumerate(owners):
        arrive(house, number, owner=owner)
    house.work(10)
    for number in range(20):
        turn(house, number, State.DELETED, "Delete")
    looked, read = [], house.ledger.store.read

    def counted(places: Iterable[Place]) -> Any:
        wanted = list(places)
        looked.extend([sorted(wanted)] if any(one.subject.startswith("limit#") for one in wanted) else [])
        return read(wanted)

    house.ledger.store.read = counted  # type: ignore[method-assign]
    house.approver.answer(house.bells.take())
    assert looked == [[Place(limit_name(SERVICE, owner)) for owner in owners]]


# ------------------------------------------------------------------ another limit


@pytest.mark.parametrize(("after", "expected"), [({"limit": 4}, 4), ({}, 6), ({"limit": 2}, 2)])
@pytest.mark.parametrize("stream", [True, False])
def test_a_raised_limit_serves_who_has_waited_longest(after: dict[str, int], expected: int, stream: bool) -> None:
    house = limited(2)
    order = [4, 2, 6, 1, 5, 3]
    arrive(house, *order)
    house.work(10)
    if stream:
        house.edit(SERVICE, CONSUMER, effect="allow", **after)
    else:
        house.allow_list.put(SERVICE, CONSUMER, effect="allow", **after)
        house.sweeper.sweep("a sweep")
    house.work(10)
    assert live(house) == order[:expected]
    assert claims(house) == set(order[:expected])


@pytest.mark.parametrize("limit", [0, 1])
def test_a_lowered_limit_keeps_the_live_ones_and_holds_the_next_until_enough_are_gone(limit: int) -> None:
    house = limited(3)
    arrive(house, 1, 2, 3)
    house.work(10)
    house.edit(SERVICE, CONSUMER, effect="allow", limit=limit)
    arrive(house, 4, 5)
    rest(house)
    assert (live(house), held(house)) == ([1, 2, 3], [4, 5])
    for number in (1, 2):
        turn(house, number, State.DELETED, "Delete")
    rest(house)
    assert live(house) == [3]
    turn(house, 3, State.DELETED, "Delete")
    rest(house)
    assert live(house) == [4][:limit]


def test_a_limit_that_changes_is_written_once_for_each_who_waits_and_told_to_nobody() -> None:
    house = limited(1)
    arrive(house, 1, 2)
    house.work(10)
    house.bus.told.clear()
    house.edit(SERVICE, CONSUMER, effect="allow", limit=0)
    rest(house)
    assert [line.reason for line in house.ledger.lines(endpoint_id(2))] == ["over_limit", "over_limit"]
    assert house.bus.kinds() == []


# ------------------------------------------------------------------ observe


def test_observe_mode_says_the_same_numbers() -> None:
    house = limited(2, mode="observe")
    arrive(house, 3, 1, 2, 4)
    rest(house)
    assert live(house) == []
    assert [house.bus.kinds(endpoint_id(number)) for number in (3, 1, 2, 4)] == [[WOULD], [WOULD], [HELD], [HELD]]
    turn(house, 1, State.DELETED, "Delete")
    rest(house)
    assert house.bus.kinds(endpoint_id(2)) == [HELD, WOULD]
    house.edit(SERVICE, "@settings", mode="enforce")
    rest(house)
    assert (live(house), held(house)) == ([3, 2], [4])


def test_what_other_hands_accept_takes_the_slot_of_who_was_only_observed() -> None:
    house = limited(1, mode="observe")
    arrive(house, 1, 2)
    house.work(10)
    turn(house, 2, State.AVAILABLE, "Accept")
    rest(house)
    assert (held(house), claims(house)) == ([1], {2})
    house.edit(SERVICE, "@settings", mode="enforce")
    rest(house)
    assert live(house) == [2]


@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_under_a_lowered_limit_the_oldest_of_those_who_wait_keeps_its_slot(mode: str) -> None:
    house = limited(2, mode="observe")
    arrive(house, 1, 2)
    house.work(10)
    house.allow_list.put(SERVICE, "@settings", mode=mode)
    house.edit(SERVICE, CONSUMER, effect="allow", limit=1)
    rest(house)
    assert (claims(house), held(house)) == ({1}, [2])


# ------------------------------------------------------------------ several approvers


def faster(house: House, number: int) -> Callable[[], None]:
    """Another approver, with a bell of its own."""

    def answer() -> None:
        house.approver.answer([Bell(frozenset({endpoint_id(number)}), cause="another approver")])

    return answer


def test_an_approver_that_was_faster_leaves_no_room() -> None:
    house = limited(1)
    arrive(house, 1, 2, ring=False)
    house.ledger.store.rival = faster(house, 2)
    house.ring(endpoint_id(1))
    assert house.work().failed == {}
    assert (live(house), held(house)) == ([2], [1])
    rest(house)
    assert (live(house), held(house)) == ([2], [1])


def test_what_is_made_again_for_want_of_a_slot_is_one_line_and_one_event() -> None:
    house = limited(1)
    arrive(house, 1, 2, ring=False)
    house.ledger.store.rival = faster(house, 2)
    house.ring(endpoint_id(1))
    house.work(600)
    assert [(line.outcome, line.reason) for line in house.ledger.lines(endpoint_id(1))] == [("hold", "over_limit")]
    assert house.bus.kinds(endpoint_id(1)) == [HELD]


class Baton:
    """Lets several runs go step by step, one at a time, in an order that a seed decides."""

    def __init__(self, seed: int) -> None:
        self.chance, self.ready = random.Random(seed), threading.Condition()
        self.running: list[threading.Thread] = []
        self.turn: threading.Thread | None = None
        self.lifetimes: dict[threading.Thread, int] = {}
        self.errors: list[BaseException] = []

    def weave(self, house: House) -> None:
        """Every look and every write of a house is a step."""
        edges: list[tuple[object, Sequence[str]]] = [
            (house.ledger.store, ("read", "query", "write")),
            (house.connections, ("named", "of", "_tell")),
            (house.allow_list, ("rows",)),
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


def watched(house: House, limit: int) -> list[list[int]]:
    """What was live after an act of ours that let one too many in: must stay empty."""
    tell, over = house.world.tell, list[list[int]]()

    def told(service: str, outcome: Outcome, endpoint: str) -> Refusal | None:
        answer = tell(service, outcome, endpoint)
        if outcome is Outcome.ACCEPT and answer is None and len(live(house)) > limit:
            over.append(live(house))
        return answer

    house.world.tell = told  # type: ignore[method-assign]
    return over


def answering(house: House, chance: random.Random, requests: int) -> Callable[[], object]:
    """An approver with a batch of bells: some endpoints each, or the whole service."""
    some = [endpoint_id(number) for number in range(requests) if chance.random() < 0.7]
    bells = [Bell(frozenset(half)) for half in (some[::2], some[1::2]) if half]
    return partial(house.approver.answer, bells or [Bell(services=frozenset({SERVICE}))])


def leaving(house: House, baton: Baton, number: int, state: State) -> Callable[[], object]:
    """Other hands delete or reject an endpoint in the middle of it all."""

    def leave() -> None:
        baton.step()
        house.world.turn(endpoint_id(number), state)

    return leave


@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(2, 7), st.booleans())
def test_however_approvers_sweeps_deletions_and_crashes_interleave_the_limit_is_exact(
    seed: int, limit: int, requests: int, deadly: bool
) -> None:
    house, baton, chance = limited(limit), Baton(seed), random.Random(seed)
    over = watched(house, limit)
    arrive(house, *range(requests), ring=False)
    baton.weave(house)
    for _ in range(2):
        jobs: list[tuple[Callable[[], object], int]] = [(partial(house.sweeper.sweep, "a sweep"), LONG)]
        for _ in range(3):
            lifetime = chance.randint(1, 40) if deadly and chance.random() < 0.4 else LONG
            jobs.append((answering(house, chance, requests), lifetime))
        for number in range(requests):
            if chance.random() < 0.2:
                state = chance.choice([State.DELETED, State.REJECTED])
                jobs.append((leaving(house, baton, number, state), LONG))
        baton.run(*jobs)
        house.world.advance(chance.choice([1, 30, 70]))
    rest(house)
    wanting = [
        name for name in house.world.links if alive(house, name) or house.state(name) is State.PENDING_ACCEPTANCE
    ]
    assert over == []
    assert len(live(house)) == min(limit, len(wanting))
    assert claims(house) == set(live(house))


def test_fifty_requests_split_between_approvers_fill_exactly_seven_slots() -> None:
    for seed in range(5):
        house, baton = limited(7), Baton(seed)
        over = watched(house, 7)
        arrive(house, *range(50), ring=False)
        order = random.Random(seed).sample(range(50), 50)
        baton.weave(house)
        batches = [[Bell(frozenset({endpoint_id(number)})) for number in order[start::4]] for start in range(4)]
        baton.run(*((partial(house.approver.answer, batch), LONG) for batch in batches))
        rest(house)
        assert (len(live(house)), len(held(house)), over) == (7, 43, [])


# ------------------------------------------------------------------ crashes


def killed(house: House, before: bool, *numbers: int) -> None:
    """A run that ends after it decided: before EC2 was told, or after."""

    def die(outcome: Outcome, endpoints: Sequence[str]) -> None:
        raise Killed

    house.world.before_act = die if before else None
    house.world.killed_after_act = not before
    house.ring(*map(endpoint_id, numbers))
    with pytest.raises(Killed):
        house.work()
    house.world.before_act, house.world.killed_after_act = None, False


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("end", [None, State.DELETED, State.REJECTED])
def test_a_crash_between_decision_and_answer_neither_loses_a_slot_nor_gives_it_twice(
    before: bool, end: State | None
) -> None:
    house = limited(1)
    arrive(house, 1, 2, ring=False)
    killed(house, before, 1)
    house.ring(endpoint_id(2))
    house.work(30)
    assert held(house) == [2]
    if end:
        house.world.turn(endpoint_id(1), end)
    rest(house)
    assert (live(house), claims(house)) == (([1], {1}) if end is None else ([2], {2}))


@pytest.mark.parametrize("died", [True, False])
def test_a_younger_one_that_has_the_slot_and_an_older_one_that_comes_later_do_not_wait_for_each_other(
    died: bool,
) -> None:
    house = limited(1)
    arrive(house, 1, 2, ring=False)
    if died:
        killed(house, True, 2)
    else:
        house.world.refusals[endpoint_id(2)] = [Refusal("InternalError", "sorry")]
        house.ring(endpoint_id(2))
        house.work()
    house.ring(endpoint_id(1))
    rest(house)
    assert len(live(house)) == 1
    assert claims(house) == set(live(house))


@pytest.mark.parametrize("before", [True, False])
def test_a_slot_taken_by_a_run_that_died_is_freed_with_an_endpoint_that_ec2_shows_no_more(before: bool) -> None:
    house = limited(1)
    arrive(house, 1, 2, ring=False)
    killed(house, before, 1)
    house.world.forget(endpoint_id(1))
    house.ring(endpoint_id(2))
    rest(house)
    assert (live(house), claims(house)) == ([2], {2})


@pytest.mark.parametrize("forgotten", [True, False])
@pytest.mark.parametrize("written", [True, False])
def test_a_slot_is_not_lost_by_a_run_that_dies_while_it_closes_an_abandoned_decision(
    forgotten: bool, written: bool
) -> None:
    house = limited(1)
    arrive(house, 1, 2, ring=False)
    killed(house, True, 1)
    house.world.advance(61)
    house.world.turn(endpoint_id(1), State.DELETED)
    store, write = house.ledger.store, house.ledger.store.write

    def die(*writes: Write) -> None:
        store.write = write  # type: ignore[method-assign]
        if written:
            write(*writes)
        raise Killed

    store.write = die  # type: ignore[method-assign]
    house.ring(endpoint_id(1))
    with pytest.raises(Killed):
        house.work()
    if forgotten:
        house.world.forget(endpoint_id(1))
    rest(house)
    assert (live(house), claims(house)) == ([2], {2})


# ------------------------------------------------------------------ healed by the sweep


def settled() -> House:
    """A house with two slots, which 1 and 2 hold while 3 and 4 wait."""
    house = limited(2)
    arrive(house, 1, 2, 3, 4)
    rest(house)
    assert (live(house), claims(house), held(house)) == ([1, 2], {1, 2}, [3, 4])
    return house


@pytest.mark.parametrize("lost", [[1], [1, 2]])
def test_a_claim_that_was_lost_is_made_again(lost: list[int]) -> None:
    house = settled()
    for number in lost:
        given_back(house, number)
    house.sweeper.sweep("a sweep")
    assert claims(house) == {1, 2}


@pytest.mark.parametrize("shown", [True, False])
def test_a_claim_of_an_endpoint_that_holds_no_slot_is_taken_away_and_the_slot_is_served(shown: bool) -> None:
    house = settled()
    turn(house, 2, State.DELETED, "Delete")
    house.approver.answer(house.bells.take())
    house.bells.queue.clear()
    if not shown:
        house.world.forget(endpoint_id(2))
    taken(house, 2)
    rest(house)
    assert (live(house), claims(house)) == ([1, 3], {1, 3})


def test_a_claim_of_an_endpoint_that_nobody_knows_is_taken_away() -> None:
    house = limited(1)
    taken(house, 9)
    arrive(house, 1)
    rest(house)
    assert (live(house), claims(house)) == ([1], {1})


@pytest.mark.parametrize("change", ["accept", "delete"])
def test_an_index_that_lags_behind_heals_nothing_that_is_right(change: str) -> None:
    house = settled()
    house.ledger.store.index_lags()
    if change == "accept":
        house.edit(SERVICE, CONSUMER, effect="allow", limit=3)
    else:
        turn(house, 1, State.DELETED, "Delete")
    house.work(10)
    for _ in range(3):
        house.sweeper.sweep("a sweep")
    assert claims(house) == ({1, 2, 3} if change == "accept" else {2, 3})


def test_bells_of_a_sweep_whose_index_lags_write_nothing() -> None:
    house = limited(1)
    arrive(house, 1, 2, ring=False)
    house.ledger.store.index_lags()
    house.ring(endpoint_id(1), endpoint_id(2))
    house.work(10)
    for _ in range(3):
        house.settle()
        house.work(100)
    assert [len(house.ledger.lines(endpoint_id(number))) for number in (1, 2)] == [1, 1]
    assert live(house) == [1]


def test_endpoints_recorded_before_there_were_claims_are_counted_by_the_sweep() -> None:
    house = settled()
    for number in (1, 2):
        del house.ledger.store.items[Place(endpoint_id(number))]["claimed"]
        given_back(house, number)
    rest(house)
    assert (claims(house), live(house), held(house)) == ({1, 2}, [1, 2], [3, 4])
    assert [house.known(endpoint_id(number)).claimed for number in (1, 2)] == [True, True]


def test_where_nothing_differs_the_sweep_writes_nothing_but_its_lease() -> None:
    house = settled()
    written, write = list[Place](), house.ledger.store.write

    def noted(*writes: Write) -> None:
        written.extend(one.place for one in writes)
        write(*writes)

    house.ledger.store.write = noted  # type: ignore[method-assign]
    assert house.sweeper.sweep("a sweep").failed == {}
    assert written == [Place(NAME)] * 2


def test_a_decision_on_an_older_look_does_not_take_the_claim_of_what_other_hands_accepted() -> None:
    house = limited(1)
    house.allow_list.put(SERVICE, CONSUMER, effect="review")
    arrive(house, 1)
    house.work(10)
    house.allow_list.put(SERVICE, CONSUMER, effect="review", note="let this one in by hand")

    def accept_by_hand() -> None:
        house.world.turn(endpoint_id(1), State.AVAILABLE)
        house.approver.answer([Bell(frozenset({endpoint_id(1)}), cause="Accept")])

    house.ledger.store.rival = accept_by_hand
    house.ring(endpoint_id(1))
    house.work()
    house.allow_list.put(SERVICE, CONSUMER, effect="allow", limit=1)
    house.sweeper.sweep("a sweep")
    arrive(house, 2, ring=False)
    house.approver.answer([Bell(frozenset({endpoint_id(2)}))])
    assert live(house) == [1]
