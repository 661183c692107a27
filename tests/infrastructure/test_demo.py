"""stacks/demo.yaml: two ports all the way from the consumers to the servers, and a gate that only Linkgate opens."""

import copy
import ipaddress
from collections.abc import Mapping
from typing import Any

import pytest

from tests.infrastructure.stack import ROOT, Check, Spoiled, Stack, named, parsed, resolved, walk

OUTPUTS = {
    "ServiceId",
    "ServiceName",
    "ProviderVpcId",
    "ProviderSubnetIds",
    "ServerIds",
    "LoadBalancerArn",
    "LoadBalancerDnsName",
    "ListenerArns",
    "TargetGroupArns",
    "ConsumerVpcId",
    "ConsumerSubnetIds",
    "ConsumerSecurityGroupId",
    "EndpointId",
    "CanarySubnetIds",
    "CanarySecurityGroupId",
}
SECOND = {"SecondConsumerVpcId", "SecondConsumerSubnetIds", "SecondConsumerSecurityGroupId", "SecondEndpointId"}
PORT, TLS_PORT = "8081", "8444"
NAME = "hello.example.com"
WAYS_OUT = {"InternetGateway", "EgressOnlyInternetGateway", "NatGateway", "Route", "VPCPeeringConnection", "EIP"}


def demo_with(**values: str) -> Stack:
    """The demo on other ports than its defaults, so that a port written out is seen."""
    return resolved(parsed(ROOT / "stacks" / "demo.yaml"), {"Port": PORT, "TlsPort": TLS_PORT, **values})


@pytest.fixture(scope="module")
def everything() -> Stack:
    return demo_with(CrossZone="true", SecondConsumer="true", PrivateDnsName=NAME, PrivateDnsEnabled="true")


def unmanaged(stack: Stack) -> list[str]:
    """Endpoint services that are open, not Linkgate's, or visible to anybody."""
    problems = []
    for name, service in stack.of("AWS::EC2::VPCEndpointService").items():
        if service.get("AcceptanceRequired") is not True:
            problems.append(f"{name} accepts every connection by itself")
        if {"Key": "linkgate", "Value": stack.parameters["TagValue"]} not in service.get("Tags", []):
            problems.append(f"{name} is not tagged for Linkgate")
        permissions = stack.of("AWS::EC2::VPCEndpointServicePermissions").values()
        mine = [one for one in permissions if named(one["ServiceId"]) == name]
        if not mine:
            problems.append(f"{name} lets nobody ask")
        problems += [
            f"{name} lets {who} ask" for one in mine for who in one["AllowedPrincipals"] if "*" in who or not who
        ]
    return problems


def other_ports(stack: Stack) -> list[str]:
    """Ports on the way that are not the parameters'."""
    return [
        f"{name}: {path[-1]} is {value}"
        for name in stack.resources
        for path, value in walk(stack.properties(name))
        if path and path[-1] in ("Port", "FromPort", "ToPort", "HealthCheckPort") and str(value) not in (PORT, TLS_PORT)
    ]


def crossed_ports(stack: Stack) -> list[str]:
    """Listeners that lead to other ports, or to servers that do not speak what the port is for."""
    groups, problems = stack.of("AWS::ElasticLoadBalancingV2::TargetGroup"), []
    servers = set(stack.of("AWS::EC2::Instance"))
    for name, listener in stack.of("AWS::ElasticLoadBalancingV2::Listener").items():
        group = groups[named(listener["DefaultActions"][0]["TargetGroupArn"])]
        if {str(port) for port in (group["Port"], *(one["Port"] for one in group["Targets"]))} != {listener["Port"]}:
            problems.append(f"{name} leads to another port")
        if group["HealthCheckProtocol"] != {PORT: "HTTP", TLS_PORT: "HTTPS"}.get(listener["Port"]):
            problems.append(f"{name} leads to targets that are checked by {group['HealthCheckProtocol']}")
        if {named(one["Id"]) for one in group["Targets"]} != servers:
            problems.append(f"{name} does not lead to every server")
        # With the client's address kept, a server that asks the load balancer times out on itself (ELB, loopback).
        if {"Key": "preserve_client_ip.enabled", "Value": "false"} not in group.get("TargetGroupAttributes", []):
            problems.append(f"{name} cannot be tried from a server")
    return problems


def open_groups(stack: Stack) -> list[str]:
    """Security groups that let in or out more or less than both ports within their own VPC."""
    blocks = {name: vpc["CidrBlock"] for name, vpc in stack.of("AWS::EC2::VPC").items()}
    problems = []
    for name, group in stack.of("AWS::EC2::SecurityGroup").items():
        rules = [*group.get("SecurityGroupIngress", []), *group.get("SecurityGroupEgress", [])]
        if {(rule.get("FromPort"), rule.get("ToPort")) for rule in rules} != {(PORT, PORT), (TLS_PORT, TLS_PORT)}:
            problems.append(f"{name} is not about both ports")
        if {rule.get("CidrIp") for rule in rules} != {blocks[named(group["VpcId"])]}:
            problems.append(f"{name} is not about its VPC alone")
    return problems


