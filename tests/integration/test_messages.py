"""What arrives at a subscriber of the alarm topic: text with a subject, once, with all that a person needs."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from lab.harness.account import Provider
from lab.harness.deploy import Deployed
from tests.integration.conftest import Await, Client
from tests.integration.deploy import let_in, queue, received
from tests.integration.labs import fixtures

ALARM = "allow-list-contradicted"
lab, client, deployed, provider = fixtures("module")


class Mail(NamedTuple):
    """What an e-mail shows."""

    subject: str
    text: str

    def fact(self, name: str) -> str:
        found = re.search(rf"^{name}: (.*)$", self.text, re.MULTILINE)
        return found[1] if found else ""


class Mailbox:
    """A subscriber of the alarm topic that keeps what came."""

    def __init__(self, client: Client, deployed: Deployed, until: Await) -> None:
        topic, (self._url, arn) = deployed.linkgate["AlarmTopic"], queue(client)
        self._client, self._until = client, until
        self.mails: list[Mail] = []
        let_in(client, self._url, arn, "sns", topic)
        client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def about(self, words: str) -> list[Mail]:
        """The messages so far whose headline has these words in it."""
        for one in received(self._client, self._url):
            envelope = json.loads(one["Body"])
            self.mails.append(Mail(envelope.get("Subject", ""), envelope["Message"]))
        return [mail for mail in self.mails if words in mail.text.partition("\n")[0]]

    def wait(self, words: str) -> Mail:
        """The one message whose headline has these words, when it comes."""
        (found,) = self._until(lambda: self.about(words), bool, 120)
        return Mail(*found)


@pytest.fixture
def mailbox(client: Client, deployed: Deployed, until: Await) -> Mailbox:
    return Mailbox(client, deployed, until)


@pytest.fixture
def settings(provider: Provider) -> Iterator[Callable[..., None]]:
    """Sets the service's `@settings`, and puts it back."""
    yield lambda **values: provider.put_row("@settings", **{"mode": "enforce", "grace": "1s", **values})
    provider.put_row("@settings", mode="enforce")


@pytest.fixture
def live(provider: Provider, account: str, until: Await) -> str:
    """A live endpoint of `account`, which a row of its own lets in."""
    provider.put_row(account, effect="allow", owner="payments", ticket="OPS-7")
    endpoint = provider.connect(account)
    until(lambda: provider.status(endpoint), "ACCEPTED")
    until(lambda: provider.state(endpoint), "available")
    return endpoint


@pytest.mark.slow
def test_a_live_allowed_endpoint_that_somebody_rejects_by_hand_is_told_with_who_it_was(
    provider: Provider, client: Client, deployed: Deployed, mailbox: Mailbox, live: str, account: str, until: Await
) -> None:
    client("ec2").reject_vpc_endpoint_connections(ServiceId=deployed.service, VpcEndpointIds=[live])
    mail = mailbox.wait(f"OUT: {live}")
    assert mail.subject == f"[linkgate] OUT: {live} of account {account}: allowed, not live"
    assert mail.fact("Row") == f"{deployed.service}/{account} (allowed, owner payments, ticket OPS-7)"
    assert mail.fact("Cause").startswith("rejected by arn:aws:iam::111111111111:root, ")
    assert f"ask account {account} to delete {live} and create it anew" in mail.fact("Next")
    until(lambda: provider.alarm(ALARM), "ALARM")
    assert provider.known(live)["contradiction"] == "allowed_not_live"
    again = provider.connect(account)
    until(lambda: provider.state(again), "available")
    over = mailbox.wait(f"AS ALLOWED: {live}")
    assert over.fact("It was").startswith("the allow-list lets it in")
    assert " to " in over.fact("It lasted")
    until(lambda: provider.alarm(ALARM), "OK")
    assert mailbox.wait(f"alarm linkgate-{ALARM} is over").fact("It lasted")
    assert len(mailbox.about(f"OUT: {live}")) == 1


