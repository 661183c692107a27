"""`python -m lab demo`, `up`, `shell` and `fault`: what `make demo`, `lab`, `lab-shell` and `lab-fault` run."""

import argparse
import io
import os
import re
import signal
import sys
from types import FrameType
from typing import TextIO, cast

from rich.console import Console

from lab import commands
from lab.harness.logs import logs_kept
from lab.harness.process import STATE, LabError, LabProcess


class Trimmed(io.TextIOBase):
    """What is written, without the blanks before a line's end that tables are filled up with."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        self._file.write(re.sub(r"[ \t]+(?=\n|$)", "", text))
        return len(text)

    def flush(self) -> None:
        self._file.flush()


def main() -> int:
    """Run one of them; every way of ending a lab leaves nothing behind."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _end)
    console = Console() if sys.stdout.isatty() else Console(soft_wrap=True, file=cast(TextIO, Trimmed(sys.stdout)))
    try:
        if arguments.what == "shell":
            commands.shell(arguments.name)
        elif arguments.what == "fault":
            commands.fault(console, arguments.name, arguments.repair)
        else:
            port = arguments.port or (4566 if arguments.what == "up" else None)
            with LabProcess(port) as lab, logs_kept(lab, console):
                if arguments.what == "up":
                    commands.up(lab, console, arguments.second)
                else:
                    commands.demo(lab, console, arguments.keep)
    except LabError as error:
        console.print(f"[red]✗ {error}[/]", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; nothing is left behind")
        return 130
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    parser.add_argument("what", choices=["demo", "up", "shell", "fault"])
    parser.add_argument("name", nargs="?", default="", help="shell: a VPC; fault: a fault, or nothing for the list")
    parser.add_argument("--port", type=int, help="the port of the local AWS (up: 4566, demo: any free one)")
    parser.add_argument("--keep", action="store_true", help="demo: leave the lab up for a look around")
    parser.add_argument("--second", action="store_true", help="up: with a second consumer VPC of the same CIDR")
    parser.add_argument("--repair", action="store_true", help="fault: end it")
    return parser.parse_args()


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.chdir(STATE.parent)
    sys.exit(main())
