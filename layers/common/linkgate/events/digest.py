"""Digests: where many events of a round are alike, people get one message for all of them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from linkgate.events.bus import Event
from linkgate.events.catalog import (
    CONTRADICTED,
    EXPIRING_SOON,
    GROUPED,
    MISCONFIGURED,
    OPEN_GATE,
    RECOVERED,
    ROW_INVALID,
    UNHEALTHY,
    UNPROBED,
    step_for,
)
from linkgate.events.message import RUNBOOK, message
from linkgate.health.causes import OPEN
from linkgate.model import Contradiction

MOST_ALONE = 5
"""Events of a round that are alike and yet are a message each."""
NAMED = 5
"""Endpoints, rows and services that a digest names at most."""
_REASONS = {
    UNHEALTHY: "cause",
    UNPROBED: "evidence",
    ROW_INVALID: "attribute",
    EXPIRING_SOON: "expires_at",
    CONTRADICTED: "cause",
}
"""What a digest says of most: the field of each kind that events share."""
_WORDS = {
    UNHEALTHY: "endpoints are UNHEALTHY",
    RECOVERED: "endpoints RECOVERED",
    UNPROBED: "endpoints are UNPROBED",
    ROW_INVALID: "ROWS of the allow-list CANNOT BE READ",
    EXPIRING_SOON: "rows of the allow-list END SOON",
    CONTRADICTED: "connections are AS ALLOWED again",
    MISCONFIGURED: "services are MENDED",
}
"""What each kind says of many: those of which a round may have many, and of which people get messages."""
_CONTRADICTING: Mapping[str, str] = {
    Contradiction.LIVE_NOT_ALLOWED: "connections are IN and not allowed",
    Contradiction.ALLOWED_NOT_LIVE: "connections are OUT and allowed",
}


def grouped(events: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    """The digests of what a round publishes, and all its events in their order, `grouped` where a digest tells of them.

    Digests are published first: repeated after a crash, they harm less than a message that nobody gets.
    """
    alike: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        alike[_words(event)].append(event)
    many = {words: some for words, some in alike.items() if words and len(some) > MOST_ALONE}
    digests = [_grouped(words, some) for words, some in many.items()]
    return digests, [_marked(event) if _words(event) in many else event for event in events]


def _words(event: Event) -> str:
    """What is said of many events like this one; "" of kinds that have no digest."""
    if event.detail.get("cause") == OPEN:
        return "endpoints that must stay out GET IN"  # not to be overlooked among those that do not answer
    if problems := _problems(event):
        return "services let everybody in: OPEN" if problems.startswith(OPEN_GATE) else "services are MISCONFIGURED"
    return _CONTRADICTING.get(str(event.detail.get("contradiction", "")), _WORDS.get(event.kind, ""))


def _problems(event: Event) -> str:
    """What is wrong with a service, in one text; "" of other events."""
    problems = event.detail.get("problems")
    return "; ".join(map(str, problems)) if isinstance(problems, list) else ""


def _marked(event: Event) -> Event:
    return replace(event, detail={**event.detail, "grouped": True})


def _grouped(words: str, events: Sequence[Event]) -> Event:
    """What one message says for many events of a kind; `words` says what they have in common."""
    details = [event.detail for event in events]
    services = sorted({_service(detail) for detail in details})
    first = [str(_subject(detail)) for detail in details[:NAMED]]
    facts = [
        ("Services", _some(services)),
        *_most_often(events),
        (f"The first {len(first)}", "".join(f"\n  {_named(detail)}" for detail in details[:NAMED])),
        ("All of them", f"each is on the bus as {events[0].kind}; the runbook says how to list them."),
        ("Runbook", f"{RUNBOOK}events-grouped"),
    ]
    detail = {"kind": events[0].kind, "count": len(details), "services": services[:100], "first": first}
    return Event(GROUPED, detail | {"summary": message(f"{len(details)} {words}", facts)})


def _named(detail: Mapping[str, object]) -> str:
    of = f" of account {detail['account']}" if "endpoint_id" in detail else ""
    return f"{_subject(detail)}{of}"


def _subject(detail: Mapping[str, object]) -> object:
    return detail.get("endpoint_id") or detail.get("row") or detail["service_id"]


def _service(detail: Mapping[str, object]) -> str:
    return str(detail.get("service_id") or str(detail["row"]).partition("/")[0])


def _some(services: Sequence[str]) -> str:
    more = f" and {len(services) - NAMED} more" if len(services) > NAMED else ""
    return f"{', '.join(services[:NAMED])}{more}"


def _most_often(events: Sequence[Event]) -> list[tuple[str, str]]:
    """What most of the events say, with what to do about it; nothing where nothing is to be done."""
    if events[0].kind == MISCONFIGURED:
        ((problems, count),) = Counter(map(_problems, events)).most_common(1)
        step = step_for(problems).format(service="<the service>") or "nothing"
        return [(f"What, of {count}", problems), ("Next", step)]
    field = _REASONS.get(events[0].kind)
    if field is None:
        return [("Next", "nothing")]
    ((reason, count),) = Counter(str(event.detail[field]) for event in events).most_common(1)
    detail = next(event.detail for event in events if str(event.detail[field]) == reason)
    often = f"Cause of {'all' if count == len(events) else count}"
    if events[0].kind == UNHEALTHY:
        return [(often, f"{reason}: {detail['meaning']}."), ("Next", f"{detail['step']}.")]
    if events[0].kind == UNPROBED:
        return [(often, f"{reason}."), ("Next", f"{detail['step']}.")]
    if events[0].kind == CONTRADICTED:
        return [(often, reason), ("Next", str(detail["step"] or "nothing"))]
    example = str(detail["summary"]).partition("\n\n")[2].replace("\n", "\n  ")
    return [(f"Of {'all' if count == len(events) else count}", f"{field} {reason}, as here:\n  {example}")]
