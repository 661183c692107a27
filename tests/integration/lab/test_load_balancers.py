"""The demo's architecture as the local AWS shows it: what is where, and what CloudFormation and EC2 say of it."""

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.integration.conftest import Await, Client
from tests.integration.deploy import unique

TEMPLATE = Path(__file__).parents[3] / "stacks" / "demo.yaml"
PORTS = {"Port": "18081", "TlsPort": "18444"}
ZONES = ["eu-west-1a", "eu-west-1b"]
Outputs = dict[str, str]


def deploy(client: Client, name: str, **parameters: str) -> Outputs:
    """The outputs of the demo's stack with these parameters, made or changed."""
    formation = client("cloudformation")
    known = formation.describe_stacks().get("Stacks", [])
    change = "update" if name in {stack["StackName"] for stack in known} else "create"
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in {**PORTS, **parameters}.items()]
    getattr(formation, f"{change}_stack")(StackName=name, TemplateBody=TEMPLATE.read_text(), Parameters=given)
    waiter = formation.get_waiter(f"stack_{change}_complete")
    waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def remove(client: Client, name: str) -> None:
    client("cloudformation").delete_stack(StackName=name)
    waiter = client("cloudformation").get_waiter("stack_delete_complete")
    waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


@pytest.fixture(scope="module")
def demo(client: Client) -> Outputs:
    """The demo with all that its parameters can add, but private DNS on the endpoint."""
    return deploy(client, "tutorial", CrossZone="true", SecondConsumer="true", PrivateDnsName="hello.example.com")


def instances(client: Client, ids: str) -> list[dict[str, Any]]:
    found = client("ec2").describe_instances(InstanceIds=ids.split(","))["Reservations"]
    return [instance for reservation in found for instance in reservation["Instances"]]


def interfaces(client: Client, description: str) -> list[dict[str, Any]]:
    found = client("ec2").describe_network_interfaces()["NetworkInterfaces"]
    return [one for one in found if one["Description"].startswith(description)]


def blocks(client: Client, subnet_ids: str) -> dict[str, tuple[str, ipaddress.IPv4Network]]:
    found = client("ec2").describe_subnets(SubnetIds=subnet_ids.split(","))["Subnets"]
    return {one["SubnetId"]: (one["AvailabilityZone"], ipaddress.IPv4Network(one["CidrBlock"])) for one in found}


def test_servers_stand_in_the_zones_and_at_private_addresses_of_their_subnets(client: Client, demo: Outputs) -> None:
    subnets = blocks(client, demo["ProviderSubnetIds"])
    servers = instances(client, demo["ServerIds"])
    assert sorted(one["Placement"]["AvailabilityZone"] for one in servers) == ZONES
    for server in servers:
        zone, block = subnets[server["SubnetId"]]
        assert server["Placement"]["AvailabilityZone"] == zone
        assert ipaddress.IPv4Address(server["PrivateIpAddress"]) in block
        assert not server.get("PublicIpAddress")
        assert server["InstanceType"] == "t3.nano"
        assert server["VpcId"] == demo["ProviderVpcId"]


def test_the_load_balancer_has_an_address_in_each_of_its_zones(client: Client, demo: Outputs) -> None:
    subnets = blocks(client, demo["ProviderSubnetIds"])
    (balancer,) = client("elbv2").describe_load_balancers(LoadBalancerArns=[demo["LoadBalancerArn"]])["LoadBalancers"]
    assert balancer["VpcId"] == demo["ProviderVpcId"]
    shown = {one["SubnetId"]: one["ZoneName"] for one in balancer["AvailabilityZones"]}
    assert shown == {subnet_id: zone for subnet_id, (zone, _) in subnets.items()}
    found = interfaces(client, f"ELB net/{balancer['LoadBalancerName']}/")
    assert sorted(one["AvailabilityZone"] for one in found) == ZONES
    assert all(ipaddress.IPv4Address(one["PrivateIpAddress"]) in subnets[one["SubnetId"]][1] for one in found)
    held = [one["PrivateIpAddress"] for one in (*found, *instances(client, demo["ServerIds"]))]
    assert len(set(held)) == 4


def test_balancer_and_target_groups_keep_what_the_template_says_of_them(client: Client, demo: Outputs) -> None:
    elb = client("elbv2")
    shown = elb.describe_load_balancer_attributes(LoadBalancerArn=demo["LoadBalancerArn"])["Attributes"]
    assert {"Key": "load_balancing.cross_zone.enabled", "Value": "true"} in shown
    groups = elb.describe_target_groups(TargetGroupArns=demo["TargetGroupArns"].split(","))["TargetGroups"]
    assert {(one["Port"], one["HealthCheckProtocol"], one["HealthCheckPath"]) for one in groups} == {
        (18081, "HTTP", "/"),
        (18444, "HTTPS", "/"),
    }
    for group in groups:
        health = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
        assert {(one["Target"]["Id"], one["Target"]["Port"]) for one in health} == {
            (server, group["Port"]) for server in demo["ServerIds"].split(",")
        }


