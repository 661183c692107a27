"""Nothing that is sent gets lost for want of a permission (delivery.py says what is checked, and why here)."""

from collections.abc import Callable

import pytest

from tests.infrastructure.delivery import (
    ALARMS,
    EVENTS,
    NOTIFICATIONS,
    TOPICS,
    conditional_topics,
    letters,
    loose_ends,
    publishers,
    shared_policies,
    shut_functions,
    shut_queues,
    shut_topics,
    silenced_topics,
    strangers,
)
from tests.infrastructure.stack import Stack, arn, named

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
def test_every_message_may_go_where_it_is_sent(stack: Stack, check: Callable[[Stack], list[str]]) -> None:
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


def _statement(stack: Stack, policy: str) -> dict[str, object]:
    statement: dict[str, object] = stack.properties(policy)["PolicyDocument"]["Statement"][0]
    return statement


def _target(stack: Stack, rule: str) -> dict[str, object]:
    target: dict[str, object] = stack.properties(rule)["Targets"][0]
    return target


def _key(stack: Stack) -> dict[str, object]:
    statement: dict[str, object] = stack.properties("TopicKey")["KeyPolicy"]["Statement"][1]
    return statement


SPOILED: list[tuple[Callable[[Stack], list[str]], Callable[[Stack], object], str]] = [
    (shut_queues, lambda it: it.resources.pop("BellQueuePolicy"), "${BellQueue.Arn} has 0 policies"),
    (
        shut_queues,
        lambda it: it.resources.update(Second=it.resources["BellQueuePolicy"]),
        "${BellQueue.Arn} has 2 policies",
    ),
    (
        shut_queues,
        lambda it: _statement(it, "BellQueuePolicy").update(Condition={"ArnEquals": {"aws:SourceArn": arn("Other")}}),
        "${BellQueue.Arn} does not let events.amazonaws.com send for ${TrailRule.Arn}",
    ),
    (
        shut_queues,
        lambda it: it.properties("BellDeadLettersPolicy").update(Queues=["${BellQueue}"]),
        "${BellDeadLetters.Arn} has 0 policies",
    ),
    (
        shared_policies,
        lambda it: it.properties("BellQueuePolicy").update(Queues=["${BellQueue}", "${BellDeadLetters}"]),
        "BellQueuePolicy is attached to ['${BellQueue}', '${BellDeadLetters}'] and about ${BellQueue.Arn}",
    ),
    (
        shared_policies,
        lambda it: _statement(it, "BellQueuePolicy").update(Resource=[arn("BellQueue"), arn("BellDeadLetters")]),
        "BellQueuePolicy is attached to ['${BellQueue}'] and about ${BellDeadLetters.Arn}",
    ),
    (
        shut_queues,
        lambda it: _statement(it, "NotificationQueuePolicy").update(Principal={"Service": EVENTS}),
        "does not let sns.amazonaws.com send for ${NotificationTopic.Arn}",
    ),
    (shut_topics, lambda it: it.resources.pop("NotificationTopicPolicy"), "${NotificationTopic.Arn} has 0 policies"),
    (
        shut_topics,
        lambda it: _statement(it, "NotificationTopicPolicy").update(Principal={"Service": "ec2.amazonaws.com"}),
        "does not let vpce.amazonaws.com publish",
    ),
    (
        shut_topics,
        lambda it: _statement(it, "AlarmTopicPolicy").update(Action="sns:Subscribe"),
        "does not let cloudwatch.amazonaws.com publish",
    ),
    (shut_functions, lambda it: _target(it, "AcceptedRule").update(Arn=arn("PatrolFunction")), "has no permission"),
    (shut_functions, lambda it: _target(it, "AcceptedRule").update(Arn=arn("EventBus")), "say here what lets a rule"),
    (loose_ends, lambda it: _target(it, "HealthRule").pop("DeadLetterConfig"), "HealthRule has no DeadLetterConfig"),
    (loose_ends, lambda it: _target(it, "HealthRule").update(RoleArn="arn"), "HealthRule has a RoleArn"),
    (
        loose_ends,
        lambda it: it.properties("NotificationSubscription").pop("RedrivePolicy"),
        "NotificationSubscription has no RedrivePolicy",
    ),
    (strangers, lambda it: _statement(it, "BellQueuePolicy").update(Principal="*"), "lets in *"),
    (strangers, lambda it: _statement(it, "BellQueuePolicy").pop("Condition"), "anybody's events.amazonaws.com"),
    (
        strangers,
        lambda it: _statement(it, "NotificationTopicPolicy").update(Principal={"Service": [NOTIFICATIONS, EVENTS]}),
        "events.amazonaws.com publishes nothing to ${NotificationTopic.Arn}",
    ),
    (
        strangers,
        lambda it: it.resources.pop("TrailRule"),
        "${TrailRule.Arn} sends nothing to ${BellQueue.Arn}",
    ),
    (
        conditional_topics,
        lambda it: _key(it).update(Condition={"StringEquals": {"aws:SourceAccount": "111111111111"}}),
        "TopicKey has a condition",
    ),
    (silenced_topics, lambda it: it.properties("AlarmTopic").update(KmsMasterKeyId="alias/aws/sns"), "alias/aws/sns"),
    (silenced_topics, lambda it: it.properties("AlarmTopic").pop("KmsMasterKeyId"), "AlarmTopic has no key"),
    (silenced_topics, lambda it: _key(it).update(Action="kms:Decrypt"), "use kms:GenerateDataKey*"),
    (silenced_topics, lambda it: _key(it).update(Principal={"Service": EVENTS}), "does not let vpce.amazonaws.com"),
]


@pytest.mark.parametrize(("check", "spoil", "problem"), SPOILED)
def test_what_would_not_arrive_is_named(
    draft: Stack, check: Callable[[Stack], list[str]], spoil: Callable[[Stack], object], problem: str
) -> None:
    spoil(draft)
    assert any(problem in found for found in check(draft)), check(draft)
