"""Whoever sends is let in: rules, topics and alarms reach their targets, or the message is kept.

A local AWS delivers without these permissions; AWS drops the message and says so in a metric at most.
"""

from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.infrastructure.stack import GONE, Check, Spoiled, Stack, arn, listed, named
from tests.infrastructure.statements import Statement, admits, attached, resource_statements, services, sources
from tests.infrastructure.statements import statements as read

EVENTS, NOTIFICATIONS, TOPICS, ALARMS = (
    "events.amazonaws.com",
    "vpce.amazonaws.com",
    "sns.amazonaws.com",
    "cloudwatch.amazonaws.com",
)


def targets(stack: Stack) -> Iterator[tuple[str, dict[str, str]]]:
    """Every target of every rule, with the rule's logical id."""
    for name, rule in stack.of("AWS::Events::Rule").items():
        for target in rule["Targets"]:
            yield name, target


def letters(stack: Stack) -> Iterator[tuple[str, str, str]]:
    """Who sends to which queue: service, the sender's ARN, the queue's ARN."""
    for rule, target in targets(stack):
        dead = target.get("DeadLetterConfig")
        for queue in [target["Arn"], *([dead["Arn"]] if isinstance(dead, dict) else [])]:
            if stack.kind(queue) == "AWS::SQS::Queue":
                yield EVENTS, arn(rule), queue
    for subscription in stack.of("AWS::SNS::Subscription").values():
        if subscription["Protocol"] == "sqs":
            dead = subscription.get("RedrivePolicy", {}).get("deadLetterTargetArn")
            for queue in filter(None, [subscription["Endpoint"], dead]):
                yield TOPICS, subscription["TopicArn"], queue


def publishers(stack: Stack) -> dict[str, set[str]]:
    """The services that publish to each topic, by the topic's ARN."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for _, target in targets(stack):
        if stack.kind(target["Arn"]) == "AWS::SNS::Topic":
            found[target["Arn"]].add(EVENTS)
    for alarm in stack.of("AWS::CloudWatch::Alarm").values():
        for topic in (*listed(alarm.get("AlarmActions")), *listed(alarm.get("OKActions"))):
            found[topic].add(ALARMS)
    for function in stack.functions().values():
        if topic := function["Environment"]["Variables"].get("NOTIFICATION_TOPIC_ARN"):
            found[topic].add(NOTIFICATIONS)
    return dict(found)


def shut_queues(stack: Stack) -> list[str]:
    """Senders that a queue's policy does not let in under their own ARN."""
    problems = []
    for service, sender, queue in letters(stack):
        policies = attached(stack, "AWS::SQS::QueuePolicy", "Queues", f"${{{named(queue)}}}")
        if len(policies) != 1:
            problems.append(f"{queue} has {len(policies)} policies: the last one replaces the others")
        found = [one for policy in policies for one in read(policy["PolicyDocument"])]
        if not any(admits(one, service, "sqs:SendMessage", queue) and sender in sources(one) for one in found):
            problems.append(f"{queue} does not let {service} send for {sender}")
    return problems


def shared_policies(stack: Stack) -> list[str]:
    """Policies that are not about the one queue they are attached to.

    SQS developer guide (2011), "Special Information for SQS Policies": "Each policy must cover only a single queue".
    """
    policies = stack.of("AWS::SQS::QueuePolicy").items()
    return [
        f"{name} is attached to {policy['Queues']} and about {resource}"
        for name, policy in policies
        for statement in read(policy["PolicyDocument"])
        for resource in listed(statement["Resource"])
        if policy["Queues"] != [f"${{{named(resource)}}}"]
    ]


def shut_topics(stack: Stack) -> list[str]:
    """Services that publish to a topic whose policy does not let them."""
    problems = []
    for topic, wanted in publishers(stack).items():
        policies = attached(stack, "AWS::SNS::TopicPolicy", "Topics", topic)
        if len(policies) != 1:
            problems.append(f"{topic} has {len(policies)} policies: the last one replaces the others")
        found = [one for policy in policies for one in read(policy["PolicyDocument"])]
        for service in sorted(wanted):
            if not any(admits(one, service, "sns:Publish", topic) for one in found):
                problems.append(f"{topic} does not let {service} publish")
    return problems


def shut_functions(stack: Stack) -> list[str]:
    """Rule targets that are neither queue nor topic: a function needs a permission, others need thought."""
    problems = []
    for rule, target in targets(stack):
        kind = stack.kind(target["Arn"])
        if kind == "AWS::Lambda::Function":
            permissions = stack.of("AWS::Lambda::Permission").values()
            wanted = ("lambda:InvokeFunction", EVENTS, arn(rule))
            if not any(
                named(one["FunctionName"]) == named(target["Arn"])
                and (one["Action"], one["Principal"], one.get("SourceArn")) == wanted
                for one in permissions
            ):
                problems.append(f"{target['Arn']} has no permission for the rule {rule}")
        elif kind not in ("AWS::SQS::Queue", "AWS::SNS::Topic"):
            problems.append(f"{rule}: say here what lets a rule reach {target['Arn']}, a {kind or 'stranger'}")
    return problems


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
    expected = {(service, sender, queue) for service, sender, queue in letters(stack)}
    problems = []
    for name, statement in resource_statements(stack):
        if not services(statement):
            problems.append(f"{name} lets in {statement.get('Principal')}, not a service")
        for resource in listed(statement["Resource"]):
            for service in services(statement):
                problems += [f"{name}: {one}" for one in _unwanted(stack, statement, resource, service, expected)]
    return problems


