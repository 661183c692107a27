"""`make preflight`: one sentence about each thing that would keep a stack from being deployed."""

from collections.abc import Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e import preflight
from tests.e2e.question import Account
from tests.infrastructure.stack import ROOT, Properties, parsed
from tests.unit.test_verify import CLIENTS, EVALUATED, RUNTIMES, Canned, refusal

TABLES = parsed(ROOT / "stacks" / "tables.yaml")["Resources"]
RUNTIME = "python3.13"


def table(kind: str, **changed: Any) -> Properties:
    return {"Table": {**TABLES[kind]["Properties"], **changed}}


def said(
    monkeypatch: pytest.MonkeyPatch,
    stack: str = "linkgate",
    canary: bool = False,
    tables: Mapping[str, str] = {},
    **clients: Any,
) -> list[str]:
    """What is in the way, in an account where all is well but these clients' answers."""
    known = CLIENTS | {name: Canned(answer) for name, answer in clients.items()}
    monkeypatch.setattr(Account, "client", lambda self, name: known[name])
    account = Account(boto3.Session(region_name="eu-west-1"), "123456789012", stack)
    return list(preflight.obstacles(account, canary, RUNTIME, tables))


def test_where_nothing_is_in_the_way_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch) == said(monkeypatch, "x" * 60) == said(monkeypatch, "x" * 48, canary=True) == []


@pytest.mark.parametrize(
    ("stack", "canary", "words"),
    [
        ("x" * 61, False, "has 61 characters, and may have 60"),
        (
            "x" * 49,
            True,
            f"has 49 characters, and may have 48, since its function is called linkgate-canary-{'x' * 49}",
        ),
        ("link_gate", False, "a stack cannot be called link_gate: letters, digits and -, a letter first"),
        ("1linkgate", True, "a stack cannot be called 1linkgate: letters, digits and -, a letter first"),
    ],
)
def test_a_name_that_no_stack_can_have_is_said(
    monkeypatch: pytest.MonkeyPatch, stack: str, canary: bool, words: str
) -> None:
    (sentence,) = said(monkeypatch, stack, canary)
    assert sentence.endswith(words)


def test_a_permission_that_the_caller_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = {"Role": {"Arn": "arn"}, "EvaluationResults": EVALUATED}
    assert said(monkeypatch, iam=denied) == ["the caller may not iam:CreateRole"]


def test_a_caller_of_whom_iam_says_nothing_is_told_by_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    denied: dict[str, Any] = {"iam": refusal("AccessDenied"), "lambda": refusal("AccessDeniedException", "no")}
    assert said(monkeypatch, **denied) == ["the caller may not lambda:CreateFunction"]


def test_a_region_without_the_runtime_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: dict[str, Any] = {"lambda": refusal("ValidationException", RUNTIMES)}
    (sentence,) = said(monkeypatch, **refused)
    assert sentence == f"Lambda has no {RUNTIME} in eu-west-1: choose another Region or Python"


def test_a_stack_that_failed_is_to_be_deleted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for status, wrong in (("ROLLBACK_COMPLETE", True), ("UPDATE_COMPLETE", False), ("IMPORT_COMPLETE", False)):
        assert bool(said(monkeypatch, cloudformation={"Stacks": [{"StackStatus": status}]})) is wrong


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_of_the_right_shape_may_be_imported(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    assert said(monkeypatch, tables={kind: "t"}, dynamodb=table(kind)) == []


LEDGER_INDEX = TABLES["LedgerTable"]["Properties"]["GlobalSecondaryIndexes"][0]


@pytest.mark.parametrize(
    ("kind", "seen", "words"),
    [
        (
            "AllowListTable",
            table("LedgerTable"),
            "it has the keys endpoint_id (S) and entry (S); the index by_service by",
        ),
        (
            "LedgerTable",
            table("AllowListTable"),
            "it has the keys service (S) and consumer (S), not the keys endpoint_id",
        ),
        ("LedgerTable", table("LedgerTable", GlobalSecondaryIndexes=[]), "entry (S), not the keys endpoint_id (S) and"),
        (
            "LedgerTable",
            table("LedgerTable", GlobalSecondaryIndexes=[{**LEDGER_INDEX, "IndexName": "other"}]),
            "the index other by service (S) and status (S), not the keys",
        ),
    ],
)
def test_a_table_of_another_shape_is_said(
    monkeypatch: pytest.MonkeyPatch, kind: str, seen: Properties, words: str
) -> None:
    (sentence,) = said(monkeypatch, tables={kind: "t"}, dynamodb=seen)
    assert sentence.startswith(f"the table t is no {kind}: it has the keys ")
    assert words in sentence


def test_a_table_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: ClientError = refusal("ResourceNotFoundException")
    found = said(monkeypatch, tables={"LedgerTable": "t"}, dynamodb=missing)
    assert found == ["the table t cannot be described: ResourceNotFoundException"]
