"""The `linkgate` command as a process, as a person's shell or a pipeline runs it."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LINKGATE = ROOT / "cli" / "bin" / "linkgate"


@dataclass(frozen=True)
class Ran:
    """How a run ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Command:
    """`linkgate` with these variables and no others beside PATH and a home without AWS configuration."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, typed: str | None = None, **variables: str) -> Ran:
        """Run it to its end; `typed` is its standard input, which is no terminal."""
        own = {"PATH": os.environ["PATH"], "HOME": str(self.home), "AWS_EC2_METADATA_DISABLED": "true"}
        done = subprocess.run(
            [str(LINKGATE), *arguments],
            env={**own, **self.environment, **variables},
            input=typed or "",
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def fails(self, *arguments: str, code: int = 1, typed: str | None = None, **variables: str) -> str:
        """The one sentence with which it ends; nothing is on standard output."""
        ran = self.run(*arguments, typed=typed, **variables)
        assert (ran.code, ran.out) == (code, ""), ran
        (line,) = ran.err.splitlines()
        assert line.startswith("linkgate: "), line
        return line.removeprefix("linkgate: ")
