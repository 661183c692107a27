"""Again, and when: delays of bells, pauses after refusals, and the end of patience."""

from datetime import timedelta

import pytest
from linkgate.errors import Throttled, Unavailable
from linkgate.retry import PATIENCE, delay, following, lasts, pause


def test_a_repeat_waits_twice_as_long_as_the_one_before_up_to_what_sqs_allows() -> None:
    assert [delay(attempt) for attempt in (-1, 0, 1, 2, 3, 10, 11, 10**9)] == [0, 0, 1, 2, 4, 512, 900, 900]
    assert 4 * 60 < sum(map(delay, range(PATIENCE + 1))) < 9 * 60


def test_a_pause_doubles_with_every_refusal_up_to_an_hour() -> None:
    seconds = [pause(tries).total_seconds() for tries in range(1, 14)]
    assert seconds == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]
    assert pause(10**9) == timedelta(hours=1)


@pytest.mark.parametrize("error", [None, Unavailable("no route")])
def test_a_question_is_repeated_nine_times_and_then_left(error: Exception | None) -> None:
    asked = [attempt for attempt in range(20) if lasts(attempt, error)]
    assert asked == list(range(PATIENCE))
    assert [following(attempt, error) for attempt in (0, 7)] == [1, 8]


def test_a_throttled_question_is_asked_every_two_seconds_until_it_is_answered() -> None:
    error = Throttled("RequestLimitExceeded")
    assert lasts(10**6, error)
    assert {delay(following(attempt, error)) for attempt in (0, 1, 2, 3, 50)} == {2}
