"""Lambda functions in the lab: AWS's own runtime client, and invocations of every kind."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import Any

import boto3

from lab.functions.output import Output
from lab.harness.process import PROVIDER_ACCOUNT, REGION, LabProcess
from tests.integration.conftest import Client
from tests.integration.deploy import (
    allow,
    arn_of,
    change,
    eventually,
    function,
    invoke,
    layer,
    lines,
    queue,
    received,
)


def test_what_was_written_is_there_at_once_even_if_no_thread_has_read_it_yet() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as stream:
        output = Output(stream)
        os.write(writing, b"one\ntwo\n")
        assert output.take() == "one\ntwo"
        assert output.take() == ""
        os.close(writing)


class TestOneInvocation:
    def test_the_context_is_that_of_the_runtime_client_of_aws(self, lab: LabProcess, client: Client) -> None:
        code = (
            "def handler(e, c): return [type(c).__module__, c.invoked_function_arn, c.get_remaining_time_in_millis()]"
        )
        name = function(client, code, Timeout=9)
        _, (module, arn, left) = invoke(client, name)
        assert module == "awslambdaric.lambda_context"
        assert arn == arn_of(client, name)
        assert 0 < left <= 9000

    def test_the_environment_has_what_lambda_gives_and_nothing_of_the_lab(
        self, lab: LabProcess, client: Client
    ) -> None:
        code = "import os\ndef handler(e, c): return dict(os.environ)"
        name = function(client, code, Environment={"Variables": {"MINE": "1"}})
        _, seen = invoke(client, name)
        assert seen["MINE"] == "1"
        assert seen["AWS_LAMBDA_FUNCTION_NAME"] == name
        assert seen["AWS_ENDPOINT_URL"] == lab.url
        known = ("AWS_", "LAMBDA_", "LC_", "_")
        others = {variable for variable in seen if not variable.startswith(known)}
        assert others <= {"MINE", "PATH", "HOME", "TMPDIR", "LANG", "TZ", "PWD", "PYTHONPATH"}

    def test_packages_of_the_lab_cannot_be_imported_but_boto3_can(self, client: Client) -> None:
        code = """
import importlib.util, boto3
def handler(event, context): return [name for name in event if importlib.util.find_spec(name)]
"""
        assert invoke(client, function(client, code), ["ministack", "pytest", "lab", "botocore"]) == (
            None,
            ["botocore"],
        )

    def test_a_function_acts_as_its_role_and_no_more(self, client: Client) -> None:
        url, arn = queue(client)
        code = """
import boto3
def handler(event, context):
    return getattr(boto3.client("sqs"), event["call"])(QueueUrl=event["url"], **event["with"])["ResponseMetadata"]
"""
        name = function(client, code, allow("sqs:SendMessage", on=arn))
        sent = {"call": "send_message", "url": url, "with": {"MessageBody": "m"}}
        kind, _ = invoke(client, name, sent)
        assert kind is None
        kind, answer = invoke(client, name, {"call": "purge_queue", "url": url, "with": {}})
        assert kind == "Unhandled"
        assert "not authorized to perform: sqs:PurgeQueue" in answer["errorMessage"]
        assert [message["Body"] for message in received(client, url)] == ["m"]

    def test_sending_a_batch_is_covered_by_the_permission_to_send(self, client: Client) -> None:
        url, arn = queue(client)
        code = """
import boto3
def handler(event, context):
    boto3.client("sqs").send_message_batch(QueueUrl=event, Entries=[{"Id": "1", "MessageBody": "m"}])
"""
        assert invoke(client, function(client, code, allow("sqs:SendMessage", on=arn)), url) == (None, None)
        assert [message["Body"] for message in received(client, url)] == ["m"]

    def test_an_exception_has_its_type_and_trace_and_leaves_the_process_alive(self, client: Client) -> None:
        code = """
calls = 0
def handler(event, context):
    global calls
    calls += 1
    if event: raise KeyError("gone")
    return calls
"""
        name = function(client, code)
        assert invoke(client, name) == (None, 1)
        kind, answer = invoke(client, name, True)
        assert (kind, answer["errorType"], answer["errorMessage"]) == ("Unhandled", "KeyError", "'gone'")
        assert "in handler" in answer["stackTrace"][-1]
        assert invoke(client, name) == (None, 3)

    def test_a_timeout_ends_the_process_and_the_next_event_finds_a_new_one(self, client: Client) -> None:
        code = """
import time
calls = 0
def handler(event, context):
    global calls
    calls += 1
    print("begun", flush=True)
    time.sleep(event)
    return calls
