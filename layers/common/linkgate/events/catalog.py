"""The catalogue of events: every detail-type that Linkgate publishes is made here, and nowhere else."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from linkgate.events.bus import Event
from linkgate.health.causes import CAUSES
from linkgate.model import Decision, Effect, MalformedRow, Mode, Outcome, Rule, Status, UnusedRow

RECREATE = "EC2 accepts a rejected connection no more: the consumer must recreate the endpoint"

UNHEALTHY, RECOVERED = "Endpoint Unhealthy", "Endpoint Recovered"
ROW_INVALID, EXPIRING_SOON = "Allow List Row Invalid", "Expiring Soon"
NAMED = 5
"""Endpoints, rows and services that a message names at most."""
_REASONS = {UNHEALTHY: "cause", ROW_INVALID: "attribute", EXPIRING_SOON: "expires_at"}
_DONE = {
    Outcome.ACCEPT: "Endpoint Connection Accepted",
    Outcome.REJECT: "Endpoint Connection Rejected",
    Outcome.HOLD: "Endpoint Connection Held",
    Outcome.CUT: "Endpoint Connection Cut",
}
_WOULD = _DONE | {Outcome.ACCEPT: "Would Accept", Outcome.REJECT: "Would Reject", Outcome.CUT: "Would Cut"}


class Subject(Protocol):
    """What an event can be about: a connection as EC2 describes it, or an endpoint as the ledger knows it."""

    @property
    def endpoint(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def region(self) -> str: ...


def about(subject: Subject) -> dict[str, object]:
    """The part of a detail that says which endpoint an event is about."""
    return {
        "endpoint_id": subject.endpoint,
        "service_id": subject.service,
        "account": subject.account,
        "region": subject.region,
    }


def decision_event(subject: Subject, decision: Decision, entry: str) -> Event:
    """Accepted, Rejected or Held; in observe mode what would have been done."""
    more = {"mode": decision.mode, "note": decision.note, "people": dict(decision.people)}
    return _decided(_DONE if decision.acts else _WOULD, subject, decision.says(), entry, more)


def finished_event(subject: Subject, says: tuple[str, str, str], entry: str) -> Event:
    """The event of a decision that was acted on by a run that ended before it could publish."""
    return _decided(_DONE, subject, says, entry, {"mode": Mode.ENFORCE})


def closed_event(subject: Subject) -> Event:
    """The endpoint is gone: deleted, failed or expired."""
    return Event("Endpoint Connection Closed", about(subject))


def out_of_band_event(subject: Subject, line: Mapping[str, Any]) -> Event:
    """Accepted or Rejected, out of band: `line` is the ledger's item about it."""
    return Event(
        _DONE[Outcome(line["outcome"])],
        {**about(subject), **{name: line[name] for name in ("decision_id", "outcome", "reason", "row", "note", "who")}},
    )


def final_event(subject: Subject, decision: Decision, entry: str) -> Event:
    """Rejected, although it is allowed again: EC2 accepts a rejected connection no more."""
    detail = {"decision_id": entry.rpartition("#")[2], "outcome": Outcome.REJECT, "reason": "final"}
    return Event(_DONE[Outcome.REJECT], {**about(subject), **detail, "row": str(decision.row or ""), "note": RECREATE})


def tripped_event(service: str, acts: str, endpoints: Iterable[str]) -> Event:
    """The breaker lets no more `acts` (cuts or rejections) through; it names a hundred endpoints that are withheld."""
    withheld = sorted(endpoints)
    summary = (
        f"The breaker of {service} keeps {len(withheld)} {acts} from being made: more were wanted than an hour lets "
        "through. Put the rows back, or name the endpoints in a @release row."
    )
    detail = {"service_id": service, "acts": acts, "endpoints": withheld[:100], "count": len(withheld)}
    return Event("Breaker Tripped", detail | {"summary": summary})


def misconfigured_event(service: str, problems: Sequence[str]) -> Event:
    """What is wrong with an endpoint service, one sentence each; none once nothing is."""
    return Event("Endpoint Service Misconfigured", {"service_id": service, "problems": list(problems)})


def invalid_row_event(row: MalformedRow) -> Event:
    """A row of the allow-list cannot be read."""
    detail = {"row": str(row.key), "attribute": row.attribute, "problem": row.problem}
    return Event(ROW_INVALID, detail | {"summary": f"The allow-list's {row}."})


def unused_row_event(row: UnusedRow) -> Event:
    """A row of the allow-list means nothing where it stands; it holds nobody up."""
    detail = {"row": str(row.key), "attribute": row.attribute, "problem": row.problem}
    return Event("Allow List Row Unused", detail | {"summary": f"The allow-list's {row}."})


def incomplete_event(gaps: Sequence[str]) -> Event:
    """The stack's parameters leave something out, a sentence each."""
    summary = f"Linkgate works, but its stack leaves something out (told once). {' '.join(gaps)} "
    return Event(
        "Stack Incomplete",
        {"gaps": list(gaps), "summary": f"{summary}What each parameter does: docs/parameters.md."},
    )


