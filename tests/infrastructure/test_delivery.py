"""Whoever sends is let in: rules, topics and alarms reach their targets, or the message is kept.

A local AWS delivers without these permissions; AWS drops the message and says so in a metric at most.
"""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.infrastructure.stack import GONE, Check, Spoiled, Stack, arn, listed, named
from tests.infrastructure.statements import admits, attached, resource_statements, services, sources, statements

EVENTS, NOTIFICATIONS, TOPICS, ALARMS = (
    "events.amazonaws.com",
    "vpce.amazonaws.com",
    "sns.amazonaws.com",
    "cloudwatch.amazonaws.com",
)
SEND, PUBLISH = "sqs:SendMessage", "sns:Publish"


class Message(NamedTuple):
    """What a service sends to a queue or topic, by ARNs; what goes to a topic is not bound to a sender."""

    service: str
    action: str
    target: str
    sender: str = ""


def targets(stack: Stack) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every target of every rule, with the rule's logical id."""
    for name, rule in stack.of("AWS::Events::Rule").items():
        for target in rule["Targets"]:
            yield name, target


def messages(stack: Stack) -> Iterator[Message]:
    """Everything that is sent by a service of AWS, undelivered messages too."""
    for rule, target in targets(stack):
        for one in (target["Arn"], target.get("DeadLetterConfig", {}).get("Arn")):
            if stack.kind(one) == "AWS::SQS::Queue":
                yield Message(EVENTS, SEND, one, arn(rule))
            elif stack.kind(one) == "AWS::SNS::Topic":
                yield Message(EVENTS, PUBLISH, one)
    for subscription in stack.of("AWS::SNS::Subscription").values():
        if subscription["Protocol"] == "sqs":
            dead = subscription.get("RedrivePolicy", {}).get("deadLetterTargetArn")
            for queue in filter(None, [subscription["Endpoint"], dead]):
                yield Message(TOPICS, SEND, queue, subscription["TopicArn"])
    for alarm in stack.of("AWS::CloudWatch::Alarm").values():
        for topic in (*listed(alarm.get("AlarmActions")), *listed(alarm.get("InsufficientDataActions"))):
            yield Message(ALARMS, PUBLISH, topic)
    for function in stack.functions().values():
        if topic := function["Environment"]["Variables"].get("NOTIFICATION_TOPIC_ARN"):
            yield Message(NOTIFICATIONS, PUBLISH, topic)


def refused(stack: Stack) -> list[str]:
    """Messages that the policy of their queue or topic does not let in, to a queue under their sender's own ARN."""
    problems = []
    for one in sorted(set(messages(stack))):
        policies = attached(stack, one.target)
        if len(policies) != 1:
            problems.append(f"{one.target} has {len(policies)} policies: the last one replaces the others")
        found = [statement for policy in policies for statement in statements(policy["PolicyDocument"])]
        if not any(
            admits(it, one.service, one.action, one.target) and (one.action == PUBLISH or one.sender in sources(it))
            for it in found
        ):
            problems.append(f"{one.target} does not let {one.service} {one.action} for {one.sender or 'anybody'}")
    return problems


def shared_policies(stack: Stack) -> list[str]:
    """Policies that are not about the one queue they are attached to.

    SQS developer guide (2011), "Special Information for SQS Policies": "Each policy must cover only a single queue".
    """
    return [
        f"{name} is attached to {policy['Queues']} and about {resource}"
        for name, policy in stack.of("AWS::SQS::QueuePolicy").items()
        for statement in statements(policy["PolicyDocument"])
        for resource in listed(statement["Resource"])
        if policy["Queues"] != [f"${{{named(resource)}}}"]
    ]


def other_targets(stack: Stack) -> list[str]:
    """Rule targets that are neither queue nor topic: a function needs a permission, others need thought."""
    let_in = {
        (arn(named(one["FunctionName"])), one["SourceArn"])
        for one in stack.of("AWS::Lambda::Permission").values()
        if (one["Principal"], one["Action"]) == (EVENTS, "lambda:InvokeFunction")
    }
    return [
        f"{rule}: say here what lets a rule reach {target['Arn']}, a {kind or 'stranger'}"
        for rule, target in targets(stack)
        if (kind := stack.kind(target["Arn"])) not in ("AWS::SQS::Queue", "AWS::SNS::Topic")
        if (target["Arn"], arn(rule)) not in let_in
    ]


