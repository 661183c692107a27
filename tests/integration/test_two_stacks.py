"""Two Linkgates in one account and Region: each manages what carries its value of the tag, and goes without a trace."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from lab.harness import deploy
from lab.harness.account import Provider
from lab.harness.deploy import STACK, Deployed
from lab.harness.process import PROVIDER_ACCOUNT, LabProcess
from tests.infrastructure.stack import ROOT
from tests.integration.conftest import Await
from tests.integration.test_commands import AWS, Shell
from tests.integration.test_path import mailbox

BLUE = f"{STACK}-blue"


@pytest.fixture
def lab() -> Iterator[LabProcess]:
    """A lab that no other test has anything in."""
    with LabProcess(plane="loopback") as running:
        yield running


def sweep(lab: LabProcess, stack: Deployed) -> None:
    answer = deploy.client(lab, "lambda").invoke(FunctionName=stack.linkgate["SweepFunction"], Payload=b"{}")
    assert "FunctionError" not in answer


def problems(lab: LabProcess, stack: Deployed) -> set[str]:
    """What the stack said last of the service's configuration: the set in its ledger."""
    item = deploy.client(lab, "dynamodb").get_item(
        TableName=stack.linkgate["LedgerTable"],
        Key={"endpoint_id": {"S": f"gate#{stack.service}"}, "entry": {"S": "current"}},
        ConsistentRead=True,
    )
    return {member for value in item.get("Item", {}).values() for member in value.get("SS", [])}


def notified(lab: LabProcess) -> list[str]:
    pages = deploy.client(lab, "ec2").get_paginator("describe_vpc_endpoint_connection_notifications").paginate()
    return sorted(one["ConnectionNotificationArn"] for page in pages for one in page["ConnectionNotificationSet"])


def documented(begin: str) -> str:
    """A command of docs/removal.md, over as many lines as it takes."""
    found = re.findall(r"(?:^    .*\n)+", (ROOT / "docs" / "removal.md").read_text(), re.MULTILINE)
    return next(str(block) for block in found if block.strip().startswith(begin))


@pytest.mark.slow
def test_two_stacks_share_an_account_and_uninstall_leaves_no_notification(lab: LabProcess, until: Await) -> None:
    first = deploy.deploy(lab)
    second = Deployed(deploy.redeploy(lab, first.demo, BLUE, TagValue="blue"), first.demo)
    other, endpoint, ec2 = Provider(lab, second), first.demo["EndpointId"], deploy.client(lab, "ec2")
    deploy.enforce(lab, second)
    other.put_row(PROVIDER_ACCOUNT, effect="allow", reason="agreed")
    sweep(lab, second)
    receive = mailbox(partial(deploy.client, lab), second)
    sweep(lab, first)
    sweep(lab, second)

    # Whoever subscribes to the alarm topic hears once what the stack was deployed without; what was told before that
    # (the service is not the second one's) may still be under way.
    bodies: list[str] = []

    def incomplete() -> list[str]:
        receive(bodies)
        return [one for one in bodies if one.startswith("INCOMPLETE: ")]

    (body,) = until(incomplete, bool)
    assert body.startswith("INCOMPLETE: Linkgate works, but its stack leaves something out\n\nWhat: AlarmEmail is")
    assert "Canary" not in body

    # The service is the first one's: the second knows nothing of the endpoint, whatever its table says.
    until(lambda: Provider(lab, first).known(endpoint).get("status"), "HELD")
    assert (other.known(endpoint), other.state(endpoint)) == ({}, "pendingAcceptance")
    assert problems(lab, first) == set()

    # It becomes the second one's by its tag; that the first is still rung, the second says.
    ec2.create_tags(Resources=[first.service], Tags=[{"Key": "linkgate", "Value": "blue"}])
    sweep(lab, second)
    until(lambda: other.state(endpoint), "available")
    (said,) = problems(lab, second)
    assert said.startswith(f"the Linkgate stack {STACK} is notified of its connections too")
    until(lambda: dict(other.alarms())[f"{BLUE}-allow-list-contradicted"], "ALARM")

    # The first one goes, by the page that says how; then nothing is left to be said.
    deploy.client(lab, "cloudformation").delete_stack(StackName=STACK)
    until(lambda: STACK in stacks(lab), False)
    assert len(notified(lab)) == 2
    command = documented("sam delete").partition("\n")[2]  # the stack is gone already
    Shell(lab).run("/bin/sh", "-ec", f'PATH="{AWS.parent}:$PATH"; {command}')
    assert [arn.rpartition(":")[2] for arn in notified(lab)] == [f"linkgate-notifications-{BLUE}"]
    sweep(lab, second)
    assert problems(lab, second) == set()
    assert other.state(endpoint) == "available"


def stacks(lab: LabProcess) -> set[str]:
    found: list[dict[str, Any]] = deploy.client(lab, "cloudformation").describe_stacks()["Stacks"]
    return {one["StackName"] for one in found}
