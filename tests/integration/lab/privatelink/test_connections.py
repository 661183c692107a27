"""Connections as their service's owner sees and decides them."""

from typing import Any

from lab.harness.process import REGION
from tests.integration.lab.privatelink.conftest import (
    CONSUMER,
    STRANGER,
    Answer,
    Client,
    await_,
    create_endpoint,
    create_service,
    refused,
    states,
)


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
    assert found(vpc_endpoint_id=theirs) == {theirs}
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
