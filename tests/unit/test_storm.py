"""A storm in short: what bench.storm, run and sweep show with large numbers holds with small ones in every run."""

import pytest
from linkgate.approve.batch import FULL

from bench import run, storm, sweep
from bench.timeline import LONGEST, Timeline
from tests.world import World


def test_a_storm_is_drained_about_as_fast_as_the_buckets_allow() -> None:
    """Nobody is lost or accepted twice: `simulate` says so itself. The clock is virtual, and the seed the same."""
    assert storm.simulate(2000)["ratio"] <= 1.3


def test_the_more_there_are_the_fuller_are_the_calls() -> None:
    seen = storm.simulate(4000, seconds=5, accounts=400)
    assert seen["accept_calls"] <= 4 * seen["fewest_calls"]


def test_the_event_source_hands_over_what_the_approver_takes_for_a_full_batch() -> None:
    assert storm.BATCH == FULL


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
