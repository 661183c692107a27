"""Side by side, and in turn."""

import threading

import pytest
from linkgate.abreast import lanes, threads


def test_those_of_one_lane_stay_in_their_order() -> None:
    assert lanes([3, 1, 2, 5, 4], of=lambda one: one % 2) == [[3, 1, 5], [2, 4]]


def test_answers_come_in_the_order_of_the_questions() -> None:
    first = threading.Event()

    def do(one: int) -> int:
        if one == 0:
            first.wait(10)  # until the last one let it go
        else:
            first.set()
        return -one

    assert list(threads(2)(do, range(3))) == [0, -1, -2]


def test_what_fails_is_raised_after_all_the_others_are_done() -> None:
    done = set()

    def do(one: int) -> None:
        if one == 1:
            raise ValueError("one")
        done.add(one)

    with pytest.raises(ValueError, match="one"):
        threads(2)(do, range(6))
    assert done == {0, 2, 3, 4, 5}


def test_so_many_are_on_their_way_at_once() -> None:
    together = threading.Barrier(3, timeout=10)
    assert list(threads(3)(lambda one: together.wait() >= 0, range(3))) == [True] * 3
