"""The built stack consists of what was meant: a merge key that reaches too far, or overwrites nothing, is seen here."""

from collections.abc import Callable

import pytest

from tests.infrastructure.intrinsics import PSEUDO
from tests.infrastructure.stack import Properties, Stack, named

RESOURCES = {
    "CloudWatch::Dashboard": "Dashboard",
    "DynamoDB::Table": "AllowListTable LedgerTable",
    "Events::Archive": "BusArchive",
    "Events::EventBus": "EventBus",
    "Events::Rule": "NotificationRule TrailRule ServiceTrailRule AcceptedRule HealthRule AlarmRule",
    "IAM::Role": "PipeRole ApproveRole SweepRole PatrolRole CanaryRole ScheduleRole MessageRole",
    "KMS::Key": "TopicKey",
    "Lambda::EventInvokeConfig": "PatrolFunctionEventInvokeConfig",
    "Lambda::EventSourceMapping": "ApproveFunctionBells SweepFunctionEdits SweepFunctionLooks PatrolFunctionAccepted",
    "Lambda::Function": "ApproveFunction SweepFunction PatrolFunction CanaryFunction MessageFunction",
    "Lambda::Permission": "HealthRuleInvokes AlarmRuleInvokes",
    "Logs::LogGroup": "ApproveLog SweepLog PatrolLog CanaryLog MessageLog",
    "Pipes::Pipe": "NotificationPipe",
    "SNS::Subscription": "NotificationSubscription AlarmSubscription",
    "SNS::Topic": "NotificationTopic AlarmTopic",
    "SNS::TopicPolicy": "NotificationTopicPolicy AlarmTopicPolicy",
    "SQS::QueuePolicy": "NotificationQueuePolicy NotificationDeadLettersPolicy BellQueuePolicy BellDeadLettersPolicy"
    " SweepQueuePolicy PatrolQueuePolicy RoundDeadLettersPolicy",
    "Scheduler::Schedule": "SweepFunctionSchedule PatrolFunctionSchedule",
}
"""Logical ids by type, beside layers, and the alarms and queues below."""

ALARMS = """
UnhealthyAlarm: Maximum UnhealthyEndpoints > 0 in 1 of 2 x 60 s
OpenAlarm: Maximum UnexpectedlyOpenEndpoints > 0 in 1 of 1 x 300 s
CertificateAlarm: Minimum CertificateDaysLeft < 14 in 1 of 1 x 300 s
ProbeErrorsAlarm: Maximum ProbeErrors > 0 in 3 of 5 x 60 s
SilentAlarm: SampleCount ProbedEndpoints < 1 in 1 of 1 x 120 s
RefusalsAlarm: Maximum RefusedConnections > 0 in 1 of 1 x 360 s
StaleAlarm: Maximum StaleRequests > 0 in 1 of 1 x 360 s
InvalidRowsAlarm: Maximum InvalidRows > 0 in 1 of 1 x 360 s
BreakerAlarm: Maximum TrippedBreakers > 0 in 1 of 1 x 360 s
ContradictionsAlarm: Maximum Contradictions > 0 in 1 of 1 x 360 s
SweepSilentAlarm: SampleCount PendingRequests < 1 in 1 of 1 x 300 s
FailuresAlarm: Sum Failures > 0 in 1 of 3 x 120 s
UnreadableAlarm: Sum UnreadableNotifications > 0 in 1 of 1 x 60 s
ApproveErrorsAlarm: Sum Errors of ApproveFunction > 0 in 1 of 6 x 60 s
SweepErrorsAlarm: Sum Errors of SweepFunction > 0 in 1 of 1 x 360 s
PatrolErrorsAlarm: Sum Errors of PatrolFunction > 0 in 1 of 6 x 60 s
NotificationAgeAlarm: Maximum ApproximateAgeOfOldestMessage of NotificationQueue > 600 in 1 of 1 x 300 s
BellAgeAlarm: Maximum ApproximateAgeOfOldestMessage of BellQueue > 600 in 1 of 1 x 300 s
NotificationDeadLettersAlarm: Maximum ApproximateNumberOfMessagesVisible of NotificationDeadLetters > 0 in 1 of 1 x 60 s
BellDeadLettersAlarm: Maximum ApproximateNumberOfMessagesVisible of BellDeadLetters > 0 in 1 of 1 x 60 s
RoundDeadLettersAlarm: Maximum ApproximateNumberOfMessagesVisible of RoundDeadLetters > 0 in 1 of 1 x 60 s
"""
"""What each alarm reads and when it goes off; test_alarms.py and test_alarm_times.py say that this is enough."""

