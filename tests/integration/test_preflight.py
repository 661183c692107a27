"""`make preflight` as a command, against the lab: it says what is in the way, and makes nothing."""

import os
import subprocess
import sys
from typing import Any

import pytest

from lab.harness.deploy import RUNTIME
from lab.harness.process import CHECKOUT, LabProcess
from tests.infrastructure.stack import parsed
from tests.integration.conftest import Client
from tests.integration.deploy import unique


def ran(lab: LabProcess, *arguments: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.preflight", "--runtime", RUNTIME, *arguments],
        cwd=CHECKOUT,
        env={**lab.environment(), "PATH": os.environ["PATH"], "PYTHONPATH": ".:layers/common"},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.fixture(scope="module")
def tables(client: Client) -> dict[str, str]:
    """Two tables of the shape that Linkgate's have."""
    names = {}
    for kind, one in parsed(CHECKOUT / "stacks" / "tables.yaml")["Resources"].items():
        shape = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")
        properties: dict[str, Any] = {key: one["Properties"][key] for key in shape if key in one["Properties"]}
        names[kind] = client("dynamodb").create_table(TableName=unique(kind), **properties)["TableDescription"][
            "TableName"
        ]
    return names


def test_it_says_what_is_in_the_way_and_makes_nothing(lab: LabProcess, client: Client, tables: dict[str, str]) -> None:
    before = client("lambda").list_functions()["Functions"]
    good = ("--allow-list", tables["AllowListTable"], "--ledger", tables["LedgerTable"])
    assert ran(lab, "linkgate", *good) == (0, ["nothing is in the way of linkgate"])
    status, (long, wrong, missing) = ran(
        lab, "x" * 60, "--canary", "--allow-list", tables["LedgerTable"], "--ledger", "none"
    )
    assert (status, long[-16 - 60 :]) == (2, f"linkgate-canary-{'x' * 60}")
    assert wrong.startswith(f"the table {tables['LedgerTable']} is no AllowListTable: it has the keys endpoint_id (S)")
    assert missing == "the table none cannot be described: ResourceNotFoundException"
    assert client("lambda").list_functions()["Functions"] == before
