"""A shell inside one of the demo's VPCs."""

import os
from collections.abc import Mapping
from typing import Any

from lab.harness.dataplane import DataPlane
from lab.harness.deploy import client
from lab.harness.process import LabError, LabProcess

VPCS = {"consumer": "ConsumerVpcId", "consumer2": "SecondConsumerVpcId", "provider": "ProviderVpcId"}
"""The names that a person gives them, and the outputs of stacks/demo.yaml."""


def enter(lab: LabProcess, demo: Mapping[str, str], name: str) -> None:
    """Replace this process by a shell in a VPC. LabError where there is none."""
    vpc = vpc_id(demo, name)
    data_plane = DataPlane(lab.folder)
    # The status of the last command in it is not the status of the shell.
    command = [*data_plane.enter(vpc), "sh", "-c", '"$0" || true', os.environ.get("SHELL") or "/bin/sh"]
    os.execvpe(command[0], command, {**os.environ, **variables(lab, demo, name)})  # noqa: S606 - what is asked for


def vpc_id(demo: Mapping[str, str], name: str) -> str:
    """The id of one of the demo's VPCs."""
    if name not in VPCS:
        raise LabError(f"there is no VPC {name!r}; there are {', '.join(VPCS)}")
    if VPCS[name] not in demo:
        raise LabError("the lab has no second consumer VPC: start it with make lab SECOND=1")
    return demo[VPCS[name]]


def endpoints(lab: LabProcess, demo: Mapping[str, str], vpc: str) -> list[dict[str, Any]]:
    """The endpoints of a VPC on the demo's service that are not deleted, as EC2 describes them."""
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "service-name", "Values": [demo["ServiceName"]]}]
    found = client(lab, "ec2").describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
    return [one for one in found if one["State"].lower() not in ("deleting", "deleted")]


def variables(lab: LabProcess, demo: Mapping[str, str], name: str) -> dict[str, str]:
    """What a shell in a VPC finds in its environment.

    ENDPOINT, ENDPOINT_A and ENDPOINT_B are the regional name and the zonal ones, in the order of the zones, of the
    VPC's endpoint (the first consumer's, seen from the provider), PRIVATE_NAME the service's private name, NLB the load
    balancer's; PORT and TLS_PORT are the listeners'. Python, OpenSSL and curl trust the lab's certificates.
    """
    found = endpoints(lab, demo, vpc_id(demo, "consumer" if name == "provider" else name))
    names = [entry["DnsName"] for entry in found[0]["DnsEntries"]] if found else []
    service = client(lab, "ec2").describe_vpc_endpoint_service_configurations(ServiceIds=[demo["ServiceId"]])
    listeners = client(lab, "elbv2").describe_listeners(LoadBalancerArn=demo["LoadBalancerArn"])["Listeners"]
    ports = [str(port) for port in sorted(listener["Port"] for listener in listeners)]
    trust = DataPlane(lab.folder).authority
    return {
        **dict(zip(("ENDPOINT", "ENDPOINT_A", "ENDPOINT_B"), names, strict=False)),
        "PRIVATE_NAME": service["ServiceConfigurations"][0].get("PrivateDnsName", ""),
        "NLB": demo["LoadBalancerDnsName"],
        **dict(zip(("PORT", "TLS_PORT"), ports, strict=False)),
        "SSL_CERT_FILE": trust,
        "CURL_CA_BUNDLE": trust,
        "PS1": f"{name} VPC $ ",
    }