QUEUES = """
NotificationQueue: 14 days, hidden for 30 s, then NotificationDeadLetters
NotificationDeadLetters: 14 days
BellQueue: 14 days, hidden for 360 s, then BellDeadLetters
BellDeadLetters: 14 days
SweepQueue: 14 days, hidden for 720 s, then RoundDeadLetters
PatrolQueue: 14 days, hidden for 720 s, then RoundDeadLetters
RoundDeadLetters: 14 days
"""


def alarm(it: Properties) -> str:
    """An alarm in words; its dimension is named where it is a resource of the stack."""
    sign = {"GreaterThanThreshold": ">", "LessThanThreshold": "<"}[it["ComparisonOperator"]]
    what = "".join(f" of {name}" for one in it["Dimensions"] if (name := named(one["Value"])))
    most = it["EvaluationPeriods"]
    window = f"{it.get('DatapointsToAlarm', most)} of {most} x {it['Period']} s"
    return f"{it['Statistic']} {it['MetricName']}{what} {sign} {it['Threshold']} in {window}"


def queue(it: Properties) -> str:
    """A queue in words."""
    hidden = f", hidden for {it['VisibilityTimeout']} s" if "VisibilityTimeout" in it else ""
    dead = f", then {named(it['RedrivePolicy']['deadLetterTargetArn'])}" if "RedrivePolicy" in it else ""
    return f"{it['MessageRetentionPeriod'] // 86400} days{hidden}{dead}"


def described(stack: Stack, kind: str, words: Callable[[Properties], str]) -> list[str]:
    """Every resource of a type in words, in the order of the template."""
    return [f"{name}: {words(one)}" for name, one in stack.of(kind).items()]


def test_the_resources_are_those_that_were_meant(whole: Stack) -> None:
    elsewhere = {"AWS::CloudWatch::Alarm", "AWS::SQS::Queue", "AWS::Lambda::LayerVersion"}
    kinds = {one["Type"] for one in whole.resources.values()} - elsewhere
    found = {kind.removeprefix("AWS::"): " ".join(whole.of(kind)) for kind in kinds}
    assert found == RESOURCES


def test_few_resources_depend_on_a_parameter(whole: Stack, bare: Stack) -> None:
    conditional = {"CanaryFunction", "CanaryRole", "CanaryLog", "AlarmSubscription"}
    assert whole.resources.keys() - bare.resources.keys() == conditional


def test_each_alarm_goes_off_when_it_was_meant_to(whole: Stack) -> None:
    assert described(whole, "AWS::CloudWatch::Alarm", alarm) == ALARMS.split("\n")[1:-1]


def test_each_queue_keeps_and_hides_messages_as_long_as_was_meant(whole: Stack) -> None:
    assert described(whole, "AWS::SQS::Queue", queue) == QUEUES.split("\n")[1:-1]


@pytest.mark.parametrize("key", ["AlarmName", "LogGroupName"])
def test_no_name_is_merged_into_another_resource(whole: Stack, key: str) -> None:
    names = [one["Properties"][key] for one in whole.resources.values() if key in one.get("Properties", {})]
    assert len(set(names)) == len(names) > 1
    assert all(PSEUDO["AWS::StackName"] in name for name in names)
