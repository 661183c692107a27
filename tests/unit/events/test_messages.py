"""Messages: a subject that SNS takes, all that a person needs, and a page that shows every one of them."""

from datetime import timedelta

import pytest
from linkgate.events import catalog
from linkgate.events.message import LONGEST_SUBJECT, message, span, subject

from tests import messages
from tests.infrastructure.stack import ROOT

BLOCKS = dict(messages.blocks())
ENDPOINTS = [heading for heading, text in BLOCKS.items() if "\nEndpoint: " in text]


def facts(text: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in text.splitlines()[2:] if ": " in line and not line.startswith(" "))


def test_the_page_shows_what_the_code_says() -> None:
    page = (ROOT / "docs" / "messages.md").read_text()
    assert page == messages.page(), "python -m tests.messages > docs/messages.md"


@pytest.mark.parametrize("text", BLOCKS.values(), ids=BLOCKS.keys())
def test_every_message_says_what_to_do_next_and_has_a_subject_that_is_not_cut_off(text: str) -> None:
    shown = subject("linkgate", text.replace("vpce-00000000000000001", "vpce-0123456789abcdef0"))
    assert len(shown) <= LONGEST_SUBJECT
    assert not shown.endswith("...")
    assert any(line.startswith("Next") for line in text.splitlines())
    assert not any(quoted in text for quoted in ("None", "see the ledger", "check the connection"))


@pytest.mark.parametrize("heading", ENDPOINTS)
def test_a_message_about_an_endpoint_says_whose_it_is_by_which_row_since_when_and_why(heading: str) -> None:
    told = facts(BLOCKS[heading])
    assert {"Endpoint", "Account", "Service", "Row"} <= told.keys()
    assert "owner payments" in told["Row"] or told["Row"] == "none"
    assert {"Since", "Cause"} <= told.keys() or {"It was", "It lasted"} <= told.keys()


def test_a_second_cause_is_named_with_its_zone() -> None:
    assert facts(BLOCKS["An endpoint does not answer"])["Also"].startswith("zone_unreachable: ")
    assert "(eu-west-1b)" in facts(BLOCKS["An endpoint does not answer"])["Also"]


@pytest.mark.parametrize(
    ("headline", "expected"),
    [
        ("OUT: a", "[prod] OUT: a"),
        ("caf\u00e9 \u2603\x07", "[prod] caf? ??"),
        ("x" * 200, f"[prod] {'x' * 89}..."),
    ],
)
def test_a_subject_is_one_line_of_printable_ascii_of_less_than_a_hundred_characters(
    headline: str, expected: str
) -> None:
    assert subject("prod", message(headline, [("What", "b")])) == expected


@pytest.mark.parametrize("end", ["\n", "\r", "\u2028", "\n\n"])
def test_no_text_of_others_makes_a_fact_or_a_second_headline(end: str) -> None:
    told = message(f"INVALID ROW: a{end}Next: b", [("Row", f"a{end}Next: send us the key"), ("Next", "mend the row")])
    assert len(told.splitlines()[0]) > len("INVALID ROW: a")
    assert [line for line in told.splitlines() if line.startswith("Next")] == ["Next: mend the row"]


def test_lines_that_a_fact_goes_on_with_stay_as_they_are_set_in() -> None:
    assert message("A", [("Who", "\n  vpce-1\n  vpce-2")]) == "A\n\nWho: \n  vpce-1\n  vpce-2"


@pytest.mark.parametrize("fact", ["\n", "a\n"])
def test_a_fact_may_end_with_a_line_break(fact: str) -> None:
    assert message("A", [("What", fact)]) == f"A\n\nWhat: {fact.strip()}"


def test_a_fact_without_a_value_is_left_out() -> None:
    assert message("A", [("What", ""), ("Next", "nothing")]) == "A\n\nNext: nothing"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (59, "less than a minute"),
        (60, "1 minute"),
        (3600 + 120, "1 hour 2 minutes"),
        (2 * 86400 + 3 * 3600 + 60, "2 days 3 hours"),
        (86400 + 60, "1 day 1 minute"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(seconds: int, expected: str) -> None:
    assert span(timedelta(seconds=seconds)) == expected


PROBLEMS = [
    "AcceptanceRequired is off: EC2 accepts every connection by itself",
    "the service is Deleting, not Available",
    "the private DNS name is pendingVerification, not verified",
    "its connection notification is disabled or does not carry every event",
    "it has no connection notification, and EC2 makes none: no",
    "everybody (*) may ask for a connection, and default is reject: whoever has no row is rejected for good",
    "EC2 refuses to change its principals: InvalidPrincipal",
    "the Linkgate stack other is notified of its connections too, and decides about them by a table of its own",
    "it has a row @settings, but no tag linkgate = managed, or it is gone: nobody looks after it",
]


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_of_a_service_has_a_next_step(problem: str) -> None:
    assert catalog.step_for(problem).format(service="vpce-svc-1")
    assert len(catalog._STEPS) == len(PROBLEMS)
