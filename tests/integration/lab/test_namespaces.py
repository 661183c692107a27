"""VPCs in network namespaces: two consumers of one CIDR, what they reach, functions and commands inside."""

import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from lab import commands
from lab.harness import running
from lab.harness.dataplane import DataPlane
from lab.harness.deploy import client
from lab.harness.process import CHECKOUT, PROVIDER_ACCOUNT, LabError
from lab.story.faults import KNOWN
from tests.integration.conftest import Await, Client
from tests.integration.deploy import function, invoke
from tests.integration.vpcs import OK, REFUSED, TIMEOUT, Vpcs, deployed

URL = "http://$ENDPOINT:$PORT/"


@pytest.fixture(scope="module")
def vpcs() -> Iterator[Vpcs]:
    with deployed() as found:
        for endpoint in ("EndpointId", "SecondEndpointId"):
            found.stack.accept(found.demo[endpoint])
        yield found


@pytest.fixture
def outside() -> Iterator[int]:
    """The port of a server on every address of this machine."""
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104

        def serve() -> None:
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


# Two consumers


def test_two_consumers_with_one_cidr_reach_the_service_at_the_same_time(vpcs: Vpcs, until: Await) -> None:
    blocks = vpcs.ec2.describe_vpcs(VpcIds=[vpcs.demo["ConsumerVpcId"], vpcs.demo["SecondConsumerVpcId"]])["Vpcs"]
    assert len({block["CidrBlock"] for block in blocks}) == 1
    assert vpcs.resolve("$ENDPOINT") == vpcs.resolve("$ENDPOINT", "consumer2")
    consumers = ("consumer", "consumer2")
    until(lambda: [vpcs.curl(URL, vpc=vpc)[0] for vpc in consumers], [OK, OK])
    holding = [hold(vpcs, output) for output in ("ConsumerVpcId", "SecondConsumerVpcId")]
    # Both connections are open, from the same address and port to the same address and port, before either is used.
    assert [process.stdout.readline() for process in holding if process.stdout] == ["open\n", "open\n"]
    assert [process.communicate("go\n", timeout=30)[0] for process in holding] == ["HTTP/1.1 200 OK\n"] * 2


HOLD = """
import socket, sys
source = ("0.0.0.0", int(sys.argv[2]))
with socket.create_connection((sys.argv[1], 80), timeout=20, source_address=source) as connection:
    print("open", flush=True)
    sys.stdin.readline()
    connection.settimeout(3)
    connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    try:
        print(connection.recv(1000).decode().splitlines()[0])
    except TimeoutError:
        print("silence")
"""


