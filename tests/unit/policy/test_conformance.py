"""The policy against its conformance suite, the suite against the contract, the runner against what it must refuse."""

import pytest
from linkgate.model import Outcome, Reason
from linkgate_cli.cases import Case, Unusable, load

from tests.conformance import suite

CASES = suite()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file.removesuffix('.yaml')}: {case.name}")
def test_the_policy_says(case: Case) -> None:
    assert case.differences() == []


def test_every_outcome_and_every_reason_is_expected_for_new_and_for_live_connections() -> None:
    # To cut is what the sweep makes of a live connection that is no longer allowed; no live one waits for the breaker.
    assert {case.expected["outcome"] for case in CASES} == set(Outcome) - {Outcome.CUT}
    assert {case.expected["reason"] for case in CASES if "ends" not in case.expected} == set(Reason)
    assert {case.expected["reason"] for case in CASES if "ends" in case.expected} == set(Reason) - {Reason.BREAKER}


FILE = """
about: a file that can be read
service: vpce-svc-0123456789abcdef0
time: 2026-11-23T03:00:00Z
request: {endpoint: vpce-0a1b2c3d4e5f60718, account: 222222222222, region: eu-west-1}
table: [{consumer: 222222222222, effect: allow}]
cases:
  - case: they come in
    expect: {outcome: accept, reason: allowed, row: 222222222222}
"""


def test_a_case_that_meets_its_expectations_says_nothing() -> None:
    assert [case.differences() for case in load("topic.yaml", FILE)] == [[]]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (("accept,", "hold,"), "outcome: expected hold, found accept"),
        (("reason: allowed", "reason: frozen"), "reason: expected frozen, found allowed"),
        (
            ("row: 222222222222", "row: '*/*'"),
            "row: expected */*, found vpce-svc-0123456789abcdef0/222222222222",
        ),
        ((", row: 222222222222", ""), "row: expected None, found vpce-svc-0123456789abcdef0/222222222222"),
        (("allowed,", "allowed, cut_now: true,"), "cut_now: expected True, found False"),
        (("allowed,", "allowed, mode: enforce,"), "mode: expected enforce, found observe"),
        (("allowed,", "allowed, note: broken,"), "note: expected broken, found "),
        (("allowed,", "allowed, near_misses: {'*': expired},"), "near_misses: expected {RowKey(service='vpce-svc-01"),
        (("allowed,", "allowed, settings: {grace: 61s},"), "settings: expected {'grace': datetime.timedelta(seconds=6"),
    ],
)
def test_an_expectation_that_is_not_met_is_named_with_file_and_case(change: tuple[str, str], difference: str) -> None:
    (case,) = load("topic.yaml", FILE.replace(*change))
    assert case.differences()[0].startswith(f"topic.yaml: they come in: {difference}")


def test_a_live_case_that_does_not_end_as_expected_says_so() -> None:
    live = "live: {vpce-0a1b2c3d4e5f60718: 222222222222}\ncases:"
    (case,) = load("topic.yaml", FILE.replace("cases:", live).replace("allowed,", "allowed, ends: true,"))
    assert case.differences() == ["topic.yaml: they come in: ends: expected True, found False"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("about: a file that can be read", ""), "topic.yaml: about is missing"),
        (("about:", "topic: x\nabout:"), "topic.yaml: topic is not known: expected some of service, time, request"),
        (("time:", "about: again\ntime:"), "topic.yaml: line 2: about stands there twice"),
        (
            ("    expect:", "    tabel: []\n    expect:"),
            "topic.yaml: they come in: tabel is not known: expected some of",
        ),
        (("case: they come in", "name: x"), "topic.yaml: a case without a name: name is not known: expected some of"),
        (("case: they come in", "live: {}"), "topic.yaml: a case without a name: case is missing"),
        (("expect: {outcome: accept, reason: allowed, row: 222222222222}", "live: {}"), "expect is missing"),
        (("service: vpce-svc-0123456789abcdef0\n", ""), "they come in: service is missing"),
        (("time: 2026-11-23T03:00:00Z\n", ""), "they come in: time is missing"),
        (("03:00:00Z", "03:00:00"), "they come in: an ISO 8601 time with a zone"),
        ((", region: eu-west-1", ""), "they come in: region is missing"),
        (("region:", "Region:"), "they come in: Region is not known: expected some of endpoint, account, region"),
        (("endpoint: vpce-0a1b2c3d4e5f60718", "endpoint: vpce-1"), "they come in: vpce-1 is no endpoint"),
        (("account: 222222222222", "account: payments"), "they come in: payments is no account"),
        (("service: vpce-svc-0123456789abcdef0", "service: orders"), "they come in: orders is no service"),
        (("cases:", "live: {vpce-1: 222222222222}\ncases:"), "they come in: vpce-1 is no endpoint"),
        (("cases:", "live: {vpce-0bbbbbbbbbbbbbbb0: payments}\ncases:"), "they come in: payments is no account"),
        (("cases:", "organization: {222222222222: [payments]}\ncases:"), "they come in: payments is no unit"),
        (("cases:", "organization: {payments: []}\ncases:"), "they come in: payments is no account"),
        (("region: eu-west-1", "region: Ireland"), "they come in: Ireland is no region"),
        (("table: [", "table: [{consumer: 222222222222, effect: deny}, "), "stands in the table twice"),
        (("outcome: accept", "outcome: accepted"), "'accepted' is not a valid Outcome"),
        (("reason: allowed", "reason: listed"), "'listed' is not a valid Reason"),
        (("reason: allowed, ", ""), "they come in: reason is missing"),
        (("allowed,", "allowed, ends: true,"), "a live request, and no other, says whether it `ends`"),
        (("cases:", "live: {vpce-0a1b2c3d4e5f60718: 222222222222}\ncases:"), "a live request, and no other, says"),
        (
            ("cases:", "live: {vpce-0a1b2c3d4e5f60718: 333333333333}\ncases:"),
            "vpce-0a1b2c3d4e5f60718 is live, and of 333333333333",
        ),
        (("allowed,", "allowed, cut_now: maybe,"), "they come in: 'maybe'"),
        (("allowed,", "allowed, mode: on,"), "'on' is not a valid Mode"),
        (("allowed,", "allowed, near_misses: {'*': late},"), "'late' is not a valid Reason"),
        (("allowed,", "allowed, settings: {grace: soon},"), 'grace is "soon": expected a duration'),
        (("allowed,", "allowed, why: x,"), "why is not known: expected some of outcome, reason, row"),
        (("cases:", "organization: asleep\ncases:"), "they come in: 'asleep'"),
        (("cases:", "organization: [o-a1b2c3d4e5]\ncases:"), "they come in: 'list' object has no attribute"),
        (("cases:", "cases:\n  - x"), "topic.yaml: 'str' object has no attribute"),
        (("cases:", "cases: ["), "topic.yaml: while parsing"),
        ((FILE, FILE + FILE[FILE.index("  - case") :]), "topic.yaml: they come in: another case has this name"),
    ],
)
def test_what_cannot_be_run_is_an_error_that_names_file_and_case(change: tuple[str, str], problem: str) -> None:
    with pytest.raises(Unusable) as error:
        load("topic.yaml", FILE.replace(*change))
    assert str(error.value).startswith("topic.yaml: ")
    assert problem in str(error.value)


def test_every_file_is_about_something_and_has_cases() -> None:
    assert len({case.file for case in CASES}) >= 12
