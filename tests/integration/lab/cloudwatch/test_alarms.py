"""Alarms: evaluated, and what follows from a change of state."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.harness.process import REGION
from tests.integration.conftest import Client
from tests.integration.lab.cloudwatch.conftest import (
    LONG_AGO,
    MINUTE,
    OTHER_ACCOUNT,
    Inbox,
    becomes,
    eventually,
    put,
    put_alarm,
    shown,
    statement,
)


def test_an_alarm_shows_and_remembers_why_it_changed(cloudwatch: Any, name: str) -> None:
    put_alarm(cloudwatch, name)
    put(cloudwatch, name, 7)
    alarm = becomes(cloudwatch, name, "ALARM")
    assert alarm["StateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [7.0 (")
    assert json.loads(alarm["StateReasonData"])["recentDatapoints"] == [7.0]
    assert alarm["StateUpdatedTimestamp"] > LONG_AGO
    history = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert history[0]["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM"
    new = json.loads(history[0]["HistoryData"])["newState"]
    assert new["stateReasonData"]["recentDatapoints"] == [7.0]


def test_datapoints_of_other_dimensions_units_and_accounts_change_nothing(
    client: Client, cloudwatch: Any, name: str
) -> None:
    dimensions = [{"Name": "Service", "Value": "a"}]
    put_alarm(cloudwatch, name, Dimensions=dimensions, Unit="Count")
    put(cloudwatch, name, 1, Dimensions=[{"Name": "Service", "Value": "b"}], Unit="Count")
    put(cloudwatch, name, 1, Unit="Count")
    put(cloudwatch, name, 1, Dimensions=dimensions, Unit="Seconds")
    put(client("cloudwatch", account=OTHER_ACCOUNT), name, 1, Dimensions=dimensions, Unit="Count")
    # A second alarm, of what came last, tells when this one has been looked at since.
    put_alarm(cloudwatch, f"{name}-seconds", MetricName=name, Dimensions=dimensions, Unit="Seconds")
    becomes(cloudwatch, f"{name}-seconds", "ALARM")
    assert shown(cloudwatch, name)["StateValue"] == "INSUFFICIENT_DATA"
    put(cloudwatch, name, 1, Dimensions=dimensions, Unit="Count")
    becomes(cloudwatch, name, "ALARM")


def test_another_accounts_alarm_sees_its_own_metric_alone(client: Client, cloudwatch: Any, name: str) -> None:
    other = client("cloudwatch", account=OTHER_ACCOUNT)
    put_alarm(cloudwatch, name)
    put_alarm(other, name)
    put(other, name, 1)
    put(cloudwatch, name, 0)
    assert becomes(other, name, "ALARM")["AlarmArn"] == f"arn:aws:cloudwatch:{REGION}:{OTHER_ACCOUNT}:alarm:{name}"
    becomes(cloudwatch, name, "OK")


def test_silence_breaches_or_not_without_any_data(cloudwatch: Any, name: str) -> None:
    for treatment in ("breaching", "notBreaching", "missing", "ignore"):
        put_alarm(cloudwatch, f"{name}-{treatment}", TreatMissingData=treatment)
    becomes(cloudwatch, f"{name}-breaching", "ALARM")
    becomes(cloudwatch, f"{name}-notBreaching", "OK")
    for kept in ("missing", "ignore"):
        assert shown(cloudwatch, f"{name}-{kept}")["StateValue"] == "INSUFFICIENT_DATA"


def test_late_data_of_three_of_five_minutes_fires(cloudwatch: Any, name: str) -> None:
    put_alarm(cloudwatch, name, EvaluationPeriods=5, DatapointsToAlarm=3)
    minute = time.time() // MINUTE * MINUTE
    for ago, value in ((1, 0), (2, 1), (3, 1), (4, 1)):
        put(cloudwatch, name, value, Timestamp=minute - ago * MINUTE + 1)
    reason = becomes(cloudwatch, name, "ALARM")["StateReason"]
    assert reason.startswith("Threshold Crossed: 3 out of the last 5 datapoints")


def test_only_a_change_of_state_notifies_and_silence_is_one(cloudwatch: Any, inbox: Inbox, name: str) -> None:
    put_alarm(cloudwatch, name, AlarmActions=[inbox.topic], InsufficientDataActions=[inbox.topic])
    put(cloudwatch, name, 1)
    assert inbox.next_notification()["NewStateValue"] == "ALARM"
    # Evaluated many times in between, until the datapoint has left the range of three minutes.
    silent = inbox.next_notification()
    assert silent["NewStateValue"] == "INSUFFICIENT_DATA"
    assert silent["NewStateReason"] == "Insufficient Data: 1 datapoint was unknown."


def test_disabled_actions_are_not_carried_out(cloudwatch: Any, inbox: Inbox, name: str) -> None:
    # Evaluated in the order of their creation: what the second one sends comes after what the first would send.
    put_alarm(cloudwatch, f"{name}-disabled", MetricName=name, AlarmActions=[inbox.topic], ActionsEnabled=False)
    put_alarm(cloudwatch, name, AlarmActions=[inbox.topic])
    put(cloudwatch, name, 1)
    assert inbox.next_notification()["AlarmName"] == name
    assert shown(cloudwatch, f"{name}-disabled")["StateValue"] == "ALARM"


def test_only_a_topic_whose_policy_lets_cloudwatch_publish_is_notified(
    client: Client, cloudwatch: Any, inbox: Inbox, name: str
) -> None:
    sns = client("sns")
    closed = sns.create_topic(Name=f"{name}-closed")["TopicArn"]
    sns.subscribe(TopicArn=closed, Protocol="sqs", Endpoint=inbox.queue)
    for topic, service in ((closed, "s3.amazonaws.com"), (inbox.topic, "cloudwatch.amazonaws.com")):
        policy = statement({"Service": service}, "sns:Publish", topic)
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    put_alarm(cloudwatch, name, AlarmActions=[closed, inbox.topic])
    put(cloudwatch, name, 1)
    [body] = eventually(inbox.receive)
    assert body["TopicArn"] == inbox.topic
    sns.delete_topic(TopicArn=closed)


@pytest.fixture
def rule(client: Client, inbox: Inbox, name: str) -> Iterator[str]:
    """A rule of the default bus that sends to the inbox each change of the alarm `name` to ALARM."""
    events = client("events")
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": [name], "state": {"value": ["ALARM"]}}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "inbox", "Arn": inbox.queue}])
    yield name
    events.remove_targets(Rule=name, Ids=["inbox"])
    events.delete_rule(Name=name)


@pytest.mark.usefixtures("rule")
def test_a_change_of_state_is_an_event_on_the_default_bus(cloudwatch: Any, inbox: Inbox, name: str) -> None:
    put_alarm(cloudwatch, name, Dimensions=[{"Name": "Service", "Value": "a"}])
    put(cloudwatch, name, 1, Dimensions=[{"Name": "Service", "Value": "a"}])
    [event] = eventually(inbox.receive)
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["resources"] == [f"arn:aws:cloudwatch:{REGION}:{event['account']}:alarm:{name}"]
    assert event["detail"]["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert json.loads(event["detail"]["state"]["reasonData"])["recentDatapoints"] == [1.0]
    [metric] = event["detail"]["configuration"]["metrics"]
    assert metric["metricStat"]["metric"] == {"namespace": "Test", "name": name, "dimensions": {"Service": "a"}}


@pytest.mark.usefixtures("rule")
def test_a_state_set_by_hand_is_an_event_too_and_lasts_until_the_next_evaluation(
    cloudwatch: Any, inbox: Inbox, name: str
) -> None:
    put_alarm(cloudwatch, name, TreatMissingData="notBreaching")
    becomes(cloudwatch, name, "OK")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a drill")
    [event] = eventually(inbox.receive)
    assert event["detail"]["state"]["reason"] == "a drill"
    becomes(cloudwatch, name, "OK")


def test_a_composite_alarm_follows_its_child(cloudwatch: Any, name: str) -> None:
    put_alarm(cloudwatch, name)
    cloudwatch.put_composite_alarm(AlarmName=f"{name}-any", AlarmRule=f'ALARM("{name}")')
    put(cloudwatch, name, 1)

    def state() -> Any:
        found = cloudwatch.describe_alarms(AlarmNames=[f"{name}-any"], AlarmTypes=["CompositeAlarm"])
        return found["CompositeAlarms"][0]["StateValue"]

    eventually(state, lambda it: it == "ALARM")


def test_an_alarm_from_cloudformation_is_evaluated_as_well(client: Client, cloudwatch: Any, name: str) -> None:
    properties = {
        "AlarmName": name,
        "Namespace": "Test",
        "MetricName": name,
        "Dimensions": [{"Name": "Service", "Value": "a"}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 5,
        "DatapointsToAlarm": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    template = {"Resources": {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}}}
    client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))
    eventually(lambda: cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"])
    put(cloudwatch, name, 1)
    becomes(cloudwatch, name, "OK")
    put(cloudwatch, name, 1, Dimensions=[{"Name": "Service", "Value": "a"}])
    becomes(cloudwatch, name, "ALARM")
    client("cloudformation").delete_stack(StackName=name)
