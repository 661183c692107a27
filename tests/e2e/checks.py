"""Why a run would fail or do harm, one sentence each, found before anything is made."""

import math
import re
from collections.abc import Collection, Iterator
from functools import partial

from botocore.exceptions import ClientError

from bench.cost import Cost, table
from lab.harness.deploy import RUNTIME
from tests.e2e.question import Account, Needs, Question, tried
from tests.infrastructure.stack import ROOT, parsed

LONGEST_NAME = 35
"""With an account and a Region it names a bucket, and buckets have at most 63 characters (S3 user guide)."""
FREE = (
    *("cloudformation:CreateChangeSet", "events:CreateEventBus", "iam:CreateRole", "iam:PassRole"),
    *("lambda:CreateFunction", "logs:CreateLogGroup", "sqs:CreateQueue"),
)
DEPLOYED = (
    *("cloudwatch:PutDashboard", "cloudwatch:PutMetricAlarm", "dynamodb:CreateTable", "ec2:CreateVpc"),
    *("ec2:CreateVpcEndpoint", "ec2:CreateVpcEndpointServiceConfiguration", "ec2:RunInstances"),
    *("elasticloadbalancing:CreateLoadBalancer", "kms:CreateKey", "pipes:CreatePipe", "s3:CreateBucket"),
    *("scheduler:CreateSchedule", "sns:CreateTopic"),
)
"""What the caller must be allowed to do: the first action of each kind, not every one."""


def problems(account: Account, chosen: Collection[Question]) -> Iterator[str]:
    """Everything that is wrong with the account, the Region and the name, for these questions."""
    if not re.fullmatch(rf"[a-z][a-z0-9-]{{2,{LONGEST_NAME - 1}}}", account.name):
        yield f"the name {account.name} must be 3 to {LONGEST_NAME} of a-z, 0-9 and -, a letter first"
        return
    needs = max((one.needs for one in chosen), default=Needs.NOTHING)
    if needs >= Needs.SECOND_ACCOUNT and not account.second:
        names = ", ".join(one.name for one in chosen if one.needs >= Needs.SECOND_ACCOUNT)
        yield f"{names}: a second account is needed, so give --second-profile"
    if missing := forbidden(account, FREE + DEPLOYED * (needs >= Needs.STACKS)):
        yield f"the caller may not {', '.join(missing)}"
        return
    yield from _runtime(account)
    if needs >= Needs.STACKS:
        yield from _region(account)


def forbidden(account: Account, actions: Collection[str]) -> list[str]:
    """Actions that IAM says the caller may not do; none where it will not say, and of a root user, who may do all."""
    if str(account.client("sts").get_caller_identity()["Arn"]).endswith(":root"):
        return []
    try:
        asked = {"PolicySourceArn": _principal(account), "ActionNames": sorted(actions)}
        pages = account.client("iam").get_paginator("simulate_principal_policy").paginate(**asked)
        found = [one for page in pages for one in page["EvaluationResults"]]
    except ClientError:
        return []
    return [one["EvalActionName"] for one in found if one["EvalDecision"] != "allowed"]


def dollars(chosen: Collection[Question]) -> float:
    """What asking costs at list prices: the stacks by the whole hour, and what questions cost beside them."""
    minutes = sum(one.minutes for one in chosen if one.needs >= Needs.STACKS)
    return math.ceil(minutes / 60) * Cost.of(table()).demo + sum(one.dollars for one in chosen)


def _principal(account: Account) -> str:
    """The caller as IAM's simulator takes it: of an assumed role's session, the role."""
    arn = str(account.client("sts").get_caller_identity()["Arn"])
    role = re.fullmatch(r"arn:[^:]+:sts::\d+:assumed-role/([^/]+)/.+", arn)
    return str(account.client("iam").get_role(RoleName=role[1])["Role"]["Arn"]) if role else arn


def _runtime(account: Account) -> Iterator[str]:
    known = parsed(ROOT / "template.yaml")["Parameters"]["PythonRuntime"]["AllowedValues"]
    if RUNTIME not in known:
        yield f"Linkgate runs on {', '.join(known)}, and this Python would try {RUNTIME}: set PYTHON"
        return
    yield from unknown_runtime(account, RUNTIME)


def unknown_runtime(account: Account, runtime: str) -> Iterator[str]:
    """A sentence if Lambda does not have a runtime in the Region, or makes no function for the caller.

    Lambda looks at the runtime before it looks at the role, so that nothing is made.
    """
    name, functions = f"{account.name[:LONGEST_NAME]}-never", account.client("lambda")
    absent = f"arn:aws:iam::{account.number}:role/{name}-that-is-not-there"
    with account.place():
        account.made(name, lambda: functions.delete_function(FunctionName=name))
        try:
            functions.create_function(
                FunctionName=name, Runtime=runtime, Role=absent, Handler="app.handler", Code={"ZipFile": b"no zip"}
            )
        except ClientError as error:
            if error.response["Error"]["Code"].startswith("AccessDenied"):
                yield "the caller may not lambda:CreateFunction"
            elif "at 'runtime'" in str(error):
                yield f"Lambda has no {runtime} in {account.region}: choose another Region or Python"


def _region(account: Account) -> Iterator[str]:
    cloudformation = account.client("cloudformation")
    for stack in (account.name, f"{account.name}-demo"):
        if not tried(partial(cloudformation.describe_stacks, StackName=stack)):
            yield f"there is a stack {stack} already: delete it, or give another --name"
