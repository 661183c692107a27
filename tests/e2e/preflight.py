"""`make preflight`: what would keep `sam deploy` from succeeding here, a sentence each; it makes nothing.

CloudFormation says before it begins what is wrong with a parameter. The rest it notices in the middle and takes
everything back: a permission that the caller lacks, a name that is too long, a runtime that the Region does not have. A
table of another shape it would even import.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from tests.e2e.checks import forbidden, unknown_runtime
from tests.e2e.question import Account, tried
from tests.infrastructure.stack import ROOT, parsed

LONGEST_STACK, LONGEST_FUNCTION = 60, 64
"""Characters: of a stack, whose rule AlarmRule names each alarm in a pattern of 2,048 (EventBridge quotas), though
CloudFormation takes 128; of a function (Lambda API reference)."""
CANARY = "linkgate-canary-"
"""What stands before the stack's name in the name of a consumer's canary."""
NEEDED = (
    *("cloudformation:CreateChangeSet", "cloudwatch:PutMetricAlarm", "iam:CreateRole", "iam:PassRole"),
    *("lambda:CreateFunction", "lambda:PublishLayerVersion", "logs:CreateLogGroup", "s3:CreateBucket"),
)
NEEDED_BY_LINKGATE = (
    *("cloudwatch:PutDashboard", "dynamodb:CreateTable", "events:CreateArchive", "events:CreateEventBus"),
    *("events:PutRule", "kms:CreateKey", "lambda:CreateEventSourceMapping", "pipes:CreatePipe"),
    *("scheduler:CreateSchedule", "sns:CreateTopic", "sqs:CreateQueue"),
)
"""What the caller must be allowed to do: the first action of each kind, not every one."""
UNFINISHED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")
"""Statuses of a stack that can only be deleted."""


def obstacles(account: Account, canary: bool, runtime: str, tables: Mapping[str, str]) -> Iterator[str]:
    """What is in the way of a stack called `account.name`: of template.yaml, or of a consumer's canary.

    `tables` are those that are to be imported: their names, by the logical ids of stacks/tables.yaml.
    """
    yield from _name(account.name, canary)
    if missing := forbidden(account, NEEDED + NEEDED_BY_LINKGATE * (not canary)):
        yield f"the caller may not {', '.join(missing)}"
    else:
        yield from unknown_runtime(account, runtime)
    yield from _stack(account)
    for kind, name in tables.items():
        yield from _table(account, kind, name)


def _name(stack: str, canary: bool) -> Iterator[str]:
    most = LONGEST_FUNCTION - len(CANARY) if canary else LONGEST_STACK
    if not re.fullmatch("[A-Za-z][A-Za-z0-9-]*", stack):
        yield f"a stack cannot be called {stack}: letters, digits and -, a letter first"
    if len(stack) > most:
        why = f", since its function is called {CANARY}{stack}" if canary else ""
        yield f"the stack's name {stack} has {len(stack)} characters, and may have {most}{why}"


def _stack(account: Account) -> Iterator[str]:
    try:
        found = account.client("cloudformation").describe_stacks(StackName=account.name)["Stacks"]
    except ClientError:
        return
    for one in found:
        if one["StackStatus"] in UNFINISHED:
            yield f"the stack {account.name} is in {one['StackStatus']}: delete it before it is deployed again"


def _table(account: Account, kind: str, name: str) -> Iterator[str]:
    wanted = _shape(parsed(ROOT / "stacks" / "tables.yaml")["Resources"][kind]["Properties"])
    describe = partial(account.client("dynamodb").describe_table, TableName=name)
    if code := tried(describe):
        yield f"the table {name} cannot be described: {code}"
    elif (seen := _shape(describe()["Table"])) != wanted:
        yield f"the table {name} is no {kind}: it has {seen}, not {wanted}"


def _shape(table: Mapping[str, Any]) -> str:
    """Keys and indexes of a table, in words; its keys cannot be changed."""
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}

    def keys(schema: Sequence[Mapping[str, str]]) -> str:
        return " and ".join(f"{one['AttributeName']} ({types[one['AttributeName']]})" for one in schema)

    indexes = sorted(
        f"{one['IndexName']} by {keys(one['KeySchema'])}" for one in table.get("GlobalSecondaryIndexes", ())
    )
    return "; ".join([f"the keys {keys(table['KeySchema'])}", *(f"the index {one}" for one in indexes)])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 if nothing is in the way, 2 otherwise."""
    given = _parser().parse_args(arguments)
    tables = {"AllowListTable": given.allow_list, "LedgerTable": given.ledger}
    try:
        session = boto3.Session()
        if not session.region_name:
            raise NoRegionError
        number = session.client("sts").get_caller_identity()["Account"]
        account = Account(session, number, given.stack)
        named = {kind: name for kind, name in tables.items() if name}
        found = list(obstacles(account, given.canary, given.runtime, named))
    except (BotoCoreError, ClientError) as error:
        found = [f"AWS does not let the caller ask: {error}"]
    for sentence in found or [f"nothing is in the way of {given.stack}"]:
        print(sentence)
    return 2 if found else 0


def _parser() -> argparse.ArgumentParser:
    default = parsed(ROOT / "template.yaml")["Parameters"]["PythonRuntime"]["Default"]
    parser = argparse.ArgumentParser(prog="make preflight", description="What would keep a stack from being deployed.")
    parser.add_argument("stack", nargs="?", default="linkgate", help="its name")
    parser.add_argument("--canary", action="store_true", help="it is one of stacks/consumer-canary.yaml")
    parser.add_argument("--runtime", default=default, help="the parameter PythonRuntime")
    parser.add_argument("--allow-list", default="", metavar="TABLE", help="a table that is to be imported")
    parser.add_argument("--ledger", default="", metavar="TABLE", help="likewise")
    return parser


if __name__ == "__main__":
    sys.exit(main())
