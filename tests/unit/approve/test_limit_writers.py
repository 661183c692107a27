"""The connection limit is exact while it changes, in observe mode, and with several approvers at once."""

import random
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkgate.aws.errors import Refusal
from linkgate.events.bell import Bell
from linkgate.model import Outcome, State

from tests.application import SERVICE, Application
from tests.unit.approve.slots import (
    HELD,
    WOULD,
    alive,
    arrive,
    claims,
    held,
    limited,
    live,
    rest,
    turn,
)
from tests.world import CONSUMER, Killed, endpoint_id

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
    app.bus.published.clear()
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
        """Every look and every write of an application is a step."""
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
    act, over = app.world.act, list[list[int]]()

    def acting(service: str, outcome: Outcome, endpoint: str) -> Refusal | None:
        answer = act(service, outcome, endpoint)
        if outcome is Outcome.ACCEPT and answer is None and len(live(app)) > limit:
            over.append(live(app))
        return answer

    app.world.act = acting  # type: ignore[method-assign]
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
