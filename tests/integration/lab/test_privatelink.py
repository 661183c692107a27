"""PrivateLink in the local AWS: real clients of several accounts against a running server."""

import copy
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lab.harness.process import PROVIDER_ACCOUNT, REGION, LabProcess

CONSUMER, STRANGER = "222222222222", "333333333333"
BALANCER = f"arn:aws:elasticloadbalancing:{REGION}:{PROVIDER_ACCOUNT}:loadbalancer/net/web/0123456789abcdef"
Client = Callable[..., Any]
Answer = dict[str, Any]


def await_(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """What `condition` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.02)
    return found


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return str(error.value.response["Error"]["Code"])


def create_service(ec2: Any, principals: tuple[str, ...] = ("*",), **arguments: Any) -> Answer:
    made: Answer = ec2.create_vpc_endpoint_service_configuration(
        **{"NetworkLoadBalancerArns": [BALANCER], "AcceptanceRequired": True, **arguments}
    )["ServiceConfiguration"]
    if principals:
        ec2.modify_vpc_endpoint_service_permissions(ServiceId=made["ServiceId"], AddAllowedPrincipals=list(principals))
    return made


def tagged(resource_type: str, **tags: str) -> list[dict[str, Any]]:
    return [{"ResourceType": resource_type, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}]


def network(ec2: Any, cidr: str = "10.0.1.0/24", zones: str = "ab") -> tuple[str, list[str]]:
    """A VPC and one subnet of it in each zone, of consecutive blocks."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    blocks = [cidr, cidr.replace("10.0.1.", "10.0.2.")]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=f"{REGION}{zone}")["Subnet"]["SubnetId"]
        for block, zone in zip(blocks, zones, strict=False)
    ]
    return vpc, subnets


def create_endpoint(ec2: Any, service: Answer, vpc: str = "", subnets: tuple[str, ...] = (), **more: Any) -> Answer:
    vpc = vpc or ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made: Answer = ec2.create_vpc_endpoint(
        VpcEndpointType="Interface", VpcId=vpc, ServiceName=service["ServiceName"], SubnetIds=list(subnets), **more
    )["VpcEndpoint"]
    return made


def states(ec2: Any, service: Answer, **more: Any) -> dict[str, str]:
    filters = [{"Name": "service-id", "Values": [service["ServiceId"]]}]
    found = ec2.describe_vpc_endpoint_connections(Filters=filters, **more)["VpcEndpointConnections"]
    return {c["VpcEndpointId"]: c["VpcEndpointState"] for c in found}


@pytest.fixture
def provider(client: Client) -> Any:
    return client("ec2")


@pytest.fixture
def consumer(client: Client) -> Any:
    return client("ec2", CONSUMER)


def test_a_service_is_described_as_it_was_made(provider: Any) -> None:
    made = create_service(provider, TagSpecifications=tagged("vpc-endpoint-service", linkgate="managed"))
    by_tag = [{"Name": "tag:linkgate", "Values": ["managed"]}, {"Name": "service-id", "Values": [made["ServiceId"]]}]
    (found,) = provider.describe_vpc_endpoint_service_configurations(Filters=by_tag)["ServiceConfigurations"]
    assert found["ServiceState"] == "Available"
    assert found["AcceptanceRequired"] is True
    assert found["NetworkLoadBalancerArns"] == [BALANCER]
    assert found["Tags"] == [{"Key": "linkgate", "Value": "managed"}]
    assert found["AvailabilityZones"][0] == f"{REGION}a"
    assert found["ServiceName"].endswith(f".{REGION}.{made['ServiceId']}")
    assert (
        provider.describe_vpc_endpoint_service_configurations(Filters=[{"Name": "tag:linkgate", "Values": ["other"]}])[
            "ServiceConfigurations"
        ]
        == []
    )


