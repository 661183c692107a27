"""What queues, streams and failed invocations lead to."""

import json
from typing import Any

from tests.integration.conftest import Client
from tests.integration.deploy import (
    allow,
    eventually,
    function,
    lines,
    queue,
    queue_with_dlq,
    received,
    unique,
    waiting,
)

RECORDER = """
import json
def handler(event, context):
    print(json.dumps([record["body"] for record in event["Records"]]))
"""


class TestQueues:
    def test_a_batch_gathers_over_its_window_and_may_exceed_ten(self, client: Client) -> None:
        url, arn = queue(client)
        name = function(client, RECORDER, allow("sqs:*"))
        for number in range(3):
            entries = [{"Id": str(index), "MessageBody": f"{number}.{index}"} for index in range(10)]
            client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
        client("lambda").create_event_source_mapping(
            FunctionName=name, EventSourceArn=arn, BatchSize=100, MaximumBatchingWindowInSeconds=1
        )
        client("sqs").send_message(QueueUrl=url, MessageBody="last")
        (batch,) = eventually(lambda: lines(client, name))
        assert len(json.loads(batch)) == 31

    def test_a_full_batch_does_not_wait_for_its_window(self, client: Client) -> None:
        url, arn = queue(client)
        name = function(client, RECORDER, allow("sqs:*"))
        client("lambda").create_event_source_mapping(
            FunctionName=name, EventSourceArn=arn, BatchSize=2, MaximumBatchingWindowInSeconds=300
        )
        for number in range(2):
            client("sqs").send_message(QueueUrl=url, MessageBody=str(number))
        assert eventually(lambda: lines(client, name)) == ['["0", "1"]']

    def test_only_the_reported_message_is_tried_again_and_ends_in_the_dlq(self, client: Client) -> None:
        url, arn, dead = queue_with_dlq(client, tries=2)
        code = """
def handler(event, context):
    failed = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
    for record in event["Records"]: print(record["body"])
    return {"batchItemFailures": [{"itemIdentifier": identity} for identity in failed]}
"""
        name = function(client, code, allow("sqs:*"), Timeout=1)
        client("lambda").create_event_source_mapping(
            FunctionName=name,
            EventSourceArn=arn,
            BatchSize=100,
            MaximumBatchingWindowInSeconds=1,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
        for body in ("good", "bad"):
            client("sqs").send_message(QueueUrl=url, MessageBody=body)
        assert [message["Body"] for message in received(client, dead)] == ["bad"]
        assert sorted(lines(client, name)) == ["bad", "bad", "good"]
        assert waiting(client, url) == 0


class TestStreams:
    CODE = """
import json
def handler(event, context):
    keys = [record["dynamodb"]["Keys"]["k"]["S"] for record in event["Records"]]
    print(json.dumps(keys))
    if "bad" in keys: raise ValueError(keys)
"""

    def _table(self, client: Client) -> tuple[str, str]:
        name = unique("table")
        table = client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]
        return name, table["LatestStreamArn"]

    def _map(self, client: Client, stream: str, name: str, **settings: Any) -> None:
        client("lambda").create_event_source_mapping(
            FunctionName=name, EventSourceArn=stream, StartingPosition="TRIM_HORIZON", **settings
        )

    def _put(self, client: Client, table: str, *keys: str) -> None:
        for key in keys:
            client("dynamodb").put_item(TableName=table, Item={"k": {"S": key}})

    def test_retries_end_and_the_destination_learns_which_records_are_lost(self, client: Client) -> None:
        table, stream = self._table(client)
        url, arn = queue(client)
        name = function(client, self.CODE, allow("dynamodb:*", "sqs:*"))
        self._put(client, table, "bad")
        destination = {"OnFailure": {"Destination": arn}}
        self._map(client, stream, name, MaximumRetryAttempts=1, DestinationConfig=destination)
        (message,) = received(client, url)
        record = json.loads(message["Body"])
        assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
        assert record["DDBStreamBatchInfo"]["batchSize"] == 1
        assert record["DDBStreamBatchInfo"]["streamArn"] == stream
        self._put(client, table, "next")
        assert eventually(lambda: lines(client, name)[-1:] == ['["next"]'])
        assert lines(client, name).count('["bad"]') == 2

    def test_bisecting_saves_the_good_records_around_a_bad_one(self, client: Client) -> None:
        table, stream = self._table(client)
        url, arn = queue(client)
        name = function(client, self.CODE, allow("dynamodb:*", "sqs:*"))
        self._put(client, table, "a", "bad", "c", "d")
        self._map(
            client,
            stream,
            name,
            MaximumRetryAttempts=0,
            BisectBatchOnFunctionError=True,
            DestinationConfig={"OnFailure": {"Destination": arn}},
        )
        (message,) = received(client, url)
        assert json.loads(message["Body"])["DDBStreamBatchInfo"]["batchSize"] == 1
        assert eventually(lambda: {'["a"]', '["c", "d"]'} <= set(lines(client, name)))

    def test_a_reported_record_is_where_the_stream_goes_on(self, client: Client) -> None:
        table, stream = self._table(client)
        code = """
seen = []
def handler(event, context):
    numbers = [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]
    keys = [record["dynamodb"]["Keys"]["k"]["S"] for record in event["Records"]]
    print(*keys)
    return {"batchItemFailures": [{"itemIdentifier": numbers[1]}] if len(keys) == 3 else []}
"""
        name = function(client, code, allow("dynamodb:*"))
        self._put(client, table, "a", "b", "c")
        self._map(client, stream, name, FunctionResponseTypes=["ReportBatchItemFailures"])
        assert eventually(lambda: lines(client, name) if len(lines(client, name)) > 1 else []) == ["a b c", "b c"]

    def test_a_slow_stream_function_does_not_hold_up_a_queue(self, client: Client) -> None:
        table, stream = self._table(client)
        slow = function(client, "import time\ndef handler(e, c): time.sleep(60)", allow("dynamodb:*"), Timeout=5)
        url, arn = queue(client)
        quick = function(client, RECORDER, allow("sqs:*"))
        self._put(client, table, "a")
        self._map(client, stream, slow, MaximumRetryAttempts=0)
        client("lambda").create_event_source_mapping(FunctionName=quick, EventSourceArn=arn)
        client("sqs").send_message(QueueUrl=url, MessageBody="m")
        assert eventually(lambda: lines(client, quick)) == ['["m"]']
        assert lines(client, slow) == []


class TestAsynchronousInvocations:
    CODE = "def handler(event, context):\n    print(event)\n    raise ValueError('never')"

    def test_the_destination_has_the_event_and_the_error_after_the_last_try(self, client: Client) -> None:
        url, arn = queue(client)
        name = function(client, self.CODE, allow("sqs:SendMessage", on=arn))
        client("lambda").put_function_event_invoke_config(
            FunctionName=name, MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": arn}}
        )
        client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b'"e"')
        (message,) = received(client, url)
        record = json.loads(message["Body"])
        assert record["requestPayload"] == "e"
        assert record["responsePayload"]["errorType"] == "ValueError"
        assert [line for line in lines(client, name) if line == "e"] == ["e", "e"]

    def test_the_dead_letter_queue_gets_the_event(self, client: Client) -> None:
        url, arn = queue(client)
        name = function(client, self.CODE, allow("sqs:SendMessage", on=arn), DeadLetterConfig={"TargetArn": arn})
        client("lambda").put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b'{"a": 1}')
        (message,) = received(client, url)
        assert json.loads(message["Body"]) == {"a": 1}
        assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "never"
