"""Lambda in a new account, which runs ten executions at once and throttles the others."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.harness import deploy
from lab.harness.process import NEW_ACCOUNT_CONCURRENCY, PROVIDER_ACCOUNT, LabProcess
from tests.integration.conftest import Client
from tests.integration.deploy import allow, eventually, function, lines, queue_with_dlq, received

HOLDER = "import time\ndef handler(event, context): time.sleep(event['seconds'])"
SECONDS = 20


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Clients of a lab of its own, whose account is new."""
    settings = {"concurrency": 2 * NEW_ACCOUNT_CONCURRENCY, "account_concurrency": NEW_ACCOUNT_CONCURRENCY}
    with LabProcess(plane="loopback", **settings) as lab:

        def make(service: str, account: str = PROVIDER_ACCOUNT) -> Any:
            return deploy.client(lab, service, account)

        yield make


def is_throttled(client: Client, name: str, seconds: int = 0) -> bool:
    """Invoke a function, unless there is no room for it."""
    try:
        client("lambda").invoke(FunctionName=name, Payload=json.dumps({"seconds": seconds}))
    except ClientError as error:
        return error.response["Error"]["Code"] == "TooManyRequestsException"
    return False


@pytest.mark.slow
def test_what_is_throttled_counts_as_received_and_what_nobody_waits_for_runs_later(client: Client) -> None:
    holder = function(client, HOLDER, Timeout=60)
    worker = function(client, "def handler(event, context): print('ran')", allow("sqs:*"), Timeout=1)
    url, arn, dead = queue_with_dlq(client, tries=2)
    client("lambda").create_event_source_mapping(FunctionName=worker, EventSourceArn=arn)
    client("lambda").put_function_event_invoke_config(FunctionName=worker, MaximumRetryAttempts=0)

    def hold() -> None:
        # Whoever asks whether there is room takes some for a moment.
        while is_throttled(client, holder, SECONDS):
            pass

    holders = [threading.Thread(target=hold, daemon=True) for _ in range(NEW_ACCOUNT_CONCURRENCY)]
    for thread in holders:
        thread.start()
    assert eventually(lambda: is_throttled(client, worker))
    client("lambda").invoke(FunctionName=worker, InvocationType="Event", Payload="{}")
    client("sqs").send_message(QueueUrl=url, MessageBody="lost")
    assert [message["Body"] for message in received(client, dead, seconds=SECONDS)] == ["lost"]
    assert all(thread.is_alive() for thread in holders)
    before = lines(client, worker).count("ran")
    assert eventually(lambda: lines(client, worker).count("ran") > before, seconds=3 * SECONDS)