def test_services_come_in_pages(provider: Any) -> None:
    made = {create_service(provider, ())["ServiceId"] for _ in range(6)}
    pages = list(
        provider.get_paginator("describe_vpc_endpoint_service_configurations").paginate(
            ServiceIds=sorted(made), PaginationConfig={"PageSize": 5}
        )
    )
    assert [len(page["ServiceConfigurations"]) for page in pages] == [5, 1]
    assert {s["ServiceId"] for page in pages for s in page["ServiceConfigurations"]} == made


def test_a_service_is_modified_and_its_private_name_must_be_verified(provider: Any) -> None:
    service_id = create_service(provider, PrivateDnsName="api.example.com")["ServiceId"]

    def described() -> Answer:
        found = provider.describe_vpc_endpoint_service_configurations(ServiceIds=[service_id])
        first: Answer = found["ServiceConfigurations"][0]
        return first

    proof = described()["PrivateDnsNameConfiguration"]
    assert (proof["State"], proof["Type"]) == ("pendingVerification", "TXT")
    provider.start_vpc_endpoint_service_private_dns_verification(ServiceId=service_id)
    assert described()["PrivateDnsNameConfiguration"]["State"] == "verified"
    provider.modify_vpc_endpoint_service_configuration(
        ServiceId=service_id,
        AcceptanceRequired=False,
        RemovePrivateDnsName=True,
        AddNetworkLoadBalancerArns=[f"{BALANCER}2"],
    )
    changed = described()
    assert changed["AcceptanceRequired"] is False
    assert changed["NetworkLoadBalancerArns"] == [BALANCER, f"{BALANCER}2"]
    assert "PrivateDnsName" not in changed


def test_permissions_have_types_and_can_be_taken_back(provider: Any) -> None:
    service_id = create_service(provider, ())["ServiceId"]
    wanted = {"*": "All", f"arn:aws:iam::{CONSUMER}:root": "Account", f"arn:aws:iam::{CONSUMER}:role/R": "Role"}
    added = provider.modify_vpc_endpoint_service_permissions(ServiceId=service_id, AddAllowedPrincipals=list(wanted))
    assert {p["Principal"] for p in added["AddedPrincipals"]} == set(wanted)

    def listed() -> dict[str, str]:
        found = provider.describe_vpc_endpoint_service_permissions(ServiceId=service_id)["AllowedPrincipals"]
        return {p["Principal"]: p["PrincipalType"] for p in found}

    assert listed() == wanted
    provider.modify_vpc_endpoint_service_permissions(ServiceId=service_id, RemoveAllowedPrincipals=["*"])
    assert "*" not in listed()


def test_only_allowed_accounts_and_the_owner_find_a_service(client: Client, provider: Any, consumer: Any) -> None:
    service = create_service(provider, (f"arn:aws:iam::{CONSUMER}:root",))
    stranger = client("ec2", STRANGER)
    name = service["ServiceName"]
    (detail,) = consumer.describe_vpc_endpoint_services(ServiceNames=[name])["ServiceDetails"]
    assert (detail["ServiceName"], detail["AcceptanceRequired"], detail["Owner"]) == (name, True, PROVIDER_ACCOUNT)
    assert refused(stranger.describe_vpc_endpoint_services, ServiceNames=[name]) == "InvalidServiceName"
    assert name in consumer.describe_vpc_endpoint_services()["ServiceNames"]
    assert f"com.amazonaws.{REGION}.s3" in consumer.describe_vpc_endpoint_services()["ServiceNames"]
    vpc = stranger.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    asked = {"VpcEndpointType": "Interface", "VpcId": vpc, "ServiceName": name}
    assert refused(stranger.create_vpc_endpoint, **asked) == "InvalidServiceName"
    misspelt = {**asked, "ServiceName": name.replace("vpce.", "vpc.", 1)}
    assert refused(stranger.create_vpc_endpoint, **misspelt) == "InvalidServiceName"
    assert create_endpoint(provider, service)["State"] == "pendingAcceptance"
    asked_for = {"ServiceIds": [service["ServiceId"]]}
    missing = refused(consumer.describe_vpc_endpoint_service_configurations, **asked_for)
    assert missing == "InvalidVpcEndpointServiceId.NotFound"


