"""A storm in short: what bench.storm, run and sweep show with large numbers holds with small ones in every run."""

import pytest

from bench import run, storm, sweep
from bench.timeline import LONGEST, Timeline
from tests.world import World


def test_a_storm_is_drained_in_hardly_more_calls_than_there_must_be() -> None:
    """Nobody is lost or accepted twice: `simulate` says so itself."""
    seen = storm.simulate(4000, services=10, seconds=6, accounts=400)
    assert seen["accept_calls"] <= 1.4 * seen["fewest_calls"]
    assert seen["describes_throttled"] == 0


def test_in_a_storm_on_many_services_calls_for_few_find_company() -> None:
    seen = storm.simulate(6000, services=40, seconds=8, accounts=400)
    assert seen["accept_calls"] <= 1.4 * seen["fewest_calls"]


def test_a_sweep_of_what_agrees_makes_few_calls_and_sends_no_bell() -> None:
    seen = sweep.measure(2, 1000, 3000)
    assert (seen["calls"] <= 40, seen["requeued"]) == (True, 0)


def test_a_run_writes_a_hundred_items_of_the_ledger_a_call() -> None:
    seen = run.measure("accepted", 40, times=1)
    assert (seen["lines"], seen["calls"]["TransactWriteItems"]) == (40, 2 + 1)


def test_who_waits_for_one_that_has_failed_or_for_what_never_comes_fails() -> None:
    for broken, raised in ((True, "broken"), (False, "not done at")):
        world = World()
        timeline = Timeline(world)

        def work(fails: bool, timeline: Timeline = timeline) -> None:
            while not fails:
                timeline.sleep(LONGEST.total_seconds() / 10)
            raise AssertionError("broken")

        with pytest.raises(AssertionError, match=raised):
            timeline.side_by_side(work, [False, broken])