def test_two_consumers_with_the_same_block_have_the_same_addresses(client: Client, demo: Outputs) -> None:
    first, second = (
        interfaces(client, f"VPC Endpoint Interface {demo[key]}") for key in ("EndpointId", "SecondEndpointId")
    )
    assert {one["VpcId"] for one in first} == {demo["ConsumerVpcId"]}
    assert {one["VpcId"] for one in second} == {demo["SecondConsumerVpcId"]}
    assert {one["PrivateIpAddress"] for one in first} == {one["PrivateIpAddress"] for one in second}
    assert sorted(one["AvailabilityZone"] for one in first) == ZONES


def test_the_canary_has_subnets_and_a_security_group_in_the_consumer_vpc(client: Client, demo: Outputs) -> None:
    subnets = client("ec2").describe_subnets(SubnetIds=demo["CanarySubnetIds"].split(","))["Subnets"]
    assert {one["VpcId"] for one in subnets} == {demo["ConsumerVpcId"]}
    (group,) = client("ec2").describe_security_groups(GroupIds=[demo["CanarySecurityGroupId"]])["SecurityGroups"]
    assert group["VpcId"] == demo["ConsumerVpcId"]
    assert group["IpPermissions"] == []
    assert {(rule["FromPort"], rule["IpRanges"][0]["CidrIp"]) for rule in group["IpPermissionsEgress"]} == {
        (18081, "10.2.0.0/16"),
        (18444, "10.2.0.0/16"),
    }


def test_a_default_security_group_admits_its_own_members_and_nobody_else(client: Client, demo: Outputs) -> None:
    ec2 = client("ec2")
    for vpc in (demo["ConsumerVpcId"], ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]):
        of_vpc = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
        (group,) = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
        (rule,) = group["IpPermissions"]
        assert (rule["IpProtocol"], rule["IpRanges"]) == ("-1", [])
        assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [group["GroupId"]]
        ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[rule])
        assert ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"][0]["IpPermissions"] == []


def test_the_endpoints_security_group_is_closed_and_opened(client: Client, demo: Outputs) -> None:
    ec2, group = client("ec2"), demo["ConsumerSecurityGroupId"]

    def rules() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0][
            "IpPermissions"
        ]
        return found

    before = rules()
    assert [rule["FromPort"] for rule in before] == [18081, 18444]
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=before)
    assert rules() == []
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=before)
    assert rules() == before


def test_targets_of_a_group_without_a_listener_are_not_in_use(client: Client, demo: Outputs) -> None:
    elb = client("elbv2")
    listener, group = demo["ListenerArns"].split(",")[1], demo["TargetGroupArns"].split(",")[1]

    def seen() -> set[tuple[str, str | None]]:
        answer = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return {(one["TargetHealth"]["State"], one["TargetHealth"].get("Reason")) for one in answer}

    assert ("unused", "Target.NotInUse") not in seen()
    elb.delete_listener(ListenerArn=listener)
    assert seen() == {("unused", "Target.NotInUse")}
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    elb.create_listener(LoadBalancerArn=demo["LoadBalancerArn"], Protocol="TCP", Port=18444, DefaultActions=forward)
    assert ("unused", "Target.NotInUse") not in seen()


def test_the_private_name_is_used_in_two_deployments(client: Client, until: Await) -> None:
    ec2, name = client("ec2"), unique("demo")
    made = deploy(client, name, PrivateDnsName="two.example.com")
    service, endpoint = made["ServiceId"], made["EndpointId"]
    with pytest.raises(WaiterError):
        deploy(client, name, PrivateDnsName="two.example.com", PrivateDnsEnabled="true")
    events = client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    assert any("has not verified the private DNS name" in one.get("ResourceStatusReason", "") for one in events)

    ec2.start_vpc_endpoint_service_private_dns_verification(ServiceId=service)
    ec2.accept_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=[endpoint])

    def shown() -> dict[str, Any]:
        return dict(ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0])

    until(lambda: shown()["State"], "available")
    assert deploy(client, name, PrivateDnsName="two.example.com", PrivateDnsEnabled="true")["EndpointId"] == endpoint
    assert shown()["PrivateDnsEnabled"] is True
    assert shown()["DnsEntries"][-1]["DnsName"] == "two.example.com"
    remove(client, name)


