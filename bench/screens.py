"""The screens of docs/cli.md, made anew from the lab: `make screens` writes docs/screens/*.svg.

Every screen is what the command prints on a terminal, taken by rich as it is. A few connections of each kind are made
first: one that is verified, one whose row has ended, one over its limit, one without a row; and one zone goes down.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lab.harness.account import Provider
from lab.harness.deploy import CONSUMERS, client, deploy, enforce
from lab.harness.process import CHECKOUT, PROVIDER_ACCOUNT, LabProcess
from lab.story.faults import Faults
from tests.command import Command

FOLDER = CHECKOUT / "docs" / "screens"
WIDTH = 110
PATIENCE = 180.0
FAULT = "zone-down"
LIMITED, ENDED = CONSUMERS
STRANGER = "444444444444"

ROWS = """services:
  {service}:
    "@settings": {{mode: enforce, reconcile: enforce}}
    {stranger}: {{effect: allow, owner: data, ticket: NET-901}}
    {limited}: {{effect: allow, owner: shop, limit: 2}}
    {own}:
      effect: allow
      owner: payments
      regions: [us-east-1]
tests:
  - case: data comes in
    request: {{endpoint: vpce-00000000000000001, account: "{stranger}", region: eu-west-1}}
    expect: {{outcome: accept, reason: allowed, row: "{stranger}"}}
"""
Names = Mapping[str, str]
SCREENS: Mapping[str, Callable[[Names], tuple[str, ...]]] = {
    "status": lambda names: (),
    "why": lambda names: ("why", names["ended"]),
    "plan": lambda names: ("plan", "rows.yaml"),
    "doctor": lambda names: ("doctor",),
    "probe": lambda names: ("probe", names["verified"]),
}
"""By file, the words of the command, made of the endpoints' ids. The fault is put in force before `probe`."""


def stage(lab: LabProcess, provider: Provider) -> Names:
    """Connections of each kind, and the ids of their endpoints, by a word for each."""
    provider.put_row(PROVIDER_ACCOUNT, effect="allow", owner="payments", ticket="NET-812")
    provider.put_row(LIMITED, effect="allow", limit="1", owner="shop")
    provider.put_row(ENDED, effect="allow", owner="billing", ticket="NET-640", expires_at="2026-10-01T00:00:00Z")
    provider.put_row("555555555555", effect="allow", expires="2027-01-01")
    arn = f"arn:aws:iam::{STRANGER}:root"
    client(lab, "ec2").modify_vpc_endpoint_service_permissions(
        ServiceId=provider.deployed.service, AddAllowedPrincipals=[arn]
    )
    names = {"verified": provider.deployed.demo["EndpointId"], "first": provider.connect(LIMITED)}
    until(lambda: provider.status(names["first"]) == "ACCEPTED")
    names |= {
        "second": provider.connect(LIMITED),
        "ended": provider.connect(ENDED),
        "stranger": provider.connect(STRANGER),
    }
    until(lambda: all(provider.status(names[one]) == "HELD" for one in ("second", "ended", "stranger")))
    until(lambda: provider.status(names["verified"]) == "VERIFIED")
    return names


def until(see: Callable[[], bool]) -> None:
    """Wait until something is to be seen; AssertionError if patience runs out."""
    deadline = time.monotonic() + PATIENCE
    while not see():
        assert time.monotonic() < deadline, "it is not to be seen"
        time.sleep(0.5)


def take(command: Command, name: str, *arguments: str) -> None:
    """Run the command as on a terminal, and write what it shows as a picture."""
    ran = command.run(*arguments, FORCE_COLOR="1", TERM="xterm-256color", COLUMNS=str(WIDTH))
    with tempfile.TemporaryFile("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, highlight=False)
        console.print(Text.from_ansi(ran.out.rstrip("\n")))
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{name}.svg"
        console.save_svg(str(path), title=" ".join(("linkgate", *arguments)), unique_id=f"linkgate-{name}")
        path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def main() -> None:
    """Make every screen."""
    with LabProcess() as lab, tempfile.TemporaryDirectory() as home:
        deployed = deploy(lab)
        enforce(lab, deployed)
        provider, command = Provider(lab, deployed), Command(Path(home), lab.environment())
        names = stage(lab, provider)
        rows = ROWS.format(service=deployed.service, stranger=STRANGER, limited=LIMITED, own=PROVIDER_ACCOUNT)
        (Path(home) / "rows.yaml").write_text(rows)
        for name, words in SCREENS.items():
            if name == "probe":
                Faults(lab, deployed.demo).inject(FAULT)
            take(command, name, *words(names))


if __name__ == "__main__":
    main()
