"""Questions that need a second account: `--second-profile`. Both accounts are the caller's own."""

from functools import partial
from typing import Any

from tests.e2e.deployed import row
from tests.e2e.question import Account, Answer, Needs, question, tried
from tests.e2e.things import function, log
from tests.e2e.walk import disconnected, reaches, service_of


def second(account: Account, service: str) -> Any:
    """A client of the second account, in the same Region."""
    assert account.second
    return account.second.client(service, region_name=account.region)  # type: ignore[call-overload]


def number(account: Account) -> str:
    """The second account."""
    return str(second(account, "sts").get_caller_identity()["Account"])


def foreign_endpoint(account: Account) -> str:
    """An endpoint of the second account, in a VPC of its own, that asks for the demo's service."""
    assert account.deployed
    ec2, provider = second(account, "ec2"), account.client("ec2")
    principal = [f"arn:aws:iam::{number(account)}:root"]
    provider.modify_vpc_endpoint_service_permissions(ServiceId=service_of(account), AddAllowedPrincipals=principal)
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    account.made(f"VPC {vpc}", lambda: ec2.delete_vpc(VpcId=vpc))
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    account.made(f"subnet {subnet}", lambda: ec2.delete_subnet(SubnetId=subnet))
    name = account.deployed.demo["ServiceName"]
    created = ec2.create_vpc_endpoint(VpcEndpointType="Interface", VpcId=vpc, ServiceName=name, SubnetIds=[subnet])
    endpoint = str(created["VpcEndpoint"]["VpcEndpointId"])
    account.made(f"endpoint {endpoint}", partial(disconnected, account, ec2, endpoint))
    return endpoint


@question("as its own bell: Linkgate needs it for nothing", Needs.SECOND_ACCOUNT, 20, 0.02)
def consumer_trail(account: Account) -> Answer:
    """Does a consumer's CreateVpcEndpoint appear in the provider's CloudTrail?"""
    endpoint, trail = foreign_endpoint(account), account.client("cloudtrail")
    asked = [{"AttributeKey": "EventName", "AttributeValue": "CreateVpcEndpoint"}]

    def seen() -> bool:
        pages = trail.get_paginator("lookup_events").paginate(LookupAttributes=asked, PaginationConfig={"MaxItems": 50})
        return any(endpoint in one["CloudTrailEvent"] for page in pages for one in page["Events"])

    found = account.until(seen, 900)
    return Answer("it does" if found else "not within 15 minutes", True)


@question("refused by the topic's policy, or harmless: it is one look more", Needs.SECOND_ACCOUNT, 2, 0.01, in_lab=True)
def foreign_notification(account: Account) -> Answer:
    """Can another account's endpoint notify our topic?"""
    endpoint, outputs = foreign_endpoint(account), account.client("cloudformation")
    topic = outputs.describe_stack_resource(StackName=account.name, LogicalResourceId="NotificationTopic")
    arn, ec2 = topic["StackResourceDetail"]["PhysicalResourceId"], second(account, "ec2")
    asked = {"VpcEndpointId": endpoint, "ConnectionNotificationArn": arn, "ConnectionEvents": ["Delete"]}
    code = tried(lambda: ec2.create_vpc_endpoint_connection_notification(**asked))
    return Answer(f"refused: {code}" if code else "taken", True)


@question("patrol's role may, if the function's policy names it", Needs.SECOND_ACCOUNT, 5, 0.01, in_lab=True)
def foreign_canary(account: Account) -> Answer:
    """Does patrol get to invoke a canary in another account, by its role's ARN?"""
    assert account.deployed
    other = Account(account.second or account.session, number(account), "linkgate-canary-verify", account.lab)
    other.left = account.left
    with other.place():
        name = function(other, account.name[-6:], "def handler(event, context):\n    print('invoked')\n    return []\n")
        functions = second(account, "lambda")
        patrol = account.deployed.linkgate["PatrolRoleArn"]
        functions.add_permission(
            FunctionName=name, StatementId="patrol", Action="lambda:InvokeFunction", Principal=patrol
        )
        arn = functions.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
        row(account, f"@canary:{other.number}", function=arn)
        row(account, other.number, effect="allow")
        reaches(account, foreign_endpoint(account), "available")
        found = account.until(lambda: any("invoked" in line for line in log(other, name)))
    return Answer("invoked" if found else "not invoked", bool(found))
