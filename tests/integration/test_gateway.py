"""A managed service of a Gateway Load Balancer, and what else the demo has none of: attachments, text that is hard."""

import json
import re
from typing import Any

import pytest

from lab.harness.account import Provider
from lab.harness.deploy import CONSUMERS, Deployed
from lab.harness.process import CHECKOUT, PROVIDER_ACCOUNT, REGION, LabProcess
from tests.integration.conftest import Await, Client
from tests.integration.deploy import function, invoke, lines, newest

BALANCER = f"arn:aws:elasticloadbalancing:{REGION}:{PROVIDER_ACCOUNT}:loadbalancer/gwy/inspect/0123456789abcdef"
CONSUMER, STRANGER = CONSUMERS
ATTACHING = "transit-gateway-attachment"
Answer = dict[str, Any]


@pytest.fixture(scope="module")
def service(client: Client, provider: Provider) -> Answer:
    """A managed service of a Gateway Load Balancer, whose allowed principals follow its one row."""
    made: Answer = client("ec2").create_vpc_endpoint_service_configuration(
        GatewayLoadBalancerArns=[BALANCER],
        AcceptanceRequired=True,
        TagSpecifications=[
            {"ResourceType": "vpc-endpoint-service", "Tags": [{"Key": "linkgate", "Value": "managed"}]},
        ],
    )["ServiceConfiguration"]
    provider.put_row("@settings", service=made["ServiceId"], mode="enforce", sync_permissions="exact")
    provider.put_row(CONSUMER, service=made["ServiceId"], effect="allow")
    return made


@pytest.fixture(scope="module")
def attachment(lab: LabProcess, service: Answer) -> str:
    """A transit gateway of a consumer that waits on the service; everybody may attach one."""
    newest(lab, PROVIDER_ACCOUNT).modify_vpc_endpoint_service_permissions(
        ServiceId=service["ServiceId"], PermissionType=ATTACHING, AddAllowedPrincipals=["*"]
    )
    made = newest(lab, CONSUMER).create_transit_gateway_network_function_attachment(
        ServiceName=service["ServiceName"], TransitGatewayId="tgw-00000000000000001"
    )
    return str(made["TransitGatewayNetworkFunctionAttachment"]["TransitGatewayAttachmentId"])


def sweep(client: Client, deployed: Deployed) -> list[Answer]:
    """Every line that sweeps logged, after one more."""
    assert invoke(client, deployed.linkgate["SweepFunction"], {})[0] is None
    return logged(client, "sweep")


def logged(client: Client, name: str) -> list[Answer]:
    return [json.loads(text) for text in lines(client, f"linkgate-{name}") if '"message"' in text]


def principals(lab: LabProcess, service: Answer) -> set[tuple[str, str]]:
    """Who may do what on the service."""
    ec2 = newest(lab, PROVIDER_ACCOUNT)
    found = ec2.describe_vpc_endpoint_service_permissions(ServiceId=service["ServiceId"])["AllowedPrincipals"]
    return {(one["Principal"], one["PermissionType"]) for one in found}


def test_the_sweep_finds_what_no_notification_tells_and_nothing_calls_it_wrong(
    provider: Provider, client: Client, lab: LabProcess, deployed: Deployed, service: Answer, until: Await
) -> None:
    root = f"arn:aws:iam::{CONSUMER}:root"
    until(lambda: sweep(client, deployed) and principals(lab, service), {(root, "vpc-endpoint")})
    ec2 = client("ec2", CONSUMER)
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.1.0/24")["Subnet"]["SubnetId"]
    asked = {"VpcEndpointType": "GatewayLoadBalancer", "ServiceName": service["ServiceName"]}
    endpoint = ec2.create_vpc_endpoint(**asked, VpcId=vpc, SubnetIds=[subnet])["VpcEndpoint"]["VpcEndpointId"]
    until(lambda: sweep(client, deployed) and provider.state(endpoint), "available")
    until(lambda: provider.status(endpoint), "ACCEPTED")
    for _ in range(3):
        assert invoke(client, deployed.linkgate["PatrolFunction"], {})[0] is None
    assert provider.status(endpoint) == "ACCEPTED"
    assert "Gateway Load Balancer has no name" in provider.known(endpoint)["health"]["detail"]
    said = [line for line in logged(client, "sweep") if line["level"] in ("WARNING", "ERROR")]
    assert [line for line in said if service["ServiceId"] in json.dumps(line)] == []


def test_an_attachment_is_named_in_the_sweeps_log_and_left_alone(
    client: Client, lab: LabProcess, deployed: Deployed, service: Answer, attachment: str, until: Await
) -> None:
    sentence = f"left alone on {service['ServiceId']}: transit gateway attachments"

    def named() -> list[list[str]]:
        return [line["attachments"] for line in sweep(client, deployed) if line["message"] == sentence]

    until(named, lambda found: found and found[-1] == [attachment])
    assert invoke(client, deployed.linkgate["PatrolFunction"], {})[0] is None
    bell = {
        "source": "linkgate",
        "detail-type": "Bell",
        "detail": {"endpoints": [], "services": [service["ServiceId"]]},
    }
    record = {"messageId": "1", "body": json.dumps(bell), "eventSource": "aws:sqs"}
    answer = invoke(client, deployed.linkgate["ApproveFunction"], {"Records": [record]})
    assert answer == (None, {"batchItemFailures": []})
    shown = newest(lab, PROVIDER_ACCOUNT).describe_vpc_endpoint_connections(
        Filters=[{"Name": "service-id", "Values": [service["ServiceId"]]}]
    )["VpcEndpointConnections"]
    states = {one.get("TransitGatewayAttachmentId"): one["VpcEndpointState"] for one in shown}
    assert states[attachment] == "pendingAcceptance"


def test_who_may_attach_is_none_of_permission_syncs(
    client: Client, lab: LabProcess, deployed: Deployed, service: Answer, attachment: str, until: Await
) -> None:
    other, root = (f"arn:aws:iam::{account}:root" for account in (STRANGER, CONSUMER))
    ids = {"ServiceId": service["ServiceId"]}
    newest(lab, PROVIDER_ACCOUNT).modify_vpc_endpoint_service_permissions(
        **ids, PermissionType=ATTACHING, AddAllowedPrincipals=[root]
    )
    client("ec2").modify_vpc_endpoint_service_permissions(
        **ids, AddAllowedPrincipals=[other], RemoveAllowedPrincipals=[root]
    )
    wanted = {(root, "vpc-endpoint"), (root, ATTACHING), ("*", ATTACHING)}
    until(lambda: sweep(client, deployed) and principals(lab, service), wanted)


def test_functions_run_with_the_boto3_of_their_layer(client: Client, deployed: Deployed) -> None:
    pinned = (CHECKOUT / "layers" / "common" / "requirements.txt").read_text()
    ours = client("lambda").get_function_configuration(FunctionName=deployed.linkgate["ApproveFunction"])
    code = "import boto3\ndef handler(event, context):\n    return boto3.__version__"
    name = function(client, code, Layers=[one["Arn"] for one in ours["Layers"]])
    assert invoke(client, name) == (None, re.findall(r"^boto3==(\S+)", pinned, re.MULTILINE)[0])
