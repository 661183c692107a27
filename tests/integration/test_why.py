"""What a person is told: `why` in the ledger's `current` item, and of canary rows on the alarm topic."""

from typing import Any

import pytest

from lab.harness.account import Provider
from lab.harness.deploy import CONSUMERS, Deployed, deploy_canary
from lab.harness.process import LabProcess
from tests.integration.conftest import Await, Client
from tests.integration.test_path import mailbox


def test_current_says_why_a_connection_waits_from_the_row_to_what_ec2_refuses(
    provider: Provider, client: Client, deployed: Deployed, account: str, until: Await
) -> None:
    told, bodies = mailbox(client, deployed), list[str]()
    row = f"row {deployed.service}/{account}"

    def why() -> str:
        return str(provider.known(endpoint).get("why", ""))

    endpoint = provider.connect(account)
    step = f"put {row} with effect = allow to let it in"
    until(why, f"Waits: no row covers account {account} or {endpoint}; next: {step}.")
    provider.put_row(account, effect="allow", expires_at="2026-10-01T00:00:00Z", owner="payments", ticket="NET-17")
    past = (
        f"Waits: {row} (owner payments, ticket NET-17) allowed it until 2026-10-01, and no other row lets it in; next: "
    )
    until(why, lambda text: text.startswith(past))
    provider.put_row(account, effect="allow", expires="2027-10-01")
    until(
        why, lambda text: text.startswith(f"Waits: {row} cannot be read, so it lets nobody new in (attribute 'expires'")
    )
    until(lambda: [one for one in told(bodies) if account in one and "'expires' is not known here" in one], bool)
    provider.put_row(account, effect="allow", limit="0")
    until(why, f"Waits: {row} lets nobody new in (limit = 0); next: raise its limit.")
    provider.put_row(account, effect="allow", limit="1")
    until(why, f"Accepted: {row} allows it (1 of 1 in use).")
    second = provider.connect(account)
    full = f"Waits: {row} allows it, but 1 of 1 are in use by account {account}; next: nothing, it is accepted when "
    until(lambda: str(provider.known(second).get("why", "")), lambda text: text.startswith(full))


@pytest.mark.slow
def test_of_a_canary_row_that_is_wrong_the_topic_and_the_ledger_say_so_from_its_name_to_its_vpc(
    provider: Provider, lab: LabProcess, client: Client, deployed: Deployed, until: Await
) -> None:
    consumer, told, bodies = CONSUMERS[0], mailbox(client, deployed), list[str]()
    row, ec2 = f"{deployed.service}/@canary:{CONSUMERS[0]}", client("ec2", CONSUMERS[0])

    def health() -> Any:
        return provider.known(endpoint).get("health", {})

    def arrived(*words: str) -> list[str]:
        return [body for body in told(bodies) if all(word in body for word in words)]

    provider.put_row(consumer, effect="allow")
    endpoint = provider.connect(consumer)
    until(lambda: health().get("detail"), f"no canary reaches it: there is no row {row}")
    provider.put_row(f"@canary:{consumer}", function=f"arn:aws:lambda:eu-west-1:{consumer}:function:payroll")
    until(lambda: arrived(row, "expected a function whose name begins with linkgate-canary"), bool)
    until(lambda: provider.alarm("invalid-rows"), "ALARM")
    until(lambda: health()["detail"], lambda text: text.startswith(f"no canary reaches it: row {row}: function is "))

    subnets, group = _another_vpc(ec2)
    canary = deploy_canary(lab, consumer, deployed.linkgate["PatrolRoleArn"], subnets, [group])
    provider.put_row(f"@canary:{consumer}", function=canary)
    until(lambda: provider.alarm("invalid-rows"), "OK")
    until(lambda: provider.status(endpoint), "UNHEALTHY")
    assert health()["cause"] == "never_verified"
    assert f"canary {canary} never crossed it" in health()["detail"]
    until(lambda: arrived(endpoint, "never_verified", "another VPC than its canary"), bool)

    (found,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    ours = ec2.create_security_group(GroupName="canary", Description="the canary", VpcId=found["VpcId"])["GroupId"]
    deploy_canary(lab, consumer, deployed.linkgate["PatrolRoleArn"], found["SubnetIds"], [ours])
    until(lambda: provider.status(endpoint), "VERIFIED")
    assert (health()["cause"], health()["by"]) == ("", canary)

    provider.delete_row(f"@canary:{consumer}")
    until(lambda: provider.status(endpoint), "ACCEPTED")
    assert (health()["cause"], health()["detail"]) == ("probe_error", f"no canary reaches it: there is no row {row}")
    until(lambda: arrived(endpoint, f"there is no row {row}"), bool)


def _another_vpc(ec2: Any) -> tuple[list[str], str]:
    """Subnets and a security group of a VPC with the addresses of the one that the endpoint is in."""
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="another", Description="of another VPC", VpcId=vpc)["GroupId"]
    return [subnet], group
