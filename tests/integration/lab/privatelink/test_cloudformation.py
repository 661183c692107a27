"""PrivateLink's types in CloudFormation."""

import copy
import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.harness.process import REGION
from tests.integration.lab.privatelink.conftest import (
    BALANCER,
    CONSUMER,
    Answer,
    Client,
    await_,
    create_endpoint,
    create_service,
    refused,
    states,
)

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
    (shown,) = provider.describe_vpc_endpoint_connection_notifications(**by_service)["ConnectionNotificationSet"]
    assert shown["ConnectionEvents"] == ["Connect", "Delete"]
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
