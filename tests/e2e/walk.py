"""One endpoint of the demo's service from its request to its deletion, by hand, while Linkgate only observes."""

import json
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from botocore.exceptions import ClientError
from linkgate.aws.services import EVENTS
from linkgate.events import bell

from tests.e2e.question import Account, Answer, Needs, question, tried
from tests.e2e.things import allow, queue, received

FIELDS = (
    "ServiceId",
    "VpcEndpointId",
    "VpcEndpointOwner",
    "VpcEndpointState",
    "CreationTimestamp",
    "VpcEndpointRegion",
)
"""What Linkgate reads of a connection in every state; tags, names and the connection's id where there are any."""
UNKNOWN = "vpce-0123456789abcdef0"


@dataclass
class Walk:
    """What EC2 showed, said and sent on the way."""

    endpoint: str = ""
    lag: float = 0
    """Seconds from CreateVpcEndpoint until the provider's Describe shows the connection."""
    views: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The connection as it is described, by its state."""
    said: dict[str, str] = field(default_factory=dict)
    """What EC2 says to an act, by the act and the state in which it was tried."""
    bodies: dict[str, list[str]] = field(default_factory=dict)
    """What each topic was sent: the open one, and the one that names account and service."""


def walked(account: Account) -> Walk:
    """The walk of this run."""
    found: Walk = account.once("walk", lambda: _walk(account))
    return found


def service_of(account: Account) -> str:
    """The demo's service."""
    assert account.deployed
    return account.deployed.service


def connection(account: Account, endpoint: str, service: str = "") -> dict[str, Any]:
    """What EC2 shows of an endpoint's connection; {} if nothing. The filter is the one that nobody doubts."""
    filters = [{"Name": "service-id", "Values": [service or service_of(account)]}]
    pages = account.client("ec2").get_paginator("describe_vpc_endpoint_connections").paginate(Filters=filters)
    found = [one for page in pages for one in page["VpcEndpointConnections"]]
    return next((one for one in found if one["VpcEndpointId"] == endpoint), {})


def state(account: Account, endpoint: str, service: str = "") -> str:
    """EC2's word for a connection; "" if it shows none."""
    return str(connection(account, endpoint, service).get("VpcEndpointState", ""))


def reaches(account: Account, endpoint: str, wanted: str, seconds: float = 300, service: str = "") -> bool:
    """Whether a connection gets into a state."""
    return bool(account.until(lambda: state(account, endpoint, service) == wanted, seconds))


def requested(account: Account, kind: str = "Interface", name: str = "") -> str:
    """A new endpoint in the demo's consumer VPC, in one zone, for the demo's service or the one of this name."""
    assert account.deployed
    ec2, demo = account.client("ec2"), account.deployed.demo
    groups = {"SecurityGroupIds": [demo["ConsumerSecurityGroupId"]]} if kind == "Interface" else {}
    created = ec2.create_vpc_endpoint(
        VpcEndpointType=kind,
        VpcId=demo["ConsumerVpcId"],
        ServiceName=name or demo["ServiceName"],
        SubnetIds=demo["ConsumerSubnetIds"].split(",")[:1],
        **groups,
    )
    endpoint = str(created["VpcEndpoint"]["VpcEndpointId"])
    account.made(f"endpoint {endpoint}", partial(disconnected, account, ec2, endpoint))
    return endpoint


def disconnected(account: Account, ec2: Any, endpoint: str) -> None:
    """Delete an endpoint as its consumer, and wait until it is gone: its interfaces hold subnets until then."""
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    account.until(lambda: tried(partial(ec2.describe_vpc_endpoints, VpcEndpointIds=[endpoint])))


def acted(account: Account, act: str, *endpoints: str, service: str = "") -> str:
    """What EC2 says to accept or reject: "done", the codes in Unsuccessful, or the code of the whole call's refusal."""
    call = getattr(account.client("ec2"), f"{act}_vpc_endpoint_connections")
    try:
        answer = call(ServiceId=service or service_of(account), VpcEndpointIds=list(endpoints))
    except ClientError as error:
        account.keep(f"error-{act}", error.response["Error"])
        return f"refused: {error.response['Error']['Code']}"
    codes = sorted({one["Error"]["Code"] for one in answer.get("Unsuccessful", [])})
    return f"Unsuccessful: {', '.join(codes)}" if codes else "done"


def _walk(account: Account) -> Walk:
    walk, service = Walk(), service_of(account)
    queues = {word: subscribed(account, service, word) for word in ("open", "named")}
    start = time.monotonic()
    walk.endpoint = requested(account)
    reaches(account, walk.endpoint, "pendingAcceptance")
    walk.lag = time.monotonic() - start
    for act, wanted in (("", "pendingAcceptance"), ("accept", "available"), ("reject", "rejected")):
        if act:
            walk.said[act] = acted(account, act, walk.endpoint)
            reaches(account, walk.endpoint, wanted)
        walk.views[wanted] = connection(account, walk.endpoint)
        for again in ("accept", "reject") if wanted == "rejected" else ("accept",) if act else ():
            walk.said[f"{again} when {wanted}"] = acted(account, again, walk.endpoint)
    walk.said["accept an endpoint that nobody knows"] = acted(account, "accept", UNKNOWN)
    account.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[walk.endpoint])
    account.until(lambda: state(account, walk.endpoint) in ("", "deleted"))
    walk.bodies = {word: received(account, url, len(EVENTS)) for word, url in queues.items()}
    _keep(account, walk)
    return walk


