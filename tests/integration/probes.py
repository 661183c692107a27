"""The real canary in the consumer's VPC, without a way out, and what its verdicts on an endpoint mean together."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from linkgate.aws.connections import Connections
from linkgate.health import status
from linkgate.health.diagnosis import Diagnosis, diagnose
from linkgate.health.targets import Target, targets_of
from linkgate.health.verdict import Verdict
from linkgate.model import Connection, State, Status
from linkgate.patrol.canaries import Canaries
from linkgate.policy.probes import Probe

from lab.harness import shell
from lab.harness.dataplane import DataPlane
from lab.harness.process import CHECKOUT
from tests.integration.vpcs import Vpcs

PROBES = ("http://:80/", "https://:443/")
MORE_PROBES = (*PROBES, "http://:80/again", "https://:443/again")
"""For packets that are lost by chance: probes enough that a round hardly ever misses it.

Measured: 400 rounds of PROBES with 30 % of the packets lost, taken together in twos, found nothing but the loss in 200
of 200; beside a missing private name 199 of 200 found both and one the name alone. An engineer hears what most of
three to five bad rounds found, so two must miss it: in 200,000 draws from those rounds they did never and 13 times.
"""
ROUNDS = 30
"""Rounds after which an endpoint that is not unhealthy by then counts as healthy."""
ROUND_SECONDS = 1.0
"""From one round to the next, a minute for patrol: time for the lab's load balancers to check their targets once."""
SHORT = 1.0
"""Seconds of a phase. Where no packet is lost by chance, an answer that takes longer never comes."""

# Answers go to the first standard output; what the canary logs, to the second.
_INSIDE = """
import json, os, sys
from types import SimpleNamespace
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
from functions.canary.app import handler
context = SimpleNamespace(
    function_name="canary", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="id",
    get_remaining_time_in_millis=lambda: 60_000,
)
for line in sys.stdin:
    answers.write(json.dumps(handler(json.loads(line), context)) + "\\n")
"""


class Canary:
    """The canary's own handler, warm, in the namespace of a VPC. It speaks as Lambda's client does."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.timeout: float | None = SHORT
        """Seconds of a phase, in place of patrol's; None for patrol's own."""

    def invoke(self, FunctionName: str, Payload: str) -> Mapping[str, Any]:
        """What the canary answers; nothing if its process ended."""
        asked = json.loads(Payload)
        for target in asked["targets"] if self.timeout else ():
            target["timeout_seconds"] = self.timeout
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return {"Payload": BytesIO(self._process.stdout.readline().encode())}


@contextmanager
def inside(vpcs: Vpcs, **more: str) -> Iterator[Canary]:
    """A canary in the first consumer's VPC, with the limits that the template gives it and nothing of AWS's.

    `more` are further variables of its environment.
    """
    data_plane = DataPlane(vpcs.lab.folder)
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join((str(CHECKOUT), *map(str, (CHECKOUT / "layers").iterdir()))),
        "CANARY_NAMES": "vpce.amazonaws.com,example.com,unverified.test",
        "CANARY_PORTS": "80,443",
        "CANARY_CIDRS": "10.0.0.0/8",
        "SSL_CERT_FILE": data_plane.authority,
        **more,
    }
    command = [*data_plane.enter(shell.vpc_id(vpcs.demo, "consumer")), "env", "-i"]
    command += [*(f"{name}={value}" for name, value in environment.items()), sys.executable, "-c", _INSIDE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Canary(process)
        finally:
            process.kill()


@dataclass(frozen=True)
class Watch:
    """One endpoint as EC2 described it when the watch began, seen through a canary as patrol sees it."""

    vpcs: Vpcs
    canary: Canary
    connection: Connection
    private_name: str
    probes: Sequence[str] = PROBES

    def targets(self) -> Sequence[Target]:
        """Every probe of every name."""
        return targets_of(self.connection, [Probe.parse(probe) for probe in self.probes], self.private_name)

    def verdicts(self) -> list[Verdict]:
        """One round of the canary over all targets."""
        canaries = Canaries(lambda region: self.canary, "linkgate-canary")  # type: ignore[arg-type,return-value]
        found = canaries.probe({"linkgate-canary": [self.targets()]}, lambda: 3600)
        assert not found.absent
        return found.verdicts[self.connection.endpoint]

    def diagnosis(self) -> Diagnosis:
        """One round and what it means, with the states that EC2 shows after it."""
        verdicts = self.verdicts()
        return diagnose(verdicts, self.state(), private_dns(self.vpcs)[1])

    def state(self) -> State:
        """EC2's word for the connection now; what it does not show any more is deleted."""
        mine = self.connection
        found = Connections(self.vpcs.ec2).named({mine.endpoint: mine.account}, [mine.service])
        return found[0].state if found else State.DELETED

    def reported(self) -> Diagnosis:
        """What an engineer hears: what most of the bad rounds found once three of the last five were bad.

        A healthy diagnosis if that does not happen.
        """
        recent, last = "", list[Diagnosis]()
        for _ in range(ROUNDS):
            begun = time.monotonic()
            last.append(self.diagnosis())
            recent = status.grown(recent, not last[-1].cause)
            if status.status_after(Status.VERIFIED, recent) is Status.UNHEALTHY:
                bad = [one for one in reversed(last[-status.ROUNDS :]) if one.cause]
                ((most, _),) = Counter((one.cause, one.also) for one in bad).most_common(1)
                return next(one for one in bad if (one.cause, one.also) == most)
            time.sleep(max(0.0, begun + ROUND_SECONDS - time.monotonic()))
        return Diagnosis()


def private_dns(vpcs: Vpcs) -> tuple[str, str]:
    """The service's private name and its state."""
    described = vpcs.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[vpcs.demo["ServiceId"]])
    (service,) = described["ServiceConfigurations"]
    return service["PrivateDnsName"], service["PrivateDnsNameConfiguration"]["State"]


def watch(vpcs: Vpcs, canary: Canary, endpoint: str) -> Watch:
    """Begin to watch an endpoint."""
    (connection,) = Connections(vpcs.ec2).named({endpoint: ""}, [vpcs.demo["ServiceId"]])
    return Watch(vpcs, canary, connection, private_dns(vpcs)[0])
