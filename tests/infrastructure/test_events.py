"""Every rule listens where something is said, for words that somebody says."""

import ast
import json
from collections.abc import Mapping
from typing import Any

import pytest
from linkgate.events import bell, bus, digest
from ministack.services import eventbridge  # type: ignore[import-untyped]

from tests import gallery
from tests.infrastructure.calls import operations
from tests.infrastructure.intrinsics import PSEUDO
from tests.infrastructure.source import modules
from tests.infrastructure.stack import GONE, Check, Spoiled, Stack, named


def words() -> set[str]:
    """Every text in the catalogue of events: their detail-types, and the fields of their details."""
    nodes = ast.walk(modules()["events.catalog"].tree)
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def spoken(stack: Stack) -> dict[str, tuple[str, set[str]]]:
    """What is said by each source: on which bus ("" is the account's default), and with which detail-types."""
    said = {bus.SOURCE: ("EventBus", words()), "aws.ec2": ("", {bell.CLOUDTRAIL})}
    said["aws.cloudwatch"] = ("", {"CloudWatch Alarm State Change"})
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
            for detail in (pattern.get("detail", {}), *pattern.get("detail", {}).get("$or", []))
            for event in detail.get("eventName", [])
            if event not in operations("ec2").values()
        ]
    return problems


def empty_messages(stack: Stack) -> list[str]:
    """Events that are sent to people and have no text for them."""
    return [
        f"{name} sends {kind}, which has no summary"
        for name, rule in stack.of("AWS::Events::Rule").items()
        if any(named(target["Arn"]) == "MessageFunction" for target in rule["Targets"])
        for kind in rule["EventPattern"]["detail-type"]
        if kind in gallery.kinds() and "summary" not in gallery.schema(kind)["required"]
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


def heard(stack: Stack, event: Mapping[str, Any], rule: str = "TrailRule") -> bool:
    """Whether a rule matches an event, as EventBridge's TestEventPattern says in the lab."""
    pattern = json.dumps(stack.of("AWS::Events::Rule")[rule]["EventPattern"])
    for name, alarm in stack.of("AWS::CloudWatch::Alarm").items():
        pattern = pattern.replace(f"${{{name}}}", alarm["AlarmName"])  # the Ref of an alarm is its name
    *_, body = eventbridge._test_event_pattern({"Event": json.dumps(event), "EventPattern": pattern})
    return bool(json.loads(body)["Result"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cloudtrail-create", True),
        ("cloudtrail-create-refused", False),
        *((f"cloudtrail-{name}", True) for name in ("accept", "accept-refused", "reject")),
        *((f"cloudtrail-delete-{name}", True) for name in ("one", "several")),
    ],
)
def test_what_is_done_to_connections_is_a_bell_and_endpoints_of_aws_services_are_none(
    stack: Stack, name: str, expected: bool
) -> None:
    assert heard(stack, gallery.sample(name)) is expected


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0", True),
        ("cn.com.amazonaws.vpce.cn-north-1.vpce-svc-0123456789abcdef0", True),
        ("eu.amazonaws.vpce.eusc-de-east-1.vpce-svc-0123456789abcdef0", True),
        ("com.amazonaws.eu-west-1.s3", False),
        ("com.amazonaws.eu-west-1.vpce", False),
        ("aws.sagemaker.eu-west-1.studio", False),
    ],
)
def test_an_endpoint_is_a_bell_where_its_service_is_an_endpoint_service(
    stack: Stack, service: str, expected: bool
) -> None:
    event = gallery.sample("cloudtrail-create")
    event["detail"]["requestParameters"]["CreateVpcEndpointRequest"]["ServiceName"] = service
    assert heard(stack, event) is expected


GROUPED = gallery.schema("Events Grouped")
ALIKE = sorted(digest._WORDS)
ONE_A_STACK_OR_SERVICE = {"Breaker Tripped", "Stack Incomplete", GROUPED["title"]}
SENT = [*ALIKE, "Breaker Tripped"]


