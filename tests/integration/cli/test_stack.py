"""Which stack the command works on."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from lab.harness.process import PROVIDER_ACCOUNT, LabProcess
from tests.command import Command

NAMES = ("AllowListTable", "LedgerTable", "EventBusName", "SweepFunction")
REGION = "ap-south-1"
"""A Region of this file alone: in the lab's own one another file may have deployed Linkgate."""


@pytest.fixture
def stacks(lab: LabProcess) -> Iterator[Any]:
    """`stacks(name, *outputs)` makes a stack with outputs and little else."""
    session = boto3.Session(PROVIDER_ACCOUNT, "lab", region_name=REGION)
    cloudformation: Any = session.client("cloudformation", endpoint_url=lab.url)
    made = list[str]()

    def make(name: str, *outputs: str) -> None:
        lines = "".join(f"\n  {one}: {{Value: {name}-{one}}}" for one in outputs or ("Other",))
        cloudformation.create_stack(
            StackName=name, TemplateBody=f"Resources:\n  Topic: {{Type: AWS::SNS::Topic}}\nOutputs:{lines}\n"
        )
        cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
        made.append(name)

    yield make
    for name in made:
        cloudformation.delete_stack(StackName=name)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def test_no_stack_two_stacks_another_stack_and_another_region_are_one_sentence_each(
    linkgate: Command, stacks: Any
) -> None:
    here = ("--region", REGION)
    assert linkgate.fails(*here).startswith("no stack in ap-south-1 is Linkgate's: give --region or --profile")
    stacks("shop")
    assert linkgate.fails(*here).startswith("no stack in ap-south-1 is Linkgate's")
    assert linkgate.fails(*here, "--stack", "shop").startswith(
        "stack shop is not Linkgate's: it has no output AllowListTable"
    )
    stacks("one", *NAMES)
    stacks("two", *NAMES)
    assert linkgate.fails(*here) == "2 stacks of Linkgate are in ap-south-1 (one, two): give --stack"
    assert linkgate.fails(*here, "--stack", "three").startswith("there is no stack three in ap-south-1: give --stack")
    assert linkgate.fails("--region", "eu-central-1").startswith("no stack in eu-central-1 is Linkgate's")
