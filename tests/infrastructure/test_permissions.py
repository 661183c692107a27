"""Each role may do what it must and nothing else (permissions.py says what is checked)."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.infrastructure.needs import LOGS, NETWORK, Need, needs
from tests.infrastructure.permissions import (
    MANAGED,
    foreign,
    grants,
    misplaced_trust,
    missing,
    surplus,
    unbound,
    wildcards,
)
from tests.infrastructure.source import Module, imported
from tests.infrastructure.stack import Stack, arn, door

CHECKS = [missing, surplus, wildcards, unbound, foreign, misplaced_trust]


@pytest.mark.parametrize("check", CHECKS)
def test_each_role_may_do_what_it_must_and_nothing_else(stack: Stack, check: Callable[[Stack], list[str]]) -> None:
    assert check(stack) == []


def test_the_canary_may_log_and_be_put_into_the_vpc_and_its_code_knows_no_aws(whole: Stack) -> None:
    allowed = {grant.action for grant, _ in grants(whole, "CanaryRole")}
    assert allowed == {*LOGS, *NETWORK}
    assert "clients" not in imported(Module(door(whole.properties("CanaryFunction"))))


@pytest.mark.parametrize(
    ("role", "need"),
    [
        ("ApproveRole", Need("ec2:AcceptVpcEndpointConnections")),
        ("ApproveRole", Need("dynamodb:UpdateItem", arn("LedgerTable"))),
        ("ApproveRole", Need("sqs:ReceiveMessage", arn("BellQueue"))),
        ("ApproveRole", Need("sts:AssumeRole", "arn:aws:iam::999999999999:role/reader")),
        ("SweepRole", Need("dynamodb:Query", f"{arn('LedgerTable')}/index/by_service")),
        ("SweepRole", Need("sqs:SendMessage", arn("RoundDeadLetters"))),
        ("PatrolRole", Need("lambda:InvokeFunction")),  # which functions: test_consumer.py
        ("PipeRole", Need("events:PutEvents", arn("EventBus"))),
    ],
)
def test_needs_are_read_from_code_and_wiring(whole: Stack, role: str, need: Need) -> None:
    assert need in needs(whole)[role]


def test_sweep_is_not_taken_to_accept_although_it_imports_the_class_that_can(whole: Stack) -> None:
    assert "ec2:AcceptVpcEndpointConnections" not in {need.action for need in needs(whole)["SweepRole"]}


def _policy(stack: Stack, role: str, sid: str) -> dict[str, Any]:
    policy = stack.properties(role)["Policies"][0]["PolicyDocument"]["Statement"]
    found: dict[str, Any] = next(one for one in policy if one["Sid"] == sid)
    return found


SPOILED: list[tuple[Callable[[Stack], list[str]], Callable[[Stack], object], str]] = [
    (
        missing,
        lambda it: _policy(it, "ApproveRole", "RecordDecisionsAndAnswers").update(Action="dynamodb:BatchGetItem"),
        "ApproveRole lacks dynamodb:UpdateItem on ${LedgerTable.Arn}",
    ),
    (
        missing,
        lambda it: _policy(it, "ApproveRole", "ActOnManagedServicesOnly").update(Action=[]),
        "ApproveRole lacks ec2:RejectVpcEndpointConnections on anything",
    ),
    (
        missing,
        lambda it: _policy(it, "SweepRole", "ListAServicesEndpointsAndClaims").update(Resource=arn("LedgerTable")),
        "SweepRole lacks dynamodb:Query on ${LedgerTable.Arn}/index/by_service",
    ),
    (
        missing,
        lambda it: _policy(it, "ScheduleRole", "ReportRoundsThatNeverStarted").update(Resource=arn("BellQueue")),
        "ScheduleRole lacks sqs:SendMessage on ${RoundDeadLetters.Arn}",
    ),
    (
        surplus,
        lambda it: _policy(it, "PatrolRole", "KeepHealth")["Action"].append("dynamodb:DeleteItem"),
        "PatrolRole does not need dynamodb:DeleteItem on ${LedgerTable.Arn}",
    ),
    (
        surplus,
        lambda it: _policy(it, "SweepRole", "ReadTheWholeTableAndARowBeforeACut").update(Resource="*"),
        "SweepRole does not need dynamodb:Scan on *",
    ),
    (surplus, lambda it: it.resources.pop("NotificationPipe"), "PipeRole does not need"),
    (
        wildcards,
        lambda it: _policy(it, "PipeRole", "TakeNotifications").update(Action="sqs:*"),
        "PipeRole allows sqs:*",
    ),
    (wildcards, lambda it: _policy(it, "PipeRole", "TakeNotifications").update(Resource="*"), "on every resource"),
    (
        wildcards,
        lambda it: it.properties("TopicKey")["KeyPolicy"]["Statement"][1].update(Action="kms:*"),
        "TopicKey allows kms:* to services",
    ),
    (unbound, lambda it: _policy(it, "ApproveRole", "ActOnManagedServicesOnly").pop("Condition"), "ApproveRole may"),
    (
        unbound,
        lambda it: _policy(it, "SweepRole", "EnsureNotificationsOfManagedServicesOnly").update(
            Condition={"StringEqualsIfExists": MANAGED["StringEquals"]}
        ),
        "SweepRole may ec2:CreateVpcEndpointConnectionNotification",
    ),
    (foreign, lambda it: it.properties("SweepRole").update(ManagedPolicyArns=["arn"]), "has ManagedPolicyArns"),
    (
        misplaced_trust,
        lambda it: it.properties("PipeRole").update(
            AssumeRolePolicyDocument=it.properties("SweepRole")["AssumeRolePolicyDocument"]
        ),
        "PipeRole trusts ['lambda.amazonaws.com']",
    ),
]


@pytest.mark.parametrize(("check", "spoil", "problem"), SPOILED)
def test_a_permission_too_few_or_too_many_is_named(
    draft: Stack, check: Callable[[Stack], list[str]], spoil: Callable[[Stack], object], problem: str
) -> None:
    spoil(draft)
    assert any(problem in found for found in check(draft)), check(draft)
