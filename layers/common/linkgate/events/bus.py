"""What Linkgate tells the world: events with source `linkgate` on its own bus (design section 7)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from linkgate.aws.errors import translated
from linkgate.errors import Unavailable
from linkgate.model import Decision, Mode, Outcome

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

RECREATE = "EC2 accepts a rejected connection no more: the consumer must recreate the endpoint"
SOURCE = "linkgate"
VERSION = "1"
ENTRIES_PER_CALL = 10
"""Entries that one PutEvents takes (EventBridge API reference)."""

_DONE = {
    Outcome.ACCEPT: "Endpoint Connection Accepted",
    Outcome.REJECT: "Endpoint Connection Rejected",
    Outcome.HOLD: "Endpoint Connection Held",
    Outcome.CUT: "Endpoint Connection Cut",
}
_WOULD = _DONE | {Outcome.ACCEPT: "Would Accept", Outcome.REJECT: "Would Reject", Outcome.CUT: "Would Cut"}


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its detail-type and detail, which events/schemas/ describes."""

    kind: str
    detail: Mapping[str, object]


class Bus:
    """The bus `linkgate`."""

    def __init__(self, events: "EventBridgeClient", name: str) -> None:
        self._events = events
        self._name = name

    def publish(self, events: Sequence[Event]) -> None:
        """Put events on the bus, ten a call; raises Unavailable if the bus did not take one of them."""
        rest = iter(events)
        while batch := list(islice(rest, ENTRIES_PER_CALL)):
            entries: list[PutEventsRequestEntryTypeDef] = [
                {
                    "Source": SOURCE,
                    "DetailType": event.kind,
                    "Detail": json.dumps({"version": VERSION, **event.detail}),
                    "EventBusName": self._name,
                }
                for event in batch
            ]
            with translated():
                answer = self._events.put_events(Entries=entries)
            if answer["FailedEntryCount"]:
                raise Unavailable(f"the bus {self._name} refused {answer['FailedEntryCount']} of {len(batch)} events")


class Subject(Protocol):
    """What an event can be about: a connection as EC2 describes it, or an endpoint as the ledger knows it."""

    @property
    def endpoint(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def region(self) -> str: ...


def about(subject: Subject) -> dict[str, object]:
    """The part of a detail that says which endpoint an event is about."""
    return {
        "endpoint_id": subject.endpoint,
        "service_id": subject.service,
        "owner": subject.owner,
        "region": subject.region,
    }


def decision_event(subject: Subject, decision: Decision, entry: str) -> Event:
    """Accepted, Rejected or Held; in observe mode what would have been done."""
    more = {"mode": decision.mode, "note": decision.note, "people": dict(decision.people)}
    return _told(_DONE if decision.acts else _WOULD, subject, decision.says(), entry, more)


def finished_event(subject: Subject, says: tuple[str, str, str], entry: str) -> Event:
    """The event of a decision that was acted on by a run that ended before it could tell."""
    return _told(_DONE, subject, says, entry, {"mode": Mode.ENFORCE})


def out_of_band_event(subject: Subject, line: Mapping[str, Any]) -> Event:
    """Accepted or Rejected, by other hands: from the ledger's line about it."""
    return Event(
        _DONE[Outcome(line["outcome"])],
        {**about(subject), **{name: line[name] for name in ("decision_id", "outcome", "reason", "row", "note", "who")}},
    )


def final_event(subject: Subject, decision: Decision, entry: str) -> Event:
    """Rejected, although it is allowed again: EC2 accepts a rejected connection no more."""
    detail = {"decision_id": entry.rpartition("#")[2], "outcome": Outcome.REJECT, "reason": "final"}
    return Event(_DONE[Outcome.REJECT], {**about(subject), **detail, "row": str(decision.row or ""), "note": RECREATE})


def tripped_event(service: str, acts: str, endpoints: Iterable[str]) -> Event:
    """The breaker lets no more `acts` (cuts or rejections) through; it names a hundred endpoints that it keeps."""
    kept = sorted(endpoints)
    summary = (
        f"The breaker of {service} keeps {len(kept)} {acts} from being made: more were wanted than an hour lets "
        "through. Put the rows back, or name the endpoints in a @release row."
    )
    detail = {"service_id": service, "acts": acts, "endpoints": kept[:100], "count": len(kept)}
    return Event("Breaker Tripped", detail | {"summary": summary})


def _told(
    words: Mapping[Outcome, str], subject: Subject, says: tuple[str, str, str], entry: str, more: Mapping[str, object]
) -> Event:
    outcome, reason, row = says
    decision = {"decision_id": entry.rpartition("#")[2], "outcome": outcome, "reason": reason, "row": row}
    return Event(words[Outcome(outcome)], {**about(subject), **decision, **more})
