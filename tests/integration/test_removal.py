"""Linkgate goes, its tables stay, and it comes back with them: nobody is cut, and nothing is forgotten."""

from collections.abc import Iterator
from typing import Any

import pytest

from lab.harness import deploy
from lab.harness.account import Provider
from lab.harness.deploy import STACK, Deployed
from lab.harness.process import PROVIDER_ACCOUNT, LabProcess
from tests.infrastructure.stack import ROOT
from tests.integration.conftest import Await
from tests.integration.deploy import eventually

TABLES = ("AllowListTable", "LedgerTable")


@pytest.fixture
def lab() -> Iterator[LabProcess]:
    """A lab that no other test has anything in."""
    with LabProcess(plane="loopback") as running:
        yield running


def rows(lab: LabProcess, table: str) -> list[dict[str, Any]]:
    pages = deploy.client(lab, "dynamodb").get_paginator("scan").paginate(TableName=table)
    return sorted((item for page in pages for item in page["Items"]), key=str)


def came(cloudformation: Any, wanted: str) -> bool:
    """Whether the stack comes to a status; a deleted one is found by its id alone."""

    def seen() -> bool:
        return any(one["StackName"] == STACK and one["StackStatus"] == wanted for one in summaries())

    def summaries() -> list[dict[str, Any]]:
        pages = cloudformation.get_paginator("list_stacks").paginate()
        return [one for page in pages for one in page["StackSummaries"]]

    return eventually(seen, seconds=60)


@pytest.mark.slow
def test_linkgate_comes_back_with_its_tables_and_nobody_is_cut(lab: LabProcess, until: Await) -> None:
    stacks = deploy.deploy(lab)
    deploy.enforce(lab, stacks)
    provider, cloudformation = Provider(lab, stacks), deploy.client(lab, "cloudformation")
    provider.put_row(PROVIDER_ACCOUNT, effect="allow", reason="agreed")
    provider.put_row("@settings", mode="enforce", reconcile="enforce", grace="0s")
    endpoint = stacks.demo["EndpointId"]
    until(lambda: provider.known(endpoint).get("status") in ("ACCEPTED", "VERIFIED"), True)
    decision, allowed = provider.known(endpoint)["decision"], rows(lab, stacks.linkgate["AllowListTable"])

    cloudformation.delete_stack(StackName=STACK)
    assert came(cloudformation, "DELETE_COMPLETE")
    cloudformation.create_change_set(
        StackName=STACK,
        ChangeSetName="import",
        ChangeSetType="IMPORT",
        TemplateBody=(ROOT / "stacks" / "tables.yaml").read_text(),
        ResourcesToImport=[
            {
                "ResourceType": "AWS::DynamoDB::Table",
                "LogicalResourceId": name,
                "ResourceIdentifier": {"TableName": stacks.linkgate[name]},
            }
            for name in TABLES
        ],
    )
    cloudformation.execute_change_set(StackName=STACK, ChangeSetName="import")
    assert came(cloudformation, "IMPORT_COMPLETE")
    again = Deployed(deploy.redeploy(lab, stacks.demo), stacks.demo)

    assert {name: again.linkgate[name] for name in TABLES} == {name: stacks.linkgate[name] for name in TABLES}
    assert rows(lab, again.linkgate["AllowListTable"]) == allowed
    asking = Provider(lab, again).connect()
    until(lambda: Provider(lab, again).known(asking).get("status") in ("ACCEPTED", "VERIFIED"), True)
    deploy.client(lab, "lambda").invoke(FunctionName=again.linkgate["SweepFunction"], Payload=b"{}")
    assert Provider(lab, again).state(endpoint) == "available"
    assert Provider(lab, again).known(endpoint)["decision"] == decision