def hold(vpcs: Vpcs, output: str, port: int = 55555) -> "subprocess.Popen[str]":
    """A process in a VPC that opens a connection from a port, says so, and asks for a page when a line comes in."""
    enter = DataPlane(vpcs.lab.folder).enter(vpcs.demo[output])
    return subprocess.Popen(
        [*enter, sys.executable, "-c", HOLD, vpcs.resolve("$ENDPOINT")[0], str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_rejected_consumer_hangs_with_what_it_has_open_and_the_other_one_does_not(vpcs: Vpcs, until: Await) -> None:
    service, second = vpcs.demo["ServiceId"], vpcs.demo["SecondEndpointId"]
    holding = hold(vpcs, "SecondConsumerVpcId", 55556)
    assert holding.stdout
    assert holding.stdout.readline() == "open\n"
    vpcs.ec2.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=[second])
    until(lambda: vpcs.curl(URL, vpc="consumer2")[0], TIMEOUT)
    assert holding.communicate("go\n", timeout=60)[0] == "silence\n"
    assert vpcs.curl(URL)[0] == OK


def test_a_consumer_reaches_neither_the_other_one_nor_anything_of_the_provider_but_the_service(vpcs: Vpcs) -> None:
    inside = "hostname -I"
    theirs = {vpc: vpcs.run(vpc, inside).stdout.split() for vpc in ("consumer2", "provider")}
    ours = set(vpcs.run("consumer", inside).stdout.split())
    far = sorted({address for found in theirs.values() for address in found} - ours)
    assert len(far) > 5
    assert {vpcs.curl(f"http://{address}:$PORT/", seconds=0.5)[0] for address in far} == {TIMEOUT}


# Security groups


def test_a_security_group_admits_by_port_and_address_and_a_rule_that_names_a_group_the_whole_vpc(
    vpcs: Vpcs, until: Await
) -> None:
    group = vpcs.demo["ConsumerSecurityGroupId"]
    secure = "https://$ENDPOINT:$TLS_PORT/"

    def rule(**source: object) -> dict[str, object]:
        return {"GroupId": group, "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **source}]}

    everybody = rule(IpRanges=[{"CidrIp": "10.2.0.0/16"}])
    vpcs.ec2.revoke_security_group_ingress(**everybody)
    until(lambda: vpcs.curl(secure, "-k")[0], TIMEOUT)
    assert vpcs.curl(URL)[0] == OK
    strangers, members = rule(IpRanges=[{"CidrIp": "10.3.0.0/16"}]), rule(UserIdGroupPairs=[{"GroupId": group}])
    vpcs.ec2.authorize_security_group_ingress(**strangers)
    assert vpcs.curl(secure, "-k", seconds=1)[0] == TIMEOUT
    vpcs.ec2.authorize_security_group_ingress(**members)
    until(lambda: vpcs.curl(secure, "-k")[0], OK)
    for made in (strangers, members):
        vpcs.ec2.revoke_security_group_ingress(**made)
    vpcs.ec2.authorize_security_group_ingress(**everybody)


# Zones and health


def test_cross_zone_balancing_decides_what_a_zone_without_a_server_does(vpcs: Vpcs, until: Await) -> None:
    server, other = vpcs.demo["ServerIds"].split(",")
    zone = "http://$ENDPOINT_A:$PORT/"

    def set_cross_zone(value: str) -> None:
        vpcs.stack.elb.modify_load_balancer_attributes(
            LoadBalancerArn=vpcs.demo["LoadBalancerArn"],
            Attributes=[{"Key": "load_balancing.cross_zone.enabled", "Value": value}],
        )

    vpcs.ec2.stop_instances(InstanceIds=[server])
    until(lambda: vpcs.curl(zone)[0], TIMEOUT)
    assert vpcs.curl("http://$ENDPOINT_B:$PORT/")[0] == OK
    set_cross_zone("true")
    until(lambda: vpcs.curl(zone), (OK, f"hello from {other}"))
    set_cross_zone("false")
    vpcs.ec2.start_instances(InstanceIds=[server])
    until(lambda: vpcs.curl(zone), (OK, f"hello from {server}"))


def test_describe_target_health_says_what_the_checks_found(vpcs: Vpcs, until: Await) -> None:
    def health() -> list[str]:
        groups = vpcs.demo["TargetGroupArns"].split(",")
        answers = [vpcs.stack.elb.describe_target_health(TargetGroupArn=arn) for arn in groups]
        found = [one["TargetHealth"]["State"] for answer in answers for one in answer["TargetHealthDescriptions"]]
        return sorted(set(found))

    until(health, ["healthy"])
    vpcs.faults.inject("server-503")
    until(health, ["unhealthy"])
    vpcs.faults.repair("server-503")
    until(health, ["healthy"])


def test_an_address_is_a_target_as_an_instance_is(vpcs: Vpcs, until: Await) -> None:
    server = vpcs.demo["ServerIds"].split(",")[1]
    (reservation,) = vpcs.ec2.describe_instances(InstanceIds=[server])["Reservations"]
    address, elb = reservation["Instances"][0]["PrivateIpAddress"], vpcs.stack.elb
    made = elb.create_target_group(
        Name="address", Protocol="TCP", Port=8081, TargetType="ip", VpcId=vpcs.demo["ProviderVpcId"]
    )
    group = made["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": address}])
    made = elb.create_listener(
        LoadBalancerArn=vpcs.demo["LoadBalancerArn"],
        Protocol="TCP",
        Port=8081,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    nodes = vpcs.resolve("$NLB", "provider")
    found = [(OK, f"hello from {address}"), (TIMEOUT, "")]
    until(lambda: sorted(vpcs.curl(f"http://{node}:8081/", vpc="provider") for node in nodes), found)
    elb.delete_listener(ListenerArn=made["Listeners"][0]["ListenerArn"])
    until(lambda: vpcs.curl(f"http://{nodes[0]}:8081/", vpc="provider")[0], REFUSED)


# What is missing


ACCEPT = """
import socket
with socket.create_server(("", 80)) as listener:
    print("there", flush=True)
    while True:
        print(listener.accept()[1][0], flush=True)
"""


def test_a_server_whose_port_is_in_use_is_complained_of_and_starts_when_it_is_free(vpcs: Vpcs, until: Await) -> None:
    enter, servers = DataPlane(vpcs.lab.folder).enter(vpcs.demo["ProviderVpcId"]), vpcs.demo["ServerIds"].split(",")
    nodes = {
        one["PrivateIpAddress"]
        for one in vpcs.ec2.describe_network_interfaces()["NetworkInterfaces"]
        if one["InterfaceType"] == "network_load_balancer"
    }
    complaints = [
        f"{server} does not serve on port 80 in {vpcs.demo['ProviderVpcId']}: Address already in use; "
        "end what listens there, or register the target with another port"
        for server in sorted(servers)
    ]
    vpcs.ec2.stop_instances(InstanceIds=servers)
    until(lambda: vpcs.curl(URL)[0], REFUSED)
    with subprocess.Popen([*enter, sys.executable, "-c", ACCEPT], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "there\n"
        vpcs.ec2.start_instances(InstanceIds=servers)
        until(lambda: sorted(DataPlane(vpcs.lab.folder).complaints()), complaints)
        # What took the port is sent the consumer's connections, and sees them come from the load balancer.
        vpcs.curl("http://$ENDPOINT_A:$PORT/", seconds=1)
        vpcs.curl("http://$ENDPOINT_B:$PORT/", seconds=1)
        other.kill()
        assert nodes <= set(other.stdout.read().split())
    until(lambda: (DataPlane(vpcs.lab.folder).complaints(), vpcs.curl(URL)[0]), ([], OK))


def test_a_load_balancer_without_listeners_is_complained_of(vpcs: Vpcs, until: Await) -> None:
    vpcs.faults.inject("listener-deleted")
    complaints = until(DataPlane(vpcs.lab.folder).complaints, bool)
    vpcs.faults.repair("listener-deleted")
    assert complaints == [
        f"load balancer {vpcs.demo['LoadBalancerArn']} has no TCP listener: "
        f"every connection to {vpcs.demo['ServiceId']} is reset"
    ]
    until(lambda: vpcs.curl(URL)[0], OK)


# In the provider's VPC


def test_an_endpoint_in_the_providers_own_vpc_works_too(vpcs: Vpcs, until: Await) -> None:
    made = vpcs.ec2.create_vpc_endpoint(
        VpcEndpointType="Interface",
        VpcId=vpcs.demo["ProviderVpcId"],
        ServiceName=vpcs.demo["ServiceName"],
        SubnetIds=vpcs.demo["ProviderSubnetIds"].split(","),
        SecurityGroupIds=[open_group(vpcs, vpcs.demo["ProviderVpcId"])],
    )["VpcEndpoint"]
    url = f"http://{made['DnsEntries'][0]['DnsName']}/"
    assert vpcs.curl(url, vpc="provider")[0] == TIMEOUT
    vpcs.stack.accept(made["VpcEndpointId"])
    until(lambda: vpcs.curl(url, vpc="provider")[0], OK)
    # Its addresses are private ones of another VPC: the name resolves in the consumer's, and leads nowhere.
    assert vpcs.curl(url, seconds=1)[0] == TIMEOUT
    vpcs.ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])


