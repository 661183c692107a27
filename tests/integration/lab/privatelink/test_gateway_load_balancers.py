"""Services of Gateway Load Balancers with real clients, one of which knows what the pinned botocore does not yet."""

from typing import Any

import pytest

from lab.harness.process import PROVIDER_ACCOUNT, LabProcess
from tests.integration.deploy import newest
from tests.integration.lab.privatelink.conftest import BALANCER, CONSUMER, Answer, await_, network, refused

GATEWAY_BALANCER = BALANCER.replace("/net/", "/gwy/")


@pytest.fixture
def service(provider: Any) -> Answer:
    """A service of the provider on which everybody may make endpoints."""
    made: Answer = provider.create_vpc_endpoint_service_configuration(GatewayLoadBalancerArns=[GATEWAY_BALANCER])
    service: Answer = made["ServiceConfiguration"]
    provider.modify_vpc_endpoint_service_permissions(ServiceId=service["ServiceId"], AddAllowedPrincipals=["*"])
    return service


def connections(ec2: Any, service: Answer) -> list[Answer]:
    filters = [{"Name": "service-id", "Values": [service["ServiceId"]]}]
    found: list[Answer] = ec2.describe_vpc_endpoint_connections(Filters=filters)["VpcEndpointConnections"]
    return found


def test_an_endpoint_waits_and_is_accepted_and_has_no_names(provider: Any, consumer: Any, service: Answer) -> None:
    assert service["ServiceType"] == [{"ServiceType": "GatewayLoadBalancer"}]
    assert (service["GatewayLoadBalancerArns"], service["PrivateDnsNameConfiguration"]) == ([GATEWAY_BALANCER], {})
    assert "NetworkLoadBalancerArns" not in service
    vpc, subnets = network(consumer)
    asked = {"VpcEndpointType": "GatewayLoadBalancer", "VpcId": vpc, "ServiceName": service["ServiceName"]}
    endpoint = consumer.create_vpc_endpoint(**asked, SubnetIds=subnets[:1])["VpcEndpoint"]
    assert (endpoint["DnsEntries"], endpoint["Groups"], endpoint["State"]) == ([], [], "pendingAcceptance")
    (waiting,) = connections(provider, service)
    assert (waiting["VpcEndpointId"], waiting["DnsEntries"]) == (endpoint["VpcEndpointId"], [])
    assert waiting["GatewayLoadBalancerArns"] == [GATEWAY_BALANCER]
    ids = {"ServiceId": service["ServiceId"], "VpcEndpointIds": [endpoint["VpcEndpointId"]]}
    assert provider.accept_vpc_endpoint_connections(**ids)["Unsuccessful"] == []
    await_(lambda: connections(provider, service)[0]["VpcEndpointState"] == "available")
    assert refused(consumer.create_vpc_endpoint, **{**asked, "VpcEndpointType": "Interface"}) == "InvalidParameter"


def test_no_notification_can_be_made_on_it(provider: Any, service: Answer) -> None:
    asked = {"ConnectionNotificationArn": "arn:aws:sns:eu-west-1:111111111111:t", "ConnectionEvents": ["Connect"]}
    call = provider.create_vpc_endpoint_connection_notification
    assert refused(call, ServiceId=service["ServiceId"], **asked) == "InvalidParameter"


def test_an_attachment_is_a_connection_without_an_endpoint(lab: LabProcess, provider: Any, service: Answer) -> None:
    ours, theirs = newest(lab, PROVIDER_ACCOUNT), newest(lab, CONSUMER)
    named = {"ServiceName": service["ServiceName"], "TransitGatewayId": "tgw-00000000000000001"}
    attach = theirs.create_transit_gateway_network_function_attachment
    assert refused(attach, **named) == "InvalidServiceName"
    permission = {"ServiceId": service["ServiceId"], "PermissionType": "transit-gateway-attachment"}
    ours.modify_vpc_endpoint_service_permissions(**permission, AddAllowedPrincipals=["*"])
    attachment = attach(**named)["TransitGatewayNetworkFunctionAttachment"]["TransitGatewayAttachmentId"]
    (waiting,) = connections(ours, service)
    assert (waiting["TransitGatewayAttachmentId"], waiting["TransitGatewayAttachmentOwner"]) == (attachment, CONSUMER)
    (seen,) = connections(provider, service)
    assert not {"VpcEndpointId", "VpcEndpointOwner", "TransitGatewayAttachmentId"} & seen.keys()
    # The model of 1.44.8 still requires the other list, which may be empty.
    ids = {"ServiceId": service["ServiceId"], "VpcEndpointIds": []}
    assert refused(ours.accept_vpc_endpoint_connections, **ids) == "MissingParameter"
    answer = ours.accept_vpc_endpoint_connections(**ids, TransitGatewayAttachmentIds=[attachment])
    assert answer["Unsuccessful"] == []
    await_(lambda: connections(provider, service)[0]["VpcEndpointState"] == "available")
    answer = ours.reject_vpc_endpoint_connections(**ids, TransitGatewayAttachmentIds=[attachment, "tgw-attach-0"])
    assert [failure["ResourceId"] for failure in answer["Unsuccessful"]] == ["tgw-attach-0"]
    assert [c["VpcEndpointState"] for c in connections(provider, service)] == ["rejected"]


def test_principals_are_listed_by_the_type_of_their_permission(lab: LabProcess, provider: Any, service: Answer) -> None:
    ours = newest(lab, PROVIDER_ACCOUNT)
    service_id, root = service["ServiceId"], f"arn:aws:iam::{CONSUMER}:root"
    added = ours.modify_vpc_endpoint_service_permissions(
        ServiceId=service_id, AddAllowedPrincipals=[root], PermissionType="transit-gateway-attachment"
    )["AddedPrincipals"]
    assert [(p["Principal"], p["PermissionType"]) for p in added] == [(root, "transit-gateway-attachment")]

    def listed(**more: Any) -> set[tuple[str, str]]:
        found = ours.describe_vpc_endpoint_service_permissions(ServiceId=service_id, **more)["AllowedPrincipals"]
        return {(p["Principal"], p["PermissionType"]) for p in found}

    assert listed() == {("*", "vpc-endpoint"), (root, "transit-gateway-attachment")}
    assert listed(Filters=[{"Name": "permission-type", "Values": ["vpc-endpoint"]}]) == {("*", "vpc-endpoint")}
    shown = provider.describe_vpc_endpoint_service_permissions(ServiceId=service_id)["AllowedPrincipals"]
    assert sorted(p["Principal"] for p in shown) == ["*", root]
