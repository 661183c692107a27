"""The templates as plain CloudFormation: with nothing but defaults, and with everything switched on."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from tests.infrastructure.stack import ROOT, Stack, parsed, resolved, transformed

DEFAULTS: Mapping[str, str] = {}
EVERYTHING: Mapping[str, str] = {
    "AlarmEmail": "on-call@example.com",
    "CanarySecurityGroupIds": "sg-1",
    "CanarySubnetIds": "subnet-1,subnet-2",
    "CanaryCidrs": "10.1.0.0/16",
    "DeletionProtection": "false",
    "LogRetentionDays": "30",
    "OrganizationsRoleArn": "arn:aws:iam::999999999999:role/reader",
    "PythonRuntime": "python3.12",
    "TagValue": "blue",
}
CANARY: Mapping[str, str] = {
    "PatrolRoleArn": "arn:aws:iam::999999999999:role/patrol",
    "SubnetIds": "subnet-1,subnet-2",
    "SecurityGroupIds": "sg-1",
    "Cidrs": "10.1.0.0/16",
    "AlarmTopicArn": "arn:aws:sns:eu-west-1:111111111111:mine",
}


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """template.yaml as it is written."""
    return parsed(ROOT / "template.yaml")


def _stack(document: Mapping[str, Any], values: Mapping[str, str]) -> Stack:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        return resolved(transformed(document, values), values)


@pytest.fixture(scope="session")
def bare(document: dict[str, Any]) -> Stack:
    """The stack with default parameters: no canary."""
    return _stack(document, DEFAULTS)


@pytest.fixture(scope="session")
def whole(document: dict[str, Any]) -> Stack:
    """The stack with a canary, an address for alarms, and no parameter at its default that a test reads."""
    return _stack(document, EVERYTHING)


@pytest.fixture(params=["bare", "whole"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Both stacks, one after the other: what holds must hold in either."""
    found: Stack = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def draft(whole: Stack) -> Stack:
    """A copy of the whole stack, to be spoiled."""
    return copy.deepcopy(whole)


@pytest.fixture(scope="session")
def canary() -> Stack:
    """stacks/consumer-canary.yaml with a topic."""
    return _stack(parsed(ROOT / "stacks" / "consumer-canary.yaml"), CANARY)


@pytest.fixture(scope="session")
def demo() -> Stack:
    """stacks/demo.yaml with default parameters."""
    return resolved(parsed(ROOT / "stacks" / "demo.yaml"), {})
