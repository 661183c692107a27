"""The policy of docs/editors.md: an editor of one service, and what its role may do.

The local AWS does not know dynamodb:LeadingKeys, so the condition is evaluated on the policy's text, with the keys that
DynamoDB would tell; tables and actions are tried with real clients.
"""

import json
import re
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from ministack.core import iam_evaluator  # type: ignore[import-untyped]

from lab.harness.process import CHECKOUT, PROVIDER_ACCOUNT, REGION, LabProcess
from tests.integration.conftest import Client

DOCUMENT = CHECKOUT / "docs" / "editors.md"
(TEXT,) = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
POLICY: dict[str, Any] = json.loads(TEXT)
ROWS, FIND, LIST = POLICY["Statement"]
TABLE: str = ROWS["Resource"]
NAME = TABLE.rpartition("/")[2]
SERVICE, OTHER = "vpce-svc-0123456789abcdef0", "vpce-svc-0123456789abcdef1"
LEDGER = "linkgate-Ledger"


def allows(action: str, *keys: str) -> bool:
    """Whether the policy allows an action on the table whose items have these hash keys; without keys it names none."""
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{PROVIDER_ACCOUNT}:assumed-role/editor/somebody",
        principal_type="AssumedRole",
        principal_account=PROVIDER_ACCOUNT,
        action=action,
        resource_arn=TABLE,
        region=REGION,
        service_context={"dynamodb:leadingkeys": list(keys)} if keys else {},
    )
    decision = iam_evaluator.evaluate(context, [iam_evaluator.parse_policy_document(POLICY)]).decision
    return str(decision) == "Allow"


@pytest.mark.parametrize("action", ROWS["Action"])
def test_an_editor_reads_and_writes_rows_of_the_own_service_and_of_no_other(action: str) -> None:
    assert allows(action, SERVICE)
    for keys in ([OTHER], ["*"], [f"{SERVICE} "], [SERVICE.upper()], [SERVICE, OTHER], [SERVICE, "*"]):
        assert not allows(action, *keys), keys


def test_an_editor_has_no_action_that_may_name_no_key() -> None:
    named = {"Get", "Put", "Update", "Delete", "BatchGet", "BatchWrite"}
    assert set(ROWS["Action"]) == {f"dynamodb:{verb}Item" for verb in named} | {"dynamodb:Query"}
    for action in (
        "Scan",
        "PartiQLSelect",
        "PartiQLInsert",
        "PartiQLUpdate",
        "PartiQLDelete",
        "ExportTableToPointInTime",
    ):
        assert not allows(f"dynamodb:{action}")


def test_an_editor_changes_nothing_of_the_table_itself() -> None:
    assert FIND["Action"] == "dynamodb:DescribeTable"
    assert FIND["Resource"] == TABLE
    assert (LIST["Action"], LIST["Resource"]) == ("dynamodb:ListTables", "*")
    for action in ("UpdateTable", "DeleteTable", "PutResourcePolicy", "UpdateTimeToLive"):
        assert not allows(f"dynamodb:{action}", SERVICE)


# ------------------------------------------------------------------ with real clients


@pytest.fixture(scope="module")
def editor(lab: LabProcess, client: Client) -> Any:
    """DynamoDB as somebody whose role has the policy; the allow-list and the ledger are there."""
    dynamodb, iam = client("dynamodb"), client("iam")
    for table, names in ((NAME, ("service", "consumer")), (LEDGER, ("endpoint_id", "entry"))):
        dynamodb.create_table(
            TableName=table,
            KeySchema=[
                {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            BillingMode="PAY_PER_REQUEST",
        )
    principal = {"AWS": f"arn:aws:iam::{PROVIDER_ACCOUNT}:root"}
    trust = {"Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName="editor", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    iam.put_role_policy(RoleName="editor", PolicyName="rows", PolicyDocument=TEXT)
    keys = client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="somebody")["Credentials"]
    return boto3.client(
        "dynamodb",
        endpoint_url=lab.url,
        region_name=REGION,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def test_an_editor_writes_reads_and_deletes_a_row(editor: Any) -> None:
    key = {"service": {"S": SERVICE}, "consumer": {"S": "222222222222"}}
    row = {**key, "effect": {"S": "allow"}}
    editor.put_item(TableName=NAME, Item=row)
    asked = {"KeyConditionExpression": "service = :service", "ExpressionAttributeValues": {":service": {"S": SERVICE}}}
    assert editor.query(TableName=NAME, **asked)["Items"] == [row]
    editor.delete_item(TableName=NAME, Key=key)
    assert "Item" not in editor.get_item(TableName=NAME, Key=key)
    assert NAME in editor.list_tables()["TableNames"]
    assert editor.describe_table(TableName=NAME)["Table"]["TableStatus"] == "ACTIVE"


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        ("scan", {"TableName": NAME}),
        ("execute_statement", {"Statement": 'SELECT * FROM "linkgate-AllowList"'}),
        ("delete_table", {"TableName": NAME}),
        ("get_item", {"TableName": LEDGER, "Key": {"endpoint_id": {"S": SERVICE}, "entry": {"S": "current"}}}),
    ],
)
def test_an_editor_neither_scans_nor_touches_another_table(editor: Any, call: str, asked: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as error:
        getattr(editor, call)(**asked)
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"
