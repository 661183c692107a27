"""The metrics of queues, of functions and of log lines."""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.conftest import Client
from tests.integration.lab.cloudwatch.conftest import (
    DEADLINE_SECONDS,
    OTHER_ACCOUNT,
    Inbox,
    becomes,
    eventually,
    put_alarm,
    shown,
    statistics,
)


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
    notified = inbox.next_notification()
    assert (notified["AlarmName"], notified["OldStateValue"], notified["NewStateValue"]) == (name, "OK", "ALARM")
    assert "[1.0 (" in notified["NewStateReason"]
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
