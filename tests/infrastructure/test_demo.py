"""stacks/demo.yaml: one port all the way from the consumer to the server, and a gate that only Linkgate opens."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.infrastructure.stack import ROOT, Stack, named, parsed, resolved, walk

OUTPUTS = {
    "ServiceId",
    "ServiceName",
    "ProviderVpcId",
    "ConsumerVpcId",
    "ConsumerSubnetIds",
    "ConsumerSecurityGroupId",
    "EndpointId",
}
PORT = "8443"


@pytest.fixture(scope="module")
def moved() -> Stack:
    """The demo on another port than its default, so that a port written out is seen."""
    return resolved(parsed(ROOT / "stacks" / "demo.yaml"), {"Port": PORT})


def unmanaged(stack: Stack) -> list[str]:
    """Endpoint services that are open, not Linkgate's, or visible to anybody."""
    problems = []
    for name, service in stack.of("AWS::EC2::VPCEndpointService").items():
        if service.get("AcceptanceRequired") is not True:
            problems.append(f"{name} accepts every connection by itself")
        if {"Key": "linkgate", "Value": "managed"} not in service.get("Tags", []):
            problems.append(f"{name} is not tagged linkgate = managed")
        permissions = stack.of("AWS::EC2::VPCEndpointServicePermissions").values()
        mine = [one for one in permissions if named(one["ServiceId"]) == name]
        if not mine:
            problems.append(f"{name} lets nobody ask")
        problems += [
            f"{name} lets {who} ask" for one in mine for who in one["AllowedPrincipals"] if "*" in who or not who
        ]
    return problems


def other_ports(stack: Stack) -> list[str]:
    """Ports on the way that are not the parameter's."""
    return [
        f"{name}: {path[-1]} is {value}"
        for name in stack.resources
        for path, value in walk(stack.properties(name))
        if path and path[-1] in ("Port", "FromPort", "ToPort", "HealthCheckPort") and str(value) != PORT
    ]


def crossed_wires(stack: Stack) -> list[str]:
    """A path that does not lead from the endpoint to the servers."""
    endpoint = next(iter(stack.of("AWS::EC2::VPCEndpoint").values()))
    service = next(iter(stack.of("AWS::EC2::VPCEndpointService").values()))
    balancers = stack.of("AWS::ElasticLoadBalancingV2::LoadBalancer")
    holds = {
        "the endpoint is not one of the service": endpoint["ServiceName"] == stack.outputs["ServiceName"],
        "the endpoint is not an interface": endpoint["VpcEndpointType"] == "Interface",
        "the endpoint is not in the consumer VPC": endpoint["VpcId"] == stack.outputs["ConsumerVpcId"],
        "the endpoint has another security group": endpoint["SecurityGroupIds"]
        == [stack.outputs["ConsumerSecurityGroupId"]],
        "the endpoint is in other subnets": ",".join(endpoint["SubnetIds"]) == stack.outputs["ConsumerSubnetIds"],
        "the service has no internal network load balancer": [
            (balancers[named(one)]["Type"], balancers[named(one)]["Scheme"])
            for one in service["NetworkLoadBalancerArns"]
        ]
        == [("network", "internal")],
        "the VPCs are one": stack.outputs["ConsumerVpcId"] != stack.outputs["ProviderVpcId"],
    }
    return [problem for problem, good in holds.items() if not good]


CHECKS = [unmanaged, other_ports, crossed_wires]


@pytest.mark.parametrize("check", CHECKS)
def test_the_demo_is_the_architecture_of_the_tutorial(moved: Stack, check: Callable[[Stack], list[str]]) -> None:
    assert check(moved) == []


def test_the_demo_has_the_outputs_of_the_contract(demo: Stack) -> None:
    assert set(demo.outputs) >= OUTPUTS
    assert all(demo.outputs.values())


def test_the_port_is_asked_for_once_at_each_station(moved: Stack) -> None:
    stations = {name for name in moved.resources for path, _ in walk(moved.properties(name)) if "Port" in "".join(path)}
    assert {"Listener", "TargetGroup", "ServerSecurityGroup", "ConsumerSecurityGroup"} <= stations
    servers = moved.of("AWS::EC2::Instance").values()
    assert all(f"http.server {PORT}" in server["UserData"] for server in servers)


def test_principals_that_are_given_are_those_that_may_ask() -> None:
    given = "arn:aws:iam::222222222222:root,arn:aws:iam::333333333333:root"
    stack = resolved(parsed(ROOT / "stacks" / "demo.yaml"), {"AllowedPrincipals": given})
    assert stack.properties("ServicePermissions")["AllowedPrincipals"] == given.split(",")
    assert unmanaged(stack) == []


SPOILED: list[tuple[Callable[[Stack], list[str]], str, dict[str, Any], str]] = [
    (unmanaged, "Service", {"AcceptanceRequired": False}, "accepts every connection"),
    (unmanaged, "Service", {"Tags": [{"Key": "linkgate", "Value": "Managed"}]}, "is not tagged"),
    (unmanaged, "ServicePermissions", {"AllowedPrincipals": ["*"]}, "lets * ask"),
    (unmanaged, "ServicePermissions", {"ServiceId": "${Other}"}, "lets nobody ask"),
    (other_ports, "Listener", {"Port": 80}, "Listener: Port is 80"),
    (other_ports, "TargetGroup", {"Targets": [{"Id": "${ServerA}", "Port": "80"}]}, "TargetGroup: Port is 80"),
    (other_ports, "ConsumerSecurityGroup", {"SecurityGroupIngress": [{"FromPort": 1}]}, "FromPort is 1"),
    (crossed_wires, "Endpoint", {"VpcId": "${ProviderVpc}"}, "not in the consumer VPC"),
    (crossed_wires, "LoadBalancer", {"Scheme": "internet-facing"}, "no internal network load balancer"),
]


@pytest.mark.parametrize(("check", "name", "change", "problem"), SPOILED)
def test_a_demo_that_would_not_work_is_named(
    check: Callable[[Stack], list[str]], name: str, change: dict[str, Any], problem: str
) -> None:
    stack = resolved(parsed(ROOT / "stacks" / "demo.yaml"), {"Port": PORT})
    stack.properties(name).update(change)
    assert any(problem in found for found in check(stack)), check(stack)
