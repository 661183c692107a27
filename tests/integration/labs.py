"""A lab with both stacks deployed, as fixtures: one for all files of a worker, or one for each file that asks."""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest

from lab.harness import deploy
from lab.harness.account import Provider
from lab.harness.deploy import Deployed
from lab.harness.process import PROVIDER_ACCOUNT, LabProcess


def _lab() -> Iterator[LabProcess]:
    with LabProcess() as running:
        yield running


def _client(lab: LabProcess) -> Callable[..., Any]:
    """`client("ec2", account="222222222222")`: a real boto3 client of that account's root."""

    def make(service: str, account: str = PROVIDER_ACCOUNT) -> Any:
        return deploy.client(lab, service, account)

    return make


def _deployed(lab: LabProcess) -> Deployed:
    """The real templates, deployed by the real SAM CLI; the demo's service enforces."""
    stacks = deploy.deploy(lab)
    deploy.enforce(lab, stacks)
    return stacks


def _provider(lab: LabProcess, deployed: Deployed) -> Provider:
    """The provider's hands and eyes."""
    return Provider(lab, deployed)


def fixtures(scope: Literal["session", "module"]) -> tuple[Any, Any, Any, Any]:
    """The fixtures lab, client, deployed and provider; a file of scope "module" meets nothing that others left."""
    made: dict[str, Callable[..., object]] = {
        "lab": _lab,
        "client": _client,
        "deployed": _deployed,
        "provider": _provider,
    }
    lab, client, deployed, provider = (pytest.fixture(scope=scope, name=name)(one) for name, one in made.items())
    return lab, client, deployed, provider
