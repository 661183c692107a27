"""What a stack looks after, read in a few calls and without a scan: services, endpoints, breakers, rows, alarms."""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from linkgate.aws.services import EndpointService
from linkgate.ledger.breaker import Breaker, Tripped, cuts_name, rejects_name
from linkgate.ledger.items import EndpointRecord, Records
from linkgate.ledger.sets import NamedSets
from linkgate.model import MalformedRow, Mode, Reason, RowKey, ServiceSettings, Status
from linkgate.policy.decide import Rows, settings_for, settings_keys
from linkgate.policy.rows import parse

from linkgate_cli.failures import Failure
from linkgate_cli.index import endpoints
from linkgate_cli.session import Session

LOST, INVALID = "lost-services", "invalid-rows"
"""Sets in which the sweep keeps services that are no longer managed, and rows that it called invalid."""


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One service and its endpoints as the ledger knows them; `described` is None where nobody manages it any more."""

    service: str
    described: EndpointService | None
    settings: ServiceSettings | MalformedRow
    records: Mapping[str, EndpointRecord]
    unreadable: Mapping[str, str]
    cuts: Tripped
    rejects: Tripped

    @property
    def observes(self) -> bool:
        """Whether nothing is done for it, only said."""
        return not isinstance(self.settings, ServiceSettings) or self.settings.mode is Mode.OBSERVE


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that `status` shows. `alarms` are those that ring, by their headings in docs/runbook.md."""

    stack: str
    region: str
    now: datetime
    services: tuple[ServiceView, ...]
    rows: Rows
    """Rows by which endpoints are held over their limit, and settings."""
    malformed: tuple[MalformedRow, ...] = ()
    alarms: tuple[str, ...] = ()

    @property
    def records(self) -> list[EndpointRecord]:
        """Every endpoint of every service."""
        return [record for one in self.services for record in one.records.values()]


def look(session: Session, only: str = "", closed: bool = False) -> Overview:
    """Read everything; `only` one service, `closed` with the endpoints that are gone. Failure where it is unknown."""
    session.find()
    with ThreadPoolExecutor(8) as pool:
        alarms = pool.submit(_alarms, session)
        described = pool.submit(session.services.managed)
        sets = NamedSets(session.ledger).read([LOST, INVALID])
        managed = described.result()
        names = sorted({*managed, *sets.get(LOST, ())})
        if only:
            names = [_known(only, names, session)]
        rows = dict(session.allow_list.rows(key for name in names for key in settings_keys(name)))
        counted = Breaker(session.ledger).read([name(one) for one in names for name in (cuts_name, rejects_name)])
        read = list(pool.map(lambda name: _records(session, name, closed), names))
        malformed = _malformed(session) if sets.get(INVALID) else ()
        views = tuple(
            ServiceView(
                name,
                managed.get(name),
                settings_for(name, rows),
                records,
                unreadable,
                counted[cuts_name(name)].tripped,
                counted[rejects_name(name)].tripped,
            )
            for name, (records, unreadable) in zip(names, read, strict=True)
        )
        rows |= session.allow_list.rows(_limits(views))
        return Overview(
            session.stack, session.aws.region_name or "", session.now, views, rows, malformed, alarms.result()
        )


def _known(service: str, names: Collection[str], session: Session) -> str:
    if service not in names:
        known = f": it has {', '.join(names)}" if names else ", and no other: tag one (linkgate enroll)"
        raise Failure(f"{service} is no service that {session.stack} manages in {session.aws.region_name}{known}")
    return service


def _records(session: Session, service: str, closed: bool) -> tuple[dict[str, EndpointRecord], dict[str, str]]:
    known = Records(endpoints(session, service, closed))
    return known, known.unreadable


def _limits(views: Collection[ServiceView]) -> set[RowKey]:
    """The rows by whose limits endpoints are held."""
    held = (one for view in views for one in view.records.values())
    over = {one.row for one in held if one.status is Status.HELD and one.reason == Reason.OVER_LIMIT}
    return {RowKey(*row.split("/", 1)) for row in over if "/" in row}


def _malformed(session: Session) -> tuple[MalformedRow, ...]:
    """The rows that cannot be read: only looked for where the sweep saw one, since this reads the table."""
    read = map(parse, session.allow_list.whole_table().values())
    return tuple(row for row in read if isinstance(row, MalformedRow))


def _alarms(session: Session) -> tuple[str, ...]:
    """The stack's alarms that ring, by their runbook headings."""
    prefix = f"{session.stack}-"
    pages = session.client("cloudwatch").get_paginator("describe_alarms")
    found = pages.paginate(AlarmNamePrefix=prefix, StateValue="ALARM")
    return tuple(sorted(one["AlarmName"].removeprefix(prefix) for page in found for one in page["MetricAlarms"]))
