"""Endpoint services and their permissions, as EC2 answers them."""

from typing import Any

from lab.harness.process import PROVIDER_ACCOUNT, REGION
from tests.integration.lab.privatelink.conftest import (
    BALANCER,
    CONSUMER,
    STRANGER,
    Answer,
    Client,
    create_endpoint,
    create_service,
    refused,
    tagged,
)


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


def test_a_dry_run_changes_nothing(provider: Any) -> None:
    service = create_service(provider)
    asked = {"ServiceIds": [service["ServiceId"]], "DryRun": True}
    assert refused(provider.delete_vpc_endpoint_service_configurations, **asked) == "DryRunOperation"
    asked.pop("DryRun")
    assert provider.describe_vpc_endpoint_service_configurations(**asked)["ServiceConfigurations"]
