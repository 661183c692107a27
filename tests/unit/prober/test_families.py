"""Addresses of both families: which of them a canary can cross, and what DNS64 makes of one that it can."""

import socket
from typing import Any

import pytest
from linkgate.health.diagnosis import diagnose
from linkgate.health.targets import Kind, Name, Target
from linkgate.health.verdict import read
from linkgate.model import State
from linkgate.policy.probes import Probe
from prober.scope import Scope
from prober.verdict import Verdict, report

from tests.unit.listeners import HOST, accepting, listening
from tests.unit.prober.conftest import Answer, probe_all

NAME = "vpce-0a-b.vpce-svc-0a.eu-west-1.vpce.amazonaws.com"
TWIN, OWN = "64:ff9b::7f00:1", "fd00:10::4"
FOREIGN, FOREIGN_TWIN = "2001:db8::1", "64:ff9b::808:808"


def seen(resolver: dict[str, Answer], *addresses: str, cidrs: str = "127.0.0.0/8", **more: str) -> list[Verdict]:
    """What a canary finds of a name with these addresses, of which loopback's answers."""
    resolver[NAME] = list(addresses)
    with listening(accepting) as listener:
        target = {"name": NAME, "url": f"tcp://{NAME}:{listener.port}", "timeout_seconds": 1}
        return probe_all([target], Scope.parse("vpce.amazonaws.com", str(listener.port), cidrs, **more))


def told(found: list[Verdict]) -> list[tuple[str, str]]:
    return [(one.address, one.cause) for one in found]


@pytest.mark.parametrize("ipv6", ["", "true"])
@pytest.mark.parametrize("addresses", [(HOST, TWIN), (TWIN, HOST), (TWIN,)])
def test_what_dns64_makes_of_an_address_is_that_address(
    resolver: dict[str, Answer], addresses: tuple[str, ...], ipv6: str
) -> None:
    assert told(seen(resolver, *addresses, ipv6=ipv6)) == [(HOST, "")]


def test_what_dns64_makes_of_a_foreign_address_is_foreign(resolver: dict[str, Answer]) -> None:
    found = seen(resolver, HOST, FOREIGN_TWIN, ipv6="true")
    assert told(found) == [(HOST, ""), ("8.8.8.8", "dns_unexpected_address")]


@pytest.mark.parametrize(
    ("prefix", "twin"),
    [
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
        ("", "64:ff9b::192.0.2.33"),
    ],
)
def test_the_prefixes_of_rfc_6052_are_read_at_all_their_lengths(prefix: str, twin: str) -> None:
    """The examples of its section 2.4."""
    assert Scope.parse("", "", "", nat64=prefix).own([twin]) == ["192.0.2.33"]


@pytest.mark.parametrize("prefix", ["64:ff9b::", "64:ff9b::1/96", "2001:db8::/33", "10.0.0.0/8", "x"])
def test_a_prefix_that_is_none_is_an_error(prefix: str) -> None:
    with pytest.raises(ValueError, match="CANARY_NAT64 is"):
        Scope.parse("", "", "", nat64=prefix)


def test_without_ipv6_of_an_endpoint_with_both_families_ipv4_is_probed_and_nothing_is_blamed(
    resolver: dict[str, Answer],
) -> None:
    for cidrs in ("127.0.0.0/8", "127.0.0.0/8,fd00:10::/56"):
        assert told(seen(resolver, HOST, OWN, cidrs=cidrs)) == [(HOST, "")]


def test_with_ipv6_both_are_probed(resolver: dict[str, Answer]) -> None:
    found = seen(resolver, HOST, "::1", cidrs="127.0.0.0/8,::1/128", ipv6="true")
    assert [one.address for one in found] == [HOST, "::1"]
    assert all(one.phases.keys() >= {"tcp"} for one in found)


def test_a_foreign_address_is_told_in_either_family(resolver: dict[str, Answer]) -> None:
    assert told(seen(resolver, HOST, FOREIGN, ipv6="true"))[1] == (FOREIGN, "dns_unexpected_address")
    assert told(seen(resolver, HOST, "8.8.8.8"))[1] == ("8.8.8.8", "dns_unexpected_address")


def test_an_endpoint_of_ipv6_alone_is_unprobed_once_where_the_canary_has_none(resolver: dict[str, Answer]) -> None:
    (found,) = seen(resolver, OWN, "fd00:10::5")
    assert (found.cause, found.address) == ("probe_error", "")
    assert found.detail == f"{NAME} leads to {OWN} alone, and this canary has no IPv6"
    target = Target("vpce-1", "vpce-svc-1", Name(NAME, Kind.REGIONAL), Probe("tcp://:443"))
    assert not diagnose([read(target, one) for one in report([found])], State.AVAILABLE).conclusive


@pytest.mark.parametrize(("ipv6", "families"), [("", [socket.AF_INET]), ("true", [socket.AF_UNSPEC])])
def test_aaaa_is_asked_for_only_where_it_can_be_crossed(
    monkeypatch: pytest.MonkeyPatch, ipv6: str, families: list[int]
) -> None:
    asked, real = list[int](), socket.getaddrinfo

    def getaddrinfo(host: str, port: int, family: int = socket.AF_UNSPEC, type: int = 0) -> list[Any]:
        asked.append(family)
        return real(HOST, port, family, type)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert told(seen({}, ipv6=ipv6)) == [(HOST, "")]
    assert asked == families


def test_a_resolver_that_is_silent_is_not_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[int]()

    def getaddrinfo(host: str, port: int, family: int = socket.AF_UNSPEC, type: int = 0) -> list[Any]:
        asked.append(family)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert told(seen({})) == [("", "dns_timeout")]
    assert asked == [socket.AF_INET]
