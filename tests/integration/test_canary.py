"""Each fault of lab.story.faults, alone and in pairs: the canary in the consumer's VPC reports the true cause.

What cannot be told apart has one cause (`Fault.cause`), what cannot be seen stands in HIDES; docs/runbook.md says both.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pytest
from linkgate.health.diagnosis import Diagnosis, diagnose
from linkgate.health.targets import Kind
from linkgate.health.verdict import Verdict
from linkgate.model import State

from lab.harness import deploy
from lab.harness.account import Provider
from lab.harness.process import LabProcess
from lab.story.faults import CONDITIONS, FAULTS, visible
from tests.integration.conftest import Await, Client
from tests.integration.deploy import change
from tests.integration.probes import MORE_PROBES, PROBES, SHORT, Canary, Watch, inside, private_dns, watch
from tests.integration.vpcs import REFUSED as NO_CONNECTION
from tests.integration.vpcs import TIMEOUT, Vpcs, lack

PAIRS = (
    ("certificate-expired", "server-503"),
    ("private-dns-disabled", "zone-down"),
    ("private-dns-disabled", "security-group-closed"),
    ("zone-down", "server-503"),
    ("packet-loss", "private-dns-disabled"),
    ("listener-deleted", "zone-down"),
    ("server-slow", "certificate-untrusted"),
    ("dns-down", "servers-stopped"),
    ("connection-rejected", "server-dead"),
    ("security-group-closed", "certificate-expired"),
    ("large-packets-dropped", "certificate-expired"),
    ("server-wants-client-certificate", "server-503"),
    ("server-resets", "zone-down"),
    ("acl-without-ephemeral-ports", "private-dns-disabled"),
)
SOME = 2
CASES = [*((name,) for name in FAULTS), *(PAIRS if os.environ.get("CANARY_PAIRS") == "all" else PAIRS[:SOME])]
"""CANARY_PAIRS=all tries every pair, which takes a minute more."""


class Row(NamedTuple):
    """One line of the table."""

    faults: tuple[str, ...]
    found: Diagnosis

    @property
    def true_causes(self) -> set[str]:
        """The causes of the faults that can be seen."""
        seen = [FAULTS[name] for name in visible(*self.faults)]
        return {cause for fault in seen for cause in (fault.cause, *fault.beside)}

    @property
    def causes(self) -> set[str]:
        return {self.found.cause, *self.found.also}

    @property
    def is_right(self) -> bool:
        return self.causes == self.true_causes

    def __str__(self) -> str:
        said = " + ".join((self.found.cause, *self.found.also))
        return f"{' + '.join(self.faults):42} {said:36} {'true' if self.is_right else 'FALSE':6} {self.found.evidence}"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """Linkgate and the demo in one lab of namespaces. It only observes, so nothing here is its own doing."""
    if reason := lack():
        pytest.skip(f"no network namespaces here: {reason}")
    with LabProcess(plane="namespaces") as lab:
        yield Provider(lab, deploy.deploy(lab))


@pytest.fixture(scope="module")
def vpcs(provider: Provider) -> Vpcs:
    """Its VPCs; the endpoint is accepted and uses the private name."""
    found = Vpcs(provider.lab, dict(provider.deployed.demo))
    found.stack.accept(found.demo["EndpointId"])
    found.ec2.modify_vpc_endpoint(VpcEndpointId=found.demo["EndpointId"], PrivateDnsEnabled=True)
    return found


@pytest.fixture(scope="module")
def canary(vpcs: Vpcs) -> Iterator[Canary]:
    with inside(vpcs) as found:
        yield found


@pytest.fixture(scope="module")
def table() -> list[Row]:
    """What the cases before found."""
    return []


def healthy(vpcs: Vpcs, canary: Canary, until: Await) -> Watch:
    """A watch over the demo's endpoint, which is well."""
    found = watch(vpcs, canary, vpcs.stack.endpoint()["VpcEndpointId"])
    until(found.diagnosis, Diagnosis())
    return found


@pytest.mark.parametrize("faults", CASES, ids=" + ".join)
def test_the_cause_reported_is_a_true_one(
    vpcs: Vpcs, canary: Canary, until: Await, table: list[Row], faults: tuple[str, ...]
) -> None:
    watched = healthy(vpcs, canary, until)
    if "packet-loss" in faults:  # seen by what is sent again, so it gets the time that patrol gives it
        canary.timeout, watched = None, replace(watched, probes=MORE_PROBES)
    try:
        for name in faults:
            vpcs.faults.inject(name)
        table.append(Row(faults, watched.reported()))
    finally:
        canary.timeout = SHORT
        for name in reversed(faults):
            vpcs.faults.repair(name)
    print(table[-1])
    assert table[-1].found.cause, "silent"
    assert table[-1].causes <= table[-1].true_causes, "a healthy part is blamed"


