"""Statements of resource and role policies, read as IAM reads them, as far as the template uses IAM."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.infrastructure.stack import Properties, Stack, listed, named

Statement = Mapping[str, Any]

SAME_SOURCE = ("ArnEquals", "ArnLike", "StringEquals")
"""Condition operators that compare a source without wildcards as equal (IAM reference, "Condition operators")."""


def statements(document: Mapping[str, Any]) -> list[Statement]:
    """The statements of a policy document."""
    return listed(document["Statement"])


def services(statement: Statement) -> list[str]:
    """The service principals that a statement is about."""
    principal = statement.get("Principal", {})
    return listed(principal.get("Service")) if isinstance(principal, dict) else []


def admits(statement: Statement, service: str, action: str, resource: str) -> bool:
    """Whether a statement allows a service an action on a resource, its conditions aside."""
    return (
        statement["Effect"] == "Allow"
        and service in services(statement)
        and action in listed(statement["Action"])
        and resource in listed(statement["Resource"])
    )


def sources(statement: Statement) -> set[str]:
    """The ARNs that a statement's condition on `aws:SourceArn` admits."""
    conditions = statement.get("Condition", {})
    return {source for operator in SAME_SOURCE for source in listed(conditions.get(operator, {}).get("aws:SourceArn"))}


def attached(stack: Stack, target: str) -> list[Properties]:
    """The policies that are attached to a queue or topic, by its ARN."""
    return [policy for key, policy in _policies(stack).values() if named(target) in map(named, policy[key])]


def resource_statements(stack: Stack) -> Iterator[tuple[str, Statement]]:
    """Every statement of every queue and topic policy, with the policy's logical id."""
    for name, (_, policy) in _policies(stack).items():
        for statement in statements(policy["PolicyDocument"]):
            yield name, statement


def _policies(stack: Stack) -> dict[str, tuple[str, Properties]]:
    """The queue and topic policies by logical id, each with the key under which it names what it is attached to."""
    kinds = {"AWS::SQS::QueuePolicy": "Queues", "AWS::SNS::TopicPolicy": "Topics"}
    return {name: (key, policy) for kind, key in kinds.items() for name, policy in stack.of(kind).items()}


def role_statements(stack: Stack, role: str) -> list[Statement]:
    """The statements of a role's own policies."""
    policies = stack.properties(role).get("Policies", [])
    return [statement for policy in policies for statement in statements(policy["PolicyDocument"])]
