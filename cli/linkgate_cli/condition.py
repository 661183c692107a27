"""How an endpoint that was let in does, in words: what patrol last found, what it means and what to do first. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from linkgate.health.causes import CAUSES, OPEN, UNKNOWN
from linkgate.ledger.items import EndpointRecord
from linkgate.model import Status

from linkgate_cli.output import age, clean

_SYMPTOMS = {
    OPEN: "It gets in although it must stay out",
    UNKNOWN: "Nobody knows whether it answers",
    "packet_loss": "It answers, and loses packets",
    "private_name_missing": "It answers, but not under the private name",
    "private_name_unverified": "It answers, but not under the private name",
    "zone_unreachable": "It does not answer in one zone",
    "connection_pending": "It is not up yet",
    "connection_rejected": "It is rejected",
    "endpoint_deleted": "It is gone",
}
"""What is seen first, by cause; of all others that it does not answer."""


def health(record: EndpointRecord, now: datetime) -> Iterator[str]:
    """How an endpoint that was let in does, with cause, evidence and the step to take."""
    found: Mapping[str, Any] = record.health
    looked = _moment(found.get("looked_at")) or _moment(found.get("checked_at"))
    when = f", last found out {age(looked, now)} ago" if looked else ""
    if not record.status.live:
        return
    if cause := record.cause:
        known = CAUSES.get(cause)
        yield f"{_SYMPTOMS.get(cause, 'It does not answer')} ({cause}{when}): {clean(found.get('detail', ''))}."
        if known:
            yield f"That usually means: {known.meaning}."
            yield f"First: {known.step}."
        for other in found.get("also") or ():
            yield f"Beside it: {other}."
    elif record.status is Status.VERIFIED:
        phases = found.get("phases") or {}
        times = ", ".join(f"{name} {float(value):g} ms" for name, value in phases.items())
        yield f"It answers{when}{f': {times}' if times else ''}."
    else:
        why = clean(found.get("detail", "")) or "no canary has crossed it yet"
        yield f"Nobody knows whether it answers: {why}."
    if record.status is Status.VERIFIED and record.recent.count("0"):
        yield f"{record.recent.count('0')} of its last {len(record.recent)} rounds were bad."


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
