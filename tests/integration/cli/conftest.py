"""The command against the lab: one lab and one deployment for each file."""

from pathlib import Path

import pytest

from lab.harness.process import LabProcess
from tests.command import Command
from tests.integration.labs import fixtures

lab, client, deployed, provider = fixtures("module")


@pytest.fixture(scope="module")
def linkgate(lab: LabProcess, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """`linkgate` as the provider's account; give `AWS_ACCESS_KEY_ID=…` for another one."""
    return Command(Path(tmp_path_factory.mktemp("home")), lab.environment())
