"""The local AWS for the integration tests: one process and one deployment for the whole run, real clients."""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.harness import deploy
from lab.harness.account import Provider
from lab.harness.deploy import Deployed
from lab.harness.process import PROVIDER_ACCOUNT, LabProcess

Client = Callable[..., Any]
Await = Callable[..., Any]


@pytest.fixture(scope="session")
def lab() -> Iterator[LabProcess]:
    with LabProcess() as running:
        yield running


@pytest.fixture(scope="session")
def client(lab: LabProcess) -> Client:
    """`client("ec2", account="222222222222")`: a real boto3 client of that account's root."""

    def make(service: str, account: str = PROVIDER_ACCOUNT) -> Any:
        return deploy.client(lab, service, account)

    return make


@pytest.fixture(scope="session")
def deployed(lab: LabProcess) -> Deployed:
    """The real templates, deployed by the real SAM CLI; the demo's service enforces."""
    stacks = deploy.deploy(lab)
    deploy.enforce(lab, stacks)
    return stacks


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


@pytest.fixture(scope="session")
def provider(lab: LabProcess, deployed: Deployed) -> Provider:
    """The provider's hands and eyes."""
    return Provider(lab, deployed)


@pytest.fixture
def account(client: Client, deployed: Deployed) -> str:
    """A consumer account of this test alone, which may ask for connections."""
    fresh = f"{next(_accounts):012d}"
    client("ec2").modify_vpc_endpoint_service_permissions(
        ServiceId=deployed.service, AddAllowedPrincipals=[f"arn:aws:iam::{fresh}:root"]
    )
    return fresh


_accounts = itertools.count(500000000001)
