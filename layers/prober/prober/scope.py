"""The scope is what a canary may probe: names, ports and addresses, which its own stack says and no event widens."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult

from prober import tls

VARIABLES = ("CANARY_NAMES", "CANARY_PORTS", "CANARY_CIDRS")
OPTIONAL = ("CANARY_AUTHORITIES",)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Scope:
    """Suffixes of names, ports, and networks in which every address must lie."""

    suffixes: tuple[str, ...]
    ports: frozenset[int]
    networks: tuple[Network, ...]
    authorities: bytes = b""
    """Certificates in DER that are trusted beside the operating system's."""

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
    def parse(cls, names: str, ports: str, cidrs: str, *, authorities: str = "") -> Self:
        """From comma-separated texts, and authorities in PEM; ValueError names the one that cannot be read."""
        suffixes = tuple(part.strip().strip(".").lower() for part in names.split(",") if part.strip())
        if "" in suffixes:  # every name ends in nothing
            raise ValueError(f"CANARY_NAMES is {names!r}: expected names such as vpce.amazonaws.com")
        try:
            known_ports = frozenset(int(part) for part in ports.split(",") if part.strip())
        except ValueError:
            raise ValueError(f"CANARY_PORTS is {ports!r}: expected ports such as 80,443") from None
        try:
            networks = tuple(ipaddress.ip_network(part.strip()) for part in cidrs.split(",") if part.strip())
        except ValueError as error:
            raise ValueError(f"CANARY_CIDRS is {cidrs!r}: {error}") from None
        try:
            trusted = tls.authorities(authorities) if authorities.strip() else b""
        except ValueError as error:
            raise ValueError(f"CANARY_AUTHORITIES holds {error}") from None
        return cls(suffixes, known_ports, networks, trusted)

    def forbid(self, url: SplitResult, port: int | None) -> str:
        """Why a URL may not be probed; "" if it may."""
        host = (url.hostname or "").rstrip(".")
        if url.scheme not in ("tcp", "tls", "http", "https"):
            return f"scheme {url.scheme[:20]!r} is not tcp, tls, http or https"
        if "@" in url.netloc:
            return "a URL with credentials is not probed"
        if not any(host == suffix or host.endswith("." + suffix) for suffix in self.suffixes):
            return f"name {host[:253]!r} does not end in {' or '.join(self.suffixes)}"
        if port not in self.ports:
            return f"port {port} is not one of {', '.join(map(str, sorted(self.ports)))}"
        return ""

    def includes(self, address: str) -> bool:
        """Whether an address lies in one of the networks."""
        return any(ipaddress.ip_address(address) in network for network in self.networks)
