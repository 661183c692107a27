"""`linkgate status`: what needs somebody first, then every connection."""

import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Annotated, Any, NoReturn

import typer
from linkgate.ledger.items import EndpointRecord
from linkgate.model import Reason, Status
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from linkgate_cli.attention import Need, needs
from linkgate_cli.failures import Failure
from linkgate_cli.output import BAD, DIM, GOOD, WARN, age, clean, console, say_json, table
from linkgate_cli.overview import Overview, look
from linkgate_cli.session import Session

COLOURS = {Status.VERIFIED: GOOD, Status.UNHEALTHY: BAD, Status.HELD: WARN, Status.CLOSED: DIM}
KINDS = {"waits": WARN, "tell": WARN, "unprobed": WARN}
EVERY_SECONDS = 5
MOST = 50
"""Connections that a terminal shows; --service, --consumer and --status narrow them, JSON has all."""


def command(
    ctx: typer.Context,
    service: Annotated[str, typer.Option(metavar="VPCE-SVC-…", help="One service alone.")] = "",
    consumer: Annotated[str, typer.Option(metavar="ACCOUNT|VPCE-…", help="One consumer alone.")] = "",
    status: Annotated[
        list[str] | None, typer.Option(metavar="STATUS", help="HELD, VERIFIED, …; several times.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every 5 seconds, until Ctrl-C.")] = False,
) -> None:
    """What needs you first, then every connection.

    Example: linkgate status --status HELD --status UNHEALTHY
    """
    session, wanted = Session.of(ctx), _statuses(status or [])
    screen = console()

    def read() -> tuple[Overview, list[EndpointRecord]]:
        overview = look(session, service, Status.CLOSED in wanted)
        return overview, [one for one in _sorted(overview.records) if _meant(one, consumer, wanted)]

    if session.output == "json":
        say_json("status", document(*read()))
    elif watch:
        _watch(screen, lambda: shown(screen, *read(), narrowed=bool(consumer or wanted)))
    else:
        screen.print(shown(screen, *read(), narrowed=bool(consumer or wanted)), soft_wrap=True)


def _watch(screen: Console, see: Callable[[], RenderableType]) -> NoReturn:
    """Show it anew until Ctrl-C: in place on a terminal, one after the other in a pipe."""
    with Live(console=screen, auto_refresh=False) if screen.is_terminal else nullcontext() as live:
        while True:
            if live:
                live.update(see(), refresh=True)
            else:
                screen.print(see(), soft_wrap=True)
                sys.stdout.flush()
            time.sleep(EVERY_SECONDS)


def _statuses(words: Iterable[str]) -> frozenset[Status]:
    try:
        return frozenset(Status(word.upper()) for word in words)
    except ValueError as error:
        raise Failure(f"--status: {error}: expected one of {', '.join(Status)}") from None


def _meant(record: EndpointRecord, consumer: str, statuses: frozenset[Status]) -> bool:
    return consumer in ("", record.account, record.endpoint) and (not statuses or record.status in statuses)


def _sorted(records: Iterable[EndpointRecord]) -> list[EndpointRecord]:
    order = list(Status)
    return sorted(records, key=lambda one: (one.service, order.index(one.status), one.account, one.endpoint))


def document(overview: Overview, records: Iterable[EndpointRecord]) -> dict[str, Any]:
    """Everything as JSON; what needs somebody is not narrowed by consumer or status."""
    return {
        "stack": overview.stack,
        "region": overview.region,
        "at": overview.now,
        "alarms": list(overview.alarms),
        "needs": [one._asdict() for one in needs(overview)],
        "connections": [connection(one) for one in records],
    }


def connection(record: EndpointRecord) -> dict[str, Any]:
    """One connection as JSON."""
    texts = (
        "endpoint",
        "service",
        "account",
        "region",
        "status",
        "state",
        "outcome",
        "reason",
        "row",
        "mode",
        "ticket",
    )
    times = ("requested_at", "decided_at", "accepted_at", "verified_at", "unwanted_since")
    return {
        **{name: str(getattr(record, name)) for name in texts},
        **{name: getattr(record, name) for name in times},
        "cause": record.cause,
        "final": record.final,
    }


