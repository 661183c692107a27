"""What people type: make demo, make lab, and the ordinary clients against it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.account import Provider
from lab.process import CHECKOUT, STATE, LabProcess, free_port
from tests.integration.conftest import Await

SAM = Path(sys.prefix).parent / "sam" / "bin" / "sam"
AWS = Path(sys.executable).parent / "aws"


@pytest.fixture
def shell(lab: LabProcess) -> "Shell":
    return Shell(lab)


class Shell:
    """A person's shell with the lab's variables, as `. .lab/env` sets them, in one account or another."""

    def __init__(self, lab: LabProcess) -> None:
        self._lab = lab

    def run(self, *command: str, account: str = "111111111111") -> str:
        home = {"HOME": str(self._lab.folder), "SAM_CLI_TELEMETRY": "0", "AWS_PAGER": ""}
        environment = {"PATH": os.environ["PATH"], **home, **self._lab.environment(account)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=CHECKOUT)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def aws(self, *arguments: str, account: str = "111111111111") -> str:
        return self.run(str(AWS), "--output", "text", *arguments, account=account)


def test_the_aws_command_alone_tells_the_whole_story(
    shell: Shell, provider: Provider, account: str, until: Await
) -> None:
    demo, linkgate = provider.deployed.demo, provider.deployed.linkgate
    vpc = shell.aws("ec2", "create-vpc", "--cidr-block", "10.8.0.0/16", "--query", "Vpc.VpcId", account=account)
    subnet = shell.aws(
        *("ec2", "create-subnet", "--vpc-id", vpc, "--cidr-block", "10.8.1.0/24", "--query", "Subnet.SubnetId"),
        account=account,
    )
    endpoint = shell.aws(
        *("ec2", "create-vpc-endpoint", "--vpc-endpoint-type", "Interface", "--vpc-id", vpc),
        *("--service-name", demo["ServiceName"], "--subnet-ids", subnet, "--query", "VpcEndpoint.VpcEndpointId"),
        account=account,
    )
    row = {"service": provider.deployed.service, "consumer": account, "effect": "allow"}
    item = json.dumps({name: {"S": value} for name, value in row.items()})
    shell.aws("dynamodb", "put-item", "--table-name", linkgate["AllowListTable"], "--item", item)
    states = ("ec2", "describe-vpc-endpoints", "--vpc-endpoint-ids", endpoint, "--query", "VpcEndpoints[0].State")
    until(lambda: shell.aws(*states, account=account), "available")
    ledger = ("dynamodb", "query", "--table-name", linkgate["LedgerTable"], "--key-condition-expression")
    values = f'{{":endpoint": {{"S": "{endpoint}"}}}}'
    found = shell.aws(
        *ledger, "endpoint_id = :endpoint", "--expression-attribute-values", values, "--query", "Items[].reason.S"
    )
    assert "allowed" in found.split()
    alarms = shell.aws("cloudwatch", "describe-alarms", "--query", "MetricAlarms[].AlarmName")
    assert "linkgate-endpoint-unhealthy" in alarms.split()


def test_sam_lists_the_outputs_and_shows_the_logs(shell: Shell, provider: Provider) -> None:
    listed = shell.run(str(SAM), "list", "stack-outputs", "--stack-name", "linkgate", "--output", "json")
    for name in (
        *("AllowListTable", "LedgerTable", "EventBusName", "BellQueueUrl", "AlarmTopic", "DashboardName"),
        *("ApproveFunction", "SweepFunction", "PatrolFunction", "CanaryFunction"),
    ):
        assert f'"{name}"' in listed
    assert "swept" in shell.run(str(SAM), "logs", "--stack-name", "linkgate", "--name", "SweepFunction")


def test_make_demo_holds_every_step_and_leaves_nothing_behind() -> None:
    before = _remains()
    done = subprocess.run([sys.executable, "-m", "lab", "demo"], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "every step held" in done.stdout
    assert "request to accepted: median" in done.stdout
    assert _remains() == before


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("moment", ["sam build", "may connect"])
def test_interrupted_in_the_middle_the_demo_leaves_nothing_behind(
    moment: str, started: list[subprocess.Popen[str]]
) -> None:
    before = _remains()
    demo = _start(started, "demo")
    _read_until(demo, moment)
    os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: to the whole foreground group
    assert demo.wait(60) == 130
    assert _remains() == before


def test_make_lab_writes_its_variables_and_takes_them_away_again(started: list[subprocess.Popen[str]]) -> None:
    assert not (STATE / "env").exists(), "a lab is up: end it first"
    before, port = _remains(), free_port()
    lab = _start(started, "up", "--port", str(port))
    _read_until(lab, "Ctrl-C")
    variables = dict(line.removeprefix("export ").split("=", 1) for line in (STATE / "env").read_text().splitlines())
    assert variables == {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "111111111111",
        "AWS_SECRET_ACCESS_KEY": "lab",
        "LINKGATE_STACK": "linkgate",
        "LINKGATE_DEMO_STACK": "linkgate-demo",
    }
    os.killpg(lab.pid, signal.SIGINT)
    assert lab.wait(60) == 130
    assert not (STATE / "env").exists()
    assert _remains() == before


def test_a_lab_whose_owner_is_killed_ends_too_and_the_next_start_removes_its_remains(
    started: list[subprocess.Popen[str]], until: Await
) -> None:
    before = _remains()
    demo = _start(started, "demo")
    _read_until(demo, "sam deploy")
    os.killpg(demo.pid, signal.SIGKILL)
    demo.wait()
    until(lambda: set(_processes()) - before["processes"], set())
    with LabProcess():
        pass
    assert _remains() == before


def _start(started: list[subprocess.Popen[str]], *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "lab", *arguments],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    started.append(process)
    return process


def _read_until(process: subprocess.Popen[str], text: str) -> None:
    seen = ""
    for line in process.stdout or ():
        seen += line
        if text in line:
            return
    pytest.fail(f"ended without {text!r}:\n{seen}")


def _remains() -> dict[str, set[str]]:
    """What a lab could leave: its run's folder, processes that live in it, network namespaces."""
    return {
        "processes": set(_processes()),
        "folders": {path.name for path in STATE.glob("run-*")},
        "namespaces": {path.name for path in Path("/run/netns").glob("*")},
    }


def _processes() -> list[str]:
    """The run of each process whose environment points into a run's folder: servers, functions, SAM CLIs."""
    runs = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            found = re.search(rb"%b/(run-[^/\0]+)" % bytes(STATE), environ.read_bytes())
        except OSError:
            continue
        if found:
            runs.append(found[1].decode())
    return runs
