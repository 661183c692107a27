"""What a role may do with services and connections."""

from typing import Any

import pytest

from lab.harness.process import PROVIDER_ACCOUNT, REGION, LabProcess
from tests.integration.lab.privatelink.conftest import (
    ANY_SERVICE,
    MANAGED,
    Answer,
    Client,
    assume,
    create_endpoint,
    create_service,
    refused,
    tagged,
)


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
