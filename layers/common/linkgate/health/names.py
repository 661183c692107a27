"""The names that EC2 lists for a connection, told apart by their form; none is ever built. Standard library only."""

import re
from typing import NamedTuple

from linkgate.health.diagnosis import Kind
from linkgate.model import Connection

_LABEL = re.compile(r"vpce-[0-9a-z]+-[0-9a-z]+-(.+)")
"""First label of a zonal name; the regional name's has no third part (recorded from AWS)."""


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
