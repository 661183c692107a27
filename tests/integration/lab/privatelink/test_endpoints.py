"""Endpoints as their owner makes, changes and deletes them."""

import re
import uuid
from typing import Any

from lab.harness.process import REGION
from tests.integration.lab.privatelink.conftest import (
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
        Filters=[{"Name": "vpc-endpoint-id", "Values": [made["VpcEndpointId"]]}]
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
