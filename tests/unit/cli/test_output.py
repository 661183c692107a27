"""What is shown: times since, and texts of others that cannot touch the terminal."""

from datetime import UTC, datetime, timedelta

import pytest
from linkgate_cli.output import age, clean

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=89), "89 s"),
        (timedelta(seconds=90), "1 min"),
        (timedelta(minutes=89), "89 min"),
        (timedelta(minutes=90), "1 h"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=3, hours=5), "3 d"),
    ],
)
def test_an_age_has_one_unit(span: timedelta, words: str) -> None:
    assert age(NOW - span, NOW) == words


def test_what_never_was_has_no_age() -> None:
    assert age(None, NOW) == ""


def test_a_text_of_others_is_one_line_that_moves_no_cursor() -> None:
    assert clean("a\x1b[2Jb\nc\u202ed\x07") == "a [2Jb c d"
