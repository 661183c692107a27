"""The tutorial, step by step, as a person follows it: real packets between VPCs, seen by curl and getent."""

import ipaddress
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Await
from tests.integration.vpcs import OK, REFUSED, TIMEOUT, Vpcs, deployed


@pytest.fixture(scope="module")
def vpcs() -> Iterator[Vpcs]:
    with deployed() as found:
        yield found


def subnets(vpcs: Vpcs, output: str) -> list[ipaddress.IPv4Network]:
    found = vpcs.ec2.describe_subnets(SubnetIds=vpcs.demo[output].split(","))["Subnets"]
    return [ipaddress.IPv4Network(subnet["CidrBlock"]) for subnet in found]


def test_the_tutorial_step_by_step(vpcs: Vpcs, until: Await) -> None:
    url = "http://$ENDPOINT:$PORT/"

    # The endpoint waits: its name resolves to addresses of the consumer's subnets, but nothing passes.
    assert vpcs.stack.endpoint()["State"].lower() == "pendingacceptance"
    addresses = vpcs.resolve("$ENDPOINT")
    blocks = subnets(vpcs, "ConsumerSubnetIds")
    assert sorted(any(ipaddress.IPv4Address(one) in block for one in addresses) for block in blocks) == [True, True]
    assert vpcs.curl(url) == (TIMEOUT, "")

    # The same request works from the provider's side, by the load balancer's own name.
    servers = [f"hello from {one}" for one in vpcs.demo["ServerIds"].split(",")]
    code, body = vpcs.curl("http://$NLB:$PORT/", vpc="provider")
    assert (code, body in servers) == (OK, True)
    assert vpcs.curl("http://$NLB:81/", vpc="provider") == (REFUSED, "")

    # Accepted, it works from the consumer's: each zone's name leads to the server of that zone.
    vpcs.stack.accept(vpcs.demo["EndpointId"])
    until(lambda: vpcs.curl(url)[0], OK)
    assert vpcs.status(url) == "200"
    assert [vpcs.resolve(name) for name in ("$ENDPOINT_A", "$ENDPOINT_B")] == [[one] for one in addresses]
    assert [vpcs.curl(f"http://{name}:$PORT/") for name in ("$ENDPOINT_A", "$ENDPOINT_B")] == [
        (OK, servers[0]),
        (OK, servers[1]),
    ]

    # The private name is known nowhere until the consumer enables it, and then in that VPC alone.
    assert vpcs.resolve("$PRIVATE_NAME") == []
    vpcs.ec2.modify_vpc_endpoint(VpcEndpointId=vpcs.demo["EndpointId"], PrivateDnsEnabled=True)
    until(lambda: vpcs.resolve("$PRIVATE_NAME"), addresses)
    assert vpcs.curl("https://$PRIVATE_NAME:$TLS_PORT/")[0] == OK
    assert [vpcs.resolve("$PRIVATE_NAME", vpc) for vpc in ("consumer2", "provider")] == [[], []]

    # Rejected while it is alive, nothing passes any more.
    vpcs.ec2.reject_vpc_endpoint_connections(ServiceId=vpcs.demo["ServiceId"], VpcEndpointIds=[vpcs.demo["EndpointId"]])
    until(lambda: vpcs.curl(url), (TIMEOUT, ""))
