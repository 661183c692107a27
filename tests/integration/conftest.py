"""The local AWS for the integration tests: one process for the whole run, real clients towards it."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from lab.process import PROVIDER_ACCOUNT, REGION, LabProcess

Client = Callable[..., Any]


@pytest.fixture(scope="session")
def lab() -> Iterator[LabProcess]:
    with LabProcess() as running:
        yield running


@pytest.fixture(scope="session")
def client(lab: LabProcess) -> Client:
    """`client("ec2", account="222222222222")`: a real boto3 client of that account's root."""

    def make(service: str, account: str = PROVIDER_ACCOUNT) -> Any:
        return boto3.client(
            service,
            endpoint_url=lab.url,
            region_name=REGION,
            aws_access_key_id=account,
            aws_secret_access_key="lab",
        )

    return make
