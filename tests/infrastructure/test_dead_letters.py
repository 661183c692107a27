"""What fails is kept and seen (failures.py says what is checked)."""

from collections.abc import Callable

import pytest

from tests.infrastructure.dead_letters import (
    endless_queues,
    impatient_queues,
    misread_batches,
    open_ends,
    unwatched,
)
from tests.infrastructure.stack import Stack, arn

CHECKS = [open_ends, endless_queues, unwatched, impatient_queues, misread_batches]


@pytest.mark.parametrize("check", CHECKS)
def test_what_fails_is_kept_and_seen(stack: Stack, check: Callable[[Stack], list[str]]) -> None:
    assert check(stack) == []


def test_the_approver_reports_partial_failures(stack: Stack) -> None:
    mappings = stack.of("AWS::Lambda::EventSourceMapping").values()
    approver = next(one for one in mappings if one["EventSourceArn"] == arn("BellQueue"))
    assert approver["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


SPOILED: list[tuple[Callable[[Stack], list[str]], Callable[[Stack], object], str]] = [
    (open_ends, lambda it: it.properties("PatrolFunction").pop("DeadLetterConfig"), "PatrolFunction is invoked"),
    (
        open_ends,
        lambda it: it.properties("SweepFunctionSchedule")["Target"].pop("DeadLetterConfig"),
        "SweepFunctionSchedule has no dead letters",
    ),
    (open_ends, lambda it: it.properties("SweepFunctionEdits").pop("DestinationConfig"), "no OnFailure destination"),
    (open_ends, lambda it: it.properties("SweepFunctionEdits").pop("MaximumRetryAttempts"), "until it expires"),
    (endless_queues, lambda it: it.properties("BellQueue").pop("RedrivePolicy"), "${BellQueue.Arn} has no Redrive"),
    (
        endless_queues,
        lambda it: it.properties("NotificationQueue").pop("RedrivePolicy"),
        "${NotificationQueue.Arn} has no Redrive",
    ),
    (
        endless_queues,
        lambda it: it.properties("BellQueue")["RedrivePolicy"].update(maxReceiveCount=1),
        "${BellQueue.Arn} gives up after 1",
    ),
    (
        endless_queues,
        lambda it: it.properties("BellDeadLetters").pop("MessageRetentionPeriod"),
        "${BellQueue.Arn} keeps messages longer",
    ),
    (unwatched, lambda it: it.resources.pop("HealthDeadLettersAlarm"), "${HealthDeadLetters.QueueName} has no alarm"),
    (
        unwatched,
        lambda it: it.properties("BellDeadLettersAlarm")["Dimensions"][0].update(Value="${BellQueue.QueueName}"),
        "${BellDeadLetters.QueueName} has no alarm",
    ),
    (
        unwatched,
        lambda it: it.properties("BellDeadLettersAlarm").update(MetricName="NumberOfMessagesSent"),
        "the alarm on ${BellDeadLetters.QueueName} is ('NumberOfMessagesSent'",
    ),
    (impatient_queues, lambda it: it.properties("ApproveFunction").update(Timeout=61), "may take 61 s"),
    (impatient_queues, lambda it: it.properties("PatrolQueue").pop("VisibilityTimeout"), "hidden for 30 s"),
    (
        misread_batches,
        lambda it: it.properties("ApproveFunctionBells").pop("FunctionResponseTypes"),
        "the function reports partial failures",
    ),
    (
        misread_batches,
        lambda it: it.properties("PatrolFunctionAccepted").update(FunctionResponseTypes=["ReportBatchItemFailures"]),
        "the function does not report partial failures",
    ),
]


@pytest.mark.parametrize(("check", "spoil", "problem"), SPOILED)
def test_a_failure_that_nobody_would_see_is_named(
    draft: Stack, check: Callable[[Stack], list[str]], spoil: Callable[[Stack], object], problem: str
) -> None:
    spoil(draft)
    assert any(problem in found for found in check(draft)), check(draft)
