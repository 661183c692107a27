"""The scope is what a canary may probe: names, ports and addresses, which its own stack says and no event widens."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

VARIABLES = ("CANARY_NAMES", "CANARY_PORTS", "CANARY_CIDRS")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Scope:
    """Suffixes of names, ports, and networks in which every address must lie."""

    suffixes: tuple[str, ...]
    ports: frozenset[int]
    networks: tuple[Network, ...]

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """From the function's environment; ValueError names the variable that is missing or wrong."""
        if missing := [name for name in VARIABLES if not environ.get(name, "").strip()]:
            raise ValueError(
                f"environment variable {', '.join(missing)} is missing or empty: "
                "deploy the canary's template as it is, it sets all of them"
            )
        return cls.parse(*(environ[name] for name in VARIABLES))

    @classmethod
    def parse(cls, names: str, ports: str, cidrs: str) -> Self:
        """From comma-separated texts; ValueError names the one that cannot be read."""
        suffixes = tuple(part.strip().strip(".").lower() for part in names.split(",") if part.strip())
        if "" in suffixes:  # every name ends in nothing
            raise ValueError(f"CANARY_NAMES is {names!r}: expected names such as vpce.amazonaws.com")
        try:
            known_ports = frozenset(_port(part.strip()) for part in ports.split(",") if part.strip())
        except ValueError:
            raise ValueError(f"CANARY_PORTS is {ports!r}: expected ports such as 80,443") from None
        try:
            networks = tuple(_network(part.strip()) for part in cidrs.split(",") if part.strip())
        except ValueError as error:
            raise ValueError(f"CANARY_CIDRS is {cidrs!r}: {error}") from None
        return cls(suffixes, known_ports, networks)

    def forbid(self, scheme: str, host: str, port: int | None) -> str:
        """Why a URL may not be probed; "" if it may. `host` is in small letters."""
        host = host.rstrip(".")
        if scheme not in ("tcp", "tls", "http", "https"):
            return f"scheme {scheme[:20]!r} is not tcp, tls, http or https"
        if not any(host == suffix or host.endswith("." + suffix) for suffix in self.suffixes):
            return f"name {host[:253]!r} does not end in {' or '.join(self.suffixes)}"
        if port not in self.ports:
            return f"port {port} is not one of {', '.join(map(str, sorted(self.ports)))}"
        return ""

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
