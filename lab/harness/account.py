"""What a person does with Linkgate, through public AWS APIs alone: rows, endpoints, the ledger, alarms."""

from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from lab.harness.deploy import Deployed, client
from lab.harness.process import PROVIDER_ACCOUNT, LabProcess


@dataclass(frozen=True)
class Provider:
    """The provider's view of a deployed Linkgate, and a way to be a consumer."""

    lab: LabProcess
    deployed: Deployed

    def put_row(self, consumer: str, service: str = "", **attributes: str) -> None:
        """One row of the allow-list."""
        item = {"service": service or self.deployed.service, "consumer": consumer, **attributes}
        client(self.lab, "dynamodb").put_item(
            TableName=self.deployed.linkgate["AllowListTable"],
            Item={name: {"S": value} for name, value in item.items()},
        )

    def delete_row(self, consumer: str, service: str = "") -> None:
        """Take one row away."""
        key = {"service": service or self.deployed.service, "consumer": consumer}
        client(self.lab, "dynamodb").delete_item(
            TableName=self.deployed.linkgate["AllowListTable"],
            Key={name: {"S": value} for name, value in key.items()},
        )

    def connect(self, account: str = PROVIDER_ACCOUNT, service_name: str = "") -> str:
        """Create an interface endpoint: in the demo's consumer VPC if it is ours, else in a new VPC."""
        ec2 = client(self.lab, "ec2", account)
        if account == PROVIDER_ACCOUNT:
            vpc = self.deployed.demo["ConsumerVpcId"]
            subnets = self.deployed.demo["ConsumerSubnetIds"].split(",")
            groups = [self.deployed.demo["ConsumerSecurityGroupId"]]
        else:
            vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
            subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]]
            groups = []
        created = ec2.create_vpc_endpoint(
            VpcEndpointType="Interface",
            VpcId=vpc,
            ServiceName=service_name or self.deployed.demo["ServiceName"],
            SubnetIds=subnets,
            SecurityGroupIds=groups,
        )
        return str(created["VpcEndpoint"]["VpcEndpointId"])

    def disconnect(self, endpoint: str, account: str = PROVIDER_ACCOUNT) -> None:
        """Delete an endpoint, as its consumer."""
        client(self.lab, "ec2", account).delete_vpc_endpoints(VpcEndpointIds=[endpoint])

    def state(self, endpoint: str) -> str | None:
        """EC2's word for a connection; None if it shows none."""
        pages = client(self.lab, "ec2").get_paginator("describe_vpc_endpoint_connections").paginate()
        shown = (connection for page in pages for connection in page["VpcEndpointConnections"])
        return next((str(one["VpcEndpointState"]) for one in shown if one.get("VpcEndpointId") == endpoint), None)

    def known(self, endpoint: str) -> dict[str, Any]:
        """The ledger's `current` item of an endpoint; {} if it has none."""
        item = client(self.lab, "dynamodb").get_item(
            TableName=self.deployed.linkgate["LedgerTable"],
            Key={"endpoint_id": {"S": endpoint}, "entry": {"S": "current"}},
            ConsistentRead=True,
        )
        return _plain(item.get("Item", {}))

    def status(self, endpoint: str) -> str | None:
        """The status of an endpoint in the ledger."""
        return self.known(endpoint).get("status")

    def decisions(self, endpoint: str) -> list[dict[str, Any]]:
        """Every decision on an endpoint, oldest first."""
        found = client(self.lab, "dynamodb").query(
            TableName=self.deployed.linkgate["LedgerTable"],
            KeyConditionExpression="endpoint_id = :endpoint",
            ExpressionAttributeValues={":endpoint": {"S": endpoint}},
            ConsistentRead=True,
        )["Items"]
        return [item for item in map(_plain, found) if item["entry"] != "current"]

    def endpoints(self) -> list[dict[str, Any]]:
        """The `current` item of every endpoint, oldest first."""
        pages = (
            client(self.lab, "dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=self.deployed.linkgate["LedgerTable"],
                FilterExpression="#entry = :current AND attribute_exists(requested_at)",
                ExpressionAttributeNames={"#entry": "entry"},
                ExpressionAttributeValues={":current": {"S": "current"}},
            )
        )
        items = [_plain(item) for page in pages for item in page["Items"]]
        return sorted(items, key=lambda item: str(item["requested_at"]))

    def alarm(self, heading: str) -> str:
        """The state of one of the stack's alarms, by its runbook heading."""
        return dict(self.alarms())[f"{self.deployed.linkgate['DashboardName']}-{heading}"]

    def alarms(self) -> list[tuple[str, str]]:
        """Name and state of every alarm."""
        found = client(self.lab, "cloudwatch").describe_alarms()["MetricAlarms"]
        return [(alarm["AlarmName"], alarm["StateValue"]) for alarm in found]


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}
