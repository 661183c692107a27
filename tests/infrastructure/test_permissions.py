"""Each role may do what its code and its wiring need, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.infrastructure.needs import NETWORK, Need, needs, users
from tests.infrastructure.source import Module, imported, modules
from tests.infrastructure.stack import GONE, Check, Spoiled, Stack, arn, handler_of, listed
from tests.infrastructure.statements import resource_statements, role_statements, services, statements

ANYWHERE = {
    "ec2:DescribeVpcEndpointServiceConfigurations": "EC2 knows no resource for Describe",
    "ec2:DescribeVpcEndpointConnections": "EC2 knows no resource for Describe",
    "ec2:DescribeVpcEndpointConnectionNotifications": "EC2 knows no resource for Describe",
    "dynamodb:ListStreams": "DynamoDB knows no resource for it",
    **dict.fromkeys(NETWORK, "Lambda's own; the interfaces do not exist before the function does"),
}
"""Actions that may be allowed on every resource, and why (Service Authorization Reference)."""

MANAGED_ONLY = {
    "ec2:AcceptVpcEndpointConnections",
    "ec2:RejectVpcEndpointConnections",
    "ec2:CreateVpcEndpointConnectionNotification",
}
TAG = "aws:ResourceTag/linkgate"

OWN_CODE = {"ArnLike": {"lambda:SourceFunctionArn": "arn:aws:lambda:*:*:function:*"}}
"""What is asked by the code of a function with the role, and by nobody else (Lambda developer guide)."""

KEY_WILDCARDS = {"kms:*": "arn:aws:iam::111111111111:root", "kms:GenerateDataKey*": "services"}
"""The two wildcards of AWS's own key policies: the account keeps the key manageable; topics need the data key."""


def grants(stack: Stack, role: str) -> Iterator[tuple[Need, dict[str, Any]]]:
    """Every action and resource that a role is allowed, with the conditions.

    What is denied to a function's own code takes nothing from what Lambda does for the function.
    """
    for statement in role_statements(stack, role):
        if (statement["Effect"], statement.get("Condition")) == ("Deny", OWN_CODE):
            continue
        assert statement["Effect"] == "Allow", f"{role}: say in this test what a {statement['Effect']} means"
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                yield Need(action, resource), statement.get("Condition", {})


def missing(stack: Stack) -> list[str]:
    """What a role needs and is not allowed."""
    problems = []
    for role, needed in needs(stack).items():
        granted = {grant for grant, _ in grants(stack, role)}
        actions = {grant.action for grant in granted}
        absent = {need for need in needed if need not in granted and (need.resource or need.action not in actions)}
        problems += [f"{role} lacks {need.action} on {need.resource or 'anything'}" for need in sorted(absent)]
    return problems


def surplus(stack: Stack) -> list[str]:
    """What a role is allowed and does not need; roles that nobody uses."""
    needed = needs(stack)
    return [
        f"{role} does not need {grant.action} on {grant.resource}"
        for role in stack.of("AWS::IAM::Role")
        for grant, _ in grants(stack, role)
        if not {grant, Need(grant.action)} & needed.get(role, set())
    ]


def wildcards(stack: Stack) -> list[str]:
    """Wildcards in actions, and all resources where narrower ones are possible."""
    problems = []
    for role in stack.of("AWS::IAM::Role"):
        for (action, resource), _ in grants(stack, role):
            if "*" in action:
                problems.append(f"{role} allows {action}")
            if resource == "*" and action not in ANYWHERE:
                problems.append(f"{role} allows {action} on every resource")
    for name, statement in resource_statements(stack):
        problems += [f"{name} allows {one}" for one in listed(statement["Action"]) if "*" in one]
        problems += [f"{name} is about {one}" for one in listed(statement["Resource"]) if "*" in one]
    for name, key in stack.of("AWS::KMS::Key").items():
        for statement in statements(key["KeyPolicy"]):
            who = "services" if services(statement) else statement["Principal"]["AWS"]
            open_to = [one for one in listed(statement["Action"]) if "*" in one and KEY_WILDCARDS.get(one) != who]
            problems += [f"{name} allows {one} to {who}" for one in open_to]
    return problems


def unbound(stack: Stack) -> list[str]:
    """Acts on connections that are not bound to services that carry the tag."""
    return [
        f"{role} may {grant.action} on services that are not managed"
        for role in stack.of("AWS::IAM::Role")
        for grant, condition in grants(stack, role)
        if grant.action in MANAGED_ONLY and condition != {"StringEquals": {TAG: stack.parameters["TagValue"]}}
    ]


