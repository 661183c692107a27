"""When a batch of an event source goes out."""

import pytest

from lab.functions import pauses
from lab.functions.batches import Windows

WINDOW, QUIET = 1.0, 20.0


class Clock:
    """A clock that stands until the test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def windows(clock: Clock) -> Windows:
    return Windows(QUIET, clock)


def test_without_a_window_a_lone_message_goes_at_once(windows: Windows) -> None:
    assert windows.is_due("queue", 1, 10, 0)


def test_with_a_window_a_quiet_queue_waits_longer_than_its_window(windows: Windows, clock: Clock) -> None:
    assert not windows.is_due("queue", 1, 10, WINDOW)
    clock.now += QUIET - 1
    assert not windows.is_due("queue", 1, 10, WINDOW)
    clock.now += 1
    assert windows.is_due("queue", 1, 10, WINDOW)


def test_a_busy_queue_waits_for_its_window_alone(windows: Windows, clock: Clock) -> None:
    assert windows.is_due("queue", 10, 10, WINDOW)
    clock.now += QUIET / 2
    assert not windows.is_due("queue", 1, 10, WINDOW)
    clock.now += WINDOW
    assert windows.is_due("queue", 1, 10, WINDOW)


def test_a_full_batch_waits_for_nothing(windows: Windows) -> None:
    assert windows.is_due("queue", 10, 10, WINDOW)


def test_a_window_begins_anew_when_nothing_is_left(windows: Windows, clock: Clock) -> None:
    assert not windows.is_due("queue", 1, 10, WINDOW)
    clock.now += QUIET
    assert not windows.is_due("queue", 0, 10, WINDOW)
    assert not windows.is_due("queue", 1, 10, WINDOW)


def test_sources_do_not_wait_for_each_other(windows: Windows) -> None:
    assert windows.is_due("busy", 10, 10, WINDOW)
    assert not windows.is_due("quiet", 1, 10, WINDOW)


def test_a_stream_has_no_quiet_time(clock: Clock) -> None:
    windows = Windows(clock=clock)
    assert not windows.is_due("stream", 1, 10, WINDOW)
    clock.now += WINDOW
    assert windows.is_due("stream", 1, 10, WINDOW)


def test_a_throttled_event_is_tried_for_as_long_as_it_may_be_old_ever_more_rarely() -> None:
    assert list(pauses(60)) == [1, 2, 4, 8, 16]
    assert list(pauses(0)) == []
    waits = list(pauses(21_600))
    assert max(waits) == 300
    assert sum(waits) <= 21_600
