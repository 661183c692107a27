"""Deploying the real templates into the local AWS with the real SAM CLI."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import boto3

from lab.harness import organization
from lab.harness.dataplane import DataPlane
from lab.harness.process import CHECKOUT, PROVIDER_ACCOUNT, REGION, LabError, LabProcess

STACK, DEMO_STACK, CANARY_STACK = "linkgate", "linkgate-demo", "watch"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
PORTS = {"namespaces": (80, 443), "loopback": (8080, 8443)}
"""The demo's ports of HTTP and HTTPS by data plane: above 1024 where it needs no privilege."""
CIDRS = {"namespaces": "10.0.0.0/8", "loopback": "127.0.0.0/8"}
"""Where the canary may find endpoints."""
PRIVATE_NAME = "hello.example.com"
BUILDS = "LAB_BUILDS"
"""The variable that names a folder in which labs side by side find what one of them has built, which takes seconds.

It is for one run: what lies there is not built again when the code changes.
"""
CONSUMERS = ("222222222222", "333333333333")
"""Accounts that may ask for a connection, beside the provider's own."""


@dataclass(frozen=True)
class Deployed:
    """Both stacks' outputs, by their names."""

    linkgate: Mapping[str, str]
    demo: Mapping[str, str]

    @property
    def service(self) -> str:
        return self.demo["ServiceId"]


def client(lab: LabProcess, service: str, account: str = PROVIDER_ACCOUNT) -> Any:
    """A real boto3 client towards the lab, as root of an account."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=lab.url,
        region_name=REGION,
        aws_access_key_id=account,
        aws_secret_access_key="lab",  # noqa: S106 - the lab takes any
    )


def deploy(lab: LabProcess, step: Callable[[str], None] = lambda text: None, second: bool = False) -> Deployed:
    """Build and deploy stacks/demo.yaml and template.yaml; `step` is called with what begins. Raises LabError.

    `second` is for a second consumer VPC.
    """
    demo = deploy_demo(lab, step, second)
    step("sam build: four functions and two layers")
    _build(lab, CHECKOUT / "template.yaml")
    step("sam deploy: Linkgate")
    return Deployed(redeploy(lab, demo), demo)


def redeploy(lab: LabProcess, demo: Mapping[str, str], stack: str = STACK, **more: str) -> dict[str, str]:
    """Deploy what was built of template.yaml beside a demo with these outputs; the stack's outputs. Raises LabError.

    `more` are parameters beside the lab's.
    """
    _deploy(lab, _built(lab, CHECKOUT / "template.yaml"), stack, {**parameters(lab, demo), **more})
    return outputs(lab, stack)


def parameters(lab: LabProcess, demo: Mapping[str, str]) -> dict[str, str]:
    """What Linkgate is deployed with beside a demo with these outputs."""
    plane = DataPlane(lab.folder).kind
    port, _ = PORTS[plane]
    return {
        "PythonRuntime": RUNTIME,
        "CanarySubnetIds": demo["CanarySubnetIds"],
        "CanarySecurityGroupIds": demo["CanarySecurityGroupId"],
        "CanaryPorts": ",".join(map(str, PORTS[plane])),
        "CanaryCidrs": CIDRS[plane],
        "CanaryNames": f"vpce.amazonaws.com,{PRIVATE_NAME}",
        "DefaultProbe": f"http://:{port}/",
        "OrganizationsRoleArn": organization.reader(partial(client, lab, account=organization.MANAGEMENT_ACCOUNT)),
        "SweepRate": "rate(1 minute)",
        "DeletionProtection": "false",
    }


def deploy_canary(lab: LabProcess, account: str, patrol: str, subnets: Sequence[str], groups: Sequence[str]) -> str:
    """Build and deploy stacks/consumer-canary.yaml as a consumer's account, for the patrol with the role `patrol`; the
    canary's ARN. Raises LabError."""
    template = _build(lab, CHECKOUT / "stacks" / "consumer-canary.yaml")
    plane = DataPlane(lab.folder).kind
    parameters = {
        "PythonRuntime": RUNTIME,
        "PatrolRoleArn": patrol,
        "SubnetIds": ",".join(subnets),
        "SecurityGroupIds": ",".join(groups),
        "Ports": ",".join(map(str, PORTS[plane])),
        "Cidrs": CIDRS[plane],
        "Names": f"vpce.amazonaws.com,{PRIVATE_NAME}",
    }
    _deploy(lab, template, CANARY_STACK, parameters, account)
    return outputs(lab, CANARY_STACK, account)["Function"]


