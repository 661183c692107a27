"""Metrics and alarms of the running local AWS, through real clients; a minute of AWS passes in five seconds."""

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.harness.process import REGION, SPEED
from tests.integration.conftest import Client

OTHER_ACCOUNT = "444444444444"
MINUTE = 60 / SPEED
DEADLINE_SECONDS = 60.0
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def eventually(look: Callable[[], Any], wanted: Callable[[Any], bool] = bool) -> Any:
    """What `look` shows as soon as it is wanted; fails after the deadline with what it showed last."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not wanted(shown := look()):
        assert time.monotonic() < deadline, f"still {shown!r}"
        time.sleep(0.2)
    return shown


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def cloudwatch(client: Client) -> Any:
    return client("cloudwatch")


@pytest.fixture
def inbox(client: Client, name: str) -> Iterator["Inbox"]:
    found = Inbox(client, name)
    yield found
    client("sns").delete_topic(TopicArn=found.topic)
    client("sqs").delete_queue(QueueUrl=found.url)


class Inbox:
    """A topic, and a queue that shows what came through it."""

    def __init__(self, client: Client, name: str) -> None:
        self._sqs, sns = client("sqs"), client("sns")
        self.url = self._sqs.create_queue(QueueName=f"{name}-inbox")["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.queue: str = attributes["Attributes"]["QueueArn"]
        self.allow("sns.amazonaws.com", "events.amazonaws.com")
        self.topic: str = sns.create_topic(Name=name)["TopicArn"]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self.queue)

    def allow(self, *services: str) -> None:
        policy = statement({"Service": list(services)}, "sqs:SendMessage", self.queue)
        self._sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})

    def receive(self) -> list[dict[str, Any]]:
        """The bodies that have come since the last look, each JSON."""
        messages = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    def next_notification(self) -> dict[str, Any]:
        """The next alarm notification, as CloudWatch wrote it."""
        [body] = eventually(self.receive)
        notification: dict[str, Any] = json.loads(body["Message"])
        return notification


def statement(principal: Any, action: str, resource: str) -> str:
    allowed = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


def put_alarm(cloudwatch: Any, name: str, **members: Any) -> None:
    """An alarm on the metric `name` that fires on one datapoint above 0."""
    defaults: dict[str, Any] = {
        "AlarmName": name,
        "Namespace": "Test",
        "MetricName": name,
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    cloudwatch.put_metric_alarm(**{**defaults, **members})


def put(cloudwatch: Any, name: str, value: float, **members: Any) -> None:
    cloudwatch.put_metric_data(Namespace="Test", MetricData=[{"MetricName": name, "Value": value, **members}])


def shown(cloudwatch: Any, name: str) -> dict[str, Any]:
    [alarm] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert isinstance(alarm, dict)
    return alarm


def becomes(cloudwatch: Any, name: str, state: str) -> dict[str, Any]:
    alarm: dict[str, Any] = eventually(lambda: shown(cloudwatch, name), lambda it: it["StateValue"] == state)
    return alarm


def statistics(
    cloudwatch: Any, namespace: str, metric: str, dimensions: Mapping[str, str], period: int = 86400
) -> list[dict[str, Any]]:
    found = cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=datetime.now(UTC) - timedelta(hours=1),
        EndTime=datetime.now(UTC) + timedelta(hours=1),
        Period=period,
        Statistics=["SampleCount", "Sum", "Maximum"],
    )
    datapoints: list[dict[str, Any]] = found["Datapoints"]
    return datapoints


def test_a_message_in_a_dead_letter_queue_rings_and_a_purge_ends_it(
    client: Client, cloudwatch: Any, inbox: Inbox, name: str
) -> None:
    sqs = client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    put_alarm(
        cloudwatch,
        name,
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": name}],
        AlarmActions=[inbox.topic],
        OKActions=[inbox.topic],
    )
    assert inbox.next_notification()["NewStateValue"] == "OK"

    sqs.send_message(QueueUrl=url, MessageBody="dead")
    rung = inbox.next_notification()
    assert (rung["AlarmName"], rung["OldStateValue"], rung["NewStateValue"]) == (name, "OK", "ALARM")
    assert "[1.0 (" in rung["NewStateReason"]
    sqs.purge_queue(QueueUrl=url)
    assert inbox.next_notification()["NewStateValue"] == "OK"
    sqs.delete_queue(QueueUrl=url)


def test_a_message_in_flight_is_counted_as_such_and_has_an_age(client: Client, cloudwatch: Any, name: str) -> None:
    sqs = client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]

    def newest(metric: str) -> Any:
        values = [
            datapoint["Maximum"] for datapoint in statistics(cloudwatch, "AWS/SQS", metric, {"QueueName": name}, 1)
        ]
        return values[-1] if values else None

    eventually(lambda: newest("ApproximateNumberOfMessagesVisible"), lambda it: it == 0)
    assert newest("ApproximateNumberOfMessagesNotVisible") is None
    assert newest("ApproximateAgeOfOldestMessage") is None
    sqs.send_message(QueueUrl=url, MessageBody="in flight")
    sqs.receive_message(QueueUrl=url)
    eventually(lambda: newest("ApproximateNumberOfMessagesNotVisible"), lambda it: it == 1)
    assert newest("ApproximateNumberOfMessagesVisible") == 0
    assert 0 < newest("ApproximateAgeOfOldestMessage") < DEADLINE_SECONDS
    sqs.delete_queue(QueueUrl=url)


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


def emf(name: str, value: object, *dimension_sets: list[str], **members: object) -> str:
    metrics = [{"Name": name, "Unit": "Count"}]
    directive = {"Namespace": "Test", "Dimensions": list(dimension_sets), "Metrics": metrics}
    stamp = int(time.time() * 1000)
    return json.dumps({"_aws": {"Timestamp": stamp, "CloudWatchMetrics": [directive]}, name: value, **members})


def log(client: Client, name: str, *lines: str) -> None:
    logs = client("logs")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    stamp = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName=name, logStreamName="s", logEvents=[{"timestamp": stamp, "message": line} for line in lines]
    )


def test_a_log_line_in_the_embedded_metric_format_is_a_metric(client: Client, cloudwatch: Any, name: str) -> None:
    broken = '{"_aws": {"CloudWatchMetrics": [{"Namespace": 7}]}}'
    log(client, name, "plain", broken, emf(name, [2, 5], [], ["Service"], Service="a"))
    listed = cloudwatch.list_metrics(Namespace="Test", MetricName=name)["Metrics"]
    assert sorted((it["Dimensions"] for it in listed), key=len) == [[], [{"Name": "Service", "Value": "a"}]]
    # Without dimensions it is the metric that has none, not the sum of all.
    for dimensions in ({}, {"Service": "a"}):
        [datapoint] = statistics(cloudwatch, "Test", name, dimensions)
        assert (datapoint["SampleCount"], datapoint["Sum"], datapoint["Unit"]) == (2, 7, "Count")
    assert statistics(cloudwatch, "Test", name, {"Service": "b"}) == []


def test_a_log_line_fires_an_alarm_of_its_own_account_alone(client: Client, cloudwatch: Any, name: str) -> None:
    other = client("cloudwatch", account=OTHER_ACCOUNT)
    for watching in (cloudwatch, other):
        put_alarm(watching, name, TreatMissingData="notBreaching")
    log(lambda service: client(service, account=OTHER_ACCOUNT), name, emf(name, 1, []))
    becomes(other, name, "ALARM")
    assert shown(cloudwatch, name)["StateValue"] == "OK"
    assert statistics(cloudwatch, "Test", name, {}) == []


FUNCTION = """
import json, time
def handler(event, context):
    directive = {"Namespace": "Test", "Dimensions": [[]], "Metrics": [{"Name": event["metric"]}]}
    stamp = int(time.time() * 1000)
    print(json.dumps({"_aws": {"Timestamp": stamp, "CloudWatchMetrics": [directive]}, event["metric"]: 1}))
    if event.get("fail"):
        raise RuntimeError("as asked")