def shown(screen: Console, overview: Overview, records: list[EndpointRecord], narrowed: bool) -> RenderableType:
    """The screen: a line about all, what needs somebody, and a table of connections."""
    found = [] if narrowed else needs(overview)
    parts: list[RenderableType] = [_headline(overview, screen.width)]
    if found:
        parts += [Text("\nneeds you", "bold"), *_lines(screen, overview, found)]
    elif not narrowed:
        parts.append(Text("nothing needs you", GOOD))
    if records:
        parts.append(_table(overview, records[:MOST]))
    if len(records) > MOST:
        parts.append(Text(f"{len(records) - MOST} more: narrow it with --service, --consumer or --status", DIM))
    return Group(*parts)


def _headline(overview: Overview, width: int) -> Text:
    counts = Counter(one.status for one in overview.records)
    said = [f"{counts[status]} {status.lower()}" for status in Status if counts[status]]
    services = len(overview.services)
    what = f"{services} service{'' if services == 1 else 's'}, {', '.join(said) or 'no connections yet'}"
    if not services:
        what = "no service is managed yet: linkgate enroll vpce-svc-…"
    line = textwrap.fill(f"{overview.stack} in {overview.region}: {what}", width)
    return Text.assemble((line[: len(overview.stack)], "bold"), line[len(overview.stack) :])


def _lines(screen: Console, overview: Overview, found: list[Need]) -> Iterable[Text]:
    """One line each; where the command does not fit, it stands on a line of its own, whole, to be copied."""
    heads = [f"{one.kind} {age(one.since, overview.now)}".strip() for one in found]
    middles = [clean(f"{one.subject} {one.text}") for one in found]
    head = max(map(len, heads))
    fitting = [
        len(one)
        for one, need in zip(middles, found, strict=True)
        if head + len(one) + len(need.command) + 6 <= screen.width
    ]
    middle = max(fitting, default=0)
    for one, before, text in zip(found, heads, middles, strict=True):
        hanging = textwrap.fill(text, screen.width - head - 4).replace("\n", f"\n{' ' * (head + 4)}")
        line = Text.assemble("  ", (before.ljust(head), KINDS.get(one.kind, BAD)), "  ", hanging)
        fits = head + len(text) + len(one.command) + 6 <= screen.width
        if fits:
            line.append(" " * (min(middle, screen.width - head - len(one.command) - 6) - len(text)))
        line.append("  " if fits else f"\n{' ' * (head + 4)}")
        line.append(one.command, "bold")
        yield line


def _table(overview: Overview, records: list[EndpointRecord]) -> RenderableType:
    several = len({one.service for one in records}) > 1
    groups: list[RenderableType] = []
    for view in overview.services:
        mine = [one for one in records if one.service == view.service]
        if mine and several:
            groups.append(Text(f"\n{view.service}", "bold"))
        if mine:
            rows = ((one.endpoint, one.account, _status(one), _since(one, overview), _why(one)) for one in mine)
            groups.append(table("endpoint", "consumer", "status", "since", "why", rows=rows))
    return Group(*groups)


def _status(record: EndpointRecord) -> Text:
    return Text(record.status, COLOURS.get(record.status, ""))


def _since(record: EndpointRecord, overview: Overview) -> str:
    status = record.status
    moment = record.requested_at if status is Status.HELD else record.accepted_at if status.live else record.answered_at
    return age(moment or record.decided_at, overview.now)


def _why(record: EndpointRecord) -> str:
    if record.status is Status.UNHEALTHY:
        return record.cause
    where = record.row.partition("/")[2]
    return f"{record.reason} {where}" if where and where != record.account else record.reason or Reason.NOT_LISTED