@pytest.mark.slow
def test_an_editor_who_denies_a_live_endpoint_is_told_that_nobody_cuts_it(
    provider: Provider,
    deployed: Deployed,
    mailbox: Mailbox,
    live: str,
    account: str,
    settings: Callable[..., None],
    until: Await,
) -> None:
    settings(reconcile="report")
    provider.put_row(account, effect="deny", owner="payments", ticket="OPS-9")
    mail = mailbox.wait(f"IN: {live}")
    assert mail.fact("Row") == f"{deployed.service}/{account} (denied, owner payments, ticket OPS-9)"
    assert mail.fact("Cause").startswith("a row denies it, and reconcile is report, so nobody cuts it")
    assert mail.fact("Next").startswith(f"to have it cut, set reconcile = enforce in {deployed.service}/@settings")
    assert provider.state(live) == "available"
    until(lambda: provider.alarm(ALARM), "ALARM")
    settings(reconcile="off")
    until(lambda: provider.alarm(ALARM), "OK", 120)
    assert provider.known(live)["contradiction"] == "live_not_allowed"
    provider.put_row(account, effect="allow")
    until(lambda: provider.known(live)["contradiction"], "")


def test_the_breakers_message_names_whom_it_keeps_and_its_command_lets_exactly_them_go(
    provider: Provider,
    client: Client,
    deployed: Deployed,
    mailbox: Mailbox,
    live: str,
    account: str,
    settings: Callable[..., None],
    until: Await,
) -> None:
    settings(reconcile="enforce", max_cuts="0")
    provider.put_row(account, effect="deny", owner="payments", ticket="OPS-9")
    mail = mailbox.wait(f"BREAKER: 1 cut is withheld on {deployed.service}")
    row = f"{deployed.service}/{account} (owner payments, ticket OPS-9)"
    assert f"\n  {live} of account {account}: denied, {row}\n" in mail.text
    command = shlex.split(next(line for line in mail.text.splitlines() if "put-item" in line))
    assert command[:3] == ["aws", "dynamodb", "put-item"]
    said: dict[str, Any] = dict(zip(command[3::2], command[4::2], strict=True))
    client("dynamodb").put_item(TableName=said["--table-name"], Item=json.loads(said["--item"]))
    until(lambda: provider.state(live), "rejected")
    provider.delete_row("@release")
    assert mailbox.about(f"IN: {live}") == []


def test_a_service_that_lets_everybody_in_is_told_with_the_command_that_shuts_it(
    client: Client, deployed: Deployed, mailbox: Mailbox
) -> None:
    def require(acceptance: bool) -> None:
        client("ec2").modify_vpc_endpoint_service_configuration(
            ServiceId=deployed.service, AcceptanceRequired=acceptance
        )

    try:
        require(acceptance=False)
        mail = mailbox.wait(f"OPEN: {deployed.service}")
        assert mail.fact("What") == "AcceptanceRequired is off: EC2 accepts every connection by itself"
        assert f"--service-id {deployed.service} --acceptance-required" in mail.fact("Next")
    finally:
        require(acceptance=True)
    over = mailbox.wait(f"MENDED: {deployed.service}")
    assert over.fact("It was").startswith("AcceptanceRequired is off")
    assert over.fact("It lasted")


def test_text_with_quotes_and_backslashes_arrives_as_it_is_and_its_further_lines_set_in(
    provider: Provider, deployed: Deployed, mailbox: Mailbox
) -> None:
    hard, ends = 'say "no" \\ or\n{"a": <b>}', (datetime.now(UTC) + timedelta(days=3)).isoformat()
    malformed, expiring = "444444444444", "555555555555"
    provider.put_row(malformed, effect=hard, reason=hard, note=hard)
    provider.put_row(expiring, effect="allow", owner=hard, reason=hard, note=hard, expires_at=ends)
    try:
        wrong = mailbox.wait(f"INVALID ROW: {deployed.service}/{malformed}")
        soon = mailbox.wait(f"EXPIRING SOON: {deployed.service}/{expiring}")
    finally:
        provider.delete_row(malformed)
        provider.delete_row(expiring)
    assert f"\nWhat: effect is {json.dumps(hard)}: expected allow, deny or review\n" in wrong.text
    set_in = hard.replace("\n", "\n  ")  # so that no line of a row reads as a fact of the message
    assert f"(allow, owner {set_in})\n" in soon.text
    assert wrong.subject == f"[linkgate] INVALID ROW: {deployed.service}/{malformed} cannot be read"
