"""Mutation testing: each mutant of the policy fails a test, or stands in equivalent-mutants.yaml with a reason.

Cosmic Ray changes files where they lie, so each module has a copy of the checkout of its own; two run at a time.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CHECKOUT = Path(__file__).parents[1]
EQUIVALENT = Path(__file__).with_name("equivalent-mutants.yaml")
NEEDED = ("cli", "layers", "tests", "events", "pyproject.toml")

MODULES = ("model", "policy/decide", "policy/rows", "policy/attributes")
TESTS = " ".join(
    f"tests/unit/{name}.py"
    for name in (
        "test_model",
        *(
            f"policy/test_{one}"
            for one in ("conformance", "decide", "gallery", "attributes", "rows", "unused", "properties", "grammar")
        ),
    )
)
CONFIG = f"""[cosmic-ray]
module-path = "layers/common/linkgate/%s.py"
timeout = 120.0
excluded-modules = []
test-command = "{sys.executable} -m pytest -n0 -x -q -p no:cacheprovider {TESTS}"
distributor.name = "local"
"""
ENVIRONMENT = os.environ | {"HYPOTHESIS_PROFILE": "mutants"}

Change = tuple[str, str, str]
"""What a mutant is known by, since line numbers move: the module, the line as it was, the line as it becomes."""


class Mutant(NamedTuple):
    """One change of one line, and whether a test failed."""

    change: Change
    line: int
    killed: bool


def mutants(module: str, folder: Path) -> list[Mutant]:
    """Try every mutant of one module in a copy of the checkout, the tests without any mutant first."""
    shutil.copytree(CHECKOUT, folder, ignore=_unneeded)
    (folder / "cosmic-ray.toml").write_text(CONFIG % module)
    for command in ("baseline cosmic-ray.toml", "init cosmic-ray.toml session", "exec cosmic-ray.toml session"):
        _cosmic_ray(command, folder)
    return [_mutant(module, *json.loads(line)) for line in _cosmic_ray("dump session", folder).splitlines()]


def _unneeded(folder: str, names: list[str]) -> set[str]:
    return set(names) - set(NEEDED) if Path(folder) == CHECKOUT else {"__pycache__"}


def _cosmic_ray(command: str, folder: Path) -> str:
    tool = Path(sys.executable).with_name("cosmic-ray")
    ran = subprocess.run([tool, *command.split()], cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        raise RuntimeError(f"cosmic-ray {command}: {ran.stdout}")
    return ran.stdout


def _mutant(module: str, item: Mapping[str, Any], result: Mapping[str, str] | None) -> Mutant:
    place = item["mutations"][0]
    if result is None or result["worker_outcome"] != "normal":
        raise RuntimeError(f"a mutant could not be tried: {place}: {result}")
    changed = [line for line in result["diff"].splitlines() if not line.startswith(("---", "+++"))]
    was, becomes = (" ".join(line[1:].strip() for line in changed if line.startswith(sign)).strip() for sign in "-+")
    return Mutant((module, was, becomes), place["start_pos"][0], result["test_outcome"] != "survived")


def reasons() -> dict[Change, str]:
    """Why no test can tell a mutant from the code, for each of equivalent-mutants.yaml."""
    found: dict[Change, str] = {}
    for entry in yaml.safe_load(EQUIVALENT.read_text()):
        found |= {(entry["module"], entry["was"], becomes): entry["reason"] for becomes in entry["becomes"]}
    return found


def table(found: list[Mutant], known: Mapping[Change, str]) -> Iterator[str]:
    """A line for each mutant that no test killed and for what is listed in vain, and one for each module."""
    left = [mutant for mutant in found if not mutant.killed]
    for (module, was, becomes), line, _ in left:
        reason = known.get((module, was, becomes))
        yield f"{module}.py:{line}: {was}  ->  {becomes}\n    {f'equivalent: {reason}' if reason else 'SURVIVED'}"
    for module, was, becomes in sorted(known.keys() - {mutant.change for mutant in left}):
        yield f"{module}.py: {was}  ->  {becomes}\n    LISTED, but killed or gone"
    for module in MODULES:
        mine = [mutant for mutant in found if mutant.change[0] == module]
        killed, equivalent = sum(mutant.killed for mutant in mine), sum(mutant.change in known for mutant in mine)
        yield f"{module}.py: {len(mine)} mutants, {killed} killed, {equivalent} equivalent"


def main() -> int:
    """Print the table; 1 if a survivor is not listed, or what is listed did not survive."""
    with tempfile.TemporaryDirectory(prefix="linkgate-mutants-") as folder, ThreadPoolExecutor(2) as pool:
        homes = [Path(folder, module) for module in MODULES]
        found = [mutant for some in pool.map(mutants, MODULES, homes) for mutant in some]
    known = reasons()
    print(*table(found, known), sep="\n")
    return 1 if {mutant.change for mutant in found if not mutant.killed} ^ known.keys() else 0


if __name__ == "__main__":
    sys.exit(main())