def crossed_wires(stack: Stack) -> list[str]:
    """A path that does not lead from the endpoints to the servers."""
    (service,) = stack.of("AWS::EC2::VPCEndpointService").values()
    balancers = stack.of("AWS::ElasticLoadBalancingV2::LoadBalancer")
    problems = []
    for name, endpoint in stack.of("AWS::EC2::VPCEndpoint").items():
        prefix = "Second" if name.startswith("Second") else ""
        holds = {
            "is not one of the service": endpoint["ServiceName"] == stack.outputs["ServiceName"],
            "is not an interface": endpoint["VpcEndpointType"] == "Interface",
            "is not in its consumer's VPC": endpoint["VpcId"] == stack.outputs[f"{prefix}ConsumerVpcId"],
            "has another security group": endpoint["SecurityGroupIds"]
            == [stack.outputs[f"{prefix}ConsumerSecurityGroupId"]],
            "is in other subnets": ",".join(endpoint["SubnetIds"]) == stack.outputs[f"{prefix}ConsumerSubnetIds"],
        }
        problems += [f"{name} {problem}" for problem, good in holds.items() if not good]
    kinds = [
        (balancers[named(one)]["Type"], balancers[named(one)]["Scheme"]) for one in service["NetworkLoadBalancerArns"]
    ]
    if kinds != [("network", "internal")]:
        problems.append("the service has no internal network load balancer")
    vpcs = [value for name, value in stack.outputs.items() if name.endswith("VpcId")]
    if len(set(vpcs)) < len(vpcs):
        problems.append("two of the VPCs are one")
    return problems


def lone_zones(stack: Stack) -> list[str]:
    """What stands in one zone alone, or in a subnet that is not of its VPC."""
    subnets, vpcs = stack.of("AWS::EC2::Subnet"), stack.of("AWS::EC2::VPC")
    problems = [
        f"{name} is not in its VPC"
        for name, one in subnets.items()
        if not _block(one).subnet_of(_block(vpcs[named(one["VpcId"])])) or one.get("MapPublicIpOnLaunch")
    ]
    stands = {
        "the load balancer": stack.properties("LoadBalancer")["Subnets"],
        "the servers": [server["SubnetId"] for server in stack.of("AWS::EC2::Instance").values()],
        "the canary": stack.outputs["CanarySubnetIds"].split(","),
        **{name: endpoint["SubnetIds"] for name, endpoint in stack.of("AWS::EC2::VPCEndpoint").items()},
    }
    for name, ids in stands.items():
        if len({subnets[named(one)]["AvailabilityZone"] for one in ids}) < 2:
            problems.append(f"{name} has one zone alone")
    return problems


def _block(resource: Mapping[str, Any]) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(resource["CidrBlock"])


def ways_out(stack: Stack) -> list[str]:
    """What would make a subnet public, or give a server permissions."""
    kinds = {name: one["Type"].split("::")[-1] for name, one in stack.resources.items()}
    problems = [f"{name} is a way out" for name, kind in kinds.items() if kind in WAYS_OUT]
    problems += [f"{name} gives permissions" for name, kind in kinds.items() if kind in ("Role", "InstanceProfile")]
    return problems


CHECKS = [unmanaged, other_ports, crossed_ports, open_groups, crossed_wires, lone_zones, ways_out]


@pytest.mark.parametrize("check", CHECKS)
def test_the_demo_is_the_architecture_of_the_tutorial(everything: Stack, check: Check) -> None:
    assert check(everything) == []


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_so_with_the_fewest_parameters_too(check: Check) -> None:
    assert check(demo_with()) == []


def test_the_demo_has_the_outputs_of_the_contract(demo: Stack, everything: Stack) -> None:
    assert set(demo.outputs) == OUTPUTS
    assert set(everything.outputs) == OUTPUTS | SECOND
    assert all(everything.outputs.values())


def test_the_demos_own_ports_are_those_of_the_web(demo: Stack) -> None:
    assert {one["Port"] for one in demo.of("AWS::ElasticLoadBalancingV2::Listener").values()} == {80, 443}


def test_the_second_consumer_has_the_same_addresses_in_a_vpc_of_its_own(demo: Stack, everything: Stack) -> None:
    first, second = (everything.properties(name) for name in ("ConsumerVpc", "SecondConsumerVpc"))
    assert first["CidrBlock"] == second["CidrBlock"]
    for letter in "AB":
        one, other = (everything.properties(f"{prefix}ConsumerSubnet{letter}") for prefix in ("", "Second"))
        assert (one["CidrBlock"], one["AvailabilityZone"]) == (other["CidrBlock"], other["AvailabilityZone"])
        assert one["VpcId"] != other["VpcId"]
    assert not [name for name in demo.resources if name.startswith("Second")]


