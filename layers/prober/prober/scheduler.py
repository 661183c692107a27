"""Many jobs side by side, so paced that none falsifies what another measures."""

import functools
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

GAP = 0.01
"""Seconds between two starts: a TLS probe takes 1 to 2 ms of a CPU, and a function of 512 MB has 0.29 of one.

Measured with that share, 200 targets and a round trip of 1.2 ms: without a gap TCP is 7 ms off in one case of ten and a
handshake takes twice its time; with 10 ms it is 0.2 ms off, and both are as they are alone (`python -m bench.probe`).
"""
YOUNG, LEASE = 4, 0.1
"""A job starts only while fewer than so many run that are younger than LEASE seconds: handshakes wait for one
another's CPU from about four on. What is older waits for its network, and must not hold up the others."""
AT_ONCE = 100
"""Jobs that run at one time, each with a thread, a socket and, of an answer that floods, a MiB."""

Job = Callable[[], "Iterable[Job]"]
"""Returns the jobs that follow from it; must not raise."""


@functools.cache
def threads() -> ThreadPoolExecutor:
    """Those of the process: a pool made for each run would be one more thing that a run of one target waits for."""
    return ThreadPoolExecutor(AT_ONCE, "probe")


def pace(begun: Collection[float], last: float, now: float) -> float | None:
    """Seconds until the next job may start, 0 if it may at once, None if one has to end first.

    `begun` are the starts of those that run, `last` the latest start of all, on the clock of `now`.
    """
    if len(begun) >= AT_ONCE:
        return None
    young = [start for start in begun if start > now - LEASE]
    free = min(young) + LEASE if len(young) >= YOUNG else last + GAP
    return max(0.0, free - now)


@dataclass(slots=True)
class Scheduler:
    """One run of jobs; `deadline` in seconds of time.monotonic: what has not begun by then never will."""

    deadline: float
    _waiting: deque[Job] = field(default_factory=deque)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _last: float = -math.inf
    _begun: dict[int, float] = field(default_factory=dict)
    _done: SimpleQueue[tuple[int, tuple[Job, ...]]] = field(default_factory=SimpleQueue)

    def drive(self, jobs: Iterable[Job]) -> None:
        """Run jobs, and those that follow from them before the rest; returns when all that began are done."""
        self._waiting.extend(jobs)
        while self._begun or self._may_begin():
            wait = self._wait()
            if wait == 0:
                self._begin()
            else:
                self._settle(wait)

    def _may_begin(self) -> bool:
        return bool(self._waiting) and time.monotonic() < self.deadline

    def _alone(self) -> bool:
        """Whether there is one job in all: it needs neither a gap nor a thread of its own."""
        return not self._begun and len(self._waiting) == 1

    def _wait(self) -> float | None:
        if not self._may_begin():
            return None
        return 0 if self._alone() else pace(self._begun.values(), self._last, time.monotonic())

    def _begin(self) -> None:
        alone = self._alone()
        job, number = self._waiting.popleft(), next(self._numbers)
        self._begun[number] = self._last = time.monotonic()
        if alone:
            self._run(number, job)
        else:
            threads().submit(self._run, number, job)

    def _run(self, number: int, job: Job) -> None:
        following: tuple[Job, ...] = ()
        try:
            following = tuple(job())
        finally:
            self._done.put((number, following))

    def _settle(self, seconds: float | None) -> None:
        """Wait for a job that ends, so long at most."""
        try:
            number, following = self._done.get(timeout=seconds)
        except Empty:
            return
        del self._begun[number]
        self._waiting.extendleft(reversed(following))
