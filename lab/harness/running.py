"""The lab that another process of this checkout runs: what it writes for others, and how they find it."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from lab.harness.process import STATE, LabError, LabProcess, is_alive

ENV = STATE / "env"
_FOLDER, _URL = "LAB_FOLDER", "AWS_ENDPOINT_URL"


def write(lab: LabProcess, variables: Mapping[str, str], tools: str) -> None:
    """Write .lab/env: shell exports for clients of the lab; `tools` comes first in their PATH."""
    exported = {**lab.environment(), _FOLDER: str(lab.folder), **variables}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in exported.items()]
    ENV.write_text("".join([*lines, f'export PATH={shlex.quote(tools)}:"$PATH"\n']))


def find() -> LabProcess:
    """The lab that wrote .lab/env. LabError if none runs."""
    try:
        words = shlex.split(ENV.read_text())
    except FileNotFoundError:
        words = []
    exported = dict(word.split("=", 1) for word in words if "=" in word)
    folder = Path(exported.get(_FOLDER, ""))
    if not (folder / "owner").exists() or not is_alive(folder):
        raise LabError("no lab is running here: start one with make lab")
    lab = LabProcess(int(exported[_URL].rsplit(":", 1)[1]))
    lab.folder = folder
    return lab
