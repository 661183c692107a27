"""Clients of AWS without AWS: no socket is opened, botocore's Stubber answers and checks what it is asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.stub import Stubber

from tests.unit.listeners import HOST, refusing


def made(service: str, endpoint_url: str | None = None) -> Any:
    """A client that tries each call once."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        region_name="eu-west-1",
        endpoint_url=endpoint_url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )


@contextmanager
def stubbed(service: str) -> Iterator[tuple[Any, Stubber]]:
    """A client and its stubber; every prepared answer must have been asked for when the block ends."""
    client = made(service)
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


@contextmanager
def unreachable(service: str) -> Iterator[Any]:
    """A client whose connections are refused."""
    with refusing() as port:
        yield made(service, f"http://{HOST}:{port}")
