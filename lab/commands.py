"""What `make demo`, `make lab`, `make lab-shell` and `make lab-fault` do."""

import json
import os
import textwrap
import time

from botocore.exceptions import ClientError
from rich.console import Console
from rich.table import Table

from lab.harness import running
from lab.harness.dataplane import DataPlane
from lab.harness.deploy import DEMO_STACK, STACK, Deployed, deploy, enforce, outputs, probes
from lab.harness.process import CHECKOUT, PROVIDER_ACCOUNT, SPEED, LabError, LabProcess
from lab.harness.shell import enter
from lab.story.demo import UNLISTED, Demo
from lab.story.faults import KNOWN, Faults


def demo(lab: LabProcess, console: Console, keep: bool) -> None:
    """Run the story; with `keep` the lab stays up until Ctrl-C."""
    _show_plane(lab, console)
    story = Demo(lab, console)
    story.run()
    console.print("[bold green]every step held[/]")
    if keep:
        _stay(lab, console, story.deployed, UNLISTED)


def up(lab: LabProcess, console: Console, second: bool) -> None:
    """Deploy both stacks, let Linkgate act, and stay until Ctrl-C."""
    with console.status("") as status:
        deployed = deploy(lab, lambda text: status.update(f"{text} …"), second)
    row = enforce(lab, deployed, probe=probes(lab))
    console.print(f"The allow-list has one row, about {deployed.service}:\n  {row}", highlight=False)
    _stay(lab, console, deployed, PROVIDER_ACCOUNT)


def _stay(lab: LabProcess, console: Console, deployed: Deployed, consumer: str) -> None:
    """Write .lab/env, say what to try (`consumer` is an account whose endpoint waits), and stay until Ctrl-C."""
    folders = (CHECKOUT / "cli" / "bin", *(CHECKOUT / ".venv" / name / "bin" for name in ("lab", "sam")))
    tools = os.pathsep.join(map(str, folders))
    names = {"LINKGATE_STACK": STACK, "LINKGATE_DEMO_STACK": DEMO_STACK, "SAM_CLI_TELEMETRY": "0"}
    running.write(lab, names, tools)
    table, ledger = deployed.linkgate["AllowListTable"], deployed.linkgate["LedgerTable"]
    row = {"service": deployed.service, "consumer": consumer, "effect": "allow"}
    item = json.dumps({name: {"S": value} for name, value in row.items()})
    console.print(f"The local AWS is up at {lab.url}; a minute of its schedules takes {60 / SPEED:g} s.")
    _show_plane(lab, console)
    for complaint in DataPlane(lab.folder).complaints():
        console.print(f"[yellow]{complaint}[/]", highlight=False)
    console.print("Try:\n")
    inside = ("make lab-shell VPC=consumer", "make lab-fault")
    for command in (
        *(inside if DataPlane(lab.folder).kind == "namespaces" else ()),
        ". .lab/env",
        "linkgate",
        "aws ec2 describe-vpc-endpoint-connections --query 'VpcEndpointConnections[].[VpcEndpointId,VpcEndpointState]'",
        f"aws dynamodb put-item --table-name {table} --item '{item}'",
        # Items that Linkgate keeps for itself have no requested_at.
        f"aws dynamodb scan --table-name {ledger} --filter-expression 'attribute_exists(requested_at)' "
        "--query 'Items[].{endpoint: endpoint_id.S, account: account.S, status: status.S, outcome: outcome.S, "
        "reason: reason.S, mode: mode.S, why: why.S}'",
        "aws cloudwatch describe-alarms --query 'MetricAlarms[].[AlarmName,StateValue]' --output table",
        f"sam list stack-outputs --stack-name {STACK}",
        f"sam logs --stack-name {STACK}",
    ):
        console.print(f"  {command}", highlight=False, soft_wrap=True, markup=False)
    console.print("\nCtrl-C ends it and leaves nothing behind.")
    try:
        while lab.alive:
            time.sleep(0.5)
        raise LabError(f"the local AWS ended by itself:\n{lab.tail()}")
    except KeyboardInterrupt:
        console.print("ended; nothing is left behind")
    finally:
        running.ENV.unlink(missing_ok=True)


def _show_plane(lab: LabProcess, console: Console) -> None:
    plane = DataPlane(lab.folder)
    if plane.kind == "namespaces":
        console.print("Every VPC is a network namespace; the kernel drops and translates its packets.")
    else:
        instead = (
            f"No network namespaces here: {plane.because}. Endpoints are loopback addresses instead: names resolve in "
            "VPC functions alone, and security groups, zones, HTTPS and most faults cannot be shown."
        )
        console.print(textwrap.fill(instead, 80), highlight=False)


def shell(name: str = "") -> None:
    """Become a shell in the VPC `name` of the running lab, the consumer's by default. LabError where there is none."""
    lab = running.find()
    enter(lab, outputs(lab, DEMO_STACK), name or "consumer")


def fault(console: Console, name: str = "", repair: bool = False) -> None:
    """Put the fault `name` in force in the running lab, or `repair` it; without a name, list the faults.

    Raises LabError where there is no lab or no such fault.
    """
    lab = running.find()
    faults = Faults(lab, outputs(lab, DEMO_STACK))
    if not name:
        _list(console, faults.injected())
        return
    try:
        (faults.repair if repair else faults.inject)(name)
    except ClientError as error:
        raise LabError(f"{name}: {error}") from error
    if not repair:
        console.print(f"in force; a client in the consumer VPC now sees: {KNOWN[name].symptom}", highlight=False)
        console.print(_reported(name, faults), highlight=False)
    console.print(f"faults in force: {', '.join(faults.injected()) or 'none'}", highlight=False)


def _reported(name: str, faults: Faults) -> str:
    """What Linkgate will say of a fault in force."""
    if faults.waiting():
        return (
            "the endpoint waits, so Linkgate does not probe it yet: put the row that make lab printed, then look again"
        )
    cause = KNOWN[name].cause
    return f"Linkgate tells it within half a minute: {cause}" if cause else "Linkgate tells nothing: it is no fault"


def _list(console: Console, injected: list[str]) -> None:
    table = Table.grid(padding=(0, 1))
    for name, fault in KNOWN.items():
        table.add_row("[red]●[/]" if name in injected else " ", name, f"{fault.what}: {fault.symptom}")
    console.print(table, soft_wrap=False)