def _unwanted(
    stack: Stack, statement: Statement, resource: str, service: str, expected: set[tuple[str, str, str]]
) -> list[str]:
    if stack.kind(resource) == "AWS::SNS::Topic":
        known = service in publishers(stack).get(resource, set())
        return [] if known else [f"{service} publishes nothing to {resource}"]
    if not sources(statement):
        return [f"anybody's {service} may send to {resource}"]
    idle = [sender for sender in sorted(sources(statement)) if (service, sender, resource) not in expected]
    return [f"{sender} sends nothing to {resource}" for sender in idle]


def conditional_topics(stack: Stack) -> list[str]:
    """Statements that let EventBridge publish to a topic under a condition: they never hold.

    EventBridge user guide, "Using resource-based policies", Amazon SNS permissions: "You can't use of Condition
    blocks in Amazon SNS topic policies for EventBridge"; for the topic's key, SNS developer guide, "Key management".
    """
    policies = [(name, one) for name, one in resource_statements(stack) if "sns:Publish" in listed(one["Action"])]
    keys = [(name, one) for name, key in stack.of("AWS::KMS::Key").items() for one in read(key["KeyPolicy"])]
    return [
        f"{name} has a condition on {EVENTS}"
        for name, statement in policies + keys
        if EVENTS in services(statement) and "Condition" in statement
    ]


def silenced_topics(stack: Stack) -> list[str]:
    """Topics whose key keeps a publisher out (SNS developer guide, "Key management")."""
    problems = []
    for name, topic in stack.of("AWS::SNS::Topic").items():
        key = topic.get("KmsMasterKeyId", "")
        if stack.kind(key) != "AWS::KMS::Key":
            problems.append(f"{name} has no key of this stack: {key or 'none'}")
            continue
        found = read(stack.properties(named(key))["KeyPolicy"])
        for service in sorted(publishers(stack).get(arn(name), set())):
            for action in ("kms:GenerateDataKey*", "kms:Decrypt"):
                if not any(admits(one, service, action, "*") for one in found):
                    problems.append(f"{name}: its key does not let {service} use {action}")
    return problems


CHECKS = [
    shut_queues,
    shared_policies,
    shut_topics,
    shut_functions,
    loose_ends,
    strangers,
    conditional_topics,
    silenced_topics,
]


@pytest.mark.parametrize("check", CHECKS)
def test_every_message_may_go_where_it_is_sent(stack: Stack, check: Check) -> None:
    assert check(stack) == []


def test_the_notification_topic_the_alarm_topic_and_the_bells_are_among_what_is_checked(whole: Stack) -> None:
    assert {named(topic): services for topic, services in publishers(whole).items()} == {
        "NotificationTopic": {NOTIFICATIONS},
        "AlarmTopic": {ALARMS, EVENTS},
    }
    assert {"NotificationRule", "TrailRule"} <= {
        named(sender) for _, sender, queue in letters(whole) if queue == arn("BellQueue")
    }
    assert (TOPICS, arn("NotificationTopic"), arn("NotificationQueue")) in set(letters(whole))


POLICY = "PolicyDocument.Statement.0"
SPOILED = [
    Spoiled(shut_queues, "BellQueuePolicy", GONE, "${BellQueue.Arn} has 0 policies"),
    Spoiled(shut_queues, "BellDeadLettersPolicy.Queues", ["${BellQueue}"], "${BellQueue.Arn} has 2 policies"),
    Spoiled(shut_queues, "BellDeadLettersPolicy.Queues", ["${BellQueue}"], "${BellDeadLetters.Arn} has 0 policies"),
    Spoiled(
        shut_queues,
        f"BellQueuePolicy.{POLICY}.Condition.ArnEquals.aws:SourceArn",
        arn("Other"),
        "${BellQueue.Arn} does not let events.amazonaws.com send for ${TrailRule.Arn}",
    ),
    Spoiled(
        shut_queues,
        f"NotificationQueuePolicy.{POLICY}.Principal.Service",
        EVENTS,
        "does not let sns.amazonaws.com send for ${NotificationTopic.Arn}",
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
    Spoiled(shut_topics, "NotificationTopicPolicy", GONE, "${NotificationTopic.Arn} has 0 policies"),
    Spoiled(
        shut_topics,
        f"NotificationTopicPolicy.{POLICY}.Principal.Service",
        "ec2.amazonaws.com",
        "does not let vpce.amazonaws.com publish",
    ),
    Spoiled(
        shut_topics,
        f"AlarmTopicPolicy.{POLICY}.Action",
        "sns:Subscribe",
        "does not let cloudwatch.amazonaws.com publish",
    ),
    Spoiled(shut_functions, "AcceptedRule.Targets.0.Arn", arn("PatrolFunction"), "has no permission"),
    Spoiled(shut_functions, "AcceptedRule.Targets.0.Arn", arn("EventBus"), "say here what lets a rule"),
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
        "events.amazonaws.com publishes nothing to ${NotificationTopic.Arn}",
    ),
    Spoiled(strangers, "TrailRule", GONE, "${TrailRule.Arn} sends nothing to ${BellQueue.Arn}"),
    Spoiled(
        conditional_topics,
        "TopicKey.KeyPolicy.Statement.1.Condition",
        {"StringEquals": {"aws:SourceAccount": "111111111111"}},
        "TopicKey has a condition",
    ),
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