"""
        name = function(client, code, Timeout=1)
        kind, answer = invoke(client, name, 30)
        assert kind == "Unhandled"
        assert answer["errorMessage"] == "Task timed out after 1.00 seconds"
        assert lines(client, name)[0] == "begun"
        assert "Task timed out after 1.00 seconds" in lines(client, name)[1]
        assert invoke(client, name, 0) == (None, 1)

    def test_a_module_that_cannot_be_imported_is_named_in_answer_and_log(self, client: Client) -> None:
        name = function(client, "import absent_module")
        kind, answer = invoke(client, name)
        assert kind == "Unhandled"
        assert answer["errorType"] == "Runtime.ImportModuleError"
        assert answer["errorMessage"] == "Unable to import module 'app': No module named 'absent_module'"
        assert any("Runtime.ImportModuleError" in line for line in lines(client, name))

    def test_new_code_and_new_variables_reach_the_next_event(self, client: Client) -> None:
        name = function(client, "import os\ndef handler(e, c): return os.environ.get('COLOUR')")
        assert invoke(client, name) == (None, None)
        change(client, name, Environment={"Variables": {"COLOUR": "red"}})
        assert invoke(client, name) == (None, "red")


def test_a_later_layer_lies_over_an_earlier_one(client: Client) -> None:
    layers = [layer(client, {"order.py": f"layer = '{word}'"}) for word in ("earlier", "later")]
    code = "import order\ndef handler(event, context): return order.layer"
    assert invoke(client, function(client, code, Layers=layers)) == (None, "later")


def test_a_line_of_powertools_reaches_the_log_group_as_one_json_line(client: Client) -> None:
    powertools = layer(client, _sources("aws-lambda-powertools", "typing-extensions"))
    code = """
from aws_lambda_powertools import Logger
logger = Logger(service="tested")
def handler(event, context): logger.info("seen", extra={"endpoint": event})
"""
    name = function(client, code, Layers=[powertools], Timeout=10)
    assert invoke(client, name, "vpce-1") == (None, None)
    (line,) = lines(client, name)
    assert json.loads(line)["endpoint"] == "vpce-1"


def _sources(*distributions: str) -> dict[str, str]:
    """The python files of installed distributions, by their path on the import path."""
    files = [file for name in distributions for file in metadata.files(name) or () if file.suffix == ".py"]
    return {str(file): file.read_text() for file in files}


class TestManyInvocations:
    def test_twenty_events_at_once_are_queued_and_none_is_throttled(self, lab: LabProcess, client: Client) -> None:
        code = """
import os, time
def handler(event, context):
    begun = time.time()
    time.sleep(1)
    return [os.getpid(), begun, time.time()]
"""
        name = function(client, code, Timeout=10)
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda number: invoke(client, name, number), range(20)))
        assert [kind for kind, _ in answers] == [None] * 20
        spans = [span for _, (_, *span) in answers]
        at_once = max(sum(1 for begun, ended in spans if begun <= moment < ended) for moment, _ in spans)
        assert 1 < at_once <= 6
        assert len({process for _, (process, *_) in answers}) <= 6

    def test_functions_that_wait_for_another_do_not_block_it(self, client: Client) -> None:
        inner = function(client, "def handler(event, context): return event", Timeout=20)
        code = """
import boto3, json, time
def handler(event, context):
    time.sleep(1)
    answer = boto3.client("lambda").invoke(FunctionName=event, Payload=json.dumps("deep"))
    return json.loads(answer["Payload"].read())
"""
        outer = function(client, code, allow("lambda:InvokeFunction"), Timeout=20)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: invoke(client, outer, inner), range(8)))
        assert answers == [(None, "deep")] * 8


def test_no_worker_outlives_a_server_that_is_told_to_end(lab: LabProcess) -> None:
    with LabProcess() as another:

        def client(service: str) -> Any:
            make: Any = boto3.client
            keys = {"aws_access_key_id": PROVIDER_ACCOUNT, "aws_secret_access_key": "lab"}
            return make(service, endpoint_url=another.url, region_name=REGION, **keys)

        name = function(client, "import os\ndef handler(event, context): return [os.getpid(), os.getpgrp()]")
        _, (worker, group) = invoke(client, name)
        # The server leads the group. Alone, without the rest of its group, it must end its workers as well.
        os.kill(group, signal.SIGTERM)
        assert eventually(lambda: not _is_running(worker))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


class TestAnotherAccount:
    INVOKE = """
import boto3, json
def handler(event, context):
    try:
        return json.loads(boto3.client("lambda").invoke(FunctionName=event)["Payload"].read())
    except Exception as error:
        return error.response["Error"]["Code"]
"""

    def test_a_role_that_both_sides_name_may_invoke_and_no_other(self, client: Client) -> None:
        def there(service: str) -> Any:
            return client(service, account="222222222222")

        name = function(there, "def handler(e, c): return c.invoked_function_arn")
        target = arn_of(there, name)
        invited, stranger, poor = (
            function(client, self.INVOKE, *given)
            for given in ([allow("lambda:InvokeFunction", on=target)], [allow("lambda:InvokeFunction")], [])
        )
        assert {invoke(client, one, target)[1] for one in (invited, stranger, poor)} == {"AccessDeniedException"}
        for one in (invited, poor):
            role = client("lambda").get_function_configuration(FunctionName=one)["Role"]
            there("lambda").add_permission(
                FunctionName=name, StatementId=one, Action="lambda:InvokeFunction", Principal=role
            )
        assert [invoke(client, one, target)[1] for one in (invited, stranger, poor)] == [
            target,
            "AccessDeniedException",
            "AccessDeniedException",
        ]
