"""From the names of a connection and the probes of its service to the targets of a canary."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from linkgate.model import Connection
from linkgate.policy.probes import Probe

TIMEOUT_SECONDS = 3
CLOSED_SECONDS = 1
"""For a target that must be closed: nothing answers, so the timeout is what it mostly takes."""

_ZONAL = re.compile(r"vpce-[0-9a-z]+-[0-9a-z]+-(.+)")
"""First label of a zonal name, `vpce-<id>-<suffix>-<zone>`; the regional name's has no third part.

Seen in answers of AWS; the suffix is not documented.
"""


class Kind(StrEnum):
    """What a name of an endpoint stands for."""

    REGIONAL = "regional"
    ZONAL = "zonal"
    PRIVATE = "private"


class Name(NamedTuple):
    """A name of an endpoint and what it stands for; `zone` is a zonal one's, as the consumer calls it."""

    text: str
    kind: Kind
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """One probe of one name of an endpoint; `closed` where nothing may answer."""

    endpoint: str
    service: str
    name: Name
    probe: Probe
    server_name: str = ""
    closed: bool = False

    @property
    def url(self) -> str:
        """What the canary probes; with the endpoint it tells a verdict's target."""
        return self.probe.at(self.name.text)

    def payload(self) -> dict[str, Any]:
        """As the canary takes it (design section 8)."""
        asked: dict[str, Any] = {
            "endpoint_id": self.endpoint,
            "service_id": self.service,
            "name": self.name.text,
            "url": self.url,
            "expect": "closed" if self.closed else "open",
            "timeout_seconds": CLOSED_SECONDS if self.closed else TIMEOUT_SECONDS,
        }
        more = {"expect_status": self.probe.status, "expect_body": self.probe.body, "server_name": self.server_name}
        return asked | {name: value for name, value in more.items() if value}


def names_of(connection: Connection) -> tuple[Name, ...]:
    """The names that EC2 lists for a connection, told apart by their form; none is ever built."""
    return tuple(map(_named, dict.fromkeys(filter(None, map(_resolvable, connection.dns_names)))))


def _resolvable(name: str) -> str:
    """A name in its one spelling; "" for a wildcard, which nobody can resolve."""
    return "" if "*" in name else name.rstrip(".").lower()


def _named(name: str) -> Name:
    if not name.startswith("vpce-"):
        return Name(name, Kind.PRIVATE)
    zonal = _ZONAL.fullmatch(name.partition(".")[0])
    return Name(name, Kind.ZONAL, zonal[1]) if zonal else Name(name, Kind.REGIONAL)


def targets_of(connection: Connection, probes: Sequence[Probe], private_name: str) -> tuple[Target, ...]:
    """Every probe of every name, the service's private name included, whether or not EC2 lists it for this connection.

    A certificate is mostly for the private name, so that one is asked for unless a probe says otherwise.
    """
    private, names = _resolvable(private_name), dict.fromkeys(names_of(connection))
    if names and private:
        names |= {Name(private, Kind.PRIVATE): None}
    return tuple(
        Target(
            connection.endpoint,
            connection.service,
            name,
            probe,
            server_name="" if probe.scheme == "tcp" else probe.server_name or private,
        )
        for name in names
        for probe in probes
    )


def closed_targets(connection: Connection, probes: Sequence[Probe]) -> tuple[Target, ...]:
    """The one target that shows whether an endpoint that must stay out gets in: TCP on its regional name."""
    names = [name for name in names_of(connection) if name.kind is Kind.REGIONAL]
    return tuple(
        Target(connection.endpoint, connection.service, name, Probe(f"tcp://:{probe.port}"), closed=True)
        for name, probe in zip(names[:1], probes, strict=False)
    )
