"""Private DNS names of services and endpoints."""

from typing import Any

import pytest

from tests.integration.lab.privatelink.conftest import Answer, await_, create_endpoint, create_service, network, words


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
