"""The table is the truth, through the real stack: cut, reported, kept, released; other hands recorded."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.harness.account import Provider
from lab.harness.deploy import Deployed
from tests.integration.conftest import Await, Client
from tests.integration.deploy import unique

Put = Callable[..., None]
_numbers = iter(range(700000000001, 700000001000))


@pytest.fixture
def settings(provider: Provider) -> Iterator[Put]:
    """Sets the service's `@settings`, and puts it back."""

    def put(**values: str) -> None:
        provider.put_row("@settings", **{"mode": "enforce", "reconcile": "enforce", "grace": "5s", **values})

    yield put
    provider.put_row("@settings", mode="enforce")


@pytest.fixture
def consumer(provider: Provider, client: Client, deployed: Deployed, until: Await) -> Callable[[], tuple[str, str]]:
    """A new account with a row of its own and a live endpoint."""

    def connected() -> tuple[str, str]:
        account = str(next(_numbers))
        client("ec2").modify_vpc_endpoint_service_permissions(
            ServiceId=deployed.service, AddAllowedPrincipals=[f"arn:aws:iam::{account}:root"]
        )
        provider.put_row(account, effect="allow")
        endpoint = provider.connect(account)
        until(lambda: provider.state(endpoint), "available")
        until(lambda: provider.status(endpoint), "ACCEPTED")
        return account, endpoint

    return connected


@pytest.fixture
def told(client: Client, deployed: Deployed) -> Iterator[Callable[[str], list[str]]]:
    """What Linkgate tells its bus of an endpoint from now on, through a rule and a queue of the user's own."""
    sqs, events, name = client("sqs"), client("events"), unique("told")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = deployed.linkgate["EventBusName"]
    rule = events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["linkgate"]}))["RuleArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Statement": [{**allow, "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": rule}}}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "told", "Arn": arn}])
    heard: list[dict[str, Any]] = []

    def of(endpoint: str) -> list[str]:
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                heard.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [str(one["detail-type"]) for one in heard if one["detail"].get("endpoint_id", endpoint) == endpoint]

    yield of
    events.remove_targets(Rule=name, EventBusName=bus, Ids=["told"])
    events.delete_rule(Name=name, EventBusName=bus)
    sqs.delete_queue(QueueUrl=queue)


def test_a_row_removed_cuts_its_account_and_nobody_else(
    provider: Provider, settings: Put, consumer: Callable[[], tuple[str, str]], until: Await
) -> None:
    (account, endpoint), (_, other) = consumer(), consumer()
    settings(max_cuts="100")
    provider.delete_row(account)
    until(lambda: provider.state(endpoint), "rejected", 20)
    until(lambda: provider.status(endpoint), "CUT")
    assert provider.state(other) == "available"


@pytest.mark.slow
def test_a_cut_endpoint_that_is_allowed_again_must_be_made_anew(
    provider: Provider, settings: Put, consumer: Callable[[], tuple[str, str]], until: Await
) -> None:
    account, endpoint = consumer()
    settings(max_cuts="100")
    provider.put_row(account, effect="deny", cut="now")
    until(lambda: provider.status(endpoint), "CUT")
    provider.put_row(account, effect="allow")
    # An answer of EC2 is left alone for a minute: a look may be older than it.
    until(lambda: provider.known(endpoint).get("final"), True, 120)
    assert "the consumer must recreate the endpoint" in provider.decisions(endpoint)[-1]["answer"]
    again = provider.connect(account)
    until(lambda: provider.state(again), "available")


def test_a_row_deleted_and_put_back_within_the_grace_cuts_nobody(
    provider: Provider, settings: Put, consumer: Callable[[], tuple[str, str]], until: Await
) -> None:
    account, endpoint = consumer()
    settings(max_cuts="100", grace="15s")
    provider.delete_row(account)
    until(lambda: bool(provider.known(endpoint).get("unwanted_at")), True)
    provider.put_row(account, effect="allow")
    until(lambda: provider.known(endpoint).get("unwanted_at"), "")
    assert provider.state(endpoint) == "available"


def test_a_report_is_one_event_and_one_line_and_a_deny_may_cut_at_once_all_the_same(
    provider: Provider,
    settings: Put,
    consumer: Callable[[], tuple[str, str]],
    told: Callable[[str], list[str]],
    until: Await,
) -> None:
    account, endpoint = consumer()
    settings(reconcile="report", max_cuts="0", grace="1h")
    provider.delete_row(account)
    until(lambda: provider.known(endpoint).get("outcome"), "cut")
    until(lambda: "Would Cut" in told(endpoint), True)
    assert provider.state(endpoint) == "available"
    assert [line["outcome"] for line in provider.decisions(endpoint)] == ["accept", "cut"]
    provider.put_row(account, effect="deny", cut="now", reason="breach")
    until(lambda: provider.state(endpoint), "rejected", 10)
    until(lambda: provider.status(endpoint), "CUT")
    until(lambda: "Endpoint Connection Cut" in told(endpoint), True)
    assert told(endpoint).count("Would Cut") <= 2  # once for each reason: not listed, then denied


@pytest.mark.slow
def test_the_breaker_keeps_all_rings_and_lets_go_exactly_whom_a_release_names(
    provider: Provider, settings: Put, consumer: Callable[[], tuple[str, str]], until: Await
) -> None:
    several = [consumer() for _ in range(4)]
    settings(max_cuts="2", grace="1s")
    for account, _ in several:
        provider.put_row(account, effect="deny")
    until(lambda: provider.alarm("breaker-tripped"), "ALARM")
    until(lambda: [provider.known(endpoint).get("outcome") for _, endpoint in several], ["cut"] * 4)
    assert [provider.state(endpoint) for _, endpoint in several] == ["available"] * 4
    named = [endpoint for _, endpoint in several[:3]]
    provider.put_row("@release", endpoints=",".join(named))
    until(lambda: [provider.state(endpoint) for endpoint in named], ["rejected"] * 3)
    assert provider.state(several[3][1]) == "available"
    for account, _ in several:
        provider.put_row(account, effect="allow")
    provider.delete_row("@release")
    until(lambda: provider.alarm("breaker-tripped"), "OK")


def test_what_other_hands_do_is_recorded_with_their_name_and_put_right(
    provider: Provider, client: Client, deployed: Deployed, settings: Put, account: str, until: Await
) -> None:
    endpoint = provider.connect(account)
    until(lambda: provider.known(endpoint).get("reason"), "not_listed")
    settings(max_cuts="100", grace="1s")
    client("ec2").accept_vpc_endpoint_connections(ServiceId=deployed.service, VpcEndpointIds=[endpoint])
    lines = until(lambda: by_hand(provider, endpoint), lambda found: found and found[0]["who"])
    assert (lines[0]["outcome"], lines[0]["who"]) == ("accept", "arn:aws:iam::111111111111:root")
    until(lambda: provider.state(endpoint), "rejected")
    until(lambda: provider.status(endpoint), "CUT")


def by_hand(provider: Provider, endpoint: str) -> list[dict[str, Any]]:
    return [line for line in provider.decisions(endpoint) if line["reason"] == "by_hand"]