def loose_ends(stack: Stack) -> list[str]:
    """Rule targets and subscriptions of queues that lose what cannot be delivered."""
    rules = [f"{rule} has no DeadLetterConfig" for rule, target in targets(stack) if "DeadLetterConfig" not in target]
    # EventBridge user guide, "Using resource-based policies": with a role, delivery to queues and topics may fail.
    roles = [f"{rule} has a RoleArn" for rule, target in targets(stack) if "RoleArn" in target]
    subscriptions = [
        f"{name} has no RedrivePolicy"
        for name, one in stack.of("AWS::SNS::Subscription").items()
        if one["Protocol"] in ("sqs", "lambda") and "RedrivePolicy" not in one
    ]
    return rules + roles + subscriptions


def strangers(stack: Stack) -> list[str]:
    """Senders that a policy lets in although they have nothing to send, and statements for anybody at all."""
    problems = []
    for name, statement in resource_statements(stack):
        if not services(statement):
            problems.append(f"{name} lets in {statement.get('Principal')}, not a service")
        for resource, service in itertools.product(listed(statement["Resource"]), services(statement)):
            senders = {one.sender for one in messages(stack) if (one.service, one.target) == (service, resource)}
            if not senders:
                problems.append(f"{name}: {service} sends nothing to {resource}")
            elif senders != {""}:
                if not sources(statement):
                    problems.append(f"{name}: anybody's {service} may send to {resource}")
                idle = sorted(sources(statement) - senders)
                problems += [f"{name}: {sender} sends nothing to {resource}" for sender in idle]
    return problems


def deputies(stack: Stack) -> list[str]:
    """Statements that let a service act for any account: who knows our ARN could have it act on ours.

    IAM user guide, "The confused deputy problem". Lambda's own role is passed to a function of this account alone, and
    EventBridge sends no condition key to topics and their keys.
    """
    trusts = [
        (name, one)
        for name, role in stack.of("AWS::IAM::Role").items()
        for one in statements(role["AssumeRolePolicyDocument"])
    ]
    keys = [(name, one) for name, key in stack.of("AWS::KMS::Key").items() for one in statements(key["KeyPolicy"])]
    return [
        f"{name}: {service} may act for anybody"
        for name, statement in [*resource_statements(stack), *keys, *trusts]
        for service in services(statement)
        if service not in ("lambda.amazonaws.com", EVENTS) and "aws:Source" not in str(statement.get("Condition"))
    ]


def silenced_topics(stack: Stack) -> list[str]:
    """Topics whose key keeps a publisher out (SNS developer guide, "Key management")."""
    problems = []
    for name, topic in stack.of("AWS::SNS::Topic").items():
        key = topic.get("KmsMasterKeyId", "")
        if stack.kind(key) != "AWS::KMS::Key":
            problems.append(f"{name} has no key of this stack: {key or 'none'}")
            continue
        found = statements(stack.properties(named(key))["KeyPolicy"])
        for service in sorted({one.service for one in messages(stack) if one.target == arn(name)}):
            for action in ("kms:GenerateDataKey*", "kms:Decrypt"):
                if not any(admits(one, service, action, "*") for one in found):
                    problems.append(f"{name}: its key does not let {service} use {action}")
    return problems


CHECKS = [refused, deputies, shared_policies, other_targets, loose_ends, strangers, silenced_topics]


@pytest.mark.parametrize("check", CHECKS)
def test_every_message_may_go_where_it_is_sent(stack: Stack, check: Check) -> None:
    assert check(stack) == []


def test_the_topics_the_bells_and_the_dead_letters_are_among_what_is_checked(whole: Stack) -> None:
    assert {
        Message(NOTIFICATIONS, PUBLISH, arn("NotificationTopic")),
        Message(TOPICS, SEND, arn("NotificationQueue"), arn("NotificationTopic")),
        Message(EVENTS, SEND, arn("BellQueue"), arn("NotificationRule")),
        Message(EVENTS, SEND, arn("BellQueue"), arn("TrailRule")),
        Message(ALARMS, PUBLISH, arn("AlarmTopic")),
        Message(EVENTS, SEND, arn("RoundDeadLetters"), arn("HealthRule")),
        Message(EVENTS, SEND, arn("RoundDeadLetters"), arn("AlarmRule")),
    } <= set(messages(whole))


