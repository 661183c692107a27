"""An answer that Lambda carries, however many verdicts there are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prober.scope import Scope
from prober.verdict import CUT, MOST, SHORTEST, Verdict, report

from tests import gallery
from tests.unit.prober.conftest import probe_all

QUOTA = 6 * 1024 * 1024
LONG = "x" * 2000


def verdict(number: int, text: str = "") -> Verdict:
    return Verdict(
        f"vpce-{number:017}", f"vpce-svc-{number:017}", text[:255], text, "10.0.0.1", "tcp_timeout", text[:300]
    )


def test_verdicts_are_told_in_full_and_in_their_order() -> None:
    found = report([verdict(1, "a"), verdict(2, "b")])
    assert [one["endpoint_id"] for one in found] == [f"vpce-{1:017}", f"vpce-{2:017}"]
    assert found[0] == {
        "endpoint_id": f"vpce-{1:017}",
        "service_id": f"vpce-svc-{1:017}",
        "name": "a",
        "url": "a",
        "address": "10.0.0.1",
        "cause": "tcp_timeout",
        "detail": "a",
        "phases": {},
        "retransmits": 0,
        "tls_days_left": None,
        "http_status": None,
    }


def test_ten_thousand_verdicts_of_an_ordinary_size_are_told_in_full() -> None:
    url = "tcp://vpce-0a1b2c3d4e5f60718-abcd1234.vpce-svc-0a1b2c3d4e5f60718.eu-west-1.vpce.amazonaws.com:443"
    found = report([Verdict(f"vpce-{n:017}", f"vpce-svc-{n:017}", url[6:-4], url) for n in range(10_000)])
    assert {one["url"] for one in found} == {url}


def test_what_is_too_much_is_cut_short_and_blames_nobody() -> None:
    found = report([verdict(number, LONG) for number in range(10_000)])
    assert len(json.dumps({"verdicts": found})) < QUOTA
    assert len(found) == 10_000
    assert found[0]["url"] == LONG
    assert (found[-1]["cause"], found[-1]["detail"], found[-1]["url"]) == ("probe_error", CUT, "")
    assert found[-1]["endpoint_id"] == f"vpce-{9999:017}"


def test_a_verdict_that_was_cut_short_is_as_short_as_is_counted() -> None:
    many = report([Verdict("x" * 40, "y" * 40, LONG, LONG)] * MOST)
    assert max(len(json.dumps(one)) for one in many if one["detail"] == CUT) <= SHORTEST


def test_of_more_verdicts_than_may_be_told_the_last_says_how_many_are_missing() -> None:
    found = report([verdict(number) for number in range(MOST + 7)])
    assert len(found) == MOST
    assert found[-1]["detail"] == f"7 verdicts more were {CUT}"


# ------------------------------------------------------------------ the schema

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
NONSENSE = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
WISHES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("endpoint_id", "service_id", "name", "url", "expect"), NONSENSE)
    | dict.fromkeys(("server_name", "expect_status", "expect_body", "timeout_seconds"), NONSENSE),
)


@given(st.lists(WISHES | NONSENSE) | NONSENSE)
def test_whatever_a_canary_is_given_it_answers_as_the_schema_says(targets: object) -> None:
    probe_all(targets, Scope.parse("", "443", "10.0.0.0/8"))


def test_what_was_cut_short_is_as_the_schema_says() -> None:
    found = report([verdict(number, LONG) for number in range(MOST + 7)])
    gallery.hold_to_schema(gallery.VERDICTS, {"verdicts": [*found[:1], *found[-2:]]})


@pytest.mark.parametrize("spoilt", [{"cause": "tired"}, {"address": "here"}, {"rtt_ms": 1.0}, {"phases": {"dns": -1}}])
def test_what_no_canary_says_is_not_as_the_schema_says(spoilt: dict[str, object]) -> None:
    (one,) = report([verdict(1)])
    with pytest.raises(AssertionError):
        gallery.hold_to_schema(gallery.VERDICTS, {"verdicts": [one | spoilt]})
