"""CloudWatch of the running local AWS, through real clients; a minute of AWS passes in five seconds."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.harness.process import SPEED
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
