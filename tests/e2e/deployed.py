"""Questions to a deployed Linkgate and stacks/demo.yaml: whether roles and wiring are enough, and the data path."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from boto3.dynamodb.types import TypeDeserializer
from linkgate.aws.services import TOPIC

from tests.e2e.question import Account, Answer, Needs, question
from tests.e2e.stacks import remove
from tests.e2e.things import allow, function, queue, received
from tests.e2e.walk import acted, connection, reaches, requested, service_of, state
from tests.infrastructure.needs import NETWORK

FLOW = '''
import socket, time
def handler(event, context):
    """Whether the endpoint takes a connection, and how an open one ends: reset, closed, silent, or open to the end."""
    start = time.monotonic()
    try:
        flow = socket.create_connection((event["host"], event["port"]), 5)
    except OSError as error:
        return [type(error).__name__, round(time.monotonic() - start, 1)]
    with flow:
        flow.settimeout(10)
        while time.monotonic() < start + event["seconds"]:
            try:
                flow.sendall(b"GET / HTTP/1.1\\r\\nHost: hello\\r\\n\\r\\n")
                if not flow.recv(65536):
                    return ["closed", round(time.monotonic() - start, 1)]
            except TimeoutError:
                return ["silent", round(time.monotonic() - start, 1)]
            except OSError:
                return ["reset", round(time.monotonic() - start, 1)]
            time.sleep(1)
    return ["open", event["seconds"]]
'''
IN_A_VPC = {"Action": list(NETWORK), "Resource": "*"}


def row(account: Account, consumer: str, **attributes: str) -> None:
    """One row of the allow-list about the demo's service."""
    assert account.deployed
    item = {"service": service_of(account), "consumer": consumer, **attributes}
    account.client("dynamodb").put_item(
        TableName=account.deployed.linkgate["AllowListTable"], Item={name: {"S": value} for name, value in item.items()}
    )


def known(account: Account, endpoint: str) -> dict[str, Any]:
    """The ledger's current item of an endpoint."""
    assert account.deployed
    found = account.client("dynamodb").get_item(
        TableName=account.deployed.linkgate["LedgerTable"],
        Key={"endpoint_id": {"S": endpoint}, "entry": {"S": "current"}},
        ConsistentRead=True,
    )
    return {name: TypeDeserializer().deserialize(value) for name, value in found.get("Item", {}).items()}


def demo_endpoint(account: Account) -> str:
    """The demo's endpoint."""
    assert account.deployed
    return account.deployed.demo["EndpointId"]


@question("both come up at the first try, their roles used right after they were made", Needs.STACKS, 20, in_lab=True)
def deployment(account: Account) -> Answer:
    """Do both stacks deploy, and how long do they take?"""
    seen = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in account.seconds.items())
    return Answer(seen, account.deployed is not None)


@question("yes: the stack is complete while its endpoint waits", Needs.STACKS, in_lab=True)
def endpoint_waits(account: Account) -> Answer:
    """Does CloudFormation complete an endpoint that is not accepted yet?"""
    seen = state(account, demo_endpoint(account))
    return Answer(f"the stack is complete, the connection {seen}", seen == "pendingAcceptance")


@question("the sweep's role may, by the tag of the service", Needs.STACKS, 2, in_lab=True)
def product_notifies(account: Account) -> Answer:
    """Does the sweep get to make the service's notification to the encrypted topic?"""
    ec2 = account.client("ec2")

    def ours() -> list[str]:
        pages = ec2.get_paginator("describe_vpc_endpoint_connection_notifications").paginate()
        notes = [one for page in pages for one in page["ConnectionNotificationSet"]]
        return [
            one["ConnectionNotificationArn"]
            for one in notes
            if one.get("ServiceId") == service_of(account)
            and one["ConnectionNotificationArn"].endswith(f":{TOPIC}{account.name}")
        ]

    found = account.until(ours)
    return Answer("made" if found else "not made", bool(found))


@question("the approver's role may, by the tag of the service", Needs.STACKS, 2, in_lab=True)
def product_accepts(account: Account) -> Answer:
    """Does Linkgate accept who has a row, and how long after the row was put?"""
    row(account, "@settings", mode="enforce", sync_permissions="add")
    start = time.monotonic()
    row(account, account.number, effect="allow")
    right = reaches(account, demo_endpoint(account), "available", 120)
    return Answer(f"{time.monotonic() - start:.1f} s" if right else "it does not", right)


