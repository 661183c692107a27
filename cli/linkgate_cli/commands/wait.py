"""`linkgate wait`: until an endpoint, or every one of an account, is accepted or verified; for pipelines."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer
from linkgate.ledger.items import EndpointRecord
from linkgate.ledger.ledger import Ledger
from linkgate.model import Outcome, Status

from linkgate_cli.attention import WORDS
from linkgate_cli.failures import REFUSED, TIMED_OUT, UNHEALTHY, Failure
from linkgate_cli.output import clean, notes, say_json
from linkgate_cli.session import Session
from linkgate_cli.subjects import ENDPOINT, subject

PAUSE = 1.0
"""Seconds between two looks at the ledger."""
_UNITS = {"s": 1, "m": 60, "h": 3600}
Until = Literal["accepted", "verified"]


def command(
    ctx: typer.Context,
    consumer: Annotated[str, typer.Argument(metavar="VPCE-…|ACCOUNT", help="An endpoint, or every one of an account.")],
    until: Annotated[Until, typer.Option(help="What to wait for.")] = "verified",
    timeout: Annotated[str, typer.Option(metavar="10m", help="How long at most: 90s, 10m or 1h.")] = "10m",
) -> None:
    """Wait until an endpoint is let in, or answers.

    Exit code 0: it is; 4: rejected, cut or gone; 5: let in, and it does not answer; 124: the time is over.

    Example: linkgate wait vpce-0123456789abcdef0 --until verified --timeout 10m
    """
    session, wanted, most = Session.of(ctx), subject(consumer), seconds(timeout)
    session.find()
    began, records = time.monotonic(), list[EndpointRecord]()
    with _live() as say:
        while True:
            records = _look(session, wanted)
            if stands(records, until):
                break
            for one in records:
                if lost(one):
                    raise Failure(f"{_word(one)}: linkgate why {one.endpoint}", REFUSED)
            if time.monotonic() - began >= most:
                raise _over(wanted, records, until, timeout)
            say(
                f"{time.monotonic() - began:.0f} s  " + ("; ".join(map(_word, records)) or f"{wanted} is not known yet")
            )
            time.sleep(PAUSE)
    took = time.monotonic() - began
    if session.output == "json":
        found = [{"endpoint": one.endpoint, "account": one.account, "status": str(one.status)} for one in records]
        say_json("wait", {"until": until, "seconds": round(took, 1), "endpoints": found})
        return
    for one in records:
        print(f"{one.endpoint} {one.status} after {took:.1f} s")


def seconds(text: str) -> float:
    """A time in words as seconds; Failure where it is none."""
    match = re.fullmatch(r"([0-9]{1,6})([smh]?)", text.strip())
    if not match:
        raise Failure(f"--timeout is {text!r}: expected 90s, 10m or 1h")
    return int(match[1]) * _UNITS[match[2] or "s"]


def stands(records: list[EndpointRecord], until: Until) -> bool:
    """Whether there is one, and every one is where it should be."""
    good = {Status.VERIFIED} if until == "verified" else {one for one in Status if one.live}
    return bool(records) and all(one.status in good for one in records)


def lost(record: EndpointRecord) -> bool:
    """Whether waiting does not help: rejected, cut or gone, and nothing is on its way to let it in again."""
    coming = not record.settled and record.outcome == Outcome.ACCEPT
    return record.status in (Status.REJECTED, Status.CUT, Status.CLOSED) and not coming


def _look(session: Session, wanted: str) -> list[EndpointRecord]:
    """What the ledger knows now; of an account those endpoints that are not gone."""
    ledger = Ledger(session.ledger)
    if ENDPOINT.fullmatch(wanted):
        return list(ledger.current([wanted]).values())
    found: list[EndpointRecord] = []
    for service in session.services.managed():
        found += [one for one in ledger.whole(service)[0].values() if one.account == wanted]
    return sorted(found, key=lambda one: one.endpoint)


def _word(record: EndpointRecord) -> str:
    """Where an endpoint stands, in a few words."""
    words: dict[str, str] = {str(reason): text for reason, text in WORDS.items()}
    if record.status is Status.UNHEALTHY:
        why = record.cause
    elif record.status is Status.ACCEPTED:
        why = clean(record.health.get("detail", "")) or "not crossed yet"
    else:
        why = words.get(record.reason, record.reason)
    return f"{record.endpoint} is {record.status}" + (f" ({why})" if why else "")


def _over(wanted: str, records: list[EndpointRecord], until: str, timeout: str) -> Failure:
    where = "; ".join(map(_word, records)) or f"{wanted} is not known to Linkgate"
    code = UNHEALTHY if any(one.status is Status.UNHEALTHY for one in records) else TIMED_OUT
    return Failure(f"not {until} after {timeout}: {where}: linkgate why {wanted}", code)


@contextmanager
def _live() -> Iterator[Callable[[str], None]]:
    """Says how it stands: in one line that changes on a terminal, else one line for each change; on standard error."""
    screen, last = notes(), [""]
    if screen.is_terminal:
        with screen.status("") as status:
            yield status.update
        return

    def say(text: str) -> None:
        if (said := text.partition("  ")[2]) != last[0]:
            last[0] = said
            screen.print(text, soft_wrap=True)

    yield say
