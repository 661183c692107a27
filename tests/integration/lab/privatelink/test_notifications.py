"""Who is notified of a connection, by SNS and by CloudTrail."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from lab.harness.process import PROVIDER_ACCOUNT, REGION
from tests.integration.lab.privatelink.conftest import (
    CONSUMER,
    Answer,
    Client,
    Mailbox,
    await_,
    create_endpoint,
    create_service,
    states,
    topic_into,
)

VPCE = {"Principal": {"Service": "vpce.amazonaws.com"}}


def test_connect_accept_reject_and_delete_are_published(client: Client, provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    mailbox = Mailbox(client)
    source = f"arn:aws:ec2:{REGION}:{PROVIDER_ACCOUNT}:vpc-endpoint-service/{service['ServiceId']}"
    condition = {"ArnLike": {"aws:SourceArn": source}, "StringEquals": {"aws:SourceAccount": PROVIDER_ACCOUNT}}
    topic = topic_into(client, mailbox, {**VPCE, "Condition": condition})
    made = provider.create_vpc_endpoint_connection_notification(
        ServiceId=service["ServiceId"],
        ConnectionNotificationArn=topic,
        ConnectionEvents=["Connect", "Accept", "Reject", "Delete"],
    )["ConnectionNotification"]
    assert (made["ConnectionNotificationState"], made["ConnectionNotificationType"]) == ("Enabled", "Topic")
    endpoint = create_endpoint(consumer, service)["VpcEndpointId"]
    asked = {"ServiceId": service["ServiceId"], "VpcEndpointIds": [endpoint]}
    provider.accept_vpc_endpoint_connections(**asked)
    await_(lambda: states(provider, service) == {endpoint: "available"})
    provider.reject_vpc_endpoint_connections(**asked)
    consumer.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    got = await_(lambda: len(mailbox.messages()) == 4 and mailbox.messages())
    assert {m["event"] for m in got} == {"Connect", "Accept", "Reject", "Delete"}
    assert all(endpoint in json.dumps(m) and service["ServiceId"] in json.dumps(m) for m in got)


@pytest.mark.parametrize(
    "statement",
    [
        None,
        {"Principal": {"Service": "events.amazonaws.com"}},
        {**VPCE, "Condition": {"StringEquals": {"aws:SourceAccount": CONSUMER}}},
    ],
    ids=["default policy", "another service", "another account"],
)
def test_a_topic_that_does_not_admit_privatelink_gets_nothing(
    client: Client, provider: Any, consumer: Any, statement: Mapping[str, Any] | None
) -> None:
    service = create_service(provider)
    closed, open_ = Mailbox(client), Mailbox(client)
    for mailbox, admitted in ((closed, statement), (open_, VPCE)):
        provider.create_vpc_endpoint_connection_notification(
            ServiceId=service["ServiceId"],
            ConnectionNotificationArn=topic_into(client, mailbox, admitted),
            ConnectionEvents=["Connect"],
        )
    create_endpoint(consumer, service)
    # Notifications leave in their order, so when the second has arrived the first would have.
    assert await_(open_.messages)
    assert closed.messages() == []


def test_notifications_are_described_modified_and_deleted(client: Client, provider: Any, consumer: Any) -> None:
    service = create_service(provider)
    topic = "arn:aws:sns:eu-west-1:111111111111:doorbell"
    made = provider.create_vpc_endpoint_connection_notification(
        ServiceId=service["ServiceId"], ConnectionNotificationArn=topic, ConnectionEvents=["Connect"]
    )["ConnectionNotification"]["ConnectionNotificationId"]
    provider.modify_vpc_endpoint_connection_notification(
        ConnectionNotificationId=made, ConnectionEvents=["Connect", "Delete"]
    )
    by_service = [{"Name": "service-id", "Values": [service["ServiceId"]]}]
    asked = {"Filters": by_service}
    (found,) = provider.describe_vpc_endpoint_connection_notifications(**asked)["ConnectionNotificationSet"]
    assert (found["ConnectionNotificationArn"], found["ConnectionEvents"]) == (topic, ["Connect", "Delete"])
    assert consumer.describe_vpc_endpoint_connection_notifications(**asked)["ConnectionNotificationSet"] == []
    ids = {"ConnectionNotificationIds": [made]}
    assert provider.delete_vpc_endpoint_connection_notifications(**ids)["Unsuccessful"] == []
    (failure,) = provider.delete_vpc_endpoint_connection_notifications(**ids)["Unsuccessful"]
    assert failure["Error"]["Code"] == "InvalidConnectionNotification"


def trail_mailbox(client: Client, account: str) -> Mailbox:
    mailbox = Mailbox(client, account)
    events = client("events", account)
    pattern = {"source": ["aws.ec2"], "detail-type": ["AWS API Call via CloudTrail"]}
    rule = f"trail-{uuid.uuid4().hex[:8]}"
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "mail", "Arn": mailbox.arn}])
    return mailbox


def test_the_trail_of_a_call_reaches_the_account_that_made_it_and_no_other(
    client: Client, provider: Any, consumer: Any
) -> None:
    service = create_service(provider)
    mine, theirs = trail_mailbox(client, PROVIDER_ACCOUNT), trail_mailbox(client, CONSUMER)
    endpoint = create_endpoint(consumer, service)["VpcEndpointId"]
    provider.accept_vpc_endpoint_connections(ServiceId=service["ServiceId"], VpcEndpointIds=[endpoint])

    def of_service(mailbox: Mailbox) -> list[Answer]:
        return [m["detail"] for m in mailbox.messages() if service["ServiceId"] in json.dumps(m)]

    (accepted,) = await_(lambda: of_service(mine))
    assert accepted["eventName"] == "AcceptVpcEndpointConnections"
    assert accepted["userIdentity"]["arn"] == f"arn:aws:iam::{PROVIDER_ACCOUNT}:root"
    asked = accepted["requestParameters"]["AcceptVpcEndpointConnectionsRequest"]
    assert asked == {"ServiceId": service["ServiceId"], "VpcEndpointId": {"tag": 1, "content": endpoint}}
    (created,) = await_(lambda: of_service(theirs))
    assert created["userIdentity"]["accountId"] == CONSUMER
    answered = created["responseElements"]["CreateVpcEndpointResponse"]["vpcEndpoint"]
    assert (answered["vpcEndpointId"], answered["state"]) == (endpoint, "pendingAcceptance")
    assert answered["ownerId"] == int(CONSUMER)
