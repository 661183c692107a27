"""The nouns: what each state and each reason means, and that nothing changes a value once it is made."""

from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, datetime

import pytest
from linkgate.model import (
    ALONE,
    FIVE,
    HUNDRED,
    OUTSIDE,
    Budget,
    Connection,
    Decision,
    DecisionContext,
    Effect,
    Lineage,
    MalformedRow,
    Mode,
    Outcome,
    Reason,
    RowKey,
    Rule,
    ServiceSettings,
    State,
    Status,
)
from linkgate.policy.rows import CanaryRow, ReleaseRow, SettingsRow

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
CONNECTION = Connection("vpce-svc-1", "vpce-1", "222222222222", "eu-west-1", State.PENDING_ACCEPTANCE, NOW)
KEY = RowKey("vpce-svc-1", "*")
DECISION = Decision(Outcome.ACCEPT, Reason.ALLOWED, Mode.ENFORCE, "0" * 64)
MADE = [
    *(CONNECTION, DECISION, ServiceSettings(), Lineage(), DecisionContext()),
    *(Rule(KEY, Effect.ALLOW), MalformedRow(KEY, "limit", "limit is wrong"), SettingsRow(KEY, {})),
    *(ReleaseRow(KEY, frozenset()), CanaryRow(KEY, "arn")),
]


@pytest.mark.parametrize("value", MADE, ids=lambda value: type(value).__name__)
def test_a_value_cannot_be_changed_and_has_nothing_but_its_fields(value: object) -> None:
    for field in fields(value):  # type: ignore[arg-type]
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, None)
    assert not hasattr(value, "__dict__")
    assert replace(value) == value  # type: ignore[type-var]


def test_tags_do_not_make_it_another_connection() -> None:
    assert {CONNECTION, replace(CONNECTION, tags={"Name": "orders"})} == {CONNECTION}


def test_a_live_connection_that_is_decided_on_like_this_is_no_longer_allowed() -> None:
    ending = {Reason.DENIED, Reason.EXPIRED, Reason.NOT_YET_VALID, Reason.WRONG_REGION, Reason.NOT_LISTED}
    assert {reason for reason in Reason if reason.ends} == ending
    assert all(isinstance(reason.ends, bool) for reason in Reason)


def test_traffic_may_pass_in_these_statuses_of_the_ledger() -> None:
    assert {status for status in Status if status.live} == {Status.ACCEPTED, Status.VERIFIED, Status.UNHEALTHY}


def test_a_state_of_ec2_is_live_or_gone_or_waits_or_none_of_these() -> None:
    assert {state for state in State if state.live} == {State.PENDING, State.AVAILABLE, State.PARTIAL}
    assert {state for state in State if state.passes} == {State.AVAILABLE, State.PARTIAL}
    assert {state for state in State if state.gone} == {State.DELETING, State.DELETED, State.FAILED, State.EXPIRED}
    assert {state for state in State if replace(CONNECTION, state=state).waits} == {State.PENDING_ACCEPTANCE}


@pytest.mark.parametrize("state", State)
def test_a_state_is_read_in_any_case_and_with_blanks(state: State) -> None:
    for text in (state.value, state.value.upper(), f" {state.value.title()} ", state):
        assert State.read(text) is state


@pytest.mark.parametrize("text", ["pendingAccept", "", None, 7, "live", "PENDING_ACCEPTANCE"])
def test_a_state_that_nobody_has_heard_of_is_unknown(text: object) -> None:
    assert State.read(text) is State.UNKNOWN


def test_the_api_and_its_wire_write_the_same_state_in_other_letters() -> None:
    assert State.read("PendingAcceptance") is State.read("pendingAcceptance") is State.PENDING_ACCEPTANCE


def test_the_key_of_a_row_reads_service_and_consumer() -> None:
    assert str(KEY) == "vpce-svc-1/*"
    assert str(MalformedRow(KEY, "limit", "limit is wrong")) == "row vpce-svc-1/*: limit is wrong"


@pytest.mark.parametrize(
    ("budget", "live", "acts"),
    [
        (Budget(5), 0, 5),
        (Budget(5), 1000, 5),
        (Budget(0), 1000, 0),
        (Budget(10, percent=True), 1000, 100),
        (Budget(10, percent=True), 199, 19),
        (Budget(10, percent=True), 9, 0),
        (Budget(7, percent=True), 15, 1),
        (Budget(100, percent=True), 3, 3),
        (Budget(0, percent=True), 3, 0),
    ],
)
def test_a_breaker_lets_a_number_through_or_a_percentage_of_which_a_part_is_none(
    budget: Budget, live: int, acts: int
) -> None:
    assert budget.of(live) == acts


def test_a_budget_is_a_number_unless_it_says_percent() -> None:
    assert (Budget(5, percent=False), Budget(100, percent=False)) == (FIVE, HUNDRED)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("outcome", Outcome)
def test_ec2_is_told_of_what_is_enforced_and_no_hold(mode: Mode, outcome: Outcome) -> None:
    decision = replace(DECISION, mode=mode, outcome=outcome)
    assert decision.acts is (mode is Mode.ENFORCE and outcome is not Outcome.HOLD)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("outcome", Outcome)
def test_ec2_is_told_to_reject_what_is_rejected_and_enforced_alone(mode: Mode, outcome: Outcome) -> None:
    decision = Decision(outcome, Reason.DENIED, mode, "hash")
    assert decision.rejects is ((outcome, mode) == (Outcome.REJECT, Mode.ENFORCE))
    assert decision.certain is True


def test_a_decision_says_outcome_reason_and_row() -> None:
    assert DECISION.says() == ("accept", "allowed", "")
    assert replace(DECISION, row=KEY).says() == ("accept", "allowed", "vpce-svc-1/*")


def test_what_is_not_said_of_a_decision_is_nothing() -> None:
    left = (DECISION.row, DECISION.applied, DECISION.near_misses, DECISION.people, DECISION.note, DECISION.limit)
    assert left == (None, (), (), {}, "", None)
    assert DECISION.cut_now is False


def test_a_rule_without_conditions_or_words_has_none() -> None:
    rule = Rule(KEY, Effect.DENY)
    assert (rule.limit, rule.starts_at, rule.expires_at, rule.regions, rule.people) == (
        None,
        None,
        None,
        frozenset(),
        {},
    )
    assert rule.cut is False


def test_who_stands_alone_has_nothing_else_live_is_outside_and_shut_out_by_nobody() -> None:
    assert DecisionContext(live=0, lineage=Lineage((), None, ""), unmatched=()) == ALONE
    assert Lineage((), None, "") == OUTSIDE


def test_a_budget_is_written_as_people_write_it() -> None:
    assert [str(Budget(5)), str(Budget(20, percent=True))] == ["5", "20%"]
