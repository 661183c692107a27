"""The story of Linkgate on one machine: every step is shown as it happens, and must hold."""

import statistics
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.status import Status
from rich.table import Table

from lab.harness import shell
from lab.harness.account import Provider
from lab.harness.dataplane import DataPlane
from lab.harness.deploy import CONSUMERS, Deployed, client, deploy, enforce
from lab.harness.process import PROVIDER_ACCOUNT, LabProcess

UNLISTED, DENIED = CONSUMERS
REPEATS = 5
"""Connections made one after another for the median."""
_CURL_TIMEOUT = 28
MARGIN = " " * 12
"""What stands before a line that took no time worth showing."""


class StepFailed(Exception):
    """A step did not hold: what was expected, and what was seen instead."""


@dataclass
class Demo:
    """One run of the story against a running lab."""

    lab: LabProcess
    console: Console
    deployed: Deployed = field(init=False)
    provider: Provider = field(init=False)
    accepted: list[float] = field(default_factory=list)
    verified: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Every step in order; raises StepFailed or LabError at the first that does not hold."""
        self.chapter("The real templates, deployed by the real SAM CLI into a local AWS")
        with self.console.status("") as status:
            stages = Stages(self, status)
            self.deployed = deploy(self.lab, stages.begin)
            stages.end()
        self.provider = Provider(self.lab, self.deployed)
        self.line("Linkgate only observes until a row says mode = enforce")
        self.decisions()
        self.repeat()
        self.outage()
        self.summary()

    # ------------------------------------------------------------------ the steps

    def decisions(self) -> None:
        """An allowed, an unlisted and a denied consumer."""
        self.chapter("One row is all it takes")
        endpoint = self.deployed.demo["EndpointId"]
        self.expect(f"{endpoint} waits", lambda: self.provider.state(endpoint), "pendingAcceptance")
        self.curl_endpoint("timed out")
        self.line(f"row put: {enforce(self.lab, self.deployed)}")
        self.provider.put_row(PROVIDER_ACCOUNT, effect="allow", owner="platform team", reason="the demo's consumer")
        start = time.monotonic()
        self.line(f"row put: {PROVIDER_ACCOUNT}, effect = allow: this account may connect")
        self.expect("accepted because of the row", lambda: self.provider.state(endpoint), "available", start)
        self.expect("verified: the canary crossed it", lambda: self.provider.status(endpoint), "VERIFIED", start)
        self.line(f"phases {self.phases(endpoint)}")
        self.curl_endpoint("200")

        self.provider.put_row(DENIED, effect="deny", reason="contract ended")
        start = time.monotonic()
        waiting, denied = self.provider.connect(UNLISTED), self.provider.connect(DENIED)
        self.line(f"{UNLISTED} (no row) and {DENIED} (a deny row) ask")
        self.expect("rejected because of the row", lambda: self.provider.state(denied), "rejected", start)
        held = {"status": "HELD", "reason": "not_listed"}
        self.expect("held: no row, no entry", lambda: self.part(waiting, held), held, start)
        self.expect("and EC2 leaves it waiting", lambda: self.provider.state(waiting), "pendingAcceptance", start)

    def curl_endpoint(self, wanted: str) -> None:
        """The tutorial's curl in the consumer VPC, if the lab has namespaces."""
        data_plane = DataPlane(self.lab.folder)
        if data_plane.kind != "namespaces":
            return
        vpc = self.deployed.demo["ConsumerVpcId"]
        name = shell.variables(self.lab, self.deployed.demo, "consumer")["ENDPOINT"]

        def curl() -> str:
            done = data_plane.run(
                vpc, "curl", "-s", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", f"http://{name}/"
            )
            return "timed out" if done.returncode == _CURL_TIMEOUT else done.stdout

        self.expect(f"curl http://$ENDPOINT/ in the consumer VPC: {wanted}", curl, wanted)
        if wanted == "200":
            known = data_plane.run(vpc, "getent", "ahostsv4", name).stdout
            addresses = list(dict.fromkeys(line.split()[0] for line in known.splitlines()))
            what = f"$ENDPOINT has an address in each subnet: {', '.join(addresses)}"
            self.expect(what, lambda: self.subnets_of(addresses), self.subnets_of())

    def subnets_of(self, addresses: Sequence[str] | None = None) -> list[str]:
        """The blocks of the consumer's subnets that some addresses lie in, one for each; without any, all blocks."""
        ids = self.deployed.demo["ConsumerSubnetIds"].split(",")
        found = client(self.lab, "ec2").describe_subnets(SubnetIds=ids)["Subnets"]
        blocks = sorted(subnet["CidrBlock"] for subnet in found)
        if addresses is None:
            return blocks
        return sorted(block for one in addresses for block in blocks if IPv4Address(one) in IPv4Network(block))

    def repeat(self) -> None:
        """How long a request takes, warm."""
        self.chapter(f"{REPEATS} requests one after another")
        for _ in range(REPEATS):
            start = time.monotonic()
            endpoint = self.provider.connect()
            self.expect("available", partial(self.provider.state, endpoint), "available", start, show=False)
            self.accepted.append(time.monotonic() - start)
            self.expect("verified", partial(self.provider.status, endpoint), "VERIFIED", start, show=False)
            self.verified.append(time.monotonic() - start - self.accepted[-1])
            self.line(f"{endpoint} accepted after {self.accepted[-1]:.2f} s, crossed {self.verified[-1]:.2f} s later")
            self.provider.disconnect(endpoint)
        self.expect("deleted endpoints are closed in the ledger", lambda: self.provider.status(endpoint), "CLOSED")

    def outage(self) -> None:
        """The service behind the endpoint dies and comes back."""
        self.chapter("The service behind the endpoint dies, and returns")
        ec2, servers = client(self.lab, "ec2"), self.deployed.demo["ServerIds"].split(",")
        self.expect("the alarm is quiet", self.alarm, "OK")
        start = time.monotonic()
        ec2.stop_instances(InstanceIds=servers)
        self.line("both servers stopped")
        self.expect("alarm endpoint-unhealthy rings", self.alarm, "ALARM", start)
        endpoint = self.deployed.demo["EndpointId"]
        self.expect("the ledger says so", lambda: self.provider.status(endpoint), "UNHEALTHY", start)
        health = self.provider.known(endpoint)["health"]
        cause = textwrap.fill(f"cause {health['cause']}: {health['detail']}", 80 - len(MARGIN))
        self.line(cause.replace("\n", f"\n{MARGIN}"))
        start = time.monotonic()
        ec2.start_instances(InstanceIds=servers)
        self.line("both servers started")
        self.expect("alarm endpoint-unhealthy is quiet again", self.alarm, "OK", start)
        self.expect("the endpoint is verified again", lambda: self.provider.status(endpoint), "VERIFIED", start)

    def summary(self) -> None:
        """The connections, the alarms and the medians at the end."""
        self.console.print()
        self.console.print(self._connections())
        self.console.print(self._alarms())
        self.console.print(
            f"{REPEATS} requests, warm, medians:"
            f"\n  request to accepted [bold]{statistics.median(self.accepted):.2f} s[/]"
            f"\n  accepted to verified [bold]{statistics.median(self.verified):.2f} s[/]",
            highlight=False,
        )

    # ------------------------------------------------------------------ showing

    def chapter(self, title: str) -> None:
        self.console.print(f"\n[bold]{title}[/]")

    def line(self, text: str, seconds: float | None = None) -> None:
        when = f"{seconds:6.2f} s" if seconds is not None else " " * 8
        self.console.print(f"  [cyan]{when}[/]  {text}", highlight=False)

    def expect(
        self, what: str, see: Callable[[], Any], wanted: Any, start: float | None = None, show: bool = True
    ) -> None:
        """Wait until `see()` equals `wanted`, and show it; StepFailed if it does not in time."""
        begun, seen = time.monotonic(), None
        with self.console.status(f"waiting: {what}"):
            while time.monotonic() - begun < 90:
                seen = see()
                if seen == wanted:
                    break
                time.sleep(0.1)
        if seen != wanted:
            unhealthy = "".join(f"\n  {line}" for line in self.complaints())
            raise StepFailed(f"{what}: expected {wanted!r}, still saw {seen!r} after 90 s{unhealthy}")
        if show:
            self.line(f"[green]✓[/] {what}", time.monotonic() - start if start else None)

    def complaints(self) -> list[str]:
        """What the canary said last of each endpoint that did not answer."""
        found = self.provider.endpoints()
        bad = [(known["endpoint_id"], known["health"]) for known in found if known.get("health", {}).get("cause")]
        return [f"{endpoint}: {health['cause']}: {health['detail']}" for endpoint, health in bad]

    def part(self, endpoint: str, like: dict[str, Any]) -> dict[str, Any]:
        known = self.provider.known(endpoint)
        return {name: known.get(name) for name in like}

    def phases(self, endpoint: str) -> str:
        phases = self.provider.known(endpoint)["health"]["phases"]
        return ", ".join(f"{name} {float(value):.1f} ms" for name, value in phases.items())

    def alarm(self) -> str:
        return self.provider.alarm("endpoint-unhealthy")

    def _connections(self) -> Table:
        table = Table(title="connections", title_justify="left", box=SIMPLE_HEAD)
        for column in ("endpoint", "consumer", "decision", "reason", "status"):
            table.add_column(column, no_wrap=True)
        colours = {"VERIFIED": "green", "HELD": "yellow", "REJECTED": "red", "CLOSED": "dim"}
        for known in self.provider.endpoints():
            health = f"[{colours.get(known['status'], 'white')}]{known['status']}[/]"
            table.add_row(known["endpoint_id"], known["account"], known["outcome"], known["reason"], health)
        return table

    def _alarms(self) -> Table:
        table = Table("alarm", "state", title="alarms", title_justify="left", box=SIMPLE_HEAD)
        for name, state in self.provider.alarms():
            table.add_row(name, f"[{'green' if state == 'OK' else 'red'}]{state}[/]")
        return table


class Stages:
    """The slow steps of a deployment: a spinner while one lasts, a line with its time when it is done."""

    def __init__(self, demo: Demo, status: Status) -> None:
        self._demo, self._status = demo, status
        self._text, self._start = "", time.monotonic()

    def begin(self, text: str) -> None:
        self.end()
        self._text, self._start = text, time.monotonic()
        self._status.update(f"{text} …")

    def end(self) -> None:
        if self._text:
            self._demo.line(f"[green]✓[/] {self._text}", time.monotonic() - self._start)