@pytest.mark.usefixtures("vpcs")
def test_nearly_all_causes_and_what_is_seen_beside_them_are_true(table: list[Row]) -> None:
    print("\n".join(map(str, table)))
    assert len(table) >= len(FAULTS)
    assert sum(row.is_right for row in table) >= 0.95 * len(table)


# ------------------------------------------------------------------ what packets alone do not tell


def causes_of(verdicts: list[Verdict], kind: Kind | None = None) -> set[str]:
    return {one.cause for one in verdicts if kind is None or one.target.name.kind is kind}


def test_a_pending_connection_is_told_from_a_security_group(vpcs: Vpcs, canary: Canary) -> None:
    """Both drop every packet."""
    asked = {name: vpcs.stack.endpoint()[name] for name in ("VpcId", "ServiceName", "SubnetIds")}
    groups = [group["GroupId"] for group in vpcs.stack.endpoint()["Groups"]]
    made = vpcs.ec2.create_vpc_endpoint(VpcEndpointType="Interface", SecurityGroupIds=groups, **asked)["VpcEndpoint"]
    try:
        waiting = watch(vpcs, canary, made["VpcEndpointId"])
        verdicts = [one for one in waiting.verdicts() if not one.private]
        assert causes_of(verdicts) == {"tcp_timeout"}
        assert diagnose(verdicts, waiting.state()).cause == "connection_pending"
        assert diagnose(verdicts, State.AVAILABLE).cause == "tcp_timeout"
    finally:
        vpcs.ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])


def test_an_unverified_private_name_is_told_from_a_missing_one(vpcs: Vpcs, canary: Canary, until: Await) -> None:
    """Both do not exist for the consumer, and the endpoint's own names lead to it."""
    healthy(vpcs, canary, until)
    service, (name, _) = {"ServiceId": vpcs.demo["ServiceId"]}, private_dns(vpcs)
    vpcs.ec2.modify_vpc_endpoint_service_configuration(**service, PrivateDnsName="hello.unverified.test")
    try:
        watched = watch(vpcs, canary, vpcs.stack.endpoint()["VpcEndpointId"])
        # The servers get certificates for the new name first.
        seen = until(watched.verdicts, lambda found: causes_of(found, Kind.REGIONAL) == {""})
        assert causes_of(seen, Kind.PRIVATE) == {"dns_not_found"}
        assert diagnose(seen, watched.state(), private_dns(vpcs)[1]).cause == "private_name_unverified"
        assert diagnose(seen, watched.state(), "verified").cause == "private_name_missing"
    finally:
        vpcs.ec2.modify_vpc_endpoint_service_configuration(**service, PrivateDnsName=name)
        vpcs.ec2.start_vpc_endpoint_service_private_dns_verification(**service)


# ------------------------------------------------------------------ no fault at all


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("ipv6", ["false", "true"])
def test_addresses_that_the_canary_cannot_cross_make_no_endpoint_unhealthy(
    vpcs: Vpcs, canary: Canary, until: Await, name: str, ipv6: str
) -> None:
    healthy(vpcs, canary, until)
    vpcs.faults.inject(name)
    try:
        ask = "'import socket, sys; print(socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET6))'"
        assert "AF_INET6" in vpcs.run("consumer", sys.executable, "-c", ask, "$ENDPOINT").stdout
        with inside(vpcs, CANARY_IPV6=ipv6, CANARY_CIDRS="10.0.0.0/8,fd00::/8") as other:
            watched = watch(vpcs, other, vpcs.stack.endpoint()["VpcEndpointId"])
            assert watched.diagnosis() == Diagnosis()
            crossed = name == "dual-stack" and ipv6 == "true"
            assert causes_of(watched.verdicts()) == ({"", "probe_error"} if crossed else {""})
    finally:
        vpcs.faults.repair(name)


