"""What becomes of tables when a stack fails, is deleted, and is made again over them."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.conftest import Client
from tests.integration.deploy import eventually, unique

WRONG = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": -1}, "DependsOn": "Table"}


def table(name: str, policy: str, protected: bool = False) -> dict[str, Any]:
    properties = {
        "TableName": name,
        "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "DeletionProtectionEnabled": protected,
    }
    return {"Type": "AWS::DynamoDB::Table", "DeletionPolicy": policy, "Properties": properties}


def status(client: Client, stack: str) -> str:
    """A stack's status once nothing is going on, "" until then."""
    found: str = client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    return "" if found.endswith("_IN_PROGRESS") else found


def end_of(client: Client, **resources: Any) -> tuple[str, str]:
    """The id of a new stack of the resources, and what became of it."""
    template = json.dumps({"Resources": resources})
    stack: str = client("cloudformation").create_stack(StackName=unique("stack"), TemplateBody=template)["StackId"]
    return stack, eventually(lambda: status(client, stack))


def exists(client: Client, name: str) -> bool:
    try:
        client("dynamodb").describe_table(TableName=name)
    except ClientError:
        return False
    return True


@pytest.mark.parametrize(("policy", "left"), [("Retain", True), ("RetainExceptOnCreate", False)])
def test_a_stack_that_fails_leaves_a_retained_table_unless_it_made_it(client: Client, policy: str, left: bool) -> None:
    name = unique("table")
    assert end_of(client, Table=table(name, policy), Wrong=WRONG)[1] == "ROLLBACK_COMPLETE"
    assert exists(client, name) is left


def test_a_table_that_refuses_to_be_deleted_stops_the_way_back(client: Client) -> None:
    name = unique("table")
    _, end = end_of(client, Table=table(name, "RetainExceptOnCreate", protected=True), Wrong=WRONG)
    assert (end, exists(client, name)) == ("ROLLBACK_FAILED", True)


def test_a_table_outlives_its_stack_and_is_imported_into_the_next(client: Client) -> None:
    cloudformation, name = client("cloudformation"), unique("table")
    first, end = end_of(client, Table=table(name, "RetainExceptOnCreate"))
    assert end == "CREATE_COMPLETE"
    cloudformation.delete_stack(StackName=first)
    assert eventually(lambda: status(client, first)) == "DELETE_COMPLETE"
    assert exists(client, name)
    assert end_of(client, Table=table(name, "Retain"))[1] == "ROLLBACK_COMPLETE"
    second = unique("stack")
    cloudformation.create_change_set(
        StackName=second,
        ChangeSetName="import",
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps({"Resources": {"Table": table(name, "Retain")}}),
        ResourcesToImport=[
            {
                "ResourceType": "AWS::DynamoDB::Table",
                "LogicalResourceId": "Table",
                "ResourceIdentifier": {"TableName": name},
            }
        ],
    )
    cloudformation.execute_change_set(StackName=second, ChangeSetName="import")
    assert eventually(lambda: status(client, second)) == "IMPORT_COMPLETE"