"""


@pytest.fixture
def function(client: Client, name: str) -> Iterator[str]:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", FUNCTION)
    client("lambda").create_function(
        FunctionName=name, Runtime="python3.11", Role=role, Handler="app.handler", Code={"ZipFile": archive.getvalue()}
    )
    yield name
    client("lambda").delete_function(FunctionName=name)
    client("iam").delete_role(RoleName=name)


def test_a_functions_output_is_a_metric_and_each_invocation_is_counted_once(
    client: Client, cloudwatch: Any, function: str
) -> None:
    functions = client("lambda")
    payload = json.dumps({"metric": function})
    functions.invoke(FunctionName=function, Payload=payload)
    functions.invoke(FunctionName=function, Payload=json.dumps({"metric": function, "fail": True}))
    functions.invoke(FunctionName=function, Payload=payload, InvocationType="Event")
    [emitted] = eventually(lambda: statistics(cloudwatch, "Test", function, {}), lambda it: it and it[0]["Sum"] == 3)
    assert emitted["Unit"] == "None"

    def total(metric: str) -> Any:
        return statistics(cloudwatch, "AWS/Lambda", metric, {"FunctionName": function})[0]["Sum"]

    eventually(lambda: total("Invocations"), lambda it: it == 3)
    assert (total("Errors"), total("Throttles")) == (1, 0)
    assert total("Duration") > 0


def test_a_throttle_is_counted_and_is_no_invocation(client: Client, cloudwatch: Any, function: str) -> None:
    functions = client("lambda")
    functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    with pytest.raises(functions.exceptions.TooManyRequestsException):
        functions.invoke(FunctionName=function, Payload=json.dumps({"metric": function}))
    [throttled] = statistics(cloudwatch, "AWS/Lambda", "Throttles", {"FunctionName": function})
    assert throttled["Sum"] >= 1
    assert statistics(cloudwatch, "AWS/Lambda", "Invocations", {"FunctionName": function}) == []
