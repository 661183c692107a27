"""Both stacks by the real SAM CLI as the caller, and everything of them gone again."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from botocore.exceptions import ClientError, WaiterError

from lab.harness.deploy import RUNTIME, Deployed
from tests.e2e.question import Account
from tests.infrastructure.stack import ROOT

Parameters = Callable[[Mapping[str, str]], Mapping[str, str]]
"""What Linkgate is deployed with, by the outputs of the demo."""


class StackError(Exception):
    """A stack did not come up; the message is the end of what the SAM CLI said."""


def ordinary(demo: Mapping[str, str]) -> dict[str, str]:
    """Linkgate with a canary in the demo's consumer VPC, sweeping every minute, whose tables can be deleted."""
    return {
        "PythonRuntime": RUNTIME,
        "CanarySubnetIds": demo["CanarySubnetIds"],
        "CanarySecurityGroupIds": demo["CanarySecurityGroupId"],
        "CanaryCidrs": "10.2.0.0/16",
        "DefaultProbe": "http://:80/",
        "SweepRate": "rate(1 minute)",
        "LogRetentionDays": "1",
        "DeletionProtection": "false",
    }


def deploy(account: Account, demo: Mapping[str, str], parameters: Parameters) -> Deployed:
    """Both stacks, `demo` being the demo's parameters; each is removed at the end. Raises StackError."""
    bucket, tag = _bucket(account), {"TagValue": account.name}  # so that no other stack looks after its service
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder) / "build"
        _sam("build", "--template-file", str(ROOT / "template.yaml"), "--build-dir", str(build))
        _deploy(account, bucket, ROOT / "stacks" / "demo.yaml", f"{account.name}-demo", {**demo, **tag})
        outputs = _outputs(account, f"{account.name}-demo")
        _deploy(account, bucket, build / "template.yaml", account.name, {**parameters(outputs), **tag})
    return Deployed(_outputs(account, account.name), outputs)


def remove(account: Account, stack: str) -> None:
    """Delete a stack with the tables and layers that it would leave behind; nothing if it is not there."""
    cloudformation = account.client("cloudformation")
    try:
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        found = [one for page in pages for one in page["StackResourceSummaries"]]
    except ClientError:
        return
    start = time.monotonic()
    _deleted(account, stack)
    account.seconds[f"{stack} gone"] = time.monotonic() - start
    for one in found:
        _retained(account, one["ResourceType"], one.get("PhysicalResourceId", ""))


def _deleted(account: Account, stack: str, tries: int = 3) -> None:
    """Delete a stack, again where that failed: a function's network interfaces hold its subnets for half an hour."""
    cloudformation = account.client("cloudformation")
    cloudformation.delete_stack(StackName=stack)
    pace = {"Delay": 1 if account.lab else 10, "MaxAttempts": 360}
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=pace)
    except WaiterError:
        if tries == 1:
            raise
        _deleted(account, stack, tries - 1)


def _retained(account: Account, kind: str, name: str) -> None:
    """Have removed what a stack leaves behind: tables, versions of layers, and a log that a last run wrote anew."""
    if kind == "AWS::Logs::LogGroup":
        account.made(f"log {name}", partial(account.client("logs").delete_log_group, logGroupName=name))
    if kind == "AWS::DynamoDB::Table":
        tables = account.client("dynamodb")
        account.made(f"table {name}", partial(tables.delete_table, TableName=name))
        account.made(
            f"protection of {name}", partial(tables.update_table, TableName=name, DeletionProtectionEnabled=False)
        )
    if kind == "AWS::Lambda::LayerVersion":
        *_, layer, version = name.split(":")
        remove_version = account.client("lambda").delete_layer_version
        account.made(f"layer {name}", partial(remove_version, LayerName=layer, VersionNumber=int(version)))


def _bucket(account: Account) -> str:
    """A bucket for what the SAM CLI uploads."""
    s3 = account.client("s3")
    name = f"{account.name}-{account.number}-{account.region}"
    where = (
        {} if account.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": account.region}}
    )

    def emptied() -> None:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            for one in page.get("Contents", []):
                s3.delete_object(Bucket=name, Key=one["Key"])
        s3.delete_bucket(Bucket=name)

    account.made(f"bucket {name}", emptied)
    s3.create_bucket(Bucket=name, **where)
    return name


def _deploy(account: Account, bucket: str, template: Path, stack: str, parameters: Mapping[str, str]) -> None:
    account.made(f"stack {stack}", lambda: remove(account, stack))
    start = time.monotonic()
    _sam(
        *("deploy", "--template-file", str(template), "--stack-name", stack, "--s3-bucket", bucket),
        *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--region", account.region),
        *(
            ["--parameter-overrides", *(f'{name}="{value}"' for name, value in parameters.items())]
            if parameters
            else []
        ),
    )
    account.seconds[stack] = time.monotonic() - start


def _outputs(account: Account, stack: str) -> dict[str, str]:
    described = account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def _sam(*arguments: str) -> None:
    tools = Path(sys.prefix).parent / "sam" / "bin"
    path = os.pathsep.join((str(Path(sys.executable).parent), str(tools), os.environ.get("PATH", "")))
    done = subprocess.run(
        [str(tools / "sam"), *arguments],
        env={**os.environ, "PATH": path, "SAM_CLI_TELEMETRY": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise StackError(f"sam {arguments[0]} failed:\n{done.stdout[-4000:]}")
