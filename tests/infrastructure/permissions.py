"""Each role may do what its code and its wiring need, and nothing else."""

from collections.abc import Iterator
from typing import Any

from tests.infrastructure.needs import NETWORK, Need, needs, users
from tests.infrastructure.stack import Stack, listed
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
MANAGED = {"StringEquals": {"aws:ResourceTag/linkgate": "managed"}}

KEY_WILDCARDS = {"kms:*": "arn:aws:iam::111111111111:root", "kms:GenerateDataKey*": "services"}
"""The two wildcards of AWS's own key policies: the account keeps the key manageable; topics need the data key."""


def grants(stack: Stack, role: str) -> Iterator[tuple[Need, dict[str, Any]]]:
    """Every action and resource that a role is allowed, with the conditions."""
    for statement in role_statements(stack, role):
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
        if grant.action in MANAGED_ONLY and condition != MANAGED
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
