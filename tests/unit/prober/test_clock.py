"""The clock of a probe: a phase ends with its timeout or with the run, whichever comes first."""

import math
import time

import pytest
from prober.clock import Clock


@pytest.mark.parametrize(("timeout", "run"), [(1.0, math.inf), (1.0, 3600.0), (3600.0, 1.0)])
def test_a_phase_has_what_is_left_of_its_timeout_and_of_the_run(timeout: float, run: float) -> None:
    clock = Clock(timeout, time.monotonic() + run)
    with clock.phase("tcp"):
        assert 0 < clock.left() <= 1


def test_a_phase_that_begins_after_the_end_has_no_time_at_all() -> None:
    clock = Clock(3, time.monotonic())
    with clock.phase("tcp"), pytest.raises(TimeoutError):
        clock.left()
    assert clock.over


def test_each_phase_has_the_whole_timeout() -> None:
    clock = Clock(1, math.inf)
    with clock.phase("dns"):
        first = clock.until
    with clock.phase("tcp"):
        assert clock.until > first
    assert not clock.over


def test_a_phase_that_fails_is_timed_as_well() -> None:
    clock = Clock(1, math.inf)
    with pytest.raises(RuntimeError), clock.phase("tcp"):
        raise RuntimeError
    assert clock.phases.keys() == {"tcp"}
    assert 0 <= clock.phases["tcp"] < 1000
