"""Real AWS clients, made once by each handler on its first call."""

import functools
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"mode": "adaptive", "total_max_attempts": 3})
"""Adaptive retries slow down when EC2 throttles; what then still fails goes back to the queue. All tries together take
less than a function's timeout, so that the error still names a service that hangs."""

PATIENT = Config(connect_timeout=3, read_timeout=70, retries={"total_max_attempts": 1}, max_pool_connections=16)
"""For the synchronous call of a canary, several at once: it takes as long as its probes, and a repeat would probe
twice."""


def client(name: str, region: str = "") -> Any:
    """A client with the function's role, of a Region; "" is the function's own."""
    config = PATIENT if name == "lambda" else CONFIG
    return boto3.client(name, region_name=region or None, config=config)  # type: ignore[call-overload]


def organizations(role: str) -> Any:
    """AWS Organizations through a role of another account; its credentials renew themselves when they expire."""
    own = botocore.session.get_session()
    fetcher = AssumeRoleCredentialFetcher(
        functools.partial(own.create_client, config=CONFIG),
        own.get_credentials(),
        role,
        extra_args={"RoleSessionName": "linkgate"},
    )
    session = botocore.session.get_session()
    # botocore has no public way to hand over credentials that renew themselves.
    session._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")  # type: ignore[attr-defined]
    return boto3.Session(botocore_session=session).client("organizations", config=CONFIG)


def tables() -> "DynamoDBServiceResource":
    """DynamoDB with Python's own types."""
    return boto3.resource("dynamodb", config=CONFIG)