@pytest.mark.parametrize("kind", [*SENT, GROUPED["title"]])
def test_what_is_sent_in_plain_words_is_left_out_where_a_digest_tells_of_it(stack: Stack, kind: str) -> None:
    detail = gallery.schema(kind)["examples"][0]
    event = {"id": "1", "account": "1", "time": "2026-11-28T00:00:00Z", "region": "eu-west-1", "resources": []}
    event |= {"source": bus.SOURCE, "detail-type": kind}
    assert heard(stack, event | {"detail": detail}, "HealthRule")
    assert not heard(stack, event | {"detail": detail | {"grouped": True}}, "HealthRule")


def test_whatever_a_round_may_send_many_of_has_a_digest(stack: Stack) -> None:
    kinds = stack.properties("HealthRule")["EventPattern"]["detail-type"]
    assert set(kinds) - ONE_A_STACK_OR_SERVICE == set(ALIKE)


def test_whatever_a_digest_tells_of_is_sent_in_plain_words_otherwise() -> None:
    assert set(GROUPED["properties"]["kind"]["enum"]) == set(ALIKE)
    assert all("grouped" in gallery.schema(kind)["properties"] for kind in digest._WORDS)


NEW = "Unchecked: Initial alarm creation"


@pytest.mark.parametrize(
    ("alarm", "old", "reason", "new", "expected"),
    [
        ("endpoint-unhealthy", "ALARM", "Threshold Crossed: …", "OK", True),
        ("endpoint-unhealthy", "INSUFFICIENT_DATA", NEW, "OK", False),
        ("endpoint-unhealthy", "INSUFFICIENT_DATA", "Insufficient Data: …", "OK", False),
        ("endpoint-unhealthy", "OK", "Threshold Crossed: …", "ALARM", False),
        ("patrol-silent", "INSUFFICIENT_DATA", NEW, "OK", False),
        ("patrol-silent", "INSUFFICIENT_DATA", "Insufficient Data: …", "OK", True),
        ("sweep-silent", "INSUFFICIENT_DATA", "Insufficient Data: …", "OK", True),
        ("patrol-silent", "OK", "Threshold Crossed: …", "INSUFFICIENT_DATA", False),
    ],
)
def test_an_alarm_that_rang_and_is_ok_again_is_told_and_a_new_one_is_not(
    stack: Stack, alarm: str, old: str, reason: str, new: str, expected: bool
) -> None:
    event = {"id": "1", "account": "1", "time": "2026-11-28T00:00:00Z", "region": "eu-west-1", "resources": []}
    event |= {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change"}
    detail = {"previousState": {"value": old, "reason": reason}, "state": {"value": new}}
    mine = PSEUDO["AWS::StackName"]
    for prefix, said in ((mine, expected), ("another", False), (f"{mine}-blue", False)):
        assert heard(stack, event | {"detail": detail | {"alarmName": f"{prefix}-{alarm}"}}, "AlarmRule") is said


def test_of_every_alarm_it_is_told_that_it_is_ok_again(stack: Stack) -> None:
    event = {"id": "1", "account": "1", "time": "2026-11-28T00:00:00Z", "region": "eu-west-1", "resources": []}
    event |= {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change"}
    for alarm in stack.of("AWS::CloudWatch::Alarm").values():
        rang = "INSUFFICIENT_DATA" if "InsufficientDataActions" in alarm else "ALARM"
        detail = {"previousState": {"value": rang, "reason": "…"}, "state": {"value": "OK"}}
        assert heard(stack, event | {"detail": detail | {"alarmName": alarm["AlarmName"]}}, "AlarmRule"), alarm


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
        "TrailRule.EventPattern.detail.$or.0.eventName",
        ["AcceptVpcEndpointConnection"],
        "which EC2 does not know",
    ),
    Spoiled(
        empty_messages,
        "HealthRule.EventPattern.detail-type.0",
        "Endpoint Connection Held",
        "HealthRule sends Endpoint Connection Held, which has no summary",
    ),
]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_rule_that_would_never_match_is_named(whole: Stack, spoiled: Spoiled) -> None:
    spoiled.assert_named(whole)