def test_a_private_name_is_not_enabled_where_there_is_none(client: Client) -> None:
    with pytest.raises(ClientError, match="PrivateDnsEnabled=true needs a PrivateDnsName"):
        deploy(client, unique("demo"), PrivateDnsEnabled="true")


def test_the_stack_goes_with_all_that_it_made(client: Client) -> None:
    name = unique("demo")
    made = deploy(client, name)
    (balancer,) = client("elbv2").describe_load_balancers(LoadBalancerArns=[made["LoadBalancerArn"]])["LoadBalancers"]
    remove(client, name)
    assert interfaces(client, f"ELB net/{balancer['LoadBalancerName']}/") == []
    assert interfaces(client, f"VPC Endpoint Interface {made['EndpointId']}") == []
    assert {one["State"]["Name"] for one in instances(client, made["ServerIds"])} == {"terminated"}


def place(client: Client, block: str = "10.9.1.0/28") -> str:
    """A new subnet in the Region's third zone."""
    vpc = client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    made = client("ec2").create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone="eu-west-1c")
    return str(made["Subnet"]["SubnetId"])


def launch(client: Client, subnet: str, count: int = 1) -> list[dict[str, Any]]:
    ran = client("ec2").run_instances(ImageId="ami-12345678", MinCount=count, MaxCount=count, SubnetId=subnet)
    found: list[dict[str, Any]] = ran["Instances"]
    return found


def test_instances_fill_their_subnet_and_leave_room_when_they_go(client: Client) -> None:
    ec2, subnet = client("ec2"), place(client)
    launched = launch(client, subnet, 11)
    assert {one["Placement"]["AvailabilityZone"] for one in launched} == {"eu-west-1c"}
    assert {one["PrivateIpAddress"] for one in launched} == {f"10.9.1.{host}" for host in range(4, 15)}
    with pytest.raises(ClientError, match="InsufficientFreeAddressesInSubnet"):
        launch(client, subnet)
    with pytest.raises(ClientError, match="Not enough IP space available"):
        client("elbv2").create_load_balancer(Name=unique("full")[:32], Type="network", Subnets=[subnet])
    gone = launched[3]
    ec2.terminate_instances(InstanceIds=[gone["InstanceId"]])
    (again,) = launch(client, subnet)
    assert again["PrivateIpAddress"] == gone["PrivateIpAddress"]


def test_a_refused_launch_leaves_no_instance_behind(client: Client) -> None:
    ec2, subnet = client("ec2"), place(client)
    with pytest.raises(ClientError, match="InsufficientFreeAddressesInSubnet"):
        launch(client, subnet, 12)
    found = ec2.describe_instances()["Reservations"]
    assert subnet not in {one.get("SubnetId") for reservation in found for one in reservation["Instances"]}


def test_a_balancer_follows_its_subnets(client: Client) -> None:
    elb, name = client("elbv2"), unique("moves")[:32]
    first, second = place(client), place(client, "10.9.2.0/28")
    made = elb.create_load_balancer(Name=name, Type="network", Scheme="internal", Subnets=[first])["LoadBalancers"][0]

    def places() -> list[str]:
        return [one["SubnetId"] for one in interfaces(client, f"ELB net/{name}/")]

    assert places() == [first]
    elb.set_subnets(LoadBalancerArn=made["LoadBalancerArn"], Subnets=[second])
    assert places() == [second]
    elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    assert places() == []


@pytest.mark.parametrize(("protocol", "check"), [("TCP", "TCP"), ("HTTP", "HTTP")])
def test_a_target_group_is_checked_by_its_own_protocol_if_nothing_is_said(
    client: Client, protocol: str, check: str
) -> None:
    made = client("elbv2").create_target_group(Name=unique("group")[:32], Protocol=protocol, Port=80)
    assert made["TargetGroups"][0]["HealthCheckProtocol"] == check


def test_a_stacks_target_group_is_checked_by_its_own_protocol_too(client: Client) -> None:
    formation, name = client("cloudformation"), unique("checked")
    group = {"Type": "AWS::ElasticLoadBalancingV2::TargetGroup", "Properties": {"Protocol": "TCP", "Port": 80}}
    formation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"Group": group}}))
    formation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    (made,) = formation.describe_stack_resources(StackName=name)["StackResources"]
    (shown,) = client("elbv2").describe_target_groups(TargetGroupArns=[made["PhysicalResourceId"]])["TargetGroups"]
    assert shown["HealthCheckProtocol"] == "TCP"