def open_group(vpcs: Vpcs, vpc: str) -> str:
    group: str = vpcs.ec2.create_security_group(GroupName="all", Description="all", VpcId=vpc)["GroupId"]
    vpcs.ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    return group


# What is out of reach


def test_nothing_outside_is_reached_from_inside_a_vpc(vpcs: Vpcs, outside: int) -> None:
    addresses = ["127.0.0.1", *subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()]  # noqa: S607
    for vpc in ("consumer", "provider"):
        for address in (one for one in addresses if ":" not in one):
            assert vpcs.curl(f"http://{address}:{outside}/", vpc=vpc, seconds=0.5)[0] in (TIMEOUT, REFUSED)
        assert vpcs.curl(f"{vpcs.lab.url}/_ministack/health", vpc=vpc, seconds=0.5)[0] == TIMEOUT
        assert vpcs.curl("http://192.0.2.1/", vpc=vpc, seconds=0.5)[0] == TIMEOUT
        assert vpcs.run(vpc, "ip", "-6", "route", "show", "default").stdout == ""


def test_a_vpc_asks_its_own_dns_server_alone(vpcs: Vpcs) -> None:
    assert vpcs.run("consumer", "cat", "/etc/resolv.conf").stdout.startswith("nameserver 10.2.0.2\n")
    assert vpcs.run("consumer", "getent", "hosts", "example.org").returncode != 0


