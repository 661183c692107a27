"""Endpoints as their owner makes, changes and deletes them, and their private DNS names."""

import re
import uuid
from typing import Any

import pytest

from lab.harness.process import REGION
from tests.integration.lab.privatelink.conftest import (
    Answer,
    Client,
    await_,
    create_endpoint,
    create_service,
    network,
    refused,
    states,
    words,
)


def test_an_endpoint_has_names_addresses_and_interfaces_in_its_subnets(provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    vpc, subnets = network(consumer)
    made = create_endpoint(consumer, service, vpc, tuple(subnets))
    base = re.escape(f"{service['ServiceId']}.{REGION}.vpce.amazonaws.com")
    names = [entry["DnsName"] for entry in made["DnsEntries"]]
    label = names[0].split(".")[0]
    assert re.fullmatch(rf"{made['VpcEndpointId']}-[a-z0-9]{{8}}", label)
    assert re.fullmatch(r"vpce-[0-9a-f]{17}", made["VpcEndpointId"])
    assert all(entry["HostedZoneId"] for entry in made["DnsEntries"])
    for name, pattern in zip(names, (label, f"{label}-{REGION}a", f"{label}-{REGION}b"), strict=True):
        assert re.fullmatch(rf"{pattern}\.{base}", name)
    assert made["SubnetIds"] == subnets
    assert [group["GroupName"] for group in made["Groups"]] == ["default"]
    shown = consumer.describe_network_interfaces(NetworkInterfaceIds=made["NetworkInterfaceIds"])["NetworkInterfaces"]
    assert {i["SubnetId"]: i["PrivateIpAddress"] for i in shown} == dict(
        zip(subnets, ("10.0.1.4", "10.0.2.4"), strict=True)
    )
    (connection,) = provider.describe_vpc_endpoint_connections(
        Filters=[{"Name": "service-id", "Values": [service["ServiceId"]]}]
    )["VpcEndpointConnections"]
    assert [entry["DnsName"] for entry in connection["DnsEntries"]] == names


def test_an_endpoint_takes_no_address_that_an_instance_holds(provider: Any, consumer: Any) -> None:
    vpc, subnets = network(consumer, zones="a")
    consumer.run_instances(
        ImageId="ami-00000001", MinCount=1, MaxCount=1, SubnetId=subnets[0], PrivateIpAddress="10.0.1.4"
    )
    made = create_endpoint(consumer, create_service(provider), vpc, tuple(subnets))
    asked = {"NetworkInterfaceIds": made["NetworkInterfaceIds"]}
    (shown,) = consumer.describe_network_interfaces(**asked)["NetworkInterfaces"]
    assert shown["PrivateIpAddress"] == "10.0.1.5"
    consumer.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])
    assert consumer.describe_network_interfaces(**asked)["NetworkInterfaces"] == []


def test_a_full_subnet_takes_no_more_endpoints(provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    vpc, subnets = network(consumer, "10.0.1.0/28", "a")
    for _ in range(11):
        create_endpoint(consumer, service, vpc, tuple(subnets))
    asked = {"VpcEndpointType": "Interface", "VpcId": vpc, "ServiceName": service["ServiceName"], "SubnetIds": subnets}
    assert refused(consumer.create_vpc_endpoint, **asked) == "InsufficientFreeAddressesInSubnet"


def test_endpoints_are_still_described_when_their_security_group_is_gone(provider: Any, consumer: Any) -> None:
    vpc = consumer.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = consumer.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    made = create_endpoint(consumer, create_service(provider), vpc, SecurityGroupIds=[group])
    assert made["Groups"] == [{"GroupId": group, "GroupName": "web"}]
    consumer.delete_security_group(GroupId=group)
    (shown,) = consumer.describe_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])["VpcEndpoints"]
    assert [g["GroupId"] for g in shown["Groups"]] == [group]
    asked = {"VpcEndpointId": made["VpcEndpointId"], "AddSecurityGroupIds": ["sg-00000000000000000"]}
    assert refused(consumer.modify_vpc_endpoint, **asked) == "InvalidSecurityGroupId.NotFound"


