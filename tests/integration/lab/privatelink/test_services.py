"""Endpoint services, their permissions and their connections, as their owner sees and decides them."""

from typing import Any

from lab.harness.process import PROVIDER_ACCOUNT, REGION
from tests.integration.lab.privatelink.conftest import (
    BALANCER,
    CONSUMER,
    STRANGER,
    Answer,
    Client,
    await_,
    create_endpoint,
    create_service,
    refused,
    states,
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
    assert refused(found, vpc_endpoint_id=theirs) == "InvalidFilter"
    assert found(vpc_endpoint_region=REGION, ip_address_type="ipv4") == made | {theirs}
    assert states(consumer, service) == {}
    assert refused(provider.describe_vpc_endpoint_connections, MaxResults=4) == "InvalidParameterValue"


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
