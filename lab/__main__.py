"""`python -m lab demo` and `python -m lab up`: what `make demo` and `make lab` run."""

import argparse
import json
import os
import shlex
import signal
import sys
import time
from types import FrameType

from rich.console import Console

from lab.demo import UNLISTED, Demo, logs_kept
from lab.deploy import DEMO_STACK, STACK, Deployed, deploy, enforce
from lab.process import CHECKOUT, PROVIDER_ACCOUNT, SPEED, STATE, LabError, LabProcess

ENV = STATE / "env"


def main() -> int:
    """Run one of the two; every way of ending leaves nothing behind."""
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    parser.add_argument("what", choices=["demo", "up"])
    parser.add_argument("--port", type=int, help="the port of the local AWS (up: 4566, demo: any free one)")
    parser.add_argument("--keep", action="store_true", help="demo: leave the lab up for a look around")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    console = Console(soft_wrap=True) if not sys.stdout.isatty() else Console()
    try:
        port = arguments.port or (4566 if arguments.what == "up" else None)
        with LabProcess(port) as lab, logs_kept(lab, console):
            if arguments.what == "up":
                up(lab, console)
            else:
                demo(lab, console, arguments.keep)
    except LabError as error:
        console.print(f"[red]✗ {error}[/]", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; nothing is left behind")
        return 130
    return 0


def demo(lab: LabProcess, console: Console, keep: bool) -> None:
    """Tell the story; with `keep` stay until Ctrl-C."""
    story = Demo(lab, console)
    story.run()
    console.print("[bold green]every step held[/]")
    if keep:
        _stay(lab, console, story.deployed, UNLISTED)


def up(lab: LabProcess, console: Console) -> None:
    """Deploy both stacks, let Linkgate act, and stay until Ctrl-C."""
    with console.status("") as status:
        deployed = deploy(lab, lambda text: status.update(f"{text} …"))
    enforce(lab, deployed)
    _stay(lab, console, deployed, PROVIDER_ACCOUNT)


def _stay(lab: LabProcess, console: Console, deployed: Deployed, consumer: str) -> None:
    """Write .lab/env, say what to try (`consumer` is an account whose endpoint waits), and stay until Ctrl-C."""
    tools = os.pathsep.join(str(CHECKOUT / ".venv" / name / "bin") for name in ("lab", "sam"))
    variables = {
        **lab.environment(),
        "LINKGATE_STACK": STACK,
        "LINKGATE_DEMO_STACK": DEMO_STACK,
        "SAM_CLI_TELEMETRY": "0",
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    ENV.write_text("".join([*lines, f'export PATH={shlex.quote(tools)}:"$PATH"\n']))
    table, ledger = deployed.linkgate["AllowListTable"], deployed.linkgate["LedgerTable"]
    row = {"service": deployed.service, "consumer": consumer, "effect": "allow"}
    item = json.dumps({name: {"S": value} for name, value in row.items()})
    console.print(f"The local AWS is up at {lab.url}; a minute of its schedules takes {60 / SPEED:g} s. Try:\n")
    for command in (
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
        ENV.unlink(missing_ok=True)


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.chdir(STATE.parent)
    sys.exit(main())
