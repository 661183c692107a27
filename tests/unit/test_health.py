"""Three bad rounds of the last five make an endpoint unhealthy, as the alarm counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkgate.health import ROUNDS, grown, status_after
from linkgate.model import Status


def rounds(found: str, status: Status = Status.ACCEPTED) -> Status:
    """Where an endpoint stands after rounds, one character each."""
    recent = ""
    for one in found:
        recent = grown(recent, one == "1")
        status = status_after(status, recent)
    return status


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ("0", Status.ACCEPTED),
        ("00", Status.ACCEPTED),
        ("1", Status.VERIFIED),
        ("01", Status.VERIFIED),
        ("10", Status.VERIFIED),
        ("100", Status.VERIFIED),
        ("1000", Status.UNHEALTHY),
        ("000", Status.UNHEALTHY),
        ("01010", Status.UNHEALTHY),
        ("0011", Status.VERIFIED),
        ("001100", Status.UNHEALTHY),
        ("11111000", Status.UNHEALTHY),
        ("0000011", Status.UNHEALTHY),
        ("00000111", Status.VERIFIED),
        ("0001", Status.UNHEALTHY),
        ("000111", Status.VERIFIED),
    ],
)
def test_an_accepted_endpoint_stands_by_its_last_five_rounds(found: str, status: Status) -> None:
    assert rounds(found) is status


@given(st.text("01", min_size=1, max_size=20))
def test_an_endpoint_is_unhealthy_exactly_while_three_of_its_last_five_rounds_are_bad(found: str) -> None:
    assert (rounds(found) is Status.UNHEALTHY) == (found[-ROUNDS:].count("0") >= 3)


@given(st.text("01", min_size=1, max_size=20))
def test_only_a_good_round_ever_verified_an_endpoint(found: str) -> None:
    assert "1" in found or rounds(found) is not Status.VERIFIED


@given(st.text("01", max_size=20), st.booleans())
def test_the_last_rounds_are_five_at_most_the_newest_last(recent: str, good: bool) -> None:
    assert grown(recent, good) == (recent + str(int(good)))[-5:]


@given(st.text("01", min_size=2, max_size=20).filter(lambda found: found.endswith("1")))
def test_a_good_round_never_makes_an_endpoint_unhealthy(found: str) -> None:
    assert rounds(found) is not Status.UNHEALTHY or rounds(found[:-1]) is Status.UNHEALTHY


def test_bad_rounds_of_the_past_do_not_make_an_endpoint_unhealthy_in_a_good_one() -> None:
    assert status_after(Status.ACCEPTED, "00001") is not Status.UNHEALTHY
    assert status_after(Status.UNHEALTHY, "00001") is Status.UNHEALTHY
