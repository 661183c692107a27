"""Everything that is installed is pinned and hashed, and comes from wherever the user's pip says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infrastructure.stack import ROOT

LOCKS = [*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "layers" / "common" / "requirements.txt"]
WISHES = [path.with_suffix(".in") for path in LOCKS]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
PIN = re.compile(r"[A-Za-z0-9._-]+(\[[A-Za-z0-9,._-]+\])?==[^\s;]+(\s*;[^#]*)?")


def loose(text: str) -> list[str]:
    """Lines of a lock file that are not an exact pin with at least one hash."""
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    wanted = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    return [line for line in wanted if not HASH.search(line) or not PIN.fullmatch(HASH.sub("", line).strip())]


def hosts(text: str) -> list[str]:
    """Options and addresses that name a registry."""
    return re.findall(
        r"^\s*(?:-i|--(?:extra-)?index-url|--find-links|--trusted-host)\b.*|\w+://\S+", text, re.MULTILINE
    )


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.parent.name + "/" + path.name)
def test_every_pin_is_exact_and_has_a_hash(path: Path) -> None:
    assert path.read_text().strip()
    assert loose(path.read_text()) == []


@pytest.mark.parametrize("path", LOCKS + WISHES, ids=lambda path: path.parent.name + "/" + path.name)
def test_no_registry_is_named(path: Path) -> None:
    assert hosts(path.read_text()) == []


def test_the_layer_has_the_powertools_that_the_tests_run_with() -> None:
    pins = [set(re.findall(r"^aws-lambda-powertools==\S+", path.read_text(), re.MULTILINE)) for path in LOCKS]
    assert len({pin for pin in set().union(*pins)}) == 1


def test_what_is_not_pinned_or_comes_from_a_named_place_is_found() -> None:
    good = f"boto3==1.0.0 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{'1' * 64}\n    # via x\n"
    assert loose(good) == []
    assert loose(good + "moto==5.2.5\n") == ["moto==5.2.5"]
    assert loose(good.replace("==", ">=")) != []
    assert hosts("--index-url https://example.com/simple\n-i x\nmoto @ git+https://example.com/x") != []
    assert hosts(good) == []


def test_a_script_of_an_environment_starts_from_a_path_with_a_blank(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    script, python = folder / ".venv" / "lab" / "bin" / "aws", folder / ".venv" / "lab" / "bin" / "python"
    script.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    script.write_text(f"#!{python}\nimport sys\nprint(sys.argv[1:])\n")
    script.chmod(0o755)
    rule = "\n.venv/lab/mended:\n\t@$(START_THROUGH_SH)\n"
    (folder / "Makefile").write_text((ROOT / "Makefile").read_text() + rule)
    subprocess.run(["/usr/bin/env", "make", "-s", ".venv/lab/mended"], cwd=folder, check=True)
    done = subprocess.run([script, "one two", "three"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("['one two', 'three']\n", "")
