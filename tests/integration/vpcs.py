"""The demo's VPCs in a lab of namespaces, looked at with curl and getent from inside."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from lab.harness import shell
from lab.harness.dataplane import DataPlane
from lab.harness.deploy import client, deploy_demo
from lab.harness.process import LabProcess
from lab.story.faults import Faults
from lab.story.sabotage import DemoStack

OK, DNS, REFUSED, TIMEOUT, EMPTY, RESET, CERTIFICATE = 0, 6, 7, 28, 52, 56, 60
"""curl's exit codes (curl(1)); REFUSED is what a reset in answer to the first packet is called."""
NOT_FOUND = 2
"""getent's."""


def lack() -> str:
    """Why there can be no namespaces on this machine; "" where there must be."""
    tools = ("ip", "nft", "unshare", "nsenter", "mount", "curl", "getent")
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    missing = [tool for tool in tools if not shutil.which(tool, path=path)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    done = subprocess.run(["/usr/bin/env", "unshare", *user, "--net", "true"], capture_output=True, text=True)
    return done.stderr.strip()


@dataclass(frozen=True)
class Vpcs:
    """A lab with the demo's stack, and what its VPCs see."""

    lab: LabProcess
    demo: dict[str, str]

    @property
    def ec2(self) -> Any:
        return client(self.lab, "ec2")

    @property
    def faults(self) -> Faults:
        return Faults(self.lab, self.demo)

    @property
    def stack(self) -> DemoStack:
        return DemoStack(self.lab, self.demo)

    def run(self, vpc: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in "consumer", "consumer2" or "provider"; $VARIABLES are those of `make lab-shell`."""
        variables = shell.variables(self.lab, self.demo, vpc)
        line = ["env", *(f"{name}={value}" for name, value in variables.items()), "sh", "-c", 'eval "$0"']
        return DataPlane(self.lab.folder).run(shell.vpc_id(self.demo, vpc), *line, " ".join(command))

    def curl(self, url: str, *options: str, vpc: str = "consumer", seconds: float = 2) -> tuple[int, str]:
        """curl's exit code, and the body."""
        done = self.run(vpc, "curl", "-s", "-m", str(seconds), *options, f'"{url}"')
        return done.returncode, done.stdout.strip()

    def status(self, url: str) -> str:
        """The HTTP status that the first consumer gets."""
        return self.run("consumer", "curl", "-s", "-m", "10", "-o", "/dev/null", "-w", "'%{http_code}'", url).stdout

    def resolve(self, name: str, vpc: str = "consumer") -> list[str]:
        """The addresses of a name, as getent prints them; none if there is no such name."""
        done = self.run(vpc, "getent", "ahostsv4", name)
        assert done.returncode in (0, NOT_FOUND)
        return sorted({line.split()[0] for line in done.stdout.splitlines()})


@contextmanager
def deployed() -> Iterator[Vpcs]:
    """A lab of namespaces with the demo's stack and both consumers, nothing accepted yet; skips where none can be."""
    if reason := lack():
        pytest.skip(f"no network namespaces here: {reason}")
    with LabProcess(plane="namespaces") as lab:
        yield Vpcs(lab, deploy_demo(lab, second=True))
