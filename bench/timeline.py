"""A virtual clock for real threads: one of them runs at a time, and whoever waits lets the time pass."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tests.world import World

A = TypeVar("A")


LONGEST = timedelta(hours=6)


class Timeline:
    """Moves the world's clock from one moment that somebody waits for to the next.

    The order is fixed: equal moments come in the order in which they were asked for. Nobody waits past `end`, which is
    hours away, or now once somebody has failed: whoever waits for what never comes fails instead.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.end = world.now + LONGEST
        self._due: list[tuple[datetime, int, threading.Lock]] = []
        self._numbers = itertools.count()

    def sleep(self, seconds: float) -> None:
        """Let time pass, and the others go on. AssertionError past the end."""
        baton = self._enter(self.world.now + timedelta(seconds=seconds), _baton())
        self._go_on()
        baton.acquire()
        assert self.world.now <= self.end, f"not done at {self.world.now}"

    def side_by_side(self, do: Callable[[A], None], some: Iterable[A]) -> None:
        """Do something with each of several values, in a thread each; all is done before what failed is raised."""
        troubles: list[BaseException] = []
        todo, back = list(some), _baton()
        left = [len(todo)]

        def work(one: A, mine: threading.Lock) -> None:
            mine.acquire()
            try:
                do(one)
            except BaseException as error:
                troubles.append(error)
                self.end = datetime.min.replace(tzinfo=UTC)
            left[0] -= 1
            if not left[0]:
                self._enter(self.world.now, back)
            self._go_on()

        for one in todo:
            threading.Thread(target=work, args=(one, self._enter(self.world.now, _baton())), daemon=True).start()
        self._go_on()
        back.acquire()
        if troubles:
            raise troubles[0]

    def _enter(self, moment: datetime, baton: threading.Lock) -> threading.Lock:
        """Hand over a baton when its moment comes."""
        heapq.heappush(self._due, (moment, next(self._numbers), baton))
        return baton

    def _go_on(self) -> None:
        moment, _, baton = heapq.heappop(self._due)
        self.world.now = max(self.world.now, moment)
        baton.release()


def _baton() -> threading.Lock:
    baton = threading.Lock()
    baton.acquire()
    return baton
