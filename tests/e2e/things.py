"""Things that questions make for themselves and that cost nothing: queues, roles, functions; each removes itself."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

from lab.harness.deploy import RUNTIME
from tests.e2e.question import Account, tried


def queue(account: Account, word: str) -> tuple[str, str]:
    """The URL and ARN of a new queue."""
    sqs = account.client("sqs")
    url = sqs.create_queue(QueueName=f"{account.name}-{word}")["QueueUrl"]
    account.made(f"queue {word}", lambda: sqs.delete_queue(QueueUrl=url))
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return url, attributes["QueueArn"]


def allow(account: Account, url: str, arn: str, service: str, source: str) -> None:
    """Let a service send to a queue for one resource."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    account.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def received(account: Account, url: str, count: int, seconds: float = 120) -> list[str]:
    """The bodies of messages, as soon as there are so many; fewer if that takes too long."""
    sqs, bodies = account.client("sqs"), list[str]()

    def enough() -> bool:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0 if account.lab else 10)
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            bodies.append(message["Body"])
        return len(bodies) >= count

    account.until(enough, seconds)
    return bodies


def receive(arn: str) -> dict[str, Any]:
    """What a function needs to be fed from a queue."""
    return {"Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], "Resource": arn}


def function(account: Account, word: str, code: str, *statements: dict[str, Any], **settings: Any) -> str:
    """The name of a new function whose module `app` is `code`, ready to be invoked."""
    functions, name = account.client("lambda"), f"{account.name}-{word}"
    arn = role(account, word, {"Action": ["logs:*"], "Resource": "*"}, *statements)
    logs, group = account.client("logs"), f"/aws/lambda/{name}"
    account.made(f"log {group}", lambda: logs.delete_log_group(logGroupName=group))
    account.made(f"function {name}", lambda: functions.delete_function(FunctionName=name))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("app.py", code)
    given = {"Runtime": RUNTIME, "Handler": "app.handler", "Timeout": 120, "Role": arn, **settings}

    def created() -> bool:
        code = tried(lambda: functions.create_function(FunctionName=name, Code={"ZipFile": zipped.getvalue()}, **given))
        return code in ("", "ResourceConflictException")

    account.until(created, 60)  # a role made just now is not known to Lambda for some seconds
    account.until(lambda: functions.get_function(FunctionName=name)["Configuration"]["State"] == "Active")
    return name


def role(account: Account, word: str, *statements: dict[str, Any]) -> str:
    """The ARN of a new role for functions that has these allowing statements."""
    iam, name = account.client("iam"), f"{account.name}-{word}"
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}
    account.made(f"role {name}", lambda: iam.delete_role(RoleName=name))
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    account.made(f"policy of {name}", lambda: iam.delete_role_policy(RoleName=name, PolicyName="given"))
    iam.put_role_policy(RoleName=name, PolicyName="given", PolicyDocument=json.dumps(policy))
    return str(arn)


def log(account: Account, name: str) -> Iterator[str]:
    """The lines of a function's log; none while there is no log."""
    logs = account.client("logs")
    try:
        pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}"))
    except logs.exceptions.ResourceNotFoundException:
        return
    for page in pages:
        yield from (event["message"] for event in page["events"])
