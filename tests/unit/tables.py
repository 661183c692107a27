"""The two tables of template.yaml on moto, in this process: no socket is opened."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from moto import mock_aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

REGION = "eu-west-1"
ALLOW_LIST, LEDGER = "allow-list", "ledger"


@functools.cache
def _resource() -> "DynamoDBServiceResource":
    """Made once, which takes a third of a second; what it talks to is as new as the mock."""
    return boto3.resource("dynamodb", region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")


@contextmanager
def dynamodb() -> Iterator["DynamoDBServiceResource"]:
    """DynamoDB with both tables, empty."""
    with mock_aws():
        resource = _resource()
        resource.create_table(
            TableName=ALLOW_LIST,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "service", "AttributeType": "S"},
                {"AttributeName": "consumer", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "service", "KeyType": "HASH"},
                {"AttributeName": "consumer", "KeyType": "RANGE"},
            ],
        )
        resource.create_table(
            TableName=LEDGER,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("endpoint_id", "entry", "service", "status")
            ],
            KeySchema=[
                {"AttributeName": "endpoint_id", "KeyType": "HASH"},
                {"AttributeName": "entry", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by_service",
                    "KeySchema": [
                        {"AttributeName": "service", "KeyType": "HASH"},
                        {"AttributeName": "status", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        yield resource
