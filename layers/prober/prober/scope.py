"""What a canary may touch: fixed by its own stack, so that no event makes a port scanner of it."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult

from linkgate.errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Limits:
    """Which names, ports and addresses a canary may touch."""

    suffixes: tuple[str, ...]
    ports: frozenset[int]
    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, names: str, ports: str, cidrs: str) -> "Limits":
        """From comma-separated parameters; SettingsError names the one that cannot be read."""
        suffixes = tuple(part.strip().strip(".").lower() for part in names.split(",") if part.strip())
        if "" in suffixes:  # every name ends in nothing
            raise SettingsError(f"CANARY_NAMES is {names!r}: expected names such as vpce.amazonaws.com")
        try:
            known_ports = frozenset(int(part) for part in ports.split(",") if part.strip())
        except ValueError:
            raise SettingsError(f"CANARY_PORTS is {ports!r}: expected ports such as 80,443") from None
        try:
            networks = tuple(ipaddress.ip_network(part.strip()) for part in cidrs.split(",") if part.strip())
        except ValueError as error:
            raise SettingsError(f"CANARY_CIDRS is {cidrs!r}: {error}") from None
        return cls(suffixes, known_ports, networks)

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

    def reach(self, address: str) -> bool:
        """Whether an address lies in the VPC."""
        return any(ipaddress.ip_address(address) in network for network in self.networks)
