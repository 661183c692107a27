"""What import-linter's contracts in pyproject.toml cannot say: imports of nothing but what is deployed."""

import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from tests.infrastructure.stack import ROOT

FUNCTIONS = sorted(path for path in (ROOT / "functions").iterdir() if path.is_dir())
DEPLOYED = {
    # boto3 and botocore come with Lambda's runtimes; Powertools is in the layer.
    "linkgate": {"aws_lambda_powertools", "boto3", "botocore"},
    "prober": set[str](),
}
LAYERS = sorted(path.parent.name for path in (ROOT / "layers").glob("*/*/__init__.py"))


@pytest.mark.parametrize("package", ["functions", *LAYERS])
def test_deployed_code_imports_only_what_is_deployed_with_it(package: str) -> None:
    graph = grimp.build_graph(
        package, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )
    named = {name.split(".")[0] for name in graph.modules} - sys.stdlib_module_names - {package}
    assert named <= DEPLOYED.get(package, DEPLOYED["linkgate"] | set(LAYERS))


@pytest.mark.parametrize("folder", FUNCTIONS, ids=lambda folder: folder.name)
def test_a_function_folder_holds_its_handler_and_nothing_else(folder: Path) -> None:
    assert [path.name for path in folder.iterdir() if path.name != "__pycache__"] == ["app.py"]


def test_the_command_that_starts_a_lab_does_not_import_ministack() -> None:
    """ministack writes a key as soon as it is imported, which nobody but the lab's own process removes."""
    look = "import sys, lab.commands; sys.exit('ministack' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], cwd=ROOT, check=False).returncode == 0
