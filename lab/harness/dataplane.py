"""A lab's data plane as another process sees it: which one it is, its faults, and commands in its VPCs."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.harness.process import PROVIDER_ACCOUNT, LabError


@dataclass(frozen=True)
class DataPlane:
    """The data plane of the run whose files are in `folder`.

    It writes to plane.json what is in force; the file `faults` says, one name a line, what is to be.
    """

    folder: Path

    @property
    def kind(self) -> str:
        """`namespaces` or `loopback`."""
        return str(self._status()["plane"])

    @property
    def because(self) -> str:
        """Why it is the loopback plane."""
        return str(self._status().get("because", ""))

    @property
    def authority(self) -> str:
        """The file with the certificate of the authority that signed the servers' certificates."""
        return str(self._status()["authority"])

    def enter(self, vpc_id: str, account: str = PROVIDER_ACCOUNT) -> tuple[str, ...]:
        """What goes before a command so that it runs in a VPC. LabError where there is none to enter."""
        if self.kind != "namespaces":
            raise LabError(f"the lab has no namespaces to enter: {self.because}")
        try:
            return tuple(self._status()["vpcs"][f"{account}/{vpc_id}"])
        except KeyError as error:
            raise LabError(f"{vpc_id} of account {account} has no endpoint, load balancer or function yet") from error

    def vpcs(self) -> list[str]:
        """The VPCs that a command can run in, as `account/id`."""
        return list(self._status().get("vpcs", ()))

    def run(self, vpc_id: str, *command: str, account: str = PROVIDER_ACCOUNT) -> subprocess.CompletedProcess[str]:
        """Run a command in a VPC, and what it printed."""
        return subprocess.run(  # noqa: S603 - the caller's own command
            [*self.enter(vpc_id, account), *command], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )

    def set_faults(self, faults: Sequence[str], seconds: float = 10) -> None:
        """Have these faults of the plane, and no others; returns when they are in force. LabError if they are not.

        Their names are those of lab.story.faults.
        """
        fresh = self.folder / "faults.new"
        fresh.write_text("".join(f"{name}\n" for name in faults))
        fresh.replace(self.folder / "faults")
        deadline = time.monotonic() + seconds
        while sorted(faults) != self._status().get("faults"):
            if time.monotonic() > deadline:
                raise LabError(
                    f"the data plane did not take up {', '.join(faults) or 'the repair'}; see its server.log"
                )
            time.sleep(0.02)

    def faults(self) -> list[str]:
        """The faults of the plane that are in force."""
        return list(self._status().get("faults", ()))

    def complaints(self) -> list[str]:
        """What is wrong with what is deployed in the lab, a sentence each."""
        return list(self._status().get("complaints", ()))

    def _status(self) -> Mapping[str, Any]:
        status: Mapping[str, Any] = json.loads((self.folder / "plane.json").read_text())
        return status
