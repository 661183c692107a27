"""Managed endpoint services and their consumers in a lab, made and looked at through public AWS APIs alone."""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from linkgate.events.bell import ENDPOINT_ID

from lab.harness.deploy import STACK, Deployed, client
from lab.harness.process import LabProcess

ACCEPT = "AcceptVpcEndpointConnections"
_numbers = itertools.count()


@dataclass
class Trace:
    """What the ledger holds of one endpoint: its `current` item and its decisions, attributes with texts alone."""

    current: dict[str, str] = field(default_factory=dict)
    decisions: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Consumer:
    """An account's EC2, and where its endpoints stand."""

    ec2: Any
    vpc: str
    subnet: str

    def ask(self, service_name: str) -> str:
        """Create an endpoint; its id."""
        made = self.ec2.create_vpc_endpoint(
            VpcEndpointType="Interface", VpcId=self.vpc, ServiceName=service_name, SubnetIds=[self.subnet]
        )
        return str(made["VpcEndpoint"]["VpcEndpointId"])


class Site:
    """So many services behind one load balancer without a listener, and consumers in accounts that all may connect."""

    def __init__(self, lab: LabProcess, deployed: Deployed, services: int, accounts: Sequence[str]) -> None:
        self._client, self._tables = partial(client, lab), deployed.linkgate
        name = f"site-{next(_numbers)}"
        _, subnet = _vpc(self._client("ec2"), "10.7.0.0/16")
        elb = self._client("elbv2")
        made = elb.create_load_balancer(Name=name, Type="network", Scheme="internal", Subnets=[subnet])
        balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
        ours = (self._client("ec2", account=account) for account in accounts)
        self.consumers = [Consumer(ec2, *_vpc(ec2, "10.8.0.0/16")) for ec2 in ours]
        self.services = dict(self._offer(balancer, accounts) for _ in range(services))
        """Names by ids."""
        self._trail, self._queues = self._listen(name), dict(self._stack_queues())

    def _offer(self, balancer: str, accounts: Sequence[str]) -> tuple[str, str]:
        """Id and name of a new managed service that enforces a row for each account."""
        ec2, tags = self._client("ec2"), [{"Key": "linkgate", "Value": "managed"}]
        service = ec2.create_vpc_endpoint_service_configuration(
            AcceptanceRequired=True,
            NetworkLoadBalancerArns=[balancer],
            TagSpecifications=[{"ResourceType": "vpc-endpoint-service", "Tags": tags}],
        )["ServiceConfiguration"]
        ec2.modify_vpc_endpoint_service_permissions(
            ServiceId=service["ServiceId"], AddAllowedPrincipals=[f"arn:aws:iam::{one}:root" for one in accounts]
        )
        rows = [{"consumer": one, "effect": "allow"} for one in accounts]
        for row in [{"consumer": "@settings", "mode": "enforce"}, *rows]:
            item = {name: {"S": value} for name, value in {"service": service["ServiceId"], **row}.items()}
            self._client("dynamodb").put_item(TableName=self._tables["AllowListTable"], Item=item)
        return service["ServiceId"], service["ServiceName"]

    def _listen(self, name: str) -> str:
        """The URL of a new queue that hears of every Accept from CloudTrail."""
        sqs, events = self._client("sqs"), self._client("events")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {"source": ["aws.ec2"], "detail": {"eventName": [ACCEPT]}}
        rule = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
        allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = {"Statement": [{**allow, "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": rule}}}]}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        events.put_targets(Rule=name, Targets=[{"Id": "trail", "Arn": arn}])
        return str(url)

    def _stack_queues(self) -> Iterator[tuple[str, str]]:
        pages = self._client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
        for one in (one for page in pages for one in page["StackResourceSummaries"]):
            if one["ResourceType"] == "AWS::SQS::Queue":
                yield one["LogicalResourceId"], one["PhysicalResourceId"]

    def wired(self) -> bool:
        """Whether the sweep has wired the notifications of all the services."""
        pages = self._client("ec2").get_paginator("describe_vpc_endpoint_connection_notifications").paginate()
        notes = (one for page in pages for one in page["ConnectionNotificationSet"])
        return set(self.services) <= {one.get("ServiceId") for one in notes}

    def accepts(self) -> list[list[str]]:
        """The endpoints that each call of Accept on the services named, of the calls not told before."""
        sqs, calls = self._client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self._trail, MaxNumberOfMessages=10).get("Messages", []):
            for one in messages:
                asked = json.loads(one["Body"])["detail"]["requestParameters"][f"{ACCEPT}Request"]
                if asked["ServiceId"] in self.services:
                    calls.append(ENDPOINT_ID.findall(json.dumps(asked)))
                sqs.delete_message(QueueUrl=self._trail, ReceiptHandle=one["ReceiptHandle"])
        return calls

    def available(self) -> set[str]:
        """The endpoints of the services that EC2 shows so."""
        asked = [{"Name": "service-id", "Values": list(self.services)}]
        pages = self._client("ec2").get_paginator("describe_vpc_endpoint_connections").paginate(Filters=asked)
        shown = (one for page in pages for one in page["VpcEndpointConnections"])
        return {one["VpcEndpointId"] for one in shown if one["VpcEndpointState"] == "available"}

    def ledger(self) -> dict[str, Trace]:
        """What the ledger holds of each endpoint of the services."""
        found: defaultdict[str, Trace] = defaultdict(Trace)
        pages = self._client("dynamodb").get_paginator("scan").paginate(TableName=self._tables["LedgerTable"])
        for item in (item for page in pages for item in page["Items"]):
            plain = {name: value["S"] for name, value in item.items() if "S" in value}
            if plain.get("service") not in self.services or not ENDPOINT_ID.fullmatch(plain["endpoint_id"]):
                continue
            if plain["entry"] == "current":
                found[plain["endpoint_id"]].current = plain
            else:
                found[plain["endpoint_id"]].decisions.append(plain)
        return found

    def waiting(self, ending: str) -> int:
        """Messages, visible, in flight and delayed, in the stack's queues whose logical names end so."""
        sqs, count = self._client("sqs"), 0
        for url in (url for name, url in self._queues.items() if name.endswith(ending)):
            told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            count += sum(int(value) for name, value in told.items() if name.startswith("ApproximateNumber"))
        return count


def _vpc(ec2: Any, block: str) -> tuple[str, str]:
    """Ids of a new VPC and of its one subnet, both of that block."""
    vpc = ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"]
    return vpc, ec2.create_subnet(VpcId=vpc, CidrBlock=block)["Subnet"]["SubnetId"]
