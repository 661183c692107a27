"""PrivateLink in the local AWS: real clients of several accounts against a running server."""

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lab.harness.process import PROVIDER_ACCOUNT, REGION, LabProcess
from tests.integration.deploy import eventually

CONSUMER, STRANGER = "222222222222", "333333333333"
BALANCER = f"arn:aws:elasticloadbalancing:{REGION}:{PROVIDER_ACCOUNT}:loadbalancer/net/web/0123456789abcdef"
Client = Callable[..., Any]
Answer = dict[str, Any]


def await_(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """What `condition` gives as soon as it is true."""
    found = eventually(condition, seconds)
    assert found, "it did not become true"
    return found


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return str(error.value.response["Error"]["Code"])


def words(call: Callable[..., Any], **arguments: Any) -> str:
    """EC2's words of a refusal with the code InvalidParameter."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    assert error.value.response["Error"]["Code"] == "InvalidParameter"
    return str(error.value.response["Error"]["Message"])


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