def test_a_deleted_endpoint_is_deleting_and_then_gone(provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    endpoint = create_endpoint(consumer, service)["VpcEndpointId"]
    (failure,) = provider.delete_vpc_endpoint_service_configurations(ServiceIds=[service["ServiceId"]])["Unsuccessful"]
    assert failure["Error"]["Code"] == "ExistingVpcEndpointConnections"
    unknown = "vpce-00000000000000000"
    answer = consumer.delete_vpc_endpoints(VpcEndpointIds=[unknown, endpoint])
    assert [f["ResourceId"] for f in answer["Unsuccessful"]] == [unknown]
    assert states(provider, service).get(endpoint, "deleting") == "deleting"
    assert await_(lambda: states(provider, service) == {})
    asked = {"VpcEndpointIds": [endpoint]}
    assert refused(consumer.describe_vpc_endpoints, **asked) == "InvalidVpcEndpointId.NotFound"
    assert provider.delete_vpc_endpoint_service_configurations(ServiceIds=[service["ServiceId"]])["Unsuccessful"] == []


def test_endpoints_on_the_services_of_aws_are_made_shown_and_deleted_as_before(consumer: Any) -> None:
    vpc = consumer.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = consumer.create_vpc_endpoint(VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.s3")["VpcEndpoint"]
    by_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    assert consumer.describe_vpc_endpoints(Filters=by_vpc)["VpcEndpoints"][0]["State"] == "available"
    assert consumer.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])["Unsuccessful"] == []
    assert consumer.describe_vpc_endpoints(Filters=by_vpc)["VpcEndpoints"] == []


def test_an_endpoint_changes_its_security_groups_and_subnets(provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    vpc, (first, second) = network(consumer)
    made = create_endpoint(consumer, service, vpc, (first,))
    endpoint, default = made["VpcEndpointId"], made["Groups"][0]["GroupId"]
    group = consumer.create_security_group(GroupName="clients", Description="clients", VpcId=vpc)["GroupId"]

    def change(**what: list[str]) -> tuple[list[str], list[str], list[set[str]]]:
        consumer.modify_vpc_endpoint(VpcEndpointId=endpoint, **what)
        (shown,) = consumer.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
        interfaces = consumer.describe_network_interfaces(NetworkInterfaceIds=shown["NetworkInterfaceIds"])
        on_interfaces = [{g["GroupId"] for g in one["Groups"]} for one in interfaces["NetworkInterfaces"]]
        return [g["GroupId"] for g in shown["Groups"]], shown["SubnetIds"], on_interfaces

    assert change(AddSecurityGroupIds=[group]) == ([default, group], [first], [{default, group}])
    assert change(RemoveSecurityGroupIds=[default]) == ([group], [first], [{group}])
    assert change(AddSubnetIds=[second]) == ([group], [first, second], [{group}, {group}])
    assert change(RemoveSubnetIds=[first]) == ([group], [second], [{group}])


def test_an_endpoint_takes_no_security_group_of_another_vpc(provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    vpc, _ = network(consumer)
    elsewhere, _ = network(consumer)
    (found,) = consumer.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [elsewhere]}])["SecurityGroups"]
    foreign = found["GroupId"]
    made = words(create_endpoint, ec2=consumer, service=service, vpc=vpc, SecurityGroupIds=[foreign])
    assert "belong to different networks" in made
    endpoint = create_endpoint(consumer, service, vpc)["VpcEndpointId"]
    assert words(consumer.modify_vpc_endpoint, VpcEndpointId=endpoint, AddSecurityGroupIds=[foreign]) == made


def test_an_endpoint_has_one_subnet_in_a_zone_and_none_where_the_service_is_not(
    client: Client, provider: Any, consumer: Any
) -> None:
    _, (only, _) = network(provider)
    name = f"zonal-{uuid.uuid4().hex[:12]}"
    made = client("elbv2").create_load_balancer(Name=name, Type="network", Scheme="internal", Subnets=[only])
    service = create_service(provider, NetworkLoadBalancerArns=[made["LoadBalancers"][0]["LoadBalancerArn"]])
    vpc, (first, second) = network(consumer)
    third = consumer.create_subnet(VpcId=vpc, CidrBlock="10.0.3.0/24", AvailabilityZone=f"{REGION}a")["Subnet"][
        "SubnetId"
    ]
    assert "does not support the availability zone of the subnet" in words(
        create_endpoint, ec2=consumer, service=service, vpc=vpc, subnets=(second,)
    )
    endpoint = create_endpoint(consumer, service, vpc, (first,))["VpcEndpointId"]
    asked = {"VpcEndpointId": endpoint, "AddSubnetIds": [third]}
    assert refused(consumer.modify_vpc_endpoint, **asked) == "DuplicateSubnetsInSameZone"
    consumer.modify_vpc_endpoint(VpcEndpointId=endpoint, AddSubnetIds=[third], RemoveSubnetIds=[first])
    (shown,) = consumer.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    assert shown["SubnetIds"] == [third]


