"""The scope is what a canary may probe: names, ports and addresses, which its own stack says and no event widens."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from prober import tls

VARIABLES = ("CANARY_NAMES", "CANARY_PORTS")
OPTIONAL = ("CANARY_CIDRS", "CANARY_AUTHORITIES", "CANARY_IPV6", "CANARY_NAT64")
WELL_KNOWN = "64:ff9b::/96"
"""The prefix of RFC 6052 under which DNS64 gives a name of IPv4 alone an IPv6 address; AWS's resolvers use it."""
_AWS = re.compile(r"(.+\.)?vpce\.amazonaws\.[a-z.]+")
_SERVICE = re.compile(r"(.+\.)?vpce-svc-[0-9a-f]+\.[a-z0-9-]+\.vpce\.amazonaws\.[a-z.]+")
"""Names of endpoints, and of these the names of endpoints of an endpoint service: others are APIs of AWS's."""
BLANKS = " \t\r\n"
"""What may stand around each part of a list: not everything that Unicode has as a blank."""
_LENGTHS = (32, 40, 48, 56, 64, 96)
"""Those of RFC 6052 section 2.2."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Scope:
    """Suffixes of names, ports, and networks in which every address must lie."""

    suffixes: tuple[str, ...]
    ports: frozenset[int]
    networks: tuple[Network, ...]
    authorities: bytes = b""
    """Certificates in DER that are trusted beside the operating system's."""
    ipv6: bool = False
    """Whether the canary's network has IPv6; without it, addresses of IPv6 are left out."""
    nat64: tuple[ipaddress.IPv6Network, ...] = (ipaddress.IPv6Network(WELL_KNOWN),)
    """Prefixes of IPv6 addresses that stand for an IPv4 address."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """From the function's environment; ValueError names the variable that is missing or wrong."""
        if missing := [name for name in VARIABLES if not environ.get(name, "").strip()]:
            raise ValueError(
                f"environment variable {', '.join(missing)} is missing or empty: "
                "deploy the canary's template as it is, it sets all of them"
            )
        more = {name.removeprefix("CANARY_").lower(): environ.get(name, "") for name in OPTIONAL}
        return cls.parse(*(environ[name] for name in VARIABLES), **more)

    @classmethod
    def parse(
        cls, names: str, ports: str, cidrs: str = "", *, authorities: str = "", ipv6: str = "", nat64: str = ""
    ) -> Self:
        """From comma-separated texts, authorities in PEM, and `true` for IPv6; ValueError names what cannot be read."""
        suffixes = tuple(part.strip(".").lower() for part in _parts(names))
        if "" in suffixes:  # every name ends in nothing
            raise ValueError(f"CANARY_NAMES is {names!r}: expected names such as vpce.amazonaws.com")
        try:
            known_ports = frozenset(map(_port, _parts(ports)))
        except ValueError:
            raise ValueError(f"CANARY_PORTS is {ports!r}: expected ports such as 80,443") from None
        try:
            networks = tuple(map(_network, _parts(cidrs)))
        except ValueError as error:
            raise ValueError(f"CANARY_CIDRS is {cidrs!r}: {error}") from None
        try:
            prefixes = tuple(map(_prefix, [WELL_KNOWN, *_parts(nat64)]))
        except ValueError as error:
            raise ValueError(f"CANARY_NAT64 is {nat64!r}: {error}") from None
        try:
            trusted = tls.authorities(authorities) if authorities.strip() else b""
        except ValueError as error:
            raise ValueError(f"CANARY_AUTHORITIES holds {error}") from None
        return cls(suffixes, known_ports, networks, trusted, ipv6.strip().lower() == "true", prefixes)

    def forbid(self, scheme: str, host: str, port: int | None) -> str:
        """Why a URL may not be probed; "" if it may."""
        if scheme not in ("tcp", "tls", "http", "https"):
            return f"scheme {scheme[:20]!r} is not tcp, tls, http or https"
        if problem := self.foreign("name", host):
            return problem
        if port not in self.ports:
            return f"port {port} is not one of {', '.join(map(str, sorted(self.ports)))}"
        return "" if self.networks else "no address may be probed: give the parameter CanaryCidrs the VPC's CIDRs"

    def foreign(self, what: str, name: str) -> str:
        """Why a name may be neither probed nor said to whom answers; "" if it may."""
        host = name.rstrip(".").lower()
        if not any(host == suffix or host.endswith("." + suffix) for suffix in self.suffixes):
            return f"{what} {host[:253]!r} does not end in {' or '.join(self.suffixes)}"
        if _AWS.fullmatch(host) and not _SERVICE.fullmatch(host):
            return f"{what} {host[:253]!r} is not of an endpoint service, whose names have vpce-svc-… in them"
        return ""

    def own(self, addresses: Iterable[str]) -> list[str]:
        """The addresses that a canary can reach, each once: what DNS64 made of an IPv4 address is that address."""
        known = (self._plain(ipaddress.ip_address(address)) for address in addresses)
        return list(dict.fromkeys(str(one) for one in known if one.version == 4 or self.ipv6))

    def _plain(self, address: Address) -> Address:
        for prefix in self.nat64 if address.version == 6 else ():
            if address in prefix:
                # The bits 64 to 71 are no part of it (RFC 6052 section 2.2).
                octets = address.packed if prefix.prefixlen == 96 else address.packed[:8] + address.packed[9:]
                start = prefix.prefixlen // 8
                return ipaddress.IPv4Address(octets[start : start + 4])
        return address

    def includes(self, address: str) -> bool:
        """Whether an address lies in one of the networks."""
        return any(ipaddress.ip_address(address) in network for network in self.networks)


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ValueError("a port is 1 to 65535")
    return int(text)


def _network(text: str) -> Network:
    """An address, `/` and a number of bits: no netmask, and no single address."""
    if not re.fullmatch("[0-9A-Fa-f.:]+/[0-9]{1,3}", text):
        raise ValueError("a CIDR is an address, / and a number of bits")
    return ipaddress.ip_network(text)


def _parts(text: str) -> list[str]:
    return [part for one in text.split(",") if (part := one.strip(BLANKS))]


def _prefix(text: str) -> ipaddress.IPv6Network:
    prefix = ipaddress.IPv6Network(str(_network(text)))
    if prefix.prefixlen not in _LENGTHS:
        raise ValueError(f"a prefix has {', '.join(map(str, _LENGTHS))} bits, not {prefix.prefixlen}")
    return prefix
