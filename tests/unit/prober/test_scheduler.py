"""How jobs are paced: few at a time while they are young, none begun after the deadline, none lost."""

import math
import threading
import time
from collections.abc import Callable, Iterable

import pytest
from prober import scheduler
from prober.scheduler import AT_ONCE, GAP, LEASE, YOUNG, Job, Scheduler, pace


class Crowd:
    """Jobs that wait for one another, so many seconds at most, and how many ran side by side."""

    def __init__(self, enough: int = 0, patience: float = 10) -> None:
        self.running = self.most = self.done = 0
        self._enough, self._patience = enough, patience
        self._changed = threading.Condition()

    def job(self) -> Iterable[Job]:
        with self._changed:
            self.running += 1
            self.most = max(self.most, self.running)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self._enough, self._patience)
            self.running -= 1
            self.done += 1
        return ()


def test_every_job_is_done_and_those_that_follow_as_well() -> None:
    done: list[str] = []

    def job(name: str, *following: Job) -> Job:
        def run() -> Iterable[Job]:
            done.append(name)
            return following

        return run

    Scheduler(math.inf).drive([job("a", job("a1"), job("a2", job("a2x"))), job("b")])
    assert sorted(done) == ["a", "a1", "a2", "a2x", "b"]


def test_what_follows_comes_before_what_waits() -> None:
    done: list[str] = []

    def note(name: str, *following: Job) -> Callable[[], Iterable[Job]]:
        def run() -> Iterable[Job]:
            done.append(name)
            return following

        return run

    Scheduler(math.inf).drive([note("a", note("a1"), note("a2")), *(note(str(number)) for number in range(50))])
    assert done.index("a1") < done.index("a2") < 49


@pytest.mark.parametrize(
    ("begun", "last", "expected"),
    [
        ([], -math.inf, 0),
        ([], -1, 0),
        ([], -GAP / 4, GAP * 3 / 4),
        ([-GAP], -GAP, 0),
        ([-0.04, -0.03, -0.02], -0.02, 0),
        ([-0.04, -0.03, -0.02, -0.01], -0.01, LEASE - 0.04),
        ([-0.06, -0.04, -0.03, -0.02, -0.01], -0.01, LEASE - 0.06),
        ([-9, -0.04, -0.03, -0.02], -0.02, 0),
        ([-9, -0.04, -0.03, -0.02, -0.01], -0.01, LEASE - 0.04),
        ([-9] * (AT_ONCE - 1), -9, 0),
        ([-9] * AT_ONCE, -9, None),
    ],
)
def test_the_next_job_waits_for_the_gap_and_for_a_lane(begun: list[float], last: float, expected: float | None) -> None:
    now = 1000.0
    found = pace([now + start for start in begun], now + last, now)
    assert found is None if expected is None else found == pytest.approx(expected)


def test_young_jobs_are_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "LEASE", 3600)
    monkeypatch.setattr(scheduler, "GAP", 0)
    crowd = Crowd(YOUNG + 1, patience=0.2)
    Scheduler(math.inf).drive([crowd.job] * (2 * YOUNG))
    assert (crowd.most, crowd.done) == (YOUNG, 2 * YOUNG)


def test_a_job_that_is_alone_runs_where_it_is_asked_for() -> None:
    ran: list[threading.Thread] = []

    def job() -> Iterable[Job]:
        ran.append(threading.current_thread())
        return [job] if len(ran) == 1 else ()

    Scheduler(math.inf).drive([job])
    assert ran == [threading.current_thread()] * 2


def test_the_last_job_beside_others_has_a_thread_of_its_own() -> None:
    ran: list[threading.Thread] = []
    both = threading.Barrier(2)

    def job() -> Iterable[Job]:
        ran.append(threading.current_thread())
        both.wait(10)
        return ()

    Scheduler(math.inf).drive([job, job])
    assert threading.current_thread() not in ran


def test_jobs_that_take_long_do_not_hold_up_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "LEASE", 0.001)
    monkeypatch.setattr(scheduler, "GAP", 0)
    crowd = Crowd(AT_ONCE)
    Scheduler(math.inf).drive([crowd.job] * (AT_ONCE + 50))
    assert (crowd.most, crowd.done) == (AT_ONCE, AT_ONCE + 50)


def test_between_two_starts_there_is_a_gap() -> None:
    starts: list[float] = []

    def job() -> Iterable[Job]:
        starts.append(time.monotonic())
        return ()

    before = time.monotonic()
    Scheduler(math.inf).drive([job] * 11)
    # The last one is alone and does not wait.
    assert max(starts) - before >= 9 * scheduler.GAP


def test_what_has_not_begun_by_the_deadline_never_does() -> None:
    crowd = Crowd()
    Scheduler(time.monotonic() - 1).drive([crowd.job] * 3)
    assert crowd.done == 0


def test_what_follows_after_the_deadline_is_left() -> None:
    crowd = Crowd()
    late = threading.Event()
    deadline = time.monotonic() + 0.05

    def slow() -> Iterable[Job]:
        while time.monotonic() < deadline:
            late.wait(0.01)
        return [crowd.job]

    Scheduler(deadline).drive([slow, slow])
    assert crowd.done == 0


def test_nobody_waits_for_a_job_that_broke() -> None:
    crowd = Crowd()

    def broken() -> Iterable[Job]:
        raise RuntimeError

    Scheduler(math.inf).drive([broken, broken, crowd.job, crowd.job])
    assert crowd.done == 2
