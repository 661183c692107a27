"""The logs of a run that failed, kept in .lab/failed."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from lab.harness.deploy import client
from lab.harness.process import CHECKOUT, STATE, LabProcess


@contextlib.contextmanager
def logs_kept(lab: LabProcess, console: Console) -> Iterator[None]:
    """Where a step fails, keep every log of the run, the functions' included, and say where."""
    try:
        yield
    except Exception as error:
        kept = STATE / "failed"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for log in lab.folder.glob("*.log"):
            shutil.copy(log, kept)
        with contextlib.suppress(Exception):
            _save_function_logs(lab, kept)
        console.print(f"[red]✗ {error}[/]", highlight=False)
        console.print(f"  logs: {kept.relative_to(CHECKOUT)}")
        raise SystemExit(1) from error


def _save_function_logs(lab: LabProcess, folder: Path) -> None:
    logs = client(lab, "logs")
    for group in logs.describe_log_groups()["logGroups"]:
        events = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        name = group["logGroupName"].strip("/").replace("/", "-")
        (folder / f"{name}.log").write_text("\n".join(json.dumps(event["message"]) for event in events))