def test_an_endpoint_in_shared_address_space_is_crossed(vpcs: Vpcs, until: Await) -> None:
    """A VPC may be of 100.64.0.0/10 (VPC guide, "VPC CIDR blocks"), which is neither private nor global."""
    ec2 = vpcs.ec2
    vpc = ec2.create_vpc(CidrBlock="100.64.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="100.64.1.0/24", AvailabilityZone="eu-west-1a")["Subnet"]
    group = ec2.create_security_group(VpcId=vpc, GroupName="shared", Description="HTTP and HTTPS")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=80, ToPort=443, CidrIp="100.64.0.0/16"
    )
    endpoint = ec2.create_vpc_endpoint(
        VpcEndpointType="Interface",
        VpcId=vpc,
        ServiceName=vpcs.demo["ServiceName"],
        SubnetIds=[subnet["SubnetId"]],
        SecurityGroupIds=[group],
    )["VpcEndpoint"]["VpcEndpointId"]
    there = replace(vpcs, demo={**vpcs.demo, "ConsumerVpcId": vpc, "EndpointId": endpoint})
    try:
        there.stack.accept(endpoint)
        ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PrivateDnsEnabled=True)
        with inside(there, CANARY_CIDRS="100.64.0.0/10") as canary:
            until(lambda: causes_of(watch(there, canary, endpoint).verdicts()), {""}, 20)
    finally:
        ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])


# ------------------------------------------------------------------ no way out


def test_the_canary_works_where_no_endpoint_of_aws_can_be_reached(vpcs: Vpcs, canary: Canary, until: Await) -> None:
    """Neither the local AWS, which listens outside, nor any address of the Internet; the probe beside it is good."""
    aws = f"curl -s -m 2 -o /dev/null http://127.0.0.1:{vpcs.lab.port}/_ministack/health"
    internet = "curl -s -m 2 -o /dev/null http://198.51.100.1/"
    for command in (aws, internet):
        assert vpcs.run("consumer", command).returncode in (NO_CONNECTION, TIMEOUT), command
    assert vpcs.lab.alive
    healthy(vpcs, canary, until)


# ------------------------------------------------------------------ through the deployed stack

Details = Callable[[], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def client(provider: Provider) -> Client:
    return partial(deploy.client, provider.lab)


@pytest.fixture(scope="module")
def unhealthy(provider: Provider, client: Client) -> Details:
    """What Linkgate publishes of endpoints that became unhealthy, from now on."""
    sqs, events, name, bus = client("sqs"), client("events"), "unhealthy", provider.deployed.linkgate["EventBusName"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["linkgate"], "detail-type": ["Endpoint Unhealthy"]})
    rule = events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern)["RuleArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Statement": [{**allow, "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": rule}}}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": name, "Arn": arn}])
    heard: list[dict[str, Any]] = []

    def details() -> list[dict[str, Any]]:
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                heard.append(json.loads(message["Body"])["detail"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return heard

    return details


@pytest.fixture(scope="module")
def patrol(provider: Provider, client: Client) -> Callable[[], None]:
    """One round of the deployed patrol, with probes of both ports and of the private name."""
    functions, ours = client("lambda"), provider.deployed.linkgate
    known = functions.get_function_configuration(FunctionName=ours["CanaryFunction"])["Environment"]["Variables"]
    wider = {"CANARY_NAMES": "vpce.amazonaws.com,example.com", "CANARY_PORTS": "80,443"}
    change(client, ours["CanaryFunction"], Environment={"Variables": {**known, **wider}})
    provider.put_row("@settings", mode="observe", probe=",".join(PROBES))

    def one_round() -> None:
        answer = functions.invoke(FunctionName=ours["PatrolFunction"], Payload=json.dumps({"source": "test"}))
        assert "FunctionError" not in answer, answer["Payload"].read()

    return one_round


@pytest.mark.parametrize("name", ["private-dns-disabled", "security-group-closed", "zone-down"])
def test_patrol_records_and_publishes_the_cause(
    provider: Provider,
    vpcs: Vpcs,
    canary: Canary,
    patrol: Callable[[], None],
    unhealthy: Details,
    until: Await,
    name: str,
) -> None:
    endpoint = healthy(vpcs, canary, until).connection.endpoint

    def after_a_round() -> str | None:
        patrol()
        return provider.status(endpoint)

    def published() -> list[object]:
        return [one["cause"] for one in unhealthy() if one["endpoint_id"] == endpoint]

    until(after_a_round, "VERIFIED")
    before = len(published())
    vpcs.faults.inject(name)
    try:
        until(after_a_round, "UNHEALTHY")
        assert provider.known(endpoint)["health"]["cause"] == FAULTS[name].cause
        # An event may be published twice.
        assert set(until(published, lambda causes: len(causes) > before)[before:]) == {FAULTS[name].cause}
    finally:
        vpcs.faults.repair(name)
