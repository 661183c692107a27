"""The loopback plane in the whole lab: what a consumer's function reaches, and what stacks put on the network."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab.harness import deploy
from lab.harness.process import PROVIDER_ACCOUNT, LabProcess
from tests.integration.conftest import Client
from tests.integration.deploy import eventually, function, invoke, role, unique

CONSUMER = "222222222222"
PORT = 18080

FETCH = """
import os, urllib.request

def handler(event, context):
    url = event["url"].replace("{aws}", os.environ["AWS_ENDPOINT_URL"])
    try:
        with urllib.request.urlopen(url, timeout=0.5) as response:
            return response.read().decode()
    except OSError as error:
        return type(getattr(error, "reason", error)).__name__
"""


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with LabProcess(plane="loopback") as lab:
        yield lambda service, account=PROVIDER_ACCOUNT: deploy.client(lab, service, account)


@dataclass
class Scene:
    """A provider's service on one instance, and a consumer's endpoint to it with a function beside it."""

    client: Client
    instance: str
    group: str
    service: str
    endpoint: str
    function: str

    def consumer(self, service: str) -> Any:
        return self.client(service, account=CONSUMER)

    def url(self) -> str:
        (endpoint,) = self.consumer("ec2").describe_vpc_endpoints(VpcEndpointIds=[self.endpoint])["VpcEndpoints"]
        return f"http://{endpoint['DnsEntries'][0]['DnsName']}:{PORT}/"

    def fetch(self, url: str | None = None) -> Any:
        """What the function got from the endpoint, or the name of its error."""
        error, answer = invoke(self.consumer, self.function, {"url": self.url() if url is None else url})
        assert error is None, answer
        return answer

    def health(self) -> list[tuple[str, str]]:
        answer = self.client("elbv2").describe_target_health(TargetGroupArn=self.group)
        return [(one["Target"]["Id"], one["TargetHealth"]["State"]) for one in answer["TargetHealthDescriptions"]]


def subnet(ec2: Any) -> tuple[str, str]:
    """A new VPC and its only subnet."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone="eu-west-1a")
    return vpc, made["Subnet"]["SubnetId"]


def provide(client: Client) -> tuple[str, str, str]:
    """An endpoint service that leads to an instance: the ids of instance, target group and service."""
    ec2, elb = client("ec2"), client("elbv2")
    vpc, place = subnet(ec2)
    ran = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=place)
    instance = ran["Instances"][0]["InstanceId"]
    name = unique("shop")[:32]
    made = elb.create_load_balancer(Name=name, Type="network", Scheme="internal", Subnets=[place])
    balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
    made = elb.create_target_group(Name=name, Protocol="TCP", Port=80, VpcId=vpc)
    group = made["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    elb.create_listener(LoadBalancerArn=balancer, Protocol="TCP", Port=PORT, DefaultActions=forward)
    made = ec2.create_vpc_endpoint_service_configuration(AcceptanceRequired=True, NetworkLoadBalancerArns=[balancer])
    service = made["ServiceConfiguration"]["ServiceId"]
    principals = [f"arn:aws:iam::{CONSUMER}:root"]
    ec2.modify_vpc_endpoint_service_permissions(ServiceId=service, AddAllowedPrincipals=principals)
    return instance, group, service


@pytest.fixture
def scene(client: Client) -> Scene:
    def consumer(service: str) -> Any:
        return client(service, account=CONSUMER)

    instance, group, service = provide(client)
    (configuration,) = client("ec2").describe_vpc_endpoint_service_configurations(ServiceIds=[service])[
        "ServiceConfigurations"
    ]
    vpc, place = subnet(consumer("ec2"))
    made = consumer("ec2").create_vpc_endpoint(
        VpcEndpointType="Interface", VpcId=vpc, ServiceName=configuration["ServiceName"], SubnetIds=[place]
    )
    inside = {"SubnetIds": [place], "SecurityGroupIds": ["sg-00000001"]}
    name = function(consumer, FETCH, VpcConfig=inside, Timeout=20)
    return Scene(client, instance, group, service, made["VpcEndpoint"]["VpcEndpointId"], name)


def test_a_function_in_the_consumer_vpc_sees_each_decision_and_each_state_of_the_server(scene: Scene) -> None:
    ec2 = scene.client("ec2")
    hello = f"hello from {scene.instance}\n"
    assert scene.fetch() == "TimeoutError"
    ec2.accept_vpc_endpoint_connections(ServiceId=scene.service, VpcEndpointIds=[scene.endpoint])
    assert eventually(lambda: scene.fetch() == hello)
    assert scene.health() == [(scene.instance, "healthy")]
    ec2.stop_instances(InstanceIds=[scene.instance])
    assert eventually(lambda: scene.fetch() == "ConnectionResetError")
    assert scene.health() == [(scene.instance, "unused")]
    ec2.start_instances(InstanceIds=[scene.instance])
    assert eventually(lambda: scene.fetch() == hello)
    ec2.reject_vpc_endpoint_connections(ServiceId=scene.service, VpcEndpointIds=[scene.endpoint])
    assert eventually(lambda: scene.fetch() == "TimeoutError")


def test_a_deleted_endpoint_has_no_name(scene: Scene) -> None:
    url = scene.url()
    scene.consumer("ec2").delete_vpc_endpoints(VpcEndpointIds=[scene.endpoint])
    assert eventually(lambda: scene.fetch(url) == "gaierror")


def test_a_function_in_a_vpc_reaches_no_aws_api_and_one_outside_does(scene: Scene) -> None:
    health = "{aws}/_ministack/health"
    assert scene.fetch(health) == "TimeoutError"
    scene.function = function(scene.consumer, FETCH)
    assert "Error" not in scene.fetch(health)


def test_a_stack_puts_functions_targets_and_instances_on_the_network(client: Client) -> None:
    _, place = subnet(client("ec2"))
    properties: dict[str, tuple[str, dict[str, Any]]] = {
        "Server": ("AWS::EC2::Instance", {"ImageId": "ami-12345678", "SubnetId": place}),
        "Group": (
            "AWS::ElasticLoadBalancingV2::TargetGroup",
            {"Protocol": "TCP", "Port": 80, "Targets": [{"Id": {"Ref": "Server"}, "Port": 8080}]},
        ),
        "Inside": (
            "AWS::Lambda::Function",
            {
                "Runtime": "python3.11",
                "Handler": "index.handler",
                "Role": role(client, "lambda"),
                "Code": {"ZipFile": FETCH},
                "VpcConfig": {"SubnetIds": [place], "SecurityGroupIds": ["sg-00000001"]},
            },
        ),
    }
    resources = {name: {"Type": kind, "Properties": given} for name, (kind, given) in properties.items()}
    name, formation = unique("network"), client("cloudformation")
    formation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    formation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    made = formation.describe_stack_resources(StackName=name)["StackResources"]
    ids = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in made}

    answer = client("elbv2").describe_target_health(TargetGroupArn=ids["Group"])
    assert [one["Target"] for one in answer["TargetHealthDescriptions"]] == [{"Id": ids["Server"], "Port": 8080}]
    configuration = client("lambda").get_function_configuration(FunctionName=ids["Inside"])
    assert configuration["VpcConfig"]["SubnetIds"] == [place]
    assert invoke(client, ids["Inside"], {"url": "{aws}/_ministack/health"}) == (None, "TimeoutError")
    formation.delete_stack(StackName=name)
    formation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    (reservation,) = client("ec2").describe_instances(InstanceIds=[ids["Server"]])["Reservations"]
    assert reservation["Instances"][0]["State"]["Name"] == "terminated"