POLICY = "PolicyDocument.Statement.0"
SPOILED = [
    Spoiled(refused, "BellQueuePolicy", GONE, "${BellQueue.Arn} has 0 policies"),
    Spoiled(refused, "BellDeadLettersPolicy.Queues", ["${BellQueue}"], "${BellQueue.Arn} has 2 policies"),
    Spoiled(refused, "BellDeadLettersPolicy.Queues", ["${BellQueue}"], "${BellDeadLetters.Arn} has 0 policies"),
    Spoiled(
        refused,
        f"BellQueuePolicy.{POLICY}.Condition.ArnEquals.aws:SourceArn",
        arn("Other"),
        "${BellQueue.Arn} does not let events.amazonaws.com sqs:SendMessage for ${TrailRule.Arn}",
    ),
    Spoiled(
        refused,
        f"NotificationQueuePolicy.{POLICY}.Principal.Service",
        EVENTS,
        "does not let sns.amazonaws.com sqs:SendMessage for ${NotificationTopic.Arn}",
    ),
    Spoiled(
        shared_policies,
        "BellQueuePolicy.Queues.1",
        "${BellDeadLetters}",
        "BellQueuePolicy is attached to ['${BellQueue}', '${BellDeadLetters}'] and about ${BellQueue.Arn}",
    ),
    Spoiled(
        shared_policies,
        f"BellQueuePolicy.{POLICY}.Resource",
        [arn("BellQueue"), arn("BellDeadLetters")],
        "BellQueuePolicy is attached to ['${BellQueue}'] and about ${BellDeadLetters.Arn}",
    ),
    Spoiled(refused, "NotificationTopicPolicy", GONE, "${NotificationTopic.Arn} has 0 policies"),
    Spoiled(
        refused,
        f"NotificationTopicPolicy.{POLICY}.Principal.Service",
        "ec2.amazonaws.com",
        "does not let vpce.amazonaws.com sns:Publish",
    ),
    Spoiled(
        refused,
        f"AlarmTopicPolicy.{POLICY}.Action",
        "sns:Subscribe",
        "does not let cloudwatch.amazonaws.com sns:Publish",
    ),
    Spoiled(other_targets, "AcceptedRule.Targets.0.Arn", arn("PatrolFunction"), "say here what lets a rule reach"),
    Spoiled(other_targets, "AlarmRuleInvokes", GONE, "AlarmRule: say here what lets a rule reach"),
    Spoiled(other_targets, "AcceptedRule.Targets.0.Arn", arn("EventBus"), "say here what lets a rule reach"),
    Spoiled(loose_ends, "HealthRule.Targets.0.DeadLetterConfig", GONE, "HealthRule has no DeadLetterConfig"),
    Spoiled(loose_ends, "HealthRule.Targets.0.RoleArn", "arn", "HealthRule has a RoleArn"),
    Spoiled(
        loose_ends, "NotificationSubscription.RedrivePolicy", GONE, "NotificationSubscription has no RedrivePolicy"
    ),
    Spoiled(strangers, f"BellQueuePolicy.{POLICY}.Principal", "*", "lets in *"),
    Spoiled(strangers, f"BellQueuePolicy.{POLICY}.Condition", GONE, "anybody's events.amazonaws.com"),
    Spoiled(
        strangers,
        f"NotificationTopicPolicy.{POLICY}.Principal.Service",
        [NOTIFICATIONS, EVENTS],
        "events.amazonaws.com sends nothing to ${NotificationTopic.Arn}",
    ),
    Spoiled(strangers, "TrailRule", GONE, "${TrailRule.Arn} sends nothing to ${BellQueue.Arn}"),
    Spoiled(
        deputies,
        f"NotificationTopicPolicy.{POLICY}.Condition",
        GONE,
        "NotificationTopicPolicy: vpce.amazonaws.com may act for anybody",
    ),
    Spoiled(deputies, "TopicKey.KeyPolicy.Statement.1.Condition", GONE, "TopicKey: vpce.amazonaws.com may act"),
    Spoiled(deputies, "PipeRole.AssumeRolePolicyDocument.Statement.0.Condition", GONE, "PipeRole: pipes.amazonaws.com"),
    Spoiled(silenced_topics, "AlarmTopic.KmsMasterKeyId", "alias/aws/sns", "alias/aws/sns"),
    Spoiled(silenced_topics, "AlarmTopic.KmsMasterKeyId", GONE, "AlarmTopic has no key"),
    Spoiled(silenced_topics, "TopicKey.KeyPolicy.Statement.1.Action", "kms:Decrypt", "use kms:GenerateDataKey*"),
    Spoiled(
        silenced_topics,
        "TopicKey.KeyPolicy.Statement.1.Principal.Service",
        EVENTS,
        "does not let vpce.amazonaws.com",
    ),
]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_what_would_not_arrive_is_named(whole: Stack, spoiled: Spoiled) -> None:
    spoiled.assert_named(whole)
