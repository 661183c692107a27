"""The policy through the real stack: limits exact whoever races, holds that heal, organisations, rows that shut."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab.harness.account import Provider
from lab.harness.deploy import Deployed
from lab.harness.organization import MANAGEMENT_ACCOUNT
from tests.integration.conftest import Await, Client

APPROVERS = 6


@pytest.fixture
def accounts(client: Client, deployed: Deployed) -> Callable[[str], str]:
    """Lets an account ask for connections."""

    def allow(account: str) -> str:
        client("ec2").modify_vpc_endpoint_service_permissions(
            ServiceId=deployed.service, AddAllowedPrincipals=[f"arn:aws:iam::{account}:root"]
        )
        return account

    return allow


def held(provider: Provider, endpoint: str) -> str:
    """Why an endpoint is held; "" if it is not."""
    known = provider.known(endpoint)
    return str(known.get("reason", "")) if known.get("status") == "HELD" else ""


def test_googles_worked_example_of_limits(provider: Provider, accounts: Callable[[str], str], until: Await) -> None:
    """The example in Google's "About controlling access to published services": limits 1 and 1, three projects."""
    first, second, third = (accounts(f"60000000000{number}") for number in (1, 2, 3))
    for project in (first, second):
        provider.put_row(project, effect="allow", limit="1")
    one = provider.connect(first)
    until(lambda: provider.state(one), "available")
    another, other, unlisted = provider.connect(first), provider.connect(second), provider.connect(third)
    until(lambda: provider.state(other), "available")
    until(lambda: held(provider, another), "over_limit")
    until(lambda: held(provider, unlisted), "not_listed")
    provider.put_row(third, effect="allow", limit="1")
    until(lambda: provider.state(unlisted), "available")
    assert provider.state(another) == "pendingAcceptance"
    provider.put_row(first, effect="allow", limit="2")
    until(lambda: provider.state(another), "available")
    provider.put_row(first, effect="allow", limit="1")
    more = provider.connect(first)
    until(lambda: held(provider, more), "over_limit")
    assert {provider.state(one), provider.state(another)} == {"available"}


def test_fifty_requests_of_one_consumer_race_for_seven_slots(
    provider: Provider, client: Client, deployed: Deployed, account: str, until: Await
) -> None:
    provider.put_row(account, effect="allow", limit="7")
    with ThreadPoolExecutor(APPROVERS) as pool:
        endpoints = list(pool.map(lambda _: provider.connect(account), range(50)))
        # The queue's own approver is one of them; each of these looks at its share in another order.
        shares = [endpoints[start:] + endpoints[:start] for start in range(0, 50, 5)]
        list(pool.map(lambda share: approve(client, deployed, share), shares))
    until(lambda: states(client, endpoints), {"available": 7, "pendingAcceptance": 43})
    until(lambda: [held(provider, one) for one in endpoints].count("over_limit"), 43)
    outcomes = [provider.decisions(one)[-1]["outcome"] for one in endpoints]
    assert (outcomes.count("accept"), outcomes.count("hold")) == (7, 43)

    waiting = [one for one in oldest_first(client, endpoints) if held(provider, one)]
    for endpoint in [one for one in endpoints if one not in waiting][:3]:
        provider.disconnect(endpoint, account)
    until(lambda: [one for one in waiting if provider.state(one) == "available"], waiting[:3])
    until(lambda: [held(provider, one) for one in waiting[3:]], ["over_limit"] * 40)


def test_a_row_about_an_ou_covers_the_accounts_below_it(
    provider: Provider, client: Client, accounts: Callable[[str], str], until: Await
) -> None:
    organizations = client("organizations", MANAGEMENT_ACCOUNT)
    root = organizations.list_roots()["Roots"][0]["Id"]
    outer = unit(organizations, root, "outer")
    inner = unit(organizations, outer, "inner")
    members = [member(organizations, root, unit_id) for unit_id in (outer, inner)]
    provider.put_row(outer, effect="allow", owner="the group")
    provider.put_row(inner, effect="review")
    in_outer, in_inner = (provider.connect(accounts(one)) for one in members)
    until(lambda: provider.state(in_outer), "available")
    until(lambda: held(provider, in_inner), "review")
    assert provider.known(in_outer)["row"].endswith(f"/{outer}")
    assert provider.known(in_inner)["row"].endswith(f"/{inner}")
    provider.delete_row(outer)
    provider.delete_row(inner)


@pytest.mark.slow
def test_a_row_with_a_key_of_no_known_form_lets_nobody_in_until_it_is_mended(
    provider: Provider, account: str, until: Await
) -> None:
    provider.put_row(account[:-1], effect="deny")
    until(lambda: provider.alarm("invalid-rows"), "ALARM")
    provider.put_row(account, effect="allow")
    endpoint = provider.connect(account)
    until(lambda: held(provider, endpoint), "malformed_row")
    provider.delete_row(account[:-1])
    until(lambda: provider.state(endpoint), "available")
    until(lambda: provider.alarm("invalid-rows"), "OK")


def approve(client: Client, deployed: Deployed, endpoints: list[str]) -> None:
    """One more approver at the same time, with a bell of its own."""
    bell = {"source": "linkgate", "detail-type": "Bell", "detail": {"endpoints": endpoints, "services": []}}
    record = {"messageId": endpoints[0], "body": json.dumps(bell), "eventSource": "aws:sqs"}
    name = deployed.linkgate["ApproveFunction"]
    answer = client("lambda").invoke(FunctionName=name, Payload=json.dumps({"Records": [record]}))
    assert json.loads(answer["Payload"].read()) == {"batchItemFailures": []}


def states(client: Client, endpoints: list[str]) -> dict[str, int]:
    """How many of some endpoints are in each state; never more than seven live."""
    found = [one["VpcEndpointState"] for one in described(client, endpoints)]
    assert sum(state in ("pending", "available") for state in found) <= 7
    return {state: found.count(state) for state in set(found)}


def oldest_first(client: Client, endpoints: list[str]) -> list[str]:
    found = sorted(described(client, endpoints), key=lambda one: (one["CreationTimestamp"], one["VpcEndpointId"]))
    return [one["VpcEndpointId"] for one in found]


def described(client: Client, endpoints: list[str]) -> list[dict[str, Any]]:
    pages = client("ec2").get_paginator("describe_vpc_endpoint_connections").paginate()
    shown = [one for page in pages for one in page["VpcEndpointConnections"]]
    # An attachment of a transit gateway, which another test may have left there, has no endpoint.
    return [one for one in shown if one.get("VpcEndpointId") in endpoints]


def unit(organizations: Any, parent: str, name: str) -> str:
    created = organizations.create_organizational_unit(ParentId=parent, Name=name)
    return str(created["OrganizationalUnit"]["Id"])


def member(organizations: Any, root: str, unit_id: str) -> str:
    created = organizations.create_account(Email=f"{unit_id}@example.com", AccountName=unit_id)
    account = str(created["CreateAccountStatus"]["AccountId"])
    organizations.move_account(AccountId=account, SourceParentId=root, DestinationParentId=unit_id)
    return account
