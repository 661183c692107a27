"""The whole path in the local AWS: the real template, driven through public AWS APIs alone."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from lab.harness.account import Provider
from lab.harness.deploy import CONSUMERS, Deployed, deploy_canary
from lab.harness.process import LabProcess
from tests.integration.conftest import Await, Client
from tests.integration.deploy import allow, function, invoke, let_in, lines, queue, received

SENDER = """
import boto3
def handler(event, context):
    try:
        boto3.client("lambda").invoke(FunctionName=event, Payload=b'{"targets": []}')
    except Exception as error:
        return error.response["Error"]["Code"]
"""


def test_the_row_first_and_the_endpoint_second_ends_accepted(provider: Provider, account: str, until: Await) -> None:
    provider.put_row(account, effect="allow")
    endpoint = provider.connect(account)
    until(lambda: provider.state(endpoint), "available")
    until(lambda: provider.status(endpoint), "ACCEPTED")


def test_the_endpoint_first_and_the_row_second_ends_accepted(provider: Provider, account: str, until: Await) -> None:
    endpoint = provider.connect(account)
    until(lambda: provider.known(endpoint).get("reason"), "not_listed")
    assert provider.state(endpoint) == "pendingAcceptance"
    provider.put_row(account, effect="allow", ticket="OPS-1")
    until(lambda: provider.state(endpoint), "available")
    held, accepted = until(lambda: provider.decisions(endpoint), lambda lines: len(lines) == 2 and "answer" in lines[1])
    assert (held["outcome"], held["answer"]) == ("hold", "nothing to do")
    assert (accepted["outcome"], accepted["answer"]) == ("accept", "done")
    assert accepted["people"] == {"ticket": "OPS-1"}


def test_a_deny_row_ends_rejected(provider: Provider, account: str, until: Await) -> None:
    provider.put_row(account, effect="deny", reason="contract ended")
    endpoint = provider.connect(account)
    until(lambda: provider.state(endpoint), "rejected")
    until(lambda: provider.status(endpoint), "REJECTED")


@pytest.mark.slow
def test_a_row_that_cannot_be_read_lets_nobody_in_and_rings(provider: Provider, account: str, until: Await) -> None:
    provider.put_row(account, effect="allow", expires="2026-12-31")
    endpoint = provider.connect(account)
    until(lambda: provider.known(endpoint).get("reason"), "malformed_row")
    assert provider.state(endpoint) == "pendingAcceptance"
    until(lambda: provider.alarm("invalid-rows"), "ALARM")
    provider.put_row(account, effect="allow", expires_at="2099-12-31T00:00:00Z")
    until(lambda: provider.state(endpoint), "available")
    until(lambda: provider.alarm("invalid-rows"), "OK")


def test_with_every_event_lost_the_sweep_still_accepts_and_mends_the_wiring(
    provider: Provider, client: Client, deployed: Deployed, account: str, until: Await
) -> None:
    ec2 = client("ec2")
    until(lambda: _wiring(ec2, deployed.service), lambda found: len(found) == 1)
    provider.put_row(account, effect="allow")
    ec2.delete_vpc_endpoint_connection_notifications(ConnectionNotificationIds=_wiring(ec2, deployed.service))
    endpoint = provider.connect(account)
    until(lambda: provider.state(endpoint), "available")
    until(lambda: len(_wiring(ec2, deployed.service)), 1)
    accepted = until(lambda: provider.decisions(endpoint), lambda lines: len(lines) == 1 and "answer" in lines[0])
    assert accepted[0]["outcome"] == "accept"


def test_a_storm_of_repeated_reversed_and_unreadable_notifications_is_one_decision(
    provider: Provider, client: Client, deployed: Deployed, account: str, until: Await
) -> None:
    provider.put_row(account, effect="allow")
    endpoint = provider.connect(account)
    until(lambda: provider.status(endpoint), "ACCEPTED")
    good = [json.dumps({"event": event, "endpoint": endpoint}) for event in ("Connect", "Accept")] * 10
    bad = ["", "{", "no ids at all", json.dumps({"vpcEndpointId": None}), "\u2603 vpce-xyz", "[]" * 500]
    bodies = [*reversed(good), *bad]
    random.Random(7).shuffle(bodies)
    topic = _topic(client, deployed.linkgate["DashboardName"])
    for body in bodies:
        client("sns").publish(TopicArn=topic, Message=body or " ")
    until(lambda: provider.alarm("unreadable-notifications"), "ALARM")
    until(lambda: _waiting(client), lambda depths: not any(depths.values()))
    assert [line["outcome"] for line in provider.decisions(endpoint)] == ["accept"]
    assert provider.alarm("function-failures") == "OK"
    assert not any(depth for queue, depth in _waiting(client).items() if "DeadLetters" in queue)


def test_a_deleted_endpoint_is_closed(provider: Provider, account: str, until: Await) -> None:
    provider.put_row(account, effect="allow")
    endpoint = provider.connect(account)
    until(lambda: provider.status(endpoint), "ACCEPTED")
    provider.disconnect(endpoint, account)
    until(lambda: provider.status(endpoint), "CLOSED")


def test_a_service_without_the_tag_is_left_alone_and_named_in_the_log(
    provider: Provider, client: Client, deployed: Deployed, until: Await
) -> None:
    ec2 = client("ec2")
    balancers = ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[deployed.service])
    created = ec2.create_vpc_endpoint_service_configuration(
        AcceptanceRequired=True,
        NetworkLoadBalancerArns=balancers["ServiceConfigurations"][0]["NetworkLoadBalancerArns"],
    )["ServiceConfiguration"]
    provider.put_row("111111111111", service=created["ServiceId"], effect="allow")
    provider.put_row("@settings", service=created["ServiceId"], mode="enforce")
    endpoint = provider.connect(service_name=created["ServiceName"])
    client("sqs").send_message(
        QueueUrl=deployed.linkgate["BellQueueUrl"], MessageBody=f"{endpoint} on {created['ServiceId']}"
    )
    sentence = f"{created['ServiceId']} does not carry the tag linkgate = TagValue of this stack"
    until(lambda: _logged(client, "approve", sentence), True)
    assert provider.state(endpoint) == "pendingAcceptance"
    assert provider.known(endpoint) == {}


def test_the_canary_crosses_what_was_accepted_and_the_alarm_follows_the_servers(
    provider: Provider, client: Client, deployed: Deployed, until: Await
) -> None:
    endpoint, ec2, told = deployed.demo["EndpointId"], client("ec2"), mailbox(client, deployed)
    provider.put_row("111111111111", effect="allow")
    until(lambda: provider.status(endpoint), "VERIFIED")
    assert set(provider.known(endpoint)["health"]["phases"]) >= {"dns", "tcp", "first_byte", "total"}
    until(lambda: provider.alarm("patrol-silent"), "OK")
    servers = deployed.demo["ServerIds"].split(",")
    ec2.stop_instances(InstanceIds=servers)
    until(lambda: provider.alarm("endpoint-unhealthy"), "ALARM")
    until(lambda: provider.status(endpoint), "UNHEALTHY")
    assert provider.known(endpoint)["health"]["cause"] == "tcp_refused"
    texts = [text for text in lines(client, "linkgate-canary") if '"message": "failed"' in text]
    said = [(line["level"], line["logger"], line["probe_endpoint_id"]) for line in map(json.loads, texts)]
    assert ("INFO", "canary", endpoint) in said
    ec2.start_instances(InstanceIds=servers)
    until(lambda: provider.alarm("endpoint-unhealthy"), "OK")
    until(lambda: provider.status(endpoint), "VERIFIED")
    bodies = list[str]()
    well = "OK: the alarm linkgate-endpoint-unhealthy is over\n\nIt was about: An accepted endpoint failed"
    until(lambda: [body for body in told(bodies) if body.startswith(well)], lambda found: len(found) == 1)
    (rang,) = (body for body in bodies if '"AlarmName": "linkgate-endpoint-unhealthy"' in body)
    assert json.loads(rang)["NewStateValue"] == "ALARM"
    (bad,) = (body for body in bodies if body.startswith(f"UNHEALTHY: {endpoint} of account 111111111111: tcp_refused"))
    assert f"\nRow: {deployed.service}/111111111111\n" in bad
    assert "\nCause: tcp_refused: the load balancer resets" in bad
    (good,) = (body for body in bodies if body.startswith(f"RECOVERED: {endpoint} "))
    assert "\nIt was: tcp_refused: the load balancer resets" in good
    assert "\nIt lasted: " in good


def test_no_alarm_of_a_new_stack_tells_anything(client: Client, provider: Provider, until: Await) -> None:
    names = [name for name, _ in provider.alarms() if name.startswith("linkgate-")]
    first = {name: until(partial(_first_change, client, name), bool) for name in names}
    assert first == dict.fromkeys(names, "Alarm updated from INSUFFICIENT_DATA to OK")


def _first_change(client: Client, alarm: str) -> str:
    changes = client("cloudwatch").describe_alarm_history(
        AlarmName=alarm, HistoryItemType="StateUpdate", ScanBy="TimestampAscending"
    )["AlarmHistoryItems"]
    summaries = [change["HistorySummary"] for change in changes]
    return next((one for one in summaries if not one.endswith("from INSUFFICIENT_DATA to INSUFFICIENT_DATA")), "")


def test_a_consumers_own_canary_verifies_its_endpoint_and_nobody_else_may_send_it(
    provider: Provider, lab: LabProcess, client: Client, deployed: Deployed, until: Await
) -> None:
    consumer, ours = CONSUMERS[0], deployed.linkgate
    provider.put_row(consumer, effect="allow")
    endpoint = provider.connect(consumer)
    until(lambda: provider.status(endpoint), "ACCEPTED")
    (found,) = client("ec2", consumer).describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    group = client("ec2", consumer).create_security_group(
        GroupName=f"canary-of-{endpoint}", Description="the canary", VpcId=found["VpcId"]
    )["GroupId"]
    canary = deploy_canary(lab, consumer, ours["PatrolRoleArn"], found["SubnetIds"], [group])
    assert provider.status(endpoint) == "ACCEPTED"
    provider.put_row(f"@canary:{consumer}", function=canary)
    until(lambda: provider.status(endpoint), "VERIFIED")
    assert provider.known(endpoint)["health"]["cause"] == ""
    policy = client("lambda", consumer).get_policy(FunctionName=canary)["Policy"]
    principals = [statement["Principal"] for statement in json.loads(policy)["Statement"]]
    assert principals == [{"AWS": ours["PatrolRoleArn"]}]
    stranger = function(client, SENDER, allow("lambda:InvokeFunction"))
    assert invoke(client, stranger, canary) == (None, "AccessDeniedException")


def test_the_dashboard_is_there_and_shows_every_alarm(client: Client, deployed: Deployed) -> None:
    name = deployed.linkgate["DashboardName"]
    body = json.loads(client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    (shown,) = (set(one["properties"]["alarms"]) for one in body["widgets"] if one["type"] == "alarm")
    alarms = client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{name}-")["MetricAlarms"]
    assert shown == {alarm["AlarmArn"] for alarm in alarms}
    assert "${" not in json.dumps(body).replace("${PROP('Dim.", "")


def test_without_the_permission_to_accept_the_connection_waits_and_an_alarm_says_so(
    provider: Provider, client: Client, account: str, until: Await
) -> None:
    """IAM is enforced here, so a permission missing in the template would show in every other test too."""
    iam = client("iam")
    role = next(r["RoleName"] for r in iam.list_roles()["Roles"] if "ApproveRole" in r["RoleName"])
    granted = iam.get_role_policy(RoleName=role, PolicyName="approve")["PolicyDocument"]
    less = {**granted, "Statement": [s for s in granted["Statement"] if s["Sid"] != "ActOnManagedServicesOnly"]}
    provider.put_row(account, effect="allow")
    iam.put_role_policy(RoleName=role, PolicyName="approve", PolicyDocument=json.dumps(less))
    try:
        endpoint = provider.connect(account)
        until(lambda: provider.alarm("ec2-refusals"), "ALARM")
        assert provider.state(endpoint) == "pendingAcceptance"
        assert "UnauthorizedOperation" in provider.known(endpoint)["refusal"]
        assert _logged(client, "approve", "UnauthorizedOperation")
    finally:
        iam.put_role_policy(RoleName=role, PolicyName="approve", PolicyDocument=json.dumps(granted))
    until(lambda: provider.state(endpoint), "available")


def _wiring(ec2: Any, service: str) -> list[str]:
    found = ec2.describe_vpc_endpoint_connection_notifications()["ConnectionNotificationSet"]
    return [note["ConnectionNotificationId"] for note in found if note["ServiceId"] == service]


def _topic(client: Client, stack: str) -> str:
    resources = client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId="NotificationTopic")
    return str(resources["StackResourceDetail"]["PhysicalResourceId"])


def _waiting(client: Client) -> dict[str, int]:
    """Messages in every queue, those in flight included."""
    sqs = client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    depths = {}
    for url in sqs.list_queues().get("QueueUrls", []):
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        depths[url.rsplit("/", 1)[-1]] = sum(int(found[name]) for name in names)
    return {queue: depth for queue, depth in depths.items() if queue.startswith("linkgate-")}


def _logged(client: Client, function: str, text: str) -> bool:
    events = client("logs").filter_log_events(logGroupName=f"/aws/lambda/linkgate-{function}")["events"]
    return any(text in event["message"] for event in events)


def mailbox(client: Client, deployed: Deployed) -> Callable[[list[str]], list[str]]:
    """A new subscriber of the alarm topic: adds what came since to a list, and returns the list."""
    topic, (url, arn) = deployed.linkgate["AlarmTopic"], queue(client)
    let_in(client, url, arn, "sns", topic)
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

    def receive(bodies: list[str]) -> list[str]:
        bodies.extend(one["Body"] for one in received(client, url))
        return bodies

    return receive


def test_a_row_that_ends_soon_reaches_whoever_subscribed_to_the_alarm_topic(
    provider: Provider, client: Client, deployed: Deployed, account: str, until: Await
) -> None:
    told = mailbox(client, deployed)
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3, hours=1)
    provider.put_row(account, effect="allow", expires_at=ends.isoformat(), owner="payments")
    bodies = list[str]()

    def arrived() -> list[str]:
        words = f"/{account} (allow, owner payments)\nEnds: {ends.isoformat()}"
        return [body for body in told(bodies) if words in body]

    (message,) = until(arrived, bool)
    assert "in 3 days\nThen: where no other row allows them, new requests are held" in message
