"""Every rule listens where something is said, for words that somebody says."""

import ast
from collections.abc import Callable
from typing import Any

import pytest
from linkgate import bell, bus

from tests.infrastructure.calls import operations
from tests.infrastructure.source import house
from tests.infrastructure.stack import Stack, named


def words() -> set[str]:
    """Every text in the code of the house: the kinds of events, and the fields of their details."""
    nodes = (node for module in house().values() for node in ast.walk(module.tree))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def spoken(stack: Stack) -> dict[str, tuple[str, set[str]]]:
    """What is said by each source: on which bus ("" is the account's default), and with which detail-types."""
    said = {bus.SOURCE: ("EventBus", words()), "aws.ec2": ("", {bell.CLOUDTRAIL})}
    for pipe in stack.of("AWS::Pipes::Pipe").values():
        told = pipe["TargetParameters"]["EventBridgeEventBusParameters"]
        said[told["Source"]] = (named(pipe["Target"]), {told["DetailType"]})
    return said


def deaf_rules(stack: Stack) -> list[str]:
    """Rules on a bus where their source does not speak, or for what it never says."""
    said, problems = spoken(stack), []
    for name, rule in stack.of("AWS::Events::Rule").items():
        pattern = rule["EventPattern"]
        for source in pattern["source"]:
            where, kinds = said.get(source, ("nowhere", set()))
            if named(rule.get("EventBusName")) != where:
                problems.append(f"{name} waits for {source} on {rule.get('EventBusName')}, it speaks on {where}")
            problems += [
                f"{name} waits for {kind}, which {source} never says"
                for kind in pattern.get("detail-type", [])
                if kind not in kinds
            ]
        problems += [
            f"{name} waits for {event}, which EC2 does not know"
            for event in pattern.get("detail", {}).get("eventName", [])
            if event not in operations("ec2").values()
        ]
    return problems


def empty_messages(stack: Stack) -> list[str]:
    """Transformed messages made of fields that no detail has."""
    return [
        f"{name} tells {path}, which no event has"
        for name, rule in stack.of("AWS::Events::Rule").items()
        for target in rule["Targets"]
        for path in target.get("InputTransformer", {}).get("InputPathsMap", {}).values()
        if not path.startswith("$.detail.") or path.removeprefix("$.detail.") not in words()
    ]


@pytest.mark.parametrize("check", [deaf_rules, empty_messages])
def test_every_rule_hears_what_is_said(stack: Stack, check: Callable[[Stack], list[str]]) -> None:
    assert check(stack) == []


def test_what_our_functions_put_on_the_bus_does_not_ring_the_bells(stack: Stack) -> None:
    ringing = [
        rule
        for rule in stack.of("AWS::Events::Rule").values()
        if any(named(target["Arn"]) == "BellQueue" for target in rule["Targets"])
    ]
    assert ringing
    assert not [rule for rule in ringing if bus.SOURCE in rule["EventPattern"]["source"]]


SPOILED: list[tuple[Callable[[Stack], list[str]], str, Callable[[Any], object], str]] = [
    (deaf_rules, "AcceptedRule", lambda it: it.pop("EventBusName"), "AcceptedRule waits for linkgate on None"),
    (deaf_rules, "TrailRule", lambda it: it.update(EventBusName="${EventBus}"), "it speaks on "),
    (
        deaf_rules,
        "AcceptedRule",
        lambda it: it["EventPattern"].update({"detail-type": ["Endpoint Accepted"]}),
        "AcceptedRule waits for Endpoint Accepted",
    ),
    (
        deaf_rules,
        "NotificationRule",
        lambda it: it["EventPattern"].update(source=["linkgate.notifications"]),
        "it speaks on nowhere",
    ),
    (
        deaf_rules,
        "TrailRule",
        lambda it: it["EventPattern"]["detail"].update(eventName=["AcceptVpcEndpointConnection"]),
        "which EC2 does not know",
    ),
    (
        empty_messages,
        "HealthRule",
        lambda it: it["Targets"][0]["InputTransformer"].update(InputPathsMap={"a": "$.detail.sumary"}),
        "which no event has",
    ),
]


@pytest.mark.parametrize(("check", "name", "spoil", "problem"), SPOILED)
def test_a_rule_that_would_never_match_is_named(
    draft: Stack, check: Callable[[Stack], list[str]], name: str, spoil: Callable[[Any], object], problem: str
) -> None:
    spoil(draft.properties(name))
    assert any(problem in found for found in check(draft)), check(draft)