def foreign(stack: Stack) -> list[str]:
    """Permissions from elsewhere, and names that would need more than CAPABILITY_IAM."""
    kinds = ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::User")
    problems = [f"{name} is a {kind}" for kind in kinds for name in stack.of(kind)]
    for name, role in stack.of("AWS::IAM::Role").items():
        problems += [f"{name} has {key}" for key in ("ManagedPolicyArns", "RoleName") if key in role]
    return problems


def misplaced_trust(stack: Stack) -> list[str]:
    """Roles that another service than their user may assume, or that their user may not."""
    problems = []
    for name, role in stack.of("AWS::IAM::Role").items():
        trusted = {
            service for one in statements(role["AssumeRolePolicyDocument"]) for service in services(one) or ["others"]
        }
        if trusted != (wanted := users(stack).get(name, set())):
            problems.append(f"{name} trusts {sorted(trusted)}, used by {sorted(wanted)}")
    return problems


CHECKS = [missing, surplus, wildcards, unbound, foreign, misplaced_trust]


@pytest.mark.parametrize("check", CHECKS)
def test_each_role_may_do_what_it_must_and_nothing_else(stack: Stack, check: Check) -> None:
    assert check(stack) == []


def test_the_canarys_code_knows_no_aws(whole: Stack) -> None:
    clients = {name for name in modules() if name.rpartition(".")[2] == "clients"}
    assert clients
    assert not clients & imported(Module(handler_of(whole.properties("CanaryFunction"))))


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


STATEMENTS = "Policies.0.PolicyDocument.Statement"
SPOILED = [
    Spoiled(
        missing,
        f"ApproveRole.{STATEMENTS}.RecordDecisionsAndAnswers.Action",
        "dynamodb:BatchGetItem",
        "ApproveRole lacks dynamodb:UpdateItem on ${LedgerTable.Arn}",
    ),
    Spoiled(
        missing,
        f"ApproveRole.{STATEMENTS}.ActOnManagedServicesOnly.Action",
        [],
        "ApproveRole lacks ec2:RejectVpcEndpointConnections on anything",
    ),
    Spoiled(
        missing,
        f"SweepRole.{STATEMENTS}.ListAServicesEndpointsAndClaims.Resource",
        arn("LedgerTable"),
        "SweepRole lacks dynamodb:Query on ${LedgerTable.Arn}/index/by_service",
    ),
    Spoiled(
        missing,
        f"ScheduleRole.{STATEMENTS}.ReportRoundsThatNeverStarted.Resource",
        arn("BellQueue"),
        "ScheduleRole lacks sqs:SendMessage on ${RoundDeadLetters.Arn}",
    ),
    Spoiled(
        surplus,
        f"PatrolRole.{STATEMENTS}.KeepHealth.Action.2",
        "dynamodb:DeleteItem",
        "PatrolRole does not need dynamodb:DeleteItem on ${LedgerTable.Arn}",
    ),
    Spoiled(
        surplus,
        f"SweepRole.{STATEMENTS}.ReadTheWholeTableAndARowBeforeACut.Resource",
        "*",
        "SweepRole does not need dynamodb:Scan on *",
    ),
    Spoiled(surplus, "NotificationPipe", GONE, "PipeRole does not need"),
    Spoiled(wildcards, f"PipeRole.{STATEMENTS}.TakeNotifications.Action", "sqs:*", "PipeRole allows sqs:*"),
    Spoiled(wildcards, f"PipeRole.{STATEMENTS}.TakeNotifications.Resource", "*", "on every resource"),
    Spoiled(wildcards, "TopicKey.KeyPolicy.Statement.1.Action", "kms:*", "TopicKey allows kms:* to services"),
    Spoiled(unbound, f"ApproveRole.{STATEMENTS}.ActOnManagedServicesOnly.Condition", GONE, "ApproveRole may"),
    Spoiled(
        unbound,
        f"SweepRole.{STATEMENTS}.EnsureNotificationsOfManagedServicesOnly.Condition",
        {"StringEqualsIfExists": {TAG: "blue"}},
        "SweepRole may ec2:CreateVpcEndpointConnectionNotification",
    ),
    Spoiled(foreign, "SweepRole.ManagedPolicyArns", ["arn"], "has ManagedPolicyArns"),
    Spoiled(
        misplaced_trust,
        "PipeRole.AssumeRolePolicyDocument.Statement.0.Principal.Service",
        "lambda.amazonaws.com",
        "PipeRole trusts ['lambda.amazonaws.com']",
    ),
]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_permission_too_few_or_too_many_is_named(whole: Stack, spoiled: Spoiled) -> None:
    spoiled.assert_named(whole)