def deploy_demo(
    lab: LabProcess, step: Callable[[str], None] = lambda text: None, second: bool = False
) -> dict[str, str]:
    """Deploy stacks/demo.yaml alone, `second` with a second consumer VPC; its outputs. Raises LabError.

    The service's private name is verified; no endpoint uses it yet.
    """
    step("sam deploy: two VPCs, servers, an endpoint service, an endpoint")
    _deploy(lab, CHECKOUT / "stacks" / "demo.yaml", DEMO_STACK, demo_parameters(lab, second))
    demo = outputs(lab, DEMO_STACK)
    client(lab, "ec2").start_vpc_endpoint_service_private_dns_verification(ServiceId=demo["ServiceId"])
    return demo


def demo_parameters(lab: LabProcess, second: bool = False) -> dict[str, str]:
    """What stacks/demo.yaml is deployed with."""
    port, tls_port = PORTS[DataPlane(lab.folder).kind]
    return {
        "Port": str(port),
        "TlsPort": str(tls_port),
        "AllowedPrincipals": ",".join(f"arn:aws:iam::{one}:root" for one in (PROVIDER_ACCOUNT, *CONSUMERS)),
        "PrivateDnsName": PRIVATE_NAME,
        "SecondConsumer": str(second).lower(),
    }


def enforce(lab: LabProcess, deployed: Deployed, **more: str) -> str:
    """Put the row that lets Linkgate act on the demo's service, with `more` settings; the row in words."""
    settings = {"mode": "enforce", **more}
    row = {"service": deployed.service, "consumer": "@settings", **settings}
    client(lab, "dynamodb").put_item(
        TableName=deployed.linkgate["AllowListTable"], Item={name: {"S": value} for name, value in row.items()}
    )
    return ", ".join(["@settings", *(f"{name} = {value}" for name, value in settings.items())])


def probes(lab: LabProcess) -> str:
    """The probes that show the most on the lab's data plane, as `@settings` has them: HTTPS needs namespaces."""
    plane = DataPlane(lab.folder).kind
    port, tls_port = PORTS[plane]
    return f"http://:{port}/" + (f",https://:{tls_port}/" if plane == "namespaces" else "")


def outputs(lab: LabProcess, stack: str, account: str = PROVIDER_ACCOUNT) -> dict[str, str]:
    """A stack's outputs."""
    described = client(lab, "cloudformation", account).describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def _build(lab: LabProcess, template: Path) -> Path:
    """The template that is to be deployed, with its code built beside it, unless another lab did that."""
    built = _built(lab, template)
    arguments = ("build", "--template-file", str(template), "--build-dir", str(built.parent))
    if not os.environ.get(BUILDS):
        _sam(lab, PROVIDER_ACCOUNT, *arguments)
        return built
    with (built.parent.parent / f"{template.stem}.built").open("a+") as done:
        fcntl.flock(done, fcntl.LOCK_EX)
        done.seek(0)
        if not done.read():  # written last: the template of a build that was killed may lie there too
            _sam(lab, PROVIDER_ACCOUNT, *arguments)
            done.write("built\n")
    return built


def _built(lab: LabProcess, template: Path) -> Path:
    """Where a template lies once it is built: in the lab's folder, or in `BUILDS` for the labs of all its processes."""
    return Path(os.environ.get(BUILDS) or lab.folder / "build") / template.stem / "template.yaml"


def _deploy(
    lab: LabProcess, template: Path, stack: str, parameters: Mapping[str, str], account: str = PROVIDER_ACCOUNT
) -> None:
    what = ("--template-file", str(template), "--stack-name", stack, "--capabilities", "CAPABILITY_IAM")
    how = ("--resolve-s3", "--no-confirm-changeset", "--no-fail-on-empty-changeset")
    overrides = (f'{name}="{value}"' for name, value in parameters.items())
    _sam(lab, account, "deploy", *what, *how, "--parameter-overrides", *overrides)


def _sam(lab: LabProcess, account: str, *arguments: str) -> None:
    """Run the SAM CLI as an account; its output goes to the run's folder and is shown where it fails."""
    tools = Path(sys.prefix).parent / "sam" / "bin"
    environment = {
        **os.environ,
        **lab.environment(account),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), str(tools), os.environ.get("PATH", ""))),
        "SAM_CLI_TELEMETRY": "0",
        "TMPDIR": str(lab.folder),
        "HOME": str(lab.folder),
    }
    done = subprocess.run(  # noqa: S603 - our own arguments
        [str(tools / "sam"), *arguments],
        cwd=lab.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    (lab.folder / f"sam-{arguments[0]}.log").write_text(done.stdout)
    if done.returncode:
        raise LabError(f"sam {arguments[0]} failed with status {done.returncode}:\n{done.stdout[-4000:]}")