@question("within a few seconds: notification, pipe, queue, function", Needs.STACKS, 2, in_lab=True)
def product_is_fast(account: Account) -> Answer:
    """How long after CreateVpcEndpoint does Linkgate have EC2 accept a lone request?"""
    start = time.monotonic()
    endpoint = requested(account)
    right = bool(account.until(lambda: state(account, endpoint) in ("pending", "available"), 400))
    return Answer(f"accepted after {time.monotonic() - start:.1f} s" if right else "it is not", right)


@question("the canary crosses it from its VPC", Needs.STACKS, 5, in_lab=True)
def product_verifies(account: Account) -> Answer:
    """Does the canary reach the accepted endpoint, without NAT and without a rule for the resolver?"""
    endpoint = demo_endpoint(account)
    right = bool(account.until(lambda: known(account, endpoint).get("status") == "VERIFIED"))
    health = known(account, endpoint).get("health", {})
    return Answer("VERIFIED" if right else f"{health.get('cause')}: {health.get('detail')}", right)


@question("the sweep's role may, by the keys of the tags", Needs.STACKS, 2, in_lab=True)
def product_tags(account: Account) -> Answer:
    """Does the sweep get to tag an accepted connection?"""
    endpoint = demo_endpoint(account)

    def ours() -> list[str]:
        return [
            tag["Key"] for tag in connection(account, endpoint).get("Tags", []) if tag["Key"].startswith("linkgate:")
        ]

    found = account.until(ours, 120)
    return Answer(", ".join(found) or "no tags", bool(found))


@question("the approver's role may, by the tag of the service", Needs.STACKS, 2, in_lab=True)
def product_rejects(account: Account) -> Answer:
    """Does Linkgate reject who has a deny row?"""
    row(account, account.number, effect="deny")  # before the request, which Linkgate would accept faster
    endpoint = requested(account)
    right = reaches(account, endpoint, "rejected", 120)
    row(account, account.number, effect="allow")
    return Answer("rejected" if right else f"it is {state(account, endpoint)}", right)


@question("AWS's text with everything that an alarm's mail shows", Needs.STACKS, 2, in_lab=False)
def alarm_topic(account: Account) -> Answer:
    """Do messages in plain words and alarms get through the encrypted alarm topic?"""
    assert account.deployed
    sns, topic, (url, arn) = account.client("sns"), account.deployed.linkgate["AlarmTopic"], queue(account, "alarms")
    allow(account, url, arn, "sns.amazonaws.com", topic)
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    account.made("subscription", lambda: sns.unsubscribe(SubscriptionArn=subscription))
    name = f"{account.name}-endpoint-unhealthy"
    account.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="tried")
    row(account, "234567890123", effect="alow")
    bodies = received(account, url, 3)  # the third is Stack Incomplete: this one mails nobody
    for number, body in enumerate(bodies):
        account.keep(f"sns-alarm-{number}", json.loads(body))
    return Answer(
        f"{len(bodies)} came", any("alow" in body for body in bodies) and any(name in body for body in bodies)
    )


@question("within six minutes, two of its periods further back than one", Needs.STACKS, 12)
def silence_alarm(account: Account) -> Answer:
    """How long after patrol's schedule is off does the alarm on its silence ring?"""
    scheduler, alarms = account.client("scheduler"), account.client("cloudwatch")
    found = account.client("cloudformation").describe_stack_resource(
        StackName=account.name, LogicalResourceId="PatrolFunctionSchedule"
    )
    name, alarm = found["StackResourceDetail"]["PhysicalResourceId"], f"{account.name}-patrol-silent"
    kept = ("Name", "ScheduleExpression", "Target", "FlexibleTimeWindow")
    schedule = {key: value for key, value in scheduler.get_schedule(Name=name).items() if key in kept}

    def rings() -> bool:
        return bool(alarms.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"] == "INSUFFICIENT_DATA")

    account.until(lambda: not rings())
    account.made("patrol's schedule", lambda: scheduler.update_schedule(**schedule, State="ENABLED"))
    scheduler.update_schedule(**schedule, State="DISABLED")
    start = time.monotonic()
    right = bool(account.until(rings, 900))
    return Answer(f"{time.monotonic() - start:.0f} s" if right else "not within 15 minutes", right)


@question("reset: the canary's cause tcp_refused", Needs.STACKS, 3)
def no_target(account: Account) -> Answer:
    """What does a client see while the load balancer has no target at all?"""
    with ThreadPoolExecutor(1) as pool, targets_out(account, servers(account)):
        seen = flow(account, pool).result()
    return Answer(" after ".join(map(str, seen)) + " s", seen[0] == "ConnectionRefusedError")


@question("reset or silence: the runbook names both", Needs.STACKS, 5)
def no_healthy_target(account: Account) -> Answer:
    """What does a client see while every target is stopped?"""
    ec2, ids = account.client("ec2"), servers(account)
    account.made("the servers", lambda: ec2.start_instances(InstanceIds=ids))
    ec2.stop_instances(InstanceIds=ids)
    ec2.get_waiter("instance_stopped").wait(InstanceIds=ids)
    account.pause(30)
    with ThreadPoolExecutor(1) as pool:
        seen = flow(account, pool).result()
    ec2.start_instances(InstanceIds=ids)
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=ids)
    return Answer(" after ".join(map(str, seen)) + " s", seen[0] in ("ConnectionRefusedError", "TimeoutError"))


