"""The names of endpoints and load balancers, answered by a real DNS server for each VPC."""

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Network
from typing import cast

from dnslib import AAAA, QTYPE, RCODE, RR, A, DNSError, DNSRecord  # type: ignore[import-untyped]

from lab.network.topology import Balancer, Vpc, vpc_of
from lab.privatelink.rules.model import Endpoint

TTL_SECONDS = 5
"""60 on AWS; short here because a lab's states change faster than a user waits."""

_PUBLIC = ".vpce.amazonaws.com"
_BALANCERS = ".elb.amazonaws.com"


class Zone:
    """Which name means which addresses, by VPC.

    The regional name of an endpoint, in any state, means all its addresses and a zonal name the one of its subnet, from
    wherever it is asked; the private name means all its addresses, asked from the endpoint's VPC alone. The name of a
    load balancer means its address in each zone, from wherever. `prefixes` of IPv6 (/96) stand before each address in a
    second answer, as DNS64 and endpoints of both families have it.
    """

    def __init__(
        self,
        endpoints: tuple[Endpoint, ...],
        address: Callable[[Endpoint, str], str],
        balancers: tuple[Balancer, ...] = (),
        prefixes: tuple[str, ...] = (),
    ) -> None:
        self._prefixes = [IPv6Network(prefix) for prefix in prefixes]
        self._public: dict[str, tuple[str, ...]] = {}
        self._private: dict[tuple[Vpc, str], tuple[str, ...]] = {}
        self._owned: set[str] = set()
        for endpoint in endpoints:
            addresses = tuple(address(endpoint, subnet.subnet_id) for subnet in endpoint.addresses)
            names = [name.lower() for name in endpoint.dns_names]
            if names:
                self._public[names[0]] = addresses
            self._public.update((name, (one,)) for name, one in zip(names[1:], addresses, strict=False))
            if endpoint.private_dns_name:
                name = endpoint.private_dns_name.lower()
                self._private[vpc_of(endpoint), name] = addresses
                self._owned.add(name)
        for balancer in balancers:
            self._public[balancer.name.lower()] = tuple(at.ip for at in balancer.addresses)
            self._owned.update(name.lower() for name in balancer.names)

    def look_up(self, vpc: Vpc, name: str) -> tuple[str, ...] | None:
        """The addresses of a name (lower case, no dot at its end) asked from a VPC; None if there is none."""
        return self._private.get((vpc, name)) or self._public.get(name)

    def twins(self, address: str) -> list[str]:
        """The addresses of IPv6 that stand beside one of IPv4."""
        return [str(prefix[int(IPv4Address(address))]) for prefix in self._prefixes]

    def owns(self, name: str) -> bool:
        """Whether the lab may say that a name does not exist: it knows nothing of the rest of the Internet."""
        return name.endswith((_PUBLIC, _BALANCERS)) or name in self._owned


class Resolver(asyncio.DatagramProtocol):
    """A DNS server over UDP. Unknown names that the lab does not own are refused; there are records A and AAAA."""

    def __init__(self, vpc: Vpc, zone: Callable[[], Zone]) -> None:
        self._vpc = vpc
        self._zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # What is no DNS query gets no answer.
        try:
            query = DNSRecord.parse(data)
        except DNSError:
            return
        if query.header.qr == 0 and query.questions:
            self.transport.sendto(self._answer(query).pack(), addr)

    def _answer(self, query: DNSRecord) -> DNSRecord:
        reply = query.reply(ra=1, aa=0)
        zone, name = self._zone(), str(query.q.qname).rstrip(".").lower()
        addresses = zone.look_up(self._vpc, name)
        if addresses is None:
            reply.header.rcode = RCODE.NXDOMAIN if zone.owns(name) else RCODE.REFUSED
        elif query.q.qtype == QTYPE.A:
            for address in addresses:
                reply.add_answer(RR(query.q.qname, QTYPE.A, rdata=A(address), ttl=TTL_SECONDS))
        elif query.q.qtype == QTYPE.AAAA:
            for twin in (twin for address in addresses for twin in zone.twins(address)):
                reply.add_answer(RR(query.q.qname, QTYPE.AAAA, rdata=AAAA(twin), ttl=TTL_SECONDS))
        return reply
