"""Who may know whom: the pure modules know nothing of AWS, and the deployed code needs nothing but what is deployed."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "layers" / "common" / "linkgate"
DOORS = ROOT / "functions"
PURE = (
    *("errors", "model", "attribute", "rows", "policy", "bell", "cause"),
    *("names", "targets", "verdict", "reach", "diagnosis", "evidence", "health", "tally"),
)
DEPLOYED = {"boto3", "botocore", "aws_lambda_powertools", "linkgate", "prober"}
"""boto3 and botocore come with Lambda's runtimes; the others are in the layers."""


def imported(path: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports when it runs; names for type checkers alone are left out."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            skipped |= {inner for statement in node.body for inner in ast.walk(statement)}
        elif node in skipped:
            continue
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            parts = [f"linkgate.{alias.name}" for alias in node.names] if node.module == "linkgate" else []
            yield from parts or [node.module or ""]


def packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_imports_the_standard_library_and_pure_modules_only(name: str) -> None:
    allowed = {f"linkgate.{pure}" for pure in PURE}
    others = {one for one in imported(HOUSE / f"{name}.py") if one.split(".")[0] not in sys.stdlib_module_names}
    assert others <= allowed


@pytest.mark.parametrize("path", sorted([*HOUSE.glob("**/*.py"), *DOORS.glob("**/*.py")]), ids=lambda path: path.stem)
def test_deployed_code_imports_only_what_is_deployed_with_it(path: Path) -> None:
    assert packages(path) <= DEPLOYED


@pytest.mark.parametrize("path", sorted(HOUSE.glob("**/*.py")), ids=lambda path: path.stem)
def test_the_house_does_not_know_its_doors(path: Path) -> None:
    assert not {name for name in imported(path) if name.split(".")[0] in ("functions", "app", "lab", "tests")}


@pytest.mark.parametrize(
    "folder", sorted(path for path in DOORS.iterdir() if path.is_dir()), ids=lambda path: path.name
)
def test_a_function_folder_holds_its_door_and_nothing_else(folder: Path) -> None:
    assert [path.name for path in folder.iterdir() if path.name != "__pycache__"] == ["app.py"]


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
    assert not {path.stem for path in [*HOUSE.glob("**/*.py"), *DOORS.glob("**/*.py")]} & drawers
