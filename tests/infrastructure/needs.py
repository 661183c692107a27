"""What each role of the stack must be allowed, and to whom: from the functions' code and from the resources around."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tests.infrastructure.calls import calls
from tests.infrastructure.source import Module, class_of
from tests.infrastructure.stack import Properties, Stack, arn, handler_of, named, walk

SQS_SOURCE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
"""What Lambda and Pipes need to take messages (Lambda developer guide, "Using Lambda with Amazon SQS")."""
STREAM_SOURCE = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
"""What Lambda needs to follow a stream (Lambda developer guide, "Using Lambda with DynamoDB"), beside ListStreams."""
LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")
NETWORK = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)
"""What Lambda needs to put a function into a VPC (managed policy AWSLambdaVPCAccessExecutionRole)."""

ASSUMED = {"organizations": "ORGANIZATIONS_ROLE_ARN"}
"""Services that are called through another account's role, and the variable that names it."""


class Need(NamedTuple):
    """An action on a resource; "" where the resource is not of the stack: whatever is granted will do."""

    action: str
    resource: str = ""


def needs(stack: Stack) -> dict[str, set[Need]]:
    """What each role needs, by its logical id; users of a role share it."""
    found: defaultdict[str, set[Need]] = defaultdict(set)
    for name, function in stack.functions().items():
        found[named(function["Role"])] |= {*_code(stack, function), *_around(stack, name, function)}
    for pipe in stack.of("AWS::Pipes::Pipe").values():
        found[named(pipe["RoleArn"])] |= {Need(action, pipe["Source"]) for action in SQS_SOURCE}
        found[named(pipe["RoleArn"])].add(Need("events:PutEvents", pipe["Target"]))
    for schedule in stack.of("AWS::Scheduler::Schedule").values():
        target = schedule["Target"]
        found[named(target["RoleArn"])].add(Need("lambda:InvokeFunction", target["Arn"]))
        found[named(target["RoleArn"])].add(Need("sqs:SendMessage", target["DeadLetterConfig"]["Arn"]))
    return dict(found)


def users(stack: Stack) -> dict[str, set[str]]:
    """The services that assume each role, by the role's logical id."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for function in stack.functions().values():
        found[named(function["Role"])].add("lambda.amazonaws.com")
    for pipe in stack.of("AWS::Pipes::Pipe").values():
        found[named(pipe["RoleArn"])].add("pipes.amazonaws.com")
    for schedule in stack.of("AWS::Scheduler::Schedule").values():
        found[named(schedule["Target"]["RoleArn"])].add("scheduler.amazonaws.com")
    return dict(found)


def _code(stack: Stack, function: Properties) -> Iterator[Need]:
    """What the function's code calls, on the resources that its environment names."""
    resources = _resources(stack, function)
    for call in calls(handler_of(function)):
        if call.action.split(":")[0] in ASSUMED:
            role = function["Environment"]["Variables"][ASSUMED[call.action.split(":")[0]]]
            yield from [Need("sts:AssumeRole", role)] if role else []
            continue
        for resource in resources.get(call.owner, {""}):
            if resource is not None:
                yield Need(call.action, f"{resource}/index/{call.by}" if call.by else resource)


def _resources(stack: Stack, function: Properties) -> dict[str, set[str | None]]:
    """The resources that a handler hands to each class: `Ledger(dynamodb, settings.ledger_table)` -> the table's ARN.

    None is a resource that this stack does not have: its variable is empty, and the handler makes nothing of it.
    """
    found: defaultdict[str, set[str | None]] = defaultdict(set)
    handler = Module(handler_of(function))
    for node in ast.walk(handler.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and class_of(handler, node.func.id):
            for argument in node.args:
                if isinstance(argument, ast.Attribute) and ast.unparse(argument.value) == "settings":
                    value = function["Environment"]["Variables"].get(argument.attr.upper(), "")
                    if value and not named(value):
                        continue  # a plain text, such as TAG_VALUE
                    found[class_of(handler, node.func.id)].add(arn(named(value)) if named(value) else None)
    return dict(found)


def _around(stack: Stack, name: str, function: Properties) -> Iterator[Need]:
    """What Lambda itself does in the function's name: log, take events, report failures, join a VPC."""
    yield from (Need(action, arn(named(function["LoggingConfig"]["LogGroup"]))) for action in LOGS)
    if "VpcConfig" in function:
        yield from (Need(action, "*") for action in NETWORK)
    if "DeadLetterConfig" in function:
        yield Need("sqs:SendMessage", function["DeadLetterConfig"]["TargetArn"])
    for mapping in stack.of("AWS::Lambda::EventSourceMapping").values():
        if named(mapping["FunctionName"]) == name:
            source = mapping["EventSourceArn"]
            taken = SQS_SOURCE if stack.kind(source) == "AWS::SQS::Queue" else STREAM_SOURCE
            yield from (Need(action, source) for action in taken)
            if taken is STREAM_SOURCE:
                yield Need("dynamodb:ListStreams", "*")
            for path, value in walk(mapping.get("DestinationConfig", {})):
                if path[-1:] == ("Destination",):
                    yield Need("sqs:SendMessage", value)
