"""What the tests put into the local AWS: roles, functions, queues; and how they wait for it to act."""

import io
import itertools
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any, TypeVar

import botocore.session

from lab.harness.process import REGION, LabProcess
from lab.privatelink import newer
from tests.integration.conftest import Client

T = TypeVar("T")
_numbers = itertools.count()


def unique(word: str) -> str:
    """A name that no other test uses."""
    return f"{word}-{next(_numbers)}-{time.time_ns() % 10**9}"


def eventually(look: Callable[[], T], seconds: float = 20) -> T:
    """The first true answer of `look`; the last one if there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def role(client: Client, service: str, *statements: dict[str, Any]) -> str:
    """The ARN of a new role that `service` ("lambda") may assume and that has these allowing statements."""
    trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam, name = client("iam"), unique("role")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    if statements:
        policy = {"Statement": [{"Effect": "Allow", **statement} for statement in statements]}
        iam.put_role_policy(RoleName=name, PolicyName="given", PolicyDocument=json.dumps(policy))
    return str(arn)


def only_for(client: Client, role_arn: str, service: str, source_arn: str) -> None:
    """Let `service` assume a role for one resource alone."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"ArnLike": {"aws:SourceArn": source_arn}},
    }
    name, document = role_arn.rpartition("/")[2], json.dumps({"Statement": [trust]})
    client("iam").update_assume_role_policy(RoleName=name, PolicyDocument=document)


def allow(*actions: str, on: str = "*") -> dict[str, Any]:
    return {"Action": list(actions), "Resource": on}


def archive(**modules: str) -> bytes:
    """A zip with one file for each module."""
    return _zipped({f"{name}.py": text for name, text in modules.items()})


def layer(client: Client, files: dict[str, str]) -> str:
    """The ARN of a new layer with these files below python/."""
    content = {"ZipFile": _zipped({f"python/{path}": text for path, text in files.items()})}
    published = client("lambda").publish_layer_version(LayerName=unique("layer"), Content=content)
    return str(published["LayerVersionArn"])


def _zipped(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as zipped:
        for path, text in files.items():
            zipped.writestr(path, text)
    return content.getvalue()


def function(client: Client, code: str, *statements: dict[str, Any], **settings: Any) -> str:
    """The name of a new function, ready to be invoked, whose module `app` is `code`."""
    name = unique("function")
    given = {"Runtime": "python3.11", "Handler": "app.handler", "Role": role(client, "lambda", *statements), **settings}
    client("lambda").create_function(FunctionName=name, Code={"ZipFile": archive(app=code)}, **given)
    assert eventually(lambda: _is_ready(client, name))
    return name


def _is_ready(client: Client, name: str) -> bool:
    state = client("lambda").get_function(FunctionName=name)["Configuration"]
    return (state["State"], state["LastUpdateStatus"]) == ("Active", "Successful")


def change(client: Client, name: str, **settings: Any) -> None:
    """Change a function's configuration and wait until it holds."""
    client("lambda").update_function_configuration(FunctionName=name, **settings)
    assert eventually(lambda: _is_ready(client, name))


def arn_of(client: Client, name: str) -> str:
    return str(client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"])


def invoke(client: Client, name: str, event: object = None) -> tuple[str | None, Any]:
    """The kind of error, if any, and what the function answered."""
    answer = client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def lines(client: Client, name: str) -> list[str]:
    """What the function wrote, without Lambda's own lines."""
    logs = client("logs")
    try:
        pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}"))
    except logs.exceptions.ResourceNotFoundException:
        return []
    messages = [event["message"] for page in pages for event in page["events"]]
    return [text for text in messages if text.split(" ")[0] not in ("START", "END", "REPORT")]


def queue(client: Client, **attributes: str) -> tuple[str, str]:
    """The URL and ARN of a new queue."""
    sqs = client("sqs")
    url = sqs.create_queue(QueueName=unique("queue"), Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def queue_with_dlq(client: Client, tries: int = 1, timeout: int = 1) -> tuple[str, str, str]:
    """The URL and ARN of a new queue, and the URL of its dead-letter queue."""
    dead, dead_arn = queue(client)
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": tries})
    url, arn = queue(client, RedrivePolicy=policy, VisibilityTimeout=str(timeout))
    return url, arn, dead


def received(client: Client, url: str, count: int = 1, seconds: float = 20) -> list[dict[str, Any]]:
    """The messages of a queue as soon as there are `count`; fewer if that takes too long. They are deleted."""
    found: list[dict[str, Any]] = []

    def receive() -> bool:
        answer = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        for message in answer.get("Messages", []):
            client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(message)
        return len(found) >= count

    eventually(receive, seconds)
    return found


def waiting(client: Client, url: str) -> int:
    """How many messages a queue holds, visible or not."""
    kinds = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    attributes = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=list(kinds))["Attributes"]
    return sum(int(attributes[kind]) for kind in kinds)


def let_in(client: Client, url: str, arn: str, service: str, source: str) -> None:
    """Let a service send to the queue for one resource of the account."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def newest(lab: LabProcess, account: str) -> Any:
    """An EC2 client with what EC2's model gained since the pinned botocore."""
    session = botocore.session.Session()
    loader: Any = session.get_component("data_loader")
    load = loader.load_service_model

    def merged(service: str, kind: str, **version: Any) -> Any:
        document = load(service, kind, **version)
        return newer.merged(document) if (service, kind) == ("ec2", "service-2") else document

    loader.load_service_model = merged
    return session.create_client(
        "ec2", REGION, endpoint_url=lab.url, aws_access_key_id=account, aws_secret_access_key="lab"
    )
