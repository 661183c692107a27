"""What is shown: times since, and texts of others that cannot touch the terminal."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from linkgate_cli.output import age, clean, console, notes, table, visible
from rich.console import Console, Group
from rich.text import Text

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


def test_lines_of_others_stay_lines() -> None:
    assert visible("a\x1b[2J\nb\u202e\r") == "a [2J\nb  "


@pytest.mark.parametrize("made", [console, notes])
def test_nothing_shown_steers_the_terminal_whoever_forgot_to_clean_it(
    made: Callable[[], Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    screen, hostile = made(), "owner\x1b]0;x\x07\x9b2J\u202egro"
    with screen.capture() as shown:
        screen.print(hostile, Text(hostile), Group(Text(hostile), table("a", rows=[[Text(hostile)]])), sep="\n")
    assert shown.get().count("owner") == 4
    assert all(one.isprintable() or one == "\n" for one in shown.get())
