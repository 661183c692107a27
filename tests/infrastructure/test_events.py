"""Every rule listens where something is said, for words that somebody says."""

import ast

import pytest
from linkgate.events import bell, bus

from tests.infrastructure.calls import operations
from tests.infrastructure.source import modules
from tests.infrastructure.stack import GONE, Check, Spoiled, Stack, named


def words() -> set[str]:
    """Every text in the catalogue of events: their detail-types, and the fields of their details."""
    nodes = ast.walk(modules()["events.catalog"].tree)
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def spoken(stack: Stack) -> dict[str, tuple[str, set[str]]]:
    """What is said by each source: on which bus ("" is the account's default), and with which detail-types."""
    said = {bus.SOURCE: ("EventBus", words()), "aws.ec2": ("", {bell.CLOUDTRAIL})}
    for pipe in stack.of("AWS::Pipes::Pipe").values():
        told = pipe["TargetParameters"]["EventBridgeEventBusParameters"]
        said[told["Source"]] = (named(pipe["Target"]), {told["DetailType"]})
    return said


def unmatched_rules(stack: Stack) -> list[str]:
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
    """Messages in plain words made of a field that no detail has."""
    return [
        f"{name} tells {path}, which no event has"
        for name, rule in stack.of("AWS::Events::Rule").items()
        for target in rule["Targets"]
        if (path := target.get("InputPath", "$.detail.summary")).removeprefix("$.detail.") not in words()
    ]


@pytest.mark.parametrize("check", [unmatched_rules, empty_messages])
def test_every_rule_hears_what_is_said(stack: Stack, check: Check) -> None:
    assert check(stack) == []


def test_what_our_functions_put_on_the_bus_becomes_no_bell(stack: Stack) -> None:
    senders = [
        rule
        for rule in stack.of("AWS::Events::Rule").values()
        if any(named(target["Arn"]) == "BellQueue" for target in rule["Targets"])
    ]
    assert senders
    assert not [rule for rule in senders if bus.SOURCE in rule["EventPattern"]["source"]]


SPOILED = [
    Spoiled(unmatched_rules, "AcceptedRule.EventBusName", GONE, "AcceptedRule waits for linkgate on None"),
    Spoiled(unmatched_rules, "TrailRule.EventBusName", "${EventBus}", "it speaks on "),
    Spoiled(
        unmatched_rules,
        "AcceptedRule.EventPattern.detail-type",
        ["Endpoint Accepted"],
        "AcceptedRule waits for Endpoint Accepted",
    ),
    Spoiled(
        unmatched_rules, "NotificationRule.EventPattern.source.0", "linkgate.notifications", "it speaks on nowhere"
    ),
    Spoiled(
        unmatched_rules,
        "TrailRule.EventPattern.detail.eventName",
        ["AcceptVpcEndpointConnection"],
        "which EC2 does not know",
    ),
    Spoiled(
        empty_messages,
        "HealthRule.Targets.0.InputPath",
        "$.detail.sumary",
        "which no event has",
    ),
]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_rule_that_would_never_match_is_named(whole: Stack, spoiled: Spoiled) -> None:
    spoiled.assert_named(whole)