def expiring_event(row: Rule, ends: datetime, now: datetime, otherwise: tuple[str, str]) -> Event:
    """A row ends soon; `otherwise` is what then becomes of new requests and of live connections, in words."""
    days = (ends - now).days
    when = "in less than a day" if days == 0 else "in a day" if days == 1 else f"in {days} days"
    people = {name: row.people.get(name, "") for name in ("owner", "ticket")}
    what = ", ".join([row.effect, *(f"{name} {value}" for name, value in people.items() if value)])
    then = (
        f"Where no other row allows them, new requests are then {otherwise[0]}, and live connections are {otherwise[1]}"
        if row.effect is Effect.ALLOW
        else "It then keeps nobody out, and other rows decide"
    )
    summary = (
        f"The row {row.key} ({what}) ends at {ends.isoformat()}, {when}. {then}. "
        "Give it a later expires_at if it is still wanted, or delete it."
    )
    detail = {"row": str(row.key), "effect": row.effect, "expires_at": ends.isoformat(), "days_left": days}
    return Event(EXPIRING_SOON, {**detail, **people, "summary": summary})


def health_event(subject: Subject, before: Status, status: Status, health: Mapping[str, Any]) -> Event | None:
    """Verified, Unhealthy, Recovered or Unprobed; None: nothing changed.

    `health` is what the ledger records of the round.
    """
    if status is before:
        return None
    if status is Status.ACCEPTED:
        return _failing("Endpoint Unprobed", subject, health, "is verified no more")
    if status is Status.UNHEALTHY:
        return _failing(UNHEALTHY, subject, health, "is unhealthy")
    if before is Status.UNHEALTHY:
        return _working(RECOVERED, subject, health, "answers again")
    return _working("Endpoint Verified", subject, health, "answers")


def open_event(subject: Subject, health: Mapping[str, Any]) -> Event:
    """An endpoint that must stay out gets in (`health` has a cause), or no longer does."""
    if health["cause"]:
        return _failing(UNHEALTHY, subject, health, "gets in although it must stay out")
    return _working(RECOVERED, subject, health, "stays out again")


def grouped_event(words: str, events: Sequence[Event]) -> Event:
    """What one message says for many events of a kind; `words` says what they have in common."""
    details = [event.detail for event in events]
    services = sorted({_service(detail) for detail in details})
    first = [str(detail.get("endpoint_id") or detail["row"]) for detail in details[:NAMED]]
    summary = (
        f"{len(details)} {words}, on {_some(services)}. {_most_often(events)}"
        f"The first {len(first)}: {', '.join(first)}. "
        f"Each is on the bus as {events[0].kind}; how to list them: docs/runbook.md#events-grouped."
    )
    detail = {"kind": events[0].kind, "count": len(details), "services": services[:100], "first": first}
    return Event("Events Grouped", detail | {"summary": summary})


def _service(detail: Mapping[str, object]) -> str:
    return str(detail.get("service_id") or str(detail["row"]).partition("/")[0])


def _some(services: Sequence[str]) -> str:
    more = f" and {len(services) - NAMED} more" if len(services) > NAMED else ""
    return f"{len(services)} service{'s' * (len(services) > 1)} ({', '.join(services[:NAMED])}{more})"


def _most_often(events: Sequence[Event]) -> str:
    """What most of the events say, with what to do about it; "" where nothing is to be done."""
    field = _REASONS.get(events[0].kind)
    if field is None:
        return ""
    ((reason, count),) = Counter(str(event.detail[field]) for event in events).most_common(1)
    detail = next(event.detail for event in events if str(event.detail[field]) == reason)
    if field == "cause":
        return f"Most often ({count}) {reason}: {detail['meaning']}. Next: {detail['step']}. "
    return f"Most often ({count}) {field} {reason}, as here: {detail['summary']} "


def _failing(kind: str, subject: Subject, health: Mapping[str, Any], what: str) -> Event:
    cause = str(health["cause"])
    meaning, step = CAUSES[cause]
    zone = f" in {health['zone']}" if health["zone"] else ""
    seen = f"{health['url'] or 'no probe'} at {health['address'] or 'no address'}{zone}: {health['detail']}"
    also = f" Also: {', '.join(health['also'])}." if health["also"] else ""
    summary = f"{_who(subject)} {what} ({cause}): {meaning}. Next: {step}. Seen: {seen}.{also}"
    return _health(kind, subject, health, summary, meaning, step)


def _working(kind: str, subject: Subject, health: Mapping[str, Any], what: str) -> Event:
    left_out = f" Not probed: {health['left_out']}." if health.get("left_out") else ""
    return _health(kind, subject, health, f"{_who(subject)} {what}.{left_out}")


def _who(subject: Subject) -> str:
    return f"Endpoint {subject.endpoint} of account {subject.account} on {subject.service}"


def _health(
    kind: str, subject: Subject, health: Mapping[str, Any], summary: str, meaning: str = "", step: str = ""
) -> Event:
    seen = {name: health[name] for name in ("cause", "also", "phase", "url", "address", "zone")}
    phases = {name: float(value) for name, value in health["phases"].items()}
    more = {"evidence": health["detail"], "meaning": meaning, "step": step, "phases": phases, "summary": summary}
    return Event(kind, {**about(subject), **seen, **more})


def _decided(
    words: Mapping[Outcome, str], subject: Subject, says: tuple[str, str, str], entry: str, more: Mapping[str, object]
) -> Event:
    outcome, reason, row = says
    decision = {"decision_id": entry.rpartition("#")[2], "outcome": outcome, "reason": reason, "row": row}
    return Event(words[Outcome(outcome)], {**about(subject), **decision, **more})
