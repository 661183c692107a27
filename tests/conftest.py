"""The order of the run, what its last lines say of what was not tried, and where what is imported may leave files."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# ministack makes a key as soon as it is imported, in a folder that nobody removes unless it is told another.
_state = tempfile.TemporaryDirectory()
os.environ.setdefault("STATE_DIR", _state.name)
# What labs have built of this code (lab.harness.deploy.BUILDS), in a folder for the workers of this run alone.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _builds = tempfile.TemporaryDirectory()
    os.environ["LAB_BUILDS"] = _builds.name

LONGEST = (
    "flood",
    "commands",
    "canary",
    "messages",
    "path",
    "edits",
    "reading",
    "gateway",
    "alarms",
    "faults",
    "schedules",
    "namespaces",
    "enforcement",
    "verify",
    "removal",
    "new_account",
    "policy",
)
"""Files of tests/integration that take longest, by name: begun first, none is left for the end alone.

The flood waits until no message is delayed, so it comes before tests that leave bells behind in the lab they share.
"""
LACKING = "no network namespaces here: "
"""How the reason begins for which tests/integration/vpcs.py and its users skip."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait for a lab before all others, the longest of them first."""
    items.sort(key=lambda item: _turn(item.path))


def _turn(path: Path) -> int:
    if "integration" not in path.parts:
        return len(LONGEST) + 1
    return next((turn for turn, name in enumerate(LONGEST) if name in path.stem), len(LONGEST))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """After all else: how many tests were not tried because this machine has no namespaces, and what they need."""
    yield
    reasons = [one.longrepr[2].removeprefix("Skipped: ") for one in terminalreporter.stats.get("skipped", ())]
    if lacking := [reason.removeprefix(LACKING) for reason in reasons if reason.startswith(LACKING)]:
        terminalreporter.write_line(
            f"Not tried: {len(lacking)} tests that need network namespaces ({', '.join(sorted(set(lacking)))}); to try "
            "them, install iproute2, nftables, util-linux and curl, and be root or somebody who may unshare.",
            yellow=True,
        )
