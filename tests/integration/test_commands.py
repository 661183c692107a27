"""What people type: make demo, make lab, and the ordinary clients against it."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.harness.account import Provider
from lab.harness.deploy import BUILDS
from lab.harness.process import CHECKOUT, STATE, LabProcess, free_port
from tests.command import LINKGATE
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


def test_the_ledger_is_exported_by_the_command_of_the_page_on_removal(
    shell: Shell, provider: Provider, account: str, until: Await
) -> None:
    endpoint = provider.connect(account)
    until(lambda: provider.status(endpoint), "HELD")
    page = (CHECKOUT / "docs" / "removal.md").read_text()
    (command,) = re.findall(r"^    (PYTHONPATH=.*) > ledger\.jsonl$", page, re.MULTILINE)
    ledger, python = provider.deployed.linkgate["LedgerTable"], Path(sys.executable).parent
    told = shell.run("/bin/sh", "-ec", f'PATH="{python}:$PATH" LedgerTable={ledger}; {command}')
    items = [json.loads(line) for line in told.splitlines()]
    assert {item["entry"] for item in items if item["endpoint_id"] == endpoint} > {"current"}


def test_make_demo_holds_every_step_and_leaves_nothing_behind(start: Callable[..., "Run"]) -> None:
    demo = start("demo")
    told = demo.read_until("every step held")
    assert "row put: @settings, mode = enforce\n" in told
    lines = told.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert [line for line in lines if len(line) > 80] == []
    assert "request to accepted" in told
    assert demo.process.wait(60) == 0
    assert demo.remains() == []


@pytest.mark.parametrize("moment", ["sam build", "may connect"])
def test_interrupted_in_the_middle_the_demo_leaves_nothing_behind(moment: str, start: Callable[..., "Run"]) -> None:
    demo = start("demo")
    demo.read_until(moment)
    demo.signal(signal.SIGINT)
    assert demo.process.wait(60) == 130
    assert demo.remains() == []


def test_make_lab_writes_its_variables_and_takes_them_away_again(start: Callable[..., "Run"]) -> None:
    assert not (STATE / "env").exists(), "a lab is up: end it first"
    port = free_port()
    lab = start("up", "--port", str(port))
    lab.read_until("Ctrl-C")
    names = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "LINKGATE_STACK", "LINKGATE_DEMO_STACK")
    script = ". .lab/env; for tool in linkgate aws sam; do command -v $tool; done; echo " + " ".join(
        f"${name}" for name in names
    )
    done = subprocess.run(["/bin/sh", "-c", script], cwd=CHECKOUT, capture_output=True, text=True)
    values = f"http://127.0.0.1:{port} eu-west-1 111111111111 linkgate linkgate-demo"
    assert done.stdout.splitlines() == [str(LINKGATE), str(AWS), str(SAM), values]
    second = start("up", "--port", str(port))
    assert "is in use" in second.read_until("is in use", running=False)
    lab.signal(signal.SIGINT)
    assert lab.process.wait(60) == 0
    assert not (STATE / "env").exists()
    assert lab.remains() == []


def test_a_lab_whose_owner_is_killed_ends_too_and_the_next_start_removes_its_remains(
    start: Callable[..., "Run"], until: Await
) -> None:
    demo = start("demo")
    demo.read_until("sam deploy")
    demo.signal(signal.SIGKILL)
    demo.process.wait(60)
    until(lambda: [what for what in demo.remains() if "process" in what], [])
    with LabProcess():
        assert demo.remains() == []


def test_a_step_that_does_not_hold_says_what_was_expected_and_where_the_logs_are(start: Callable[..., "Run"]) -> None:
    demo = start("demo")
    demo.read_until("sam deploy")  # done; sam build is next
    with (demo.folder / "build").open("w"):
        pass  # a file where the SAM CLI wants a folder
    told = demo.read_until("logs: ")
    assert "sam build failed with status" in told
    assert demo.process.wait(60) == 1
    assert demo.remains() == []


@pytest.fixture
def start() -> Iterator[Callable[..., "Run"]]:
    runs: list[Run] = []
    # Who runs this in a shell's background ignores Ctrl-C, and so would all that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def begin(*arguments: str) -> Run:
        runs.append(Run(arguments))
        return runs[-1]

    yield begin
    for run in runs:
        run.process.kill()
        run.process.wait()


class Run:
    """One `python -m lab …`, as the Makefile starts it, in a process group of its own as in a terminal."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "lab", *arguments],
            cwd=CHECKOUT,
            env={name: value for name, value in os.environ.items() if name != BUILDS},  # it builds, as a user's does
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.folder = Path()

    def read_until(self, text: str, running: bool = True) -> str:
        """What it says up to the line with `text`; `running` if it has a lab by then."""
        seen = ""
        for line in self.process.stdout or ():
            seen += line
            if text in line:
                self.folder = self.folder if self.folder.name or not running else self._own_folder()
                return seen
        pytest.fail(f"ended without {text!r}:\n{seen}")

    def signal(self, number: int) -> None:
        """To the whole group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def remains(self) -> list[str]:
        """What is left of the run: its folder, processes whose environment points into it, namespaces."""
        left = [f"process {path}" for path in Path("/proc").glob("[0-9]*/environ") if self._points_here(path)]
        left += [f"folder {self.folder}"] if self.folder.exists() else []
        left += [f"temporary {path}" for path in Path(tempfile.gettempdir()).glob("ministack*")]
        return left + [f"namespace {path}" for path in Path("/run/netns").glob("linkgate*")]

    def _own_folder(self) -> Path:
        owned = {path.parent for path in STATE.glob("run-*/owner") if path.read_text() == str(self.process.pid)}
        assert len(owned) == 1, owned
        return owned.pop()

    def _points_here(self, environ: Path) -> bool:
        try:
            return bytes(self.folder) in environ.read_bytes()
        except OSError:
            return False
