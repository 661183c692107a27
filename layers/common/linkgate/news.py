"""What is told of an endpoint's health, in words that an engineer woken at night can act on."""

from collections.abc import Mapping
from typing import Any

from linkgate.bus import Event, Subject, about
from linkgate.cause import CAUSES
from linkgate.model import Status


def health_event(subject: Subject, before: Status, status: Status, health: Mapping[str, Any]) -> Event | None:
    """Verified, Unhealthy or Recovered; None: nothing changed.

    `health` is what the ledger keeps of the round.
    """
    if status is before:
        return None
    if status is Status.UNHEALTHY:
        return _sick(subject, health, "is unhealthy")
    if before is Status.UNHEALTHY:
        return _well("Endpoint Recovered", subject, health, "answers again")
    return _well("Endpoint Verified", subject, health, "answers")


def open_event(subject: Subject, health: Mapping[str, Any]) -> Event:
    """An endpoint that must stay out gets in (`health` has a cause), or no longer does."""
    if health["cause"]:
        return _sick(subject, health, "gets in although it must stay out")
    return _well("Endpoint Recovered", subject, health, "stays out again")


def _sick(subject: Subject, health: Mapping[str, Any], what: str) -> Event:
    cause = str(health["cause"])
    meaning, step = CAUSES[cause]
    zone = f" in {health['zone']}" if health["zone"] else ""
    seen = f"{health['url'] or 'no probe'} at {health['address'] or 'no address'}{zone}: {health['detail']}"
    also = f" Also: {', '.join(health['also'])}." if health["also"] else ""
    summary = f"{_who(subject)} {what} ({cause}): {meaning}. Next: {step}. Seen: {seen}.{also}"
    return _health("Endpoint Unhealthy", subject, health, summary, meaning, step)


def _well(kind: str, subject: Subject, health: Mapping[str, Any], what: str) -> Event:
    return _health(kind, subject, health, f"{_who(subject)} {what}.")


def _who(subject: Subject) -> str:
    return f"Endpoint {subject.endpoint} of account {subject.owner} on {subject.service}"


def _health(
    kind: str, subject: Subject, health: Mapping[str, Any], summary: str, meaning: str = "", step: str = ""
) -> Event:
    seen = {name: health[name] for name in ("cause", "also", "phase", "url", "address", "zone")}
    phases = {name: float(value) for name, value in health["phases"].items()}
    more = {"evidence": health["detail"], "meaning": meaning, "step": step, "phases": phases, "summary": summary}
    return Event(kind, {**about(subject), **seen, **more})