@question("silence or a reset in that zone alone: the cause zone_unreachable or tcp_refused", Needs.STACKS, 3)
def dead_zone(account: Account) -> Answer:
    """What does a client see in a zone without a target of its own, cross-zone off?"""
    out = servers(account)[1:]
    (found,) = account.client("ec2").describe_instances(InstanceIds=out)["Reservations"][0]["Instances"]
    zone = found["Placement"]["AvailabilityZone"]
    names = [one["DnsName"] for one in connection(account, demo_endpoint(account))["DnsEntries"]]
    (host,) = [name for name in names if f"-{zone}." in name]
    with ThreadPoolExecutor(1) as pool, targets_out(account, out):
        seen = flow(account, pool, host=host).result()
    return Answer(" after ".join(map(str, seen)) + " s", seen[0] in ("ConnectionRefusedError", "TimeoutError"))


@question("silence: packets of a rejected connection are dropped", Needs.STACKS, 3)
def cut_flow(account: Account) -> Answer:
    """What becomes of a flow that is open when its connection is rejected?"""
    endpoint = demo_endpoint(account)
    with ThreadPoolExecutor(1) as pool:
        pending = flow(account, pool, seconds=50)
        account.pause(15)
        acted(account, "reject", endpoint)
        seen = pending.result()
    return Answer(" after ".join(map(str, seen)) + " s", seen[0] != "open")


@question("both go; the canary's network interfaces take half an hour", Needs.STACKS, 40, in_lab=True)
def removal(account: Account) -> Answer:
    """Do both stacks go, with their tables and layers, and how long do they take?"""
    for stack in (account.name, f"{account.name}-demo"):
        remove(account, stack)
    account.deployed = None
    seen = ", ".join(f"{name} after {seconds:.0f} s" for name, seconds in account.seconds.items() if "gone" in name)
    return Answer(seen, not account.left)


def servers(account: Account) -> list[str]:
    """The demo's servers, in the order of its zones."""
    assert account.deployed
    return account.deployed.demo["ServerIds"].split(",")


@contextmanager
def targets_out(account: Account, ids: list[str]) -> Iterator[None]:
    """Some servers are no targets of the load balancer meanwhile."""
    assert account.deployed
    balancer, targets = account.client("elbv2"), [{"Id": one} for one in ids]
    groups = account.deployed.demo["TargetGroupArns"].split(",")
    for group in groups:
        account.made("the targets", partial(balancer.register_targets, TargetGroupArn=group, Targets=targets))
        balancer.deregister_targets(TargetGroupArn=group, Targets=targets)
    account.pause(30)
    yield
    for group in groups:
        balancer.register_targets(TargetGroupArn=group, Targets=targets)
    for group in groups:
        balancer.get_waiter("target_in_service").wait(TargetGroupArn=group, Targets=targets)


def flow(account: Account, pool: ThreadPoolExecutor, seconds: int = 3, host: str = "") -> Future[list[Any]]:
    """How a connection from the consumer VPC through the demo's endpoint ends, and after how many seconds."""
    assert account.deployed
    demo, functions = account.deployed.demo, account.client("lambda")
    where = {"SubnetIds": demo["CanarySubnetIds"].split(","), "SecurityGroupIds": [demo["CanarySecurityGroupId"]]}
    name = function(account, "flow", FLOW, IN_A_VPC, VpcConfig=where)
    name_of_endpoint = connection(account, demo_endpoint(account))["DnsEntries"][0]["DnsName"]
    event = json.dumps({"host": host or name_of_endpoint, "port": 80, "seconds": seconds})

    def invoked() -> list[Any]:
        found: list[Any] = json.loads(functions.invoke(FunctionName=name, Payload=event)["Payload"].read())
        return found

    return pool.submit(invoked)