def dns_network(ec2: Any, **attributes: bool) -> tuple[str, list[str]]:
    """A VPC with DNS hostnames, as private names need them, and a subnet in each of two zones."""
    vpc, subnets = network(ec2)
    for name, value in {"EnableDnsHostnames": True, **attributes}.items():
        ec2.modify_vpc_attribute(VpcId=vpc, **{name: {"Value": value}})
    return vpc, subnets


def test_private_dns_is_enabled_after_acceptance_and_verification_and_shown_last(provider: Any, consumer: Any) -> None:
    service = create_service(provider, PrivateDnsName="api.example.com")
    vpc, subnets = dns_network(consumer)
    create = {"service": service, "vpc": vpc, "subnets": tuple(subnets), "PrivateDnsEnabled": True}
    assert "has not verified the private DNS name" in words(create_endpoint, ec2=consumer, **create)
    endpoint = create_endpoint(consumer, service, vpc, tuple(subnets))["VpcEndpointId"]

    def shown() -> Answer:
        return dict(consumer.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0])

    asked = {"VpcEndpointId": endpoint, "PrivateDnsEnabled": True}
    assert "has not verified the private DNS name" in words(consumer.modify_vpc_endpoint, **asked)
    provider.start_vpc_endpoint_service_private_dns_verification(ServiceId=service["ServiceId"])
    assert "after the endpoint connection is accepted" in words(consumer.modify_vpc_endpoint, **asked)
    assert "after the endpoint connection is accepted" in words(create_endpoint, ec2=consumer, **create)
    provider.accept_vpc_endpoint_connections(ServiceId=service["ServiceId"], VpcEndpointIds=[endpoint])
    await_(lambda: shown()["State"] == "available")
    assert shown()["PrivateDnsEnabled"] is False
    consumer.modify_vpc_endpoint(**asked)
    assert shown()["PrivateDnsEnabled"] is True
    entries = shown()["DnsEntries"]
    assert [entry["DnsName"] for entry in entries][3:] == ["api.example.com"]
    assert entries[-1]["HostedZoneId"] != entries[0]["HostedZoneId"]

    consumer.modify_vpc_endpoint(VpcEndpointId=endpoint, PrivateDnsEnabled=False)
    assert shown()["PrivateDnsEnabled"] is False
    assert shown()["DnsEntries"] == entries[:3]


@pytest.mark.parametrize("attribute", ["EnableDnsSupport", "EnableDnsHostnames"])
def test_private_dns_needs_a_vpc_in_which_it_resolves(provider: Any, consumer: Any, attribute: str) -> None:
    service = create_service(provider, AcceptanceRequired=False, PrivateDnsName="api.example.com")
    provider.start_vpc_endpoint_service_private_dns_verification(ServiceId=service["ServiceId"])
    vpc, subnets = dns_network(consumer, **{attribute: False})
    made = words(create_endpoint, ec2=consumer, service=service, vpc=vpc, subnets=subnets, PrivateDnsEnabled=True)
    both = "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true"
    assert made == f"{both} for {vpc}"
    endpoint = create_endpoint(consumer, service, vpc)["VpcEndpointId"]
    assert words(consumer.modify_vpc_endpoint, VpcEndpointId=endpoint, PrivateDnsEnabled=True) == made


def test_a_name_may_be_left_unverified_and_taken_away(provider: Any) -> None:
    service_id = create_service(provider, PrivateDnsName="api.unverified.test")["ServiceId"]

    def described() -> Answer:
        found = provider.describe_vpc_endpoint_service_configurations(ServiceIds=[service_id])
        return dict(found["ServiceConfigurations"][0])

    provider.start_vpc_endpoint_service_private_dns_verification(ServiceId=service_id)
    assert described()["PrivateDnsNameConfiguration"]["State"] == "pendingVerification"
    provider.modify_vpc_endpoint_service_configuration(ServiceId=service_id, RemovePrivateDnsName=True)
    assert "PrivateDnsName" not in described()


def test_a_vpc_may_lie_in_shared_address_space(consumer: Any, provider: Any) -> None:
    vpc = consumer.create_vpc(CidrBlock="100.64.0.0/16")["Vpc"]["VpcId"]
    zone = f"{REGION}a"
    subnet = consumer.create_subnet(VpcId=vpc, CidrBlock="100.64.1.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
    endpoint = create_endpoint(consumer, create_service(provider), vpc, (subnet,))
    ids = endpoint["NetworkInterfaceIds"]
    found = consumer.describe_network_interfaces(NetworkInterfaceIds=ids)["NetworkInterfaces"]
    assert {f["PrivateIpAddress"] for f in found if f["NetworkInterfaceId"] in ids} == {"100.64.1.4"}