def test_a_connection_is_accepted_and_then_cut_and_both_sides_see_the_same(provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    endpoint = create_endpoint(consumer, service)["VpcEndpointId"]

    def seen() -> tuple[str, str]:
        mine = consumer.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]["State"]
        return mine, states(provider, service)[endpoint]

    assert seen() == ("pendingAcceptance", "pendingAcceptance")
    asked = {"ServiceId": service["ServiceId"], "VpcEndpointIds": [endpoint]}
    assert provider.accept_vpc_endpoint_connections(**asked)["Unsuccessful"] == []
    assert await_(lambda: seen() == ("available", "available"))
    assert provider.reject_vpc_endpoint_connections(**asked)["Unsuccessful"] == []
    assert seen() == ("rejected", "rejected")
    (failure,) = provider.accept_vpc_endpoint_connections(**asked)["Unsuccessful"]
    assert (failure["ResourceId"], failure["Error"]["Code"]) == (endpoint, "InvalidState")


def test_decisions_answer_200_with_what_failed_unless_the_service_is_not_theirs(provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    endpoint = create_endpoint(consumer, service)["VpcEndpointId"]
    unknown = "vpce-00000000000000000"
    asked = {"ServiceId": service["ServiceId"], "VpcEndpointIds": [unknown, endpoint]}
    answer = provider.accept_vpc_endpoint_connections(**asked)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    failures = [(f["ResourceId"], f["Error"]["Code"]) for f in answer["Unsuccessful"]]
    assert failures == [(unknown, "InvalidVpcEndpointId.NotFound")]
    for call in (consumer.accept_vpc_endpoint_connections, consumer.reject_vpc_endpoint_connections):
        assert refused(call, **asked) == "InvalidVpcEndpointServiceId.NotFound"


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


def test_connections_are_filtered_and_come_in_pages(client: Client, provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    other = client("ec2", STRANGER)
    vpc = consumer.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = {create_endpoint(consumer, service, vpc)["VpcEndpointId"] for _ in range(6)}
    theirs = create_endpoint(other, service)["VpcEndpointId"]
    rejected = min(made)
    provider.reject_vpc_endpoint_connections(ServiceId=service["ServiceId"], VpcEndpointIds=[rejected])

    def found(**filters: str) -> set[str]:
        asked = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        asked.append({"Name": "service-id", "Values": [service["ServiceId"]]})
        pages = provider.get_paginator("describe_vpc_endpoint_connections").paginate(
            Filters=asked, PaginationConfig={"PageSize": 5}
        )
        return {c["VpcEndpointId"] for page in pages for c in page["VpcEndpointConnections"]}

    assert found() == made | {theirs}
    assert found(vpc_endpoint_owner=CONSUMER) == made
    assert found(vpc_endpoint_state="rejected") == {rejected}
    assert found(vpc_endpoint_state="Rejected") == set()
    assert found(vpc_endpoint_id=theirs) == {theirs}
    assert found(vpc_endpoint_region=REGION, ip_address_type="ipv4") == made | {theirs}
    assert states(consumer, service) == {}
    assert refused(provider.describe_vpc_endpoint_connections, MaxResults=4) == "InvalidParameterValue"


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


def test_tags_of_services_and_connections_show_and_go(provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    create_endpoint(consumer, service)

    def connection() -> Answer:
        by_service = [{"Name": "service-id", "Values": [service["ServiceId"]]}]
        found = provider.describe_vpc_endpoint_connections(Filters=by_service)["VpcEndpointConnections"]
        first: Answer = found[0]
        return first

    connection_id = connection()["VpcEndpointConnectionId"]
    tag = {"Key": "decision", "Value": "allowed"}
    provider.create_tags(Resources=[service["ServiceId"], connection_id], Tags=[tag])
    assert connection()["Tags"] == [tag]
    found = provider.describe_tags(Filters=[{"Name": "resource-id", "Values": [service["ServiceId"], connection_id]}])
    assert {t["ResourceType"] for t in found["Tags"]} == {"vpc-endpoint-service", "vpc-endpoint-connection"}
    provider.delete_tags(Resources=[connection_id], Tags=[{"Key": "decision"}])
    assert connection().get("Tags", []) == []


def dns_network(ec2: Any, **attributes: bool) -> tuple[str, list[str]]:
    """A VPC with DNS hostnames, as private names need them, and a subnet in each of two zones."""
    vpc, subnets = network(ec2)
    for name, value in {"EnableDnsHostnames": True, **attributes}.items():
        ec2.modify_vpc_attribute(VpcId=vpc, **{name: {"Value": value}})
    return vpc, subnets


def words(call: Callable[..., Any], **arguments: Any) -> str:
    """EC2's words of a refusal with the code InvalidParameter."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    assert error.value.response["Error"]["Code"] == "InvalidParameter"
    return str(error.value.response["Error"]["Message"])


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


def test_a_dry_run_changes_nothing(provider: Any) -> None:
    service = create_service(provider)
    asked = {"ServiceIds": [service["ServiceId"]], "DryRun": True}
    assert refused(provider.delete_vpc_endpoint_service_configurations, **asked) == "DryRunOperation"
    asked.pop("DryRun")
    assert provider.describe_vpc_endpoint_service_configurations(**asked)["ServiceConfigurations"]


class Mailbox:
    """A queue whose messages are read once and kept."""

    def __init__(self, client: Client, account: str = PROVIDER_ACCOUNT) -> None:
        self._sqs = client("sqs", account)
        self.url = self._sqs.create_queue(QueueName=f"mail-{uuid.uuid4().hex[:8]}")["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]
        self.arn = attributes["QueueArn"]
        everybody = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": self.arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
        self._sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})
        self._read: list[Answer] = []

    def messages(self) -> list[Answer]:
        got = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
        for message in got.get("Messages", []):
            self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            self._read.append(json.loads(message["Body"]))
        return self._read


def topic_into(client: Client, mailbox: Mailbox, statement: Mapping[str, Any] | None) -> str:
    sns = client("sns")
    arn: str = sns.create_topic(Name=f"doorbell-{uuid.uuid4().hex[:8]}")["TopicArn"]
    if statement is not None:
        full = {"Effect": "Allow", "Action": "sns:Publish", "Resource": arn, **statement}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [full]})
        sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=mailbox.arn, Attributes={"RawMessageDelivery": "true"})
    return arn


VPCE = {"Principal": {"Service": "vpce.amazonaws.com"}}


def test_a_notification_tells_of_connect_accept_reject_and_delete(client: Client, provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    mailbox = Mailbox(client)
    source = f"arn:aws:ec2:{REGION}:{PROVIDER_ACCOUNT}:vpc-endpoint-service/{service['ServiceId']}"
    condition = {"ArnLike": {"aws:SourceArn": source}, "StringEquals": {"aws:SourceAccount": PROVIDER_ACCOUNT}}
    topic = topic_into(client, mailbox, {**VPCE, "Condition": condition})
    made = provider.create_vpc_endpoint_connection_notification(
        ServiceId=service["ServiceId"],
        ConnectionNotificationArn=topic,
        ConnectionEvents=["Connect", "Accept", "Reject", "Delete"],
    )["ConnectionNotification"]
    assert (made["ConnectionNotificationState"], made["ConnectionNotificationType"]) == ("Enabled", "Topic")
    endpoint = create_endpoint(consumer, service)["VpcEndpointId"]
    asked = {"ServiceId": service["ServiceId"], "VpcEndpointIds": [endpoint]}
    provider.accept_vpc_endpoint_connections(**asked)
    provider.reject_vpc_endpoint_connections(**asked)
    consumer.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    got = await_(lambda: len(mailbox.messages()) == 4 and mailbox.messages())
    assert {m["event"] for m in got} == {"Connect", "Accept", "Reject", "Delete"}
    assert all(endpoint in json.dumps(m) and service["ServiceId"] in json.dumps(m) for m in got)


@pytest.mark.parametrize(
    "statement",
    [
        None,
        {"Principal": {"Service": "events.amazonaws.com"}},
        {**VPCE, "Condition": {"StringEquals": {"aws:SourceAccount": CONSUMER}}},
    ],
    ids=["default policy", "another service", "another account"],
)
def test_a_topic_that_does_not_admit_privatelink_hears_nothing(
    client: Client, provider: Any, consumer: Any, statement: Mapping[str, Any] | None
) -> None:
    service = create_service(provider)
    closed, open_ = Mailbox(client), Mailbox(client)
    for mailbox, admitted in ((closed, statement), (open_, VPCE)):
        provider.create_vpc_endpoint_connection_notification(
            ServiceId=service["ServiceId"],
            ConnectionNotificationArn=topic_into(client, mailbox, admitted),
            ConnectionEvents=["Connect"],
        )
    create_endpoint(consumer, service)
    # Notifications leave in their order, so when the second has arrived the first would have.
    assert await_(open_.messages)
    assert closed.messages() == []


def test_notifications_are_described_modified_and_deleted(client: Client, provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    topic = "arn:aws:sns:eu-west-1:111111111111:doorbell"
    made = provider.create_vpc_endpoint_connection_notification(
        ServiceId=service["ServiceId"], ConnectionNotificationArn=topic, ConnectionEvents=["Connect"]
    )["ConnectionNotification"]["ConnectionNotificationId"]
    provider.modify_vpc_endpoint_connection_notification(
        ConnectionNotificationId=made, ConnectionEvents=["Connect", "Delete"]
    )
    by_service = [{"Name": "service-id", "Values": [service["ServiceId"]]}]
    asked = {"Filters": by_service}
    (found,) = provider.describe_vpc_endpoint_connection_notifications(**asked)["ConnectionNotificationSet"]
    assert (found["ConnectionNotificationArn"], found["ConnectionEvents"]) == (topic, ["Connect", "Delete"])
    assert consumer.describe_vpc_endpoint_connection_notifications(**asked)["ConnectionNotificationSet"] == []
    ids = {"ConnectionNotificationIds": [made]}
    assert provider.delete_vpc_endpoint_connection_notifications(**ids)["Unsuccessful"] == []
    (failure,) = provider.delete_vpc_endpoint_connection_notifications(**ids)["Unsuccessful"]
    assert failure["Error"]["Code"] == "InvalidConnectionNotification"


def trail_mailbox(client: Client, account: str) -> Mailbox:
    mailbox = Mailbox(client, account)
    events = client("events", account)
    pattern = {"source": ["aws.ec2"], "detail-type": ["AWS API Call via CloudTrail"]}
    rule = f"trail-{uuid.uuid4().hex[:8]}"
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "mail", "Arn": mailbox.arn}])
    return mailbox


def test_the_trail_of_a_call_reaches_the_account_that_made_it_and_no_other(
    client: Client, provider: Any, consumer: Any
) -> None:
    service = create_service(provider)
    mine, theirs = trail_mailbox(client, PROVIDER_ACCOUNT), trail_mailbox(client, CONSUMER)
    endpoint = create_endpoint(consumer, service)["VpcEndpointId"]
    provider.accept_vpc_endpoint_connections(ServiceId=service["ServiceId"], VpcEndpointIds=[endpoint])

    def of_service(mailbox: Mailbox) -> list[Answer]:
        return [m["detail"] for m in mailbox.messages() if service["ServiceId"] in json.dumps(m)]

    (accepted,) = await_(lambda: of_service(mine))
    assert accepted["eventName"] == "AcceptVpcEndpointConnections"
    assert accepted["userIdentity"]["arn"] == f"arn:aws:iam::{PROVIDER_ACCOUNT}:root"
    asked = accepted["requestParameters"]["AcceptVpcEndpointConnectionsRequest"]
    assert asked == {"ServiceId": service["ServiceId"], "VpcEndpointId": {"tag": 1, "content": endpoint}}
    (created,) = await_(lambda: of_service(theirs))
    assert created["userIdentity"]["accountId"] == CONSUMER
    answered = created["responseElements"]["CreateVpcEndpointResponse"]["vpcEndpoint"]
    assert (answered["vpcEndpointId"], answered["state"]) == (endpoint, "pendingAcceptance")
    assert answered["ownerId"] == int(CONSUMER)


def assume(lab: LabProcess, client: Client, statements: list[Mapping[str, Any]]) -> Any:
    """An EC2 client of a new role of the provider with this policy."""
    iam, name = client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{PROVIDER_ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **s} for s in statements]}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    keys = client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]
    return boto3.client(
        "ec2",
        endpoint_url=lab.url,
        region_name=REGION,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


ANY_SERVICE = f"arn:aws:ec2:{REGION}:{PROVIDER_ACCOUNT}:vpc-endpoint-service/*"
MANAGED = {"Condition": {"StringEquals": {"aws:ResourceTag/linkgate": "managed"}}}


@pytest.mark.parametrize(
    ("action", "method", "arguments"),
    [
        ("AcceptVpcEndpointConnections", "accept_vpc_endpoint_connections", {"VpcEndpointIds": ["vpce-1"]}),
        ("RejectVpcEndpointConnections", "reject_vpc_endpoint_connections", {"VpcEndpointIds": ["vpce-1"]}),
        (
            "ModifyVpcEndpointServicePermissions",
            "modify_vpc_endpoint_service_permissions",
            {"AddAllowedPrincipals": ["*"]},
        ),
        (
            "CreateVpcEndpointConnectionNotification",
            "create_vpc_endpoint_connection_notification",
            {"ConnectionNotificationArn": "arn:aws:sns:eu-west-1:1:t", "ConnectionEvents": ["Connect"]},
        ),
    ],
)
def test_a_role_may_act_on_tagged_services_only_and_only_with_the_permission(
    lab: LabProcess, client: Client, provider: Any, action: str, method: str, arguments: Answer
) -> None:
    tagged_one = create_service(provider, TagSpecifications=tagged("vpc-endpoint-service", linkgate="managed"))
    untagged = create_service(provider)
    role = assume(lab, client, [{"Action": f"ec2:{action}", "Resource": ANY_SERVICE, **MANAGED}])
    assert getattr(role, method)(ServiceId=tagged_one["ServiceId"], **arguments)
    denied = {"ServiceId": untagged["ServiceId"], **arguments}
    assert refused(getattr(role, method), **denied) == "UnauthorizedOperation"
    other = assume(lab, client, [{"Action": "ec2:DescribeVpcEndpoints", "Resource": "*"}])
    denied = {"ServiceId": tagged_one["ServiceId"], **arguments}
    assert refused(getattr(other, method), **denied) == "UnauthorizedOperation"
    provider.create_tags(Resources=[untagged["ServiceId"]], Tags=[{"Key": "linkgate", "Value": "managed"}])
    assert getattr(role, method)(ServiceId=untagged["ServiceId"], **arguments)


def test_each_of_several_services_is_judged(lab: LabProcess, client: Client, provider: Any) -> None:
    managed = create_service(provider, TagSpecifications=tagged("vpc-endpoint-service", linkgate="managed"))
    role = assume(
        lab, client, [{"Action": "ec2:DeleteVpcEndpointServiceConfigurations", "Resource": ANY_SERVICE, **MANAGED}]
    )
    both = {"ServiceIds": [managed["ServiceId"], create_service(provider)["ServiceId"]]}
    assert refused(role.delete_vpc_endpoint_service_configurations, **both) == "UnauthorizedOperation"


def test_a_role_that_may_tag_connections_cannot_enrol_a_service(
    lab: LabProcess, client: Client, provider: Any, consumer: Any
) -> None:
    service = create_service(provider)
    create_endpoint(consumer, service)
    by_service = [{"Name": "service-id", "Values": [service["ServiceId"]]}]
    (connection,) = provider.describe_vpc_endpoint_connections(Filters=by_service)["VpcEndpointConnections"]
    resource = f"arn:aws:ec2:{REGION}:{PROVIDER_ACCOUNT}:vpc-endpoint-connection/*"
    role = assume(lab, client, [{"Action": "ec2:CreateTags", "Resource": resource}])
    tag = [{"Key": "linkgate", "Value": "managed"}]
    role.create_tags(Resources=[connection["VpcEndpointConnectionId"]], Tags=tag)
    for resources in ([service["ServiceId"]], [connection["VpcEndpointConnectionId"], service["ServiceId"]]):
        assert refused(role.create_tags, Resources=resources, Tags=tag) == "UnauthorizedOperation"


TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Topic": {"Type": "AWS::SNS::Topic"},
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Subnet": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.1.0/24", "AvailabilityZone": f"{REGION}a"},
        },
        "Service": {
            "Type": "AWS::EC2::VPCEndpointService",
            "Properties": {
                "NetworkLoadBalancerArns": [BALANCER],
                "AcceptanceRequired": True,
                "Tags": [{"Key": "linkgate", "Value": "managed"}],
            },
        },
        "Permissions": {
            "Type": "AWS::EC2::VPCEndpointServicePermissions",
            "Properties": {"ServiceId": {"Ref": "Service"}, "AllowedPrincipals": [f"arn:aws:iam::{CONSUMER}:root"]},
        },
        "Notification": {
            "Type": "AWS::EC2::VPCEndpointConnectionNotification",
            "Properties": {
                "ServiceId": {"Fn::GetAtt": ["Service", "ServiceId"]},
                "ConnectionNotificationArn": {"Ref": "Topic"},
                "ConnectionEvents": ["Connect"],
            },
        },
        "Endpoint": {
            "Type": "AWS::EC2::VPCEndpoint",
            "Properties": {
                "VpcEndpointType": "Interface",
                "VpcId": {"Ref": "Vpc"},
                "ServiceName": {"Fn::Sub": "com.amazonaws.vpce.${AWS::Region}.${Service}"},
                "SubnetIds": [{"Ref": "Subnet"}],
            },
        },
    },
    "Outputs": {
        "Service": {"Value": {"Ref": "Service"}},
        "Endpoint": {"Value": {"Ref": "Endpoint"}},
        "Name": {"Value": {"Fn::Select": [0, {"Fn::GetAtt": ["Endpoint", "DnsEntries"]}]}},
    },
}


@pytest.fixture
def template() -> Answer:
    return copy.deepcopy(TEMPLATE)


class Stack:
    """A stack that is deployed, changed and deleted."""

    def __init__(self, client: Client) -> None:
        self._cloudformation = client("cloudformation")
        self.name = f"stack-{uuid.uuid4().hex[:8]}"

    def deploy(self, template: Mapping[str, Any], update: bool = False) -> dict[str, str]:
        act = self._cloudformation.update_stack if update else self._cloudformation.create_stack
        act(StackName=self.name, TemplateBody=json.dumps(template))
        await_(lambda: not self.status().endswith("_IN_PROGRESS"))
        events = self._cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        reasons = [e.get("ResourceStatusReason") for e in events if "FAILED" in e["ResourceStatus"]]
        assert self.status() == ("UPDATE_COMPLETE" if update else "CREATE_COMPLETE"), reasons
        stack = self._cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        return {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}

    def status(self) -> str:
        try:
            stack = self._cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError:
            return "DELETE_COMPLETE"
        return str(stack["StackStatus"])

    def delete(self) -> str:
        self._cloudformation.delete_stack(StackName=self.name)
        await_(lambda: not self.status().endswith("_IN_PROGRESS"))
        return self.status()


@pytest.fixture
def stack(client: Client) -> Iterator[Stack]:
    made = Stack(client)
    yield made
    made.delete()


def test_cloudformation_makes_a_service_and_an_endpoint_and_deletes_both(
    provider: Any, stack: Stack, template: Answer
) -> None:
    outputs = stack.deploy(template)
    service, endpoint = outputs["Service"], outputs["Endpoint"]
    assert states(provider, {"ServiceId": service}) == {endpoint: "pendingAcceptance"}
    (shown,) = provider.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    by_stack = [{"Name": "tag:aws:cloudformation:stack-name", "Values": [stack.name]}]
    found = provider.describe_vpc_endpoint_service_configurations(Filters=by_stack)["ServiceConfigurations"]
    assert [s["ServiceId"] for s in found] == [service]
    first = shown["DnsEntries"][0]
    assert outputs["Name"] == f"{first['HostedZoneId']}:{first['DnsName']}"

    by_service = [{"Name": "service-id", "Values": [service]}]
    assert stack.delete() == "DELETE_COMPLETE"
    gone = {"ServiceIds": [service]}
    code = refused(provider.describe_vpc_endpoint_service_configurations, **gone)
    assert code == "InvalidVpcEndpointServiceId.NotFound"
    assert (
        provider.describe_vpc_endpoint_connection_notifications(Filters=by_service)["ConnectionNotificationSet"] == []
    )


def test_cloudformation_changes_a_service_and_an_endpoint_in_place(
    provider: Any, stack: Stack, template: Answer
) -> None:
    outputs = stack.deploy(template)
    service, endpoint = outputs["Service"], outputs["Endpoint"]
    resources = template["Resources"]
    resources["Service"]["Properties"].update(AcceptanceRequired=False, Tags=[{"Key": "team", "Value": "core"}])
    resources["Permissions"]["Properties"]["AllowedPrincipals"] = ["*"]
    resources["Notification"]["Properties"]["ConnectionEvents"] = ["Connect", "Delete"]
    resources["Endpoint"]["Properties"]["SubnetIds"] = []
    assert stack.deploy(template, update=True)["Service"] == service
    (changed,) = provider.describe_vpc_endpoint_service_configurations(ServiceIds=[service])["ServiceConfigurations"]
    tags = {t["Key"]: t["Value"] for t in changed["Tags"]}
    assert (changed["AcceptanceRequired"], tags["team"], "linkgate" in tags) == (False, "core", False)
    allowed = provider.describe_vpc_endpoint_service_permissions(ServiceId=service)["AllowedPrincipals"]
    assert [p["Principal"] for p in allowed] == ["*"]
    by_service = {"Filters": [{"Name": "service-id", "Values": [service]}]}
    (told,) = provider.describe_vpc_endpoint_connection_notifications(**by_service)["ConnectionNotificationSet"]
    assert told["ConnectionEvents"] == ["Connect", "Delete"]
    (shown,) = provider.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    assert (shown["SubnetIds"], shown["NetworkInterfaceIds"]) == ([], [])


def test_cloudformation_cannot_delete_a_service_that_has_connections(
    provider: Any, consumer: Any, stack: Stack, template: Answer
) -> None:
    service = stack.deploy(template)["Service"]
    (made,) = provider.describe_vpc_endpoint_service_configurations(ServiceIds=[service])["ServiceConfigurations"]
    endpoint = create_endpoint(consumer, made)["VpcEndpointId"]
    assert stack.delete() == "DELETE_FAILED"
    provider.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=[endpoint])
    assert stack.delete() == "DELETE_COMPLETE"


def test_cloudformation_replaces_an_endpoint_that_moves_to_another_service(
    provider: Any, stack: Stack, template: Answer
) -> None:
    endpoint = stack.deploy(template)["Endpoint"]
    other = create_service(provider)
    template["Resources"]["Endpoint"]["Properties"]["ServiceName"] = other["ServiceName"]
    replaced = stack.deploy(template, update=True)["Endpoint"]
    assert replaced != endpoint
    assert states(provider, other) == {replaced: "pendingAcceptance"}
    asked = {"VpcEndpointIds": [endpoint]}
    assert await_(lambda: _gone(provider, asked))


def _gone(ec2: Any, asked: Answer) -> bool:
    try:
        ec2.describe_vpc_endpoints(**asked)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "InvalidVpcEndpointId.NotFound")
    return False
