"""The local AWS of the integration tests: one process and deployment for all files of a worker, but for some files."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from lab.harness.deploy import Deployed
from tests.integration.labs import fixtures

Client = Callable[..., Any]
Await = Callable[..., Any]


lab, client, deployed, provider = fixtures("session")


@pytest.fixture(scope="session")
def until() -> Await:
    """`until(see, wanted)`: wait until `see()` equals or satisfies `wanted`; fail with what was seen last."""

    def wait(see: Callable[[], Any], wanted: Any, seconds: float = 60) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            seen = see()
            if (callable(wanted) and wanted(seen)) or seen == wanted:
                return seen
            if time.monotonic() > deadline:
                pytest.fail(f"still saw {seen!r} after {seconds:.0f} s")
            time.sleep(0.1)

    return wait


@pytest.fixture
def account(client: Client, deployed: Deployed) -> str:
    """A consumer account of this test alone, which may ask for connections."""
    fresh = f"{next(_accounts):012d}"
    client("ec2").modify_vpc_endpoint_service_permissions(
        ServiceId=deployed.service, AddAllowedPrincipals=[f"arn:aws:iam::{fresh}:root"]
    )
    return fresh


_accounts = itertools.count(500000000001)
