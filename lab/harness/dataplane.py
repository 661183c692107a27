"""A lab's data plane as seen from outside its process: which one it is, and the ways into its VPCs."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.harness.process import PROVIDER_ACCOUNT, LabError


@dataclass(frozen=True)
class Ground:
    """The plane of the run whose files lie in `folder`.

    The plane says in plane.json what is in force; the file `faults` tells it, one name a line, what is to be.
    """

    folder: Path

    @property
    def plane(self) -> str:
        """`namespaces` or `loopback`."""
        return str(self._told()["plane"])

    @property
    def because(self) -> str:
        """Why it is the loopback plane."""
        return str(self._told().get("because", ""))

    @property
    def trust(self) -> str:
        """The file with the certificate authority that the servers' certificates are from."""
        return str(self._told()["trust"])

    def enter(self, vpc_id: str, account: str = PROVIDER_ACCOUNT) -> tuple[str, ...]:
        """What goes before a command that is to run in a VPC. LabError where there is no such place."""
        if self.plane != "namespaces":
            raise LabError(f"the lab has no namespaces to enter: {self.because}")
        try:
            return tuple(self._told()["vpcs"][f"{account}/{vpc_id}"])
        except KeyError as error:
            raise LabError(f"{vpc_id} of account {account} has no endpoint, load balancer or function yet") from error

    def vpcs(self) -> list[str]:
        """The VPCs that one can enter, as `account/id`."""
        return list(self._told().get("vpcs", ()))

    def run(self, vpc_id: str, *command: str, account: str = PROVIDER_ACCOUNT) -> subprocess.CompletedProcess[str]:
        """Run a command in a VPC, and what it printed."""
        return subprocess.run(  # noqa: S603 - the caller's own command
            [*self.enter(vpc_id, account), *command], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )

    def spoil(self, faults: Sequence[str], seconds: float = 10) -> None:
        """Have these faults of the plane, and no others, and return when they are in force. LabError if they are not.

        Their names are those of lab.story.faults.
        """
        fresh = self.folder / "faults.new"
        fresh.write_text("".join(f"{name}\n" for name in faults))
        fresh.replace(self.folder / "faults")
        deadline = time.monotonic() + seconds
        while sorted(faults) != self._told().get("faults"):
            if time.monotonic() > deadline:
                raise LabError(
                    f"the data plane did not take up {', '.join(faults) or 'the repair'}; see its server.log"
                )
            time.sleep(0.02)

    def faults(self) -> list[str]:
        """The faults of the plane that are in force."""
        return list(self._told().get("faults", ()))

    def complaints(self) -> list[str]:
        """What is wrong with what somebody made in the lab, a sentence each."""
        return list(self._told().get("complaints", ()))

    def _told(self) -> Mapping[str, Any]:
        told: Mapping[str, Any] = json.loads((self.folder / "plane.json").read_text())
        return told
