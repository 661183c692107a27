"""`python -m lab demo`, `up`, `shell` and `fault`: what `make demo`, `lab`, `lab-shell` and `lab-fault` run."""

import argparse
import json
import os
import signal
import sys
import time
from types import FrameType

from rich.console import Console

from lab.commands import visit
from lab.harness import running
from lab.harness.dataplane import DataPlane
from lab.harness.deploy import DEMO_STACK, STACK, Deployed, deploy, enforce
from lab.harness.process import CHECKOUT, PROVIDER_ACCOUNT, SPEED, STATE, LabError, LabProcess
from lab.story.demo import UNLISTED, Demo, logs_kept


def main() -> int:
    """Run one of them; every way of ending a lab leaves nothing behind."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _end)
    console = Console(soft_wrap=True) if not sys.stdout.isatty() else Console()
    try:
        if arguments.what in ("shell", "fault"):
            visit(console, arguments.what, arguments.name, arguments.repair)
            return 0
        port = arguments.port or (4566 if arguments.what == "up" else None)
        with LabProcess(port) as lab, logs_kept(lab, console):
            if arguments.what == "up":
                up(lab, console, arguments.second)
            else:
                demo(lab, console, arguments.keep)
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
    parser.add_argument("--repair", action="store_true", help="fault: mend it")
    return parser.parse_args()


def demo(lab: LabProcess, console: Console, keep: bool) -> None:
    """Tell the story; with `keep` stay until Ctrl-C."""
    _say_plane(lab, console)
    story = Demo(lab, console)
    story.run()
    console.print("[bold green]every step held[/]")
    if keep:
        _stay(lab, console, story.deployed, UNLISTED)


def up(lab: LabProcess, console: Console, second: bool) -> None:
    """Deploy both stacks, let Linkgate act, and stay until Ctrl-C."""
    with console.status("") as status:
        deployed = deploy(lab, lambda text: status.update(f"{text} …"), second)
    enforce(lab, deployed)
    _stay(lab, console, deployed, PROVIDER_ACCOUNT)


def _stay(lab: LabProcess, console: Console, deployed: Deployed, consumer: str) -> None:
    """Write .lab/env, say what to try (`consumer` is an account whose endpoint waits), and stay until Ctrl-C."""
    tools = os.pathsep.join(str(CHECKOUT / ".venv" / name / "bin") for name in ("lab", "sam"))
    names = {"LINKGATE_STACK": STACK, "LINKGATE_DEMO_STACK": DEMO_STACK, "SAM_CLI_TELEMETRY": "0"}
    running.write(lab, names, tools)
    table, ledger = deployed.linkgate["AllowListTable"], deployed.linkgate["LedgerTable"]
    row = {"service": deployed.service, "consumer": consumer, "effect": "allow"}
    item = json.dumps({name: {"S": value} for name, value in row.items()})
    console.print(f"The local AWS is up at {lab.url}; a minute of its schedules takes {60 / SPEED:g} s.")
    _say_plane(lab, console)
    for complaint in DataPlane(lab.folder).complaints():
        console.print(f"[yellow]{complaint}[/]", highlight=False)
    console.print("Try:\n")
    inside = ("make lab-shell VPC=consumer", "make lab-fault")
    for command in (
        *(inside if DataPlane(lab.folder).kind == "namespaces" else ()),
        ". .lab/env",
        "aws ec2 describe-vpc-endpoint-connections --query 'VpcEndpointConnections[].[VpcEndpointId,VpcEndpointState]'",
        f"aws dynamodb put-item --table-name {table} --item '{item}'",
        f"aws dynamodb scan --table-name {ledger} --filter-expression 'entry = :current' "
        """--expression-attribute-values '{":current": {"S": "current"}}' """
        "--query 'Items[].[endpoint_id.S,owner.S,status.S,reason.S]' --output table",
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


def _say_plane(lab: LabProcess, console: Console) -> None:
    plane = DataPlane(lab.folder)
    if plane.kind == "namespaces":
        console.print("Every VPC is a network namespace; its packets are dropped and translated by the kernel.")
    else:
        console.print(
            f"No network namespaces here: {plane.because}. Endpoints are loopback addresses instead: names resolve in "
            "VPC functions alone, and security groups, zones, HTTPS and most faults cannot be shown.",
            highlight=False,
        )


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.chdir(STATE.parent)
    sys.exit(main())
