"""From the names of a connection and the probes of its service to the targets of a canary. Standard library only."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from linkgate.model import Connection
from linkgate.policy.probes import _USED_BY, Probe

TIMEOUT_SECONDS = 3
CLOSED_SECONDS = 1
"""For a door that must be shut: nothing answers, so the timeout is what it mostly takes."""
_LABEL = re.compile(r"vpce-[0-9a-z]+-[0-9a-z]+-(.+)")
"""First label of a zonal name; the regional name's has no third part (recorded from AWS)."""


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


def names_of(connection: Connection) -> tuple[Name, ...]:
    """The names that EC2 lists for a connection; a wildcard can be no target."""
    listed = dict.fromkeys(name.rstrip(".").lower() for name in connection.dns_names)
    return tuple(map(_named, filter(probable, listed)))


def probable(name: str) -> bool:
    """Whether a name can be looked up."""
    return bool(name) and "*" not in name


def _named(name: str) -> Name:
    if not name.startswith("vpce-"):
        return Name(name, Kind.PRIVATE)
    zone = zone_of(name)
    return Name(name, Kind.ZONAL if zone else Kind.REGIONAL, zone)


def zone_of(name: str) -> str:
    """The zone in a zonal name, "" in a regional one.

    The first label is `vpce-<id>-<suffix>`, and with `-<zone>` behind it zonal (seen in answers of AWS; the suffix is
    not documented).
    """
    match = _LABEL.fullmatch(name.partition(".")[0])
    return match[1] if match else ""


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
        """What the canary is sent to; with the endpoint it tells a verdict's target."""
        return self.probe.at(self.name.text)

    def payload(self) -> dict[str, Any]:
        """As the canary takes it (design section 8)."""
        told: dict[str, Any] = {
            "endpoint_id": self.endpoint,
            "service_id": self.service,
            "name": self.name.text,
            "url": self.url,
            "expect": "closed" if self.closed else "open",
            "timeout_seconds": CLOSED_SECONDS if self.closed else TIMEOUT_SECONDS,
        }
        more = {"expect_status": self.probe.status, "expect_body": self.probe.body, "server_name": self.server_name}
        return told | {name: value for name, value in more.items() if value}


def targets_of(connection: Connection, probes: Sequence[Probe], private_name: str) -> tuple[Target, ...]:
    """Every probe of every name, the service's private name included, whether or not EC2 lists it for this connection.

    A certificate is mostly for the private name, so that one is asked for unless a probe says otherwise.
    """
    private = private_name.rstrip(".").lower()
    names = dict.fromkeys(names_of(connection))
    if names and probable(private):
        names |= {Name(private, Kind.PRIVATE): None}
    wanted = private if probable(private) else ""
    return tuple(_target(connection, name, probe, wanted) for name in names for probe in probes)


def _target(connection: Connection, name: Name, probe: Probe, wanted: str) -> Target:
    asked = (probe.server_name or wanted) if probe.scheme in _USED_BY["server_name"] else ""
    return Target(connection.endpoint, connection.service, name, probe, asked)


def shut_target(connection: Connection, probes: Sequence[Probe]) -> tuple[Target, ...]:
    """What finds out whether an endpoint that must stay out gets in: TCP on its regional name."""
    names = [name for name in names_of(connection) if name.kind is Kind.REGIONAL]
    return tuple(
        Target(connection.endpoint, connection.service, name, Probe(f"tcp://:{probe.port}"), closed=True)
        for name, probe in list(zip(names, probes, strict=False))[:1]
    )