# Functions


FETCH = """
import os, socket, urllib.request

def handler(event, context):
    url = event["url"].replace("{aws}", os.environ["AWS_ENDPOINT_URL"])
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.read().decode()
    except OSError as error:
        return type(getattr(error, "reason", error)).__name__
"""


def test_a_function_lives_inside_its_vpc(vpcs: Vpcs, until: Await) -> None:
    def make(service: str, account: str = PROVIDER_ACCOUNT) -> object:
        return client(vpcs.lab, service, account)

    lab: Client = make
    place = {"SubnetIds": [vpcs.demo["CanarySubnetIds"].split(",")[0]], "SecurityGroupIds": ["sg-00000001"]}
    name = function(lab, FETCH, VpcConfig=place, Timeout=20)
    endpoint = vpcs.stack.endpoint()
    vpcs.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint["VpcEndpointId"], PrivateDnsEnabled=True)
    until(lambda: vpcs.curl("https://$PRIVATE_NAME/")[0], OK)
    for url in (f"http://{endpoint['DnsEntries'][0]['DnsName']}/", "https://hello.example.com/"):
        assert invoke(lab, name, {"url": url})[1].startswith("hello from i-")
    assert invoke(lab, name, {"url": "{aws}/_ministack/health"})[1] == "TimeoutError"
    assert invoke(lab, name, {"url": "http://nobody.vpce.amazonaws.com/"})[1] == "gaierror"


# A person's commands


@pytest.fixture
def running_lab(vpcs: Vpcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vpcs:
    """The lab, as `make lab` shows it to other processes."""
    monkeypatch.setattr(running, "ENV", tmp_path / "env")
    running.write(vpcs.lab, {}, "")
    return vpcs


def printed(name: str = "", repair: bool = False) -> list[str]:
    """What `make lab-fault` prints."""
    console = Console(file=io.StringIO(), width=300)
    commands.fault(console, name, repair)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_fault_is_listed_put_in_force_and_repaired_by_command(running_lab: Vpcs) -> None:
    assert [line.split()[0] for line in printed()] == list(KNOWN)
    symptom, reported, now = printed("server-503")
    assert symptom == "in force; a client in the consumer VPC now sees: HTTP status 503"
    assert reported.startswith(("Linkgate tells it within half a minute: http_status", "the endpoint waits"))
    assert now == "faults in force: server-503"
    assert [line.split()[1] for line in printed() if line.startswith("●")] == ["server-503"]
    assert printed("server-503", True) == ["faults in force: none"]


def test_a_shell_is_in_the_vpc_that_was_asked_for(running_lab: Vpcs, capfd: pytest.CaptureFixture[str]) -> None:
    program = "import sys; from lab.harness import running; from pathlib import Path; running.ENV = Path(sys.argv[1])\n"
    program += "from lab import commands; commands.shell(sys.argv[2])"
    for vpc, url in (("consumer", "http://$ENDPOINT/"), ("provider", "http://$NLB:$PORT/")):
        shell = subprocess.run(
            [sys.executable, "-c", program, str(running.ENV), vpc],
            cwd=CHECKOUT,
            env={**os.environ, "SHELL": "/bin/sh"},
            input=f"curl -s -m 5 {url}\nfalse\n",
            capture_output=True,
            text=True,
        )
        assert (shell.returncode, shell.stdout[:13], shell.stderr) == (0, "hello from i-", "")


@pytest.mark.parametrize(
    ("what", "name", "said"),
    [
        ("shell", "somewhere", "there is no VPC 'somewhere'; there are consumer, consumer2, provider"),
        ("fault", "server-5003", "there is no fault 'server-5003'"),
    ],
)
def test_an_unknown_name_is_answered_with_those_there_are(running_lab: Vpcs, what: str, name: str, said: str) -> None:
    with pytest.raises(LabError, match=said):
        commands.shell(name) if what == "shell" else printed(name)


def test_without_a_lab_a_person_reads_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "ENV", tmp_path / "env")
    with pytest.raises(LabError, match="no lab is running here: start one with make lab"):
        printed()