def subscribed(account: Account, service: str, word: str) -> str:
    """The URL of a queue that gets a service's notifications through a topic of its own, if EC2 takes such a topic.

    The topic called "named" lets EC2 publish for this account's service alone.
    """
    sns, ec2, (url, arn) = account.client("sns"), account.client("ec2"), queue(account, f"topic-{word}")
    topic = sns.create_topic(Name=f"{account.name}-{word}")["TopicArn"]
    account.made(f"topic {word}", lambda: sns.delete_topic(TopicArn=topic))
    source = f"arn:aws:ec2:{account.region}:{account.number}:vpc-endpoint-service/{service}"
    named = {"StringEquals": {"aws:SourceAccount": account.number}, "ArnLike": {"aws:SourceArn": source}}
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "vpce.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
    } | ({"Condition": named} if word == "named" else {})
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    allow(account, url, arn, "sns.amazonaws.com", topic)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    asked = {"ServiceId": service, "ConnectionNotificationArn": topic, "ConnectionEvents": list(EVENTS)}
    try:
        note = ec2.create_vpc_endpoint_connection_notification(**asked)["ConnectionNotification"]
    except ClientError as error:
        account.keep(f"error-notification-{word}", error.response["Error"])
        return url
    ids = [note["ConnectionNotificationId"]]
    remove = partial(ec2.delete_vpc_endpoint_connection_notifications, ConnectionNotificationIds=ids)
    account.made(f"notification {word}", remove)
    return url


def _keep(account: Account, walk: Walk) -> None:
    for number, body in enumerate(walk.bodies["open"]):
        account.keep(f"sns-notification-{number}", json.loads(body))
    for word, view in walk.views.items():
        account.keep(f"connection-{word}", view)
    account.keep("codes", walk.said)


@question("they name the endpoint somewhere, as an id", Needs.STACKS, minutes=6, in_lab=True)
def notification_bodies(account: Account) -> Answer:
    """What do the notifications of Connect, Accept, Reject and Delete say?"""
    walk = walked(account)
    bodies = walk.bodies["open"]
    readable = [walk.endpoint in bell.parse(json.dumps({"detail": body})).endpoints for body in bodies]
    seen = f"{len(bodies)} came, {sum(readable)} name the endpoint"
    return Answer(seen, len(bodies) >= len(EVENTS) and all(readable))


@question("EC2 gives both, as its guide's policies show", Needs.STACKS, in_lab=False)
def topic_conditions(account: Account) -> Answer:
    """Do notifications get through a topic policy that names aws:SourceAccount and aws:SourceArn?"""
    bodies = walked(account).bodies
    number = f"{len(bodies['named'])} of {len(bodies['open'])} came"
    return Answer(number, len(bodies["named"]) == len(bodies["open"]) > 0)


@question("within the nine looks of four minutes", Needs.STACKS, in_lab=True)
def describe_lag(account: Account) -> Answer:
    """How long after CreateVpcEndpoint does the provider's Describe show the connection?"""
    lag = walked(account).lag
    return Answer(f"{lag:.1f} s", lag < 240)


@question("all that Linkgate reads, VpcEndpointRegion also within one Region", Needs.STACKS, in_lab=True)
def describe_fields(account: Account) -> Answer:
    """Which fields does the provider's Describe show in each state?"""
    missing = {
        word: [name for name in FIELDS if name not in view] or ["none"] for word, view in walked(account).views.items()
    }
    seen = "; ".join(f"{word} lacks {', '.join(names)}" for word, names in missing.items())
    return Answer(seen, all(names == ["none"] for names in missing.values()))


@question("while it is available, so that the canary needs nobody else to name them", Needs.STACKS, in_lab=True)
def describe_names(account: Account) -> Answer:
    """When does the provider's Describe show DnsEntries and VpcEndpointConnectionId?"""
    views = walked(account).views
    shown = {
        word: [name for name in ("DnsEntries", "VpcEndpointConnectionId") if view.get(name)]
        for word, view in views.items()
    }
    seen = "; ".join(f"{word}: {' and '.join(names) or 'neither'}" for word, names in shown.items())
    return Answer(seen, len(shown.get("available", [])) == 2)


@question("done, or a refusal that a new look explains", Needs.STACKS, in_lab=True)
def accept_again(account: Account) -> Answer:
    """What does EC2 say to Accept on a connection that is available already?"""
    said = walked(account).said["accept when available"]
    return Answer(said, True)


@question("done, or a refusal that a new look explains", Needs.STACKS, in_lab=True)
def reject_again(account: Account) -> Answer:
    """What does EC2 say to Reject on a connection that is rejected already?"""
    return Answer(walked(account).said["reject when rejected"], True)


@question("it is refused, so the consumer must create the endpoint anew", Needs.STACKS, in_lab=True)
def accept_rejected(account: Account) -> Answer:
    """What does EC2 say to Accept on a connection that was rejected?"""
    return _refused(account, "accept when rejected")


@question("done: a live connection can be cut", Needs.STACKS, in_lab=True)
def reject_available(account: Account) -> Answer:
    """What does EC2 say to Reject on an available connection?"""
    walk = walked(account)
    return Answer(walk.said["reject"], walk.said["reject"] == "done" and bool(walk.views["rejected"]))


@question("a refusal of that one, as a whole or in Unsuccessful", Needs.STACKS, in_lab=True)
def accept_unknown(account: Account) -> Answer:
    """What does EC2 say to Accept on an endpoint that it does not know?"""
    return _refused(account, "accept an endpoint that nobody knows")


def _refused(account: Account, what: str) -> Answer:
    said = walked(account).said[what]
    return Answer(said, said != "done")


@question("it is taken, its refusals by id", Needs.STACKS, in_lab=True)
def many_ids(account: Account) -> Answer:
    """Does EC2 take an Accept with 100 endpoints?"""
    said = acted(account, "accept", *(f"vpce-{number:017x}" for number in range(100)))
    return Answer(said, "Limit" not in said and "MalformedParameter" not in said and "InvalidParameter" not in said)
