"""A virtual clock for real threads: one of them runs at a time, and whoever waits lets the time pass."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from linkgate.abreast import A, B, Each

from tests.world import World


class Timeline:
    """Moves the world's clock from one moment that somebody waits for to the next.

    The order is fixed: equal moments come in the order in which they were asked for.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._due: list[tuple[datetime, int, threading.Lock]] = []
        self._numbers = itertools.count()

    def sleep(self, seconds: float) -> None:
        """Let time pass, and the others go on."""
        baton = self._enter(self.world.now + timedelta(seconds=seconds), _baton())
        self._go_on()
        baton.acquire()

    def threads(self, number: int) -> Each:
        """Do something with each of several values in so many threads, as linkgate.abreast.threads does."""

        def each(do: Callable[[A], B], some: Iterable[A], /) -> list[B]:
            todo = list(some)
            if len(todo) < 2:
                return [do(one) for one in todo]
            found: dict[int, Any] = {}
            troubles: list[BaseException] = []
            rest, back = iter(enumerate(todo)), _baton()
            width = min(number, len(todo))
            left = [width]

            def work(mine: threading.Lock) -> None:
                mine.acquire()
                try:
                    for place, one in rest:
                        found[place] = do(one)
                except BaseException as error:
                    troubles.append(error)
                left[0] -= 1
                if not left[0]:
                    self._enter(self.world.now, back)
                self._go_on()

            for _ in range(width):
                threading.Thread(target=work, args=(self._enter(self.world.now, _baton()),), daemon=True).start()
            self._go_on()
            back.acquire()
            if troubles:
                raise troubles[0]
            return [found[place] for place in range(len(todo))]

        return each

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
