"""Each fault of lab.story.faults: the symptom that a client in the consumer VPC has, seen by curl and getent."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import pytest

from lab.harness.process import LabError
from lab.story.faults import FAULTS
from tests.integration.conftest import Await
from tests.integration.vpcs import CERTIFICATE, DNS, EMPTY, NOT_FOUND, OK, REFUSED, RESET, TIMEOUT, Vpcs, deployed

URL, PRIVATE = "http://$ENDPOINT:$PORT/", "https://$PRIVATE_NAME:$TLS_PORT/"
ZONES = ("http://$ENDPOINT_A:$PORT/", "http://$ENDPOINT_B:$PORT/")


@pytest.fixture(scope="module")
def vpcs() -> Iterator[Vpcs]:
    with deployed() as found:
        found.stack.accept(found.demo["EndpointId"])
        found.ec2.modify_vpc_endpoint(VpcEndpointId=found.demo["EndpointId"], PrivateDnsEnabled=True)
        yield found


def connects(vpcs: Vpcs, code: int) -> bool:
    """Whether every address, on both ports, ends with this exit code of curl before a connection is made."""
    urls = (*ZONES, "https://$ENDPOINT_A:$TLS_PORT/", "https://$ENDPOINT_B:$TLS_PORT/")
    return all(vpcs.curl(url, "-k", seconds=1) == (code, "") for url in urls)


def complains(vpcs: Vpcs, words: str) -> bool:
    """Whether curl rejects the certificate shown for the private name with these words, while HTTP works."""
    done = vpcs.run("consumer", "curl", "-sS", "-m", "5", PRIVATE)
    return done.returncode == CERTIFICATE and words in done.stderr and vpcs.status(URL) == "200"


def has_waited(vpcs: Vpcs) -> bool:
    """Whether a connection is made at once, but no answer comes in time."""
    done = vpcs.run("consumer", "curl", "-s", "-m", "2", "-w", "'%{time_connect} %{http_code}'", ZONES[0])
    connected, status = done.stdout.split()
    return done.returncode == TIMEOUT and float(connected) > 0 and status == "000"


def works(vpcs: Vpcs) -> bool:
    """Whether everything does: both zones, and the private name over HTTPS."""
    return all(vpcs.curl(url)[0] == OK for url in (*ZONES, URL, PRIVATE))


def is_unknown(vpcs: Vpcs, name: str) -> bool:
    """Whether a name resolves to nothing, for getent as for curl."""
    unresolved = vpcs.resolve(name) == [] and vpcs.run("consumer", "getent", "hosts", name).returncode == NOT_FOUND
    return unresolved and vpcs.curl(f"http://{name}/", seconds=20)[0] == DNS


class Before(NamedTuple):
    """The endpoint as it was before the fault."""

    name: str
    address: str


Symptom = Callable[[Vpcs, Before], bool]
SYMPTOMS: Mapping[str, Symptom] = {
    "connection-rejected": lambda vpcs, before: connects(vpcs, TIMEOUT),
    "endpoint-deleted": lambda vpcs, before: is_unknown(vpcs, before.name),
    "security-group-closed": lambda vpcs, before: connects(vpcs, TIMEOUT),
    "private-dns-disabled": lambda vpcs, before: is_unknown(vpcs, "$PRIVATE_NAME") and vpcs.status(URL) == "200",
    "listener-deleted": lambda vpcs, before: connects(vpcs, REFUSED),
    "targets-deregistered": lambda vpcs, before: connects(vpcs, REFUSED),
    "servers-stopped": lambda vpcs, before: connects(vpcs, REFUSED),
    "server-dead": lambda vpcs, before: connects(vpcs, REFUSED),
    "server-503": lambda vpcs, before: [vpcs.status(url) for url in ZONES] == ["503", "503"],
    "server-slow": lambda vpcs, before: has_waited(vpcs),
    "certificate-expired": lambda vpcs, before: complains(vpcs, "certificate has expired"),
    "certificate-wrong-name": lambda vpcs, before: complains(vpcs, "no alternative certificate subject name matches"),
    "certificate-untrusted": lambda vpcs, before: complains(vpcs, "unable to get local issuer certificate"),
    "certificate-chain-expired": lambda vpcs, before: complains(vpcs, "certificate has expired"),
    "server-wants-client-certificate": lambda vpcs, before: (
        vpcs.curl(PRIVATE)[0] == RESET and vpcs.status(URL) == "200"
    ),
    "server-resets": lambda vpcs, before: [vpcs.curl(url)[0] for url in ZONES] == [RESET, RESET],
    "server-wants-proxy-protocol": lambda vpcs, before: [vpcs.curl(url)[0] for url in ZONES] == [EMPTY, EMPTY],
    "large-packets-dropped": lambda vpcs, before: (
        vpcs.curl(PRIVATE, seconds=1)[0] == TIMEOUT and vpcs.status(URL) == "200"
    ),
    "acl-without-ephemeral-ports": lambda vpcs, before: connects(vpcs, TIMEOUT),
    "zone-down": lambda vpcs, before: [vpcs.curl(url)[0] for url in ZONES] == [TIMEOUT, OK],
    "dns-down": lambda vpcs, before: (
        is_unknown(vpcs, before.name) and vpcs.curl(f"http://{before.address}:$PORT/")[0] == OK
    ),
    "packet-loss": lambda vpcs, before: vpcs.curl(URL, seconds=0.5)[0] == TIMEOUT,
}


def test_every_fault_has_a_symptom() -> None:
    assert set(SYMPTOMS) == set(FAULTS)


@pytest.mark.parametrize("name", SYMPTOMS)
def test_a_fault_has_its_symptom_and_its_repair_ends_it(vpcs: Vpcs, name: str, until: Await) -> None:
    until(lambda: works(vpcs), True)
    before = Before(vpcs.stack.endpoint()["DnsEntries"][0]["DnsName"], vpcs.resolve("$ENDPOINT")[0])
    vpcs.faults.inject(name)
    try:
        assert vpcs.faults.injected() == [name]
        until(lambda: SYMPTOMS[name](vpcs, before), True)
    finally:
        vpcs.faults.repair(name)
    assert vpcs.faults.injected() == []
    until(lambda: works(vpcs), True)


def test_an_unknown_fault_is_answered_with_those_there_are(vpcs: Vpcs) -> None:
    with pytest.raises(LabError, match=r"there is no fault 'server-5003'; there are .*server-503"):
        vpcs.faults.inject("server-5003")


def test_a_private_name_that_is_not_in_use_cannot_be_disabled(vpcs: Vpcs) -> None:
    endpoint = vpcs.stack.endpoint()["VpcEndpointId"]
    vpcs.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PrivateDnsEnabled=False)
    with pytest.raises(LabError, match="enable one first:\n  aws ec2 modify-vpc-endpoint"):
        vpcs.faults.inject("private-dns-disabled")
