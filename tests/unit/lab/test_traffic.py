"""Traffic of endpoints, as the kernel's list of flows tells it and AWS/PrivateLinkServices reports it."""

import pytest

from lab.network.namespaces.traffic import Flow, Meter, flows
from lab.network.plane import Usage
from lab.privatelink.rules.model import Address, Endpoint

LINE = (
    "ipv4     2 tcp      6 431999 {state} src=10.2.1.254 dst={address} sport={port} dport=80 packets=4 bytes={sent} "
    "src=10.1.1.9 dst=198.18.0.1 sport=80 dport={port} packets=3 bytes={answered} [ASSURED] mark=0 zone=0 use=2\n"
)
OTHER = (
    "ipv4     2 udp      17 29 src=10.2.1.254 dst=10.2.0.2 sport=5 dport=53 packets=1 bytes=60 src=1 dst=2 bytes=9\n"
)
MINE, ALIEN = "10.2.1.4", "10.2.1.5"


def line(
    address: str = MINE, port: int = 40000, sent: int = 100, answered: int = 200, state: str = "ESTABLISHED"
) -> str:
    return LINE.format(address=address, port=port, sent=sent, answered=answered, state=state)


def endpoint(region: str = "eu-west-1") -> Endpoint:
    arn = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/net/a/b"
    names = ("vpce-1", "222222222222", region, "vpc-1", "vpce-svc-1", "111111111111", (arn,), "available", ())
    return Endpoint(*names, (Address("subnet-1", "eu-west-1a", MINE, "eni-1"),), (), None)


def test_flows_are_those_of_tcp_with_bytes_of_both_ways() -> None:
    found = list(flows(line() + OTHER + line(port=40001, state="TIME_WAIT")))
    assert [(one.address, one.active, one.bytes) for one in found] == [(MINE, True, 300), (MINE, False, 300)]
    assert isinstance(found[0], Flow)


def test_bytes_count_once_and_a_minute_without_any_says_nothing() -> None:
    meter = Meter()
    (first,) = meter.usage(line() + line(port=40001, state="TIME_WAIT") + line(ALIEN), [endpoint()])
    assert first == Usage("111111111111", "eu-west-1", "vpce-svc-1", "vpce-1", 1, 600)
    assert list(meter.usage(line() + line(port=40001, state="TIME_WAIT"), [endpoint()])) == []
    (more,) = meter.usage(line(sent=150), [endpoint()])
    assert (more.connections, more.bytes) == (1, 50)
    (again,) = meter.usage(line(sent=10, answered=0), [endpoint()])
    assert again.bytes == 10, "the same ends are another flow when they have fewer bytes"


@pytest.mark.parametrize("region", ["us-east-1"])
def test_of_a_consumer_in_another_region_nothing_is_reported(region: str) -> None:
    assert list(Meter().usage(line(), [endpoint(region)])) == []