def test_the_private_name_is_nobodys_unless_asked_for_and_the_first_consumers_alone(everything: Stack) -> None:
    named_only = demo_with(PrivateDnsName=NAME, SecondConsumer="true")
    assert "PrivateDnsName" not in demo_with().properties("Service")
    assert named_only.properties("Service")["PrivateDnsName"] == NAME
    enabled = [one.properties("Endpoint")["PrivateDnsEnabled"] for one in (demo_with(), named_only, everything)]
    assert enabled == ["false", "false", "true"]
    assert everything.properties("SecondEndpoint")["PrivateDnsEnabled"] is False


def test_zones_are_crossed_only_where_asked_for(demo: Stack, everything: Stack) -> None:
    crossed = [one.properties("LoadBalancer")["LoadBalancerAttributes"] for one in (demo, everything)]
    assert [[entry["Value"] for entry in attributes] for attributes in crossed] == [["false"], ["true"]]
    assert crossed[0][0]["Key"] == "load_balancing.cross_zone.enabled"


def test_principals_that_are_given_are_those_that_may_ask() -> None:
    given = "arn:aws:iam::222222222222:root,arn:aws:iam::333333333333:root"
    stack = demo_with(AllowedPrincipals=given)
    assert stack.properties("ServicePermissions")["AllowedPrincipals"] == given.split(",")
    assert unmanaged(stack) == []


def test_both_servers_are_launched_from_one_text(everything: Stack) -> None:
    launched = [server["LaunchTemplate"] for server in everything.of("AWS::EC2::Instance").values()]
    assert launched == [{"LaunchTemplateId": "${Server}", "Version": "${Server.LatestVersionNumber}"}] * 2


SPOILED = [
    Spoiled(unmanaged, "Service.AcceptanceRequired", False, "accepts every connection"),
    Spoiled(unmanaged, "Service.Tags", [{"Key": "linkgate", "Value": "Managed"}], "is not tagged"),
    Spoiled(unmanaged, "ServicePermissions.AllowedPrincipals", ["*"], "lets * ask"),
    Spoiled(unmanaged, "ServicePermissions.ServiceId", "${Other}", "lets nobody ask"),
    Spoiled(other_ports, "Listener.Port", 80, "Listener: Port is 80"),
    Spoiled(other_ports, "TargetGroup.Targets", [{"Id": "${ServerA}", "Port": "80"}], "TargetGroup: Port is 80"),
    Spoiled(other_ports, "ConsumerSecurityGroup.SecurityGroupIngress", [{"FromPort": 1}], "FromPort is 1"),
    Spoiled(crossed_ports, "TargetGroup.Port", TLS_PORT, "Listener leads to another port"),
    Spoiled(crossed_ports, "TlsTargetGroup.HealthCheckProtocol", "TCP", "targets that are checked by TCP"),
    Spoiled(crossed_ports, "TargetGroup.Targets", [{"Id": "${ServerA}", "Port": PORT}], "not lead to every server"),
    Spoiled(crossed_ports, "TlsTargetGroup.TargetGroupAttributes", [], "TlsListener cannot be tried from a server"),
    Spoiled(open_groups, "ConsumerSecurityGroup.SecurityGroupIngress", [], "is not about both ports"),
    Spoiled(open_groups, "CanarySecurityGroup.VpcId", "${ProviderVpc}", "is not about its VPC alone"),
    Spoiled(crossed_wires, "Endpoint.VpcId", "${ProviderVpc}", "Endpoint is not in its consumer's VPC"),
    Spoiled(crossed_wires, "SecondEndpoint.SubnetIds", ["${ConsumerSubnetA}"], "SecondEndpoint is in other subnets"),
    Spoiled(crossed_wires, "LoadBalancer.Scheme", "internet-facing", "no internal network load balancer"),
    Spoiled(crossed_wires, "Endpoint.VpcEndpointType", "Gateway", "is not an interface"),
    Spoiled(lone_zones, "CanarySubnetB.AvailabilityZone", "eu-west-1a", "the canary has one zone alone"),
    Spoiled(lone_zones, "ConsumerSubnetA.CidrBlock", "10.1.1.0/24", "ConsumerSubnetA is not in its VPC"),
]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_demo_that_would_not_work_is_named(everything: Stack, spoiled: Spoiled) -> None:
    spoiled.assert_named(everything)


def test_vpcs_that_are_one_are_named(everything: Stack) -> None:
    stack = copy.deepcopy(everything)
    stack.outputs["SecondConsumerVpcId"] = stack.outputs["ConsumerVpcId"]
    assert "two of the VPCs are one" in crossed_wires(stack)


def test_a_way_out_is_named(everything: Stack) -> None:
    stack = copy.deepcopy(everything)
    stack.resources["Gateway"] = {"Type": "AWS::EC2::InternetGateway"}
    stack.resources["Role"] = {"Type": "AWS::IAM::Role"}
    assert ways_out(stack) == ["Gateway is a way out", "Role gives permissions"]
