"""The bus `linkgate`: events are published there, with source `linkgate` (design section 7)."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linkgate.aws.errors import ec2_errors
from linkgate.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "linkgate"
VERSION = "1"
ENTRIES_PER_CALL = 10
"""Entries that one PutEvents takes (EventBridge API reference)."""
LARGEST_CALL = 256 * 1024
"""Bytes that they may have together (EventBridge user guide, "Calculating PutEvents event entry size"): ten decisions
by rows with long texts have more."""


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
        """Put events on the bus, ten a call at most; raises Unavailable if the bus did not take one of them."""
        for entries in _calls(map(self._entry, events)):
            with ec2_errors():
                answer = self._events.put_events(Entries=entries)
            if answer["FailedEntryCount"]:
                raise Unavailable(f"the bus {self._name} refused {answer['FailedEntryCount']} of {len(entries)} events")

    def _entry(self, event: Event) -> "PutEventsRequestEntryTypeDef":
        detail = json.dumps({"version": VERSION, **event.detail})
        return {"Source": SOURCE, "DetailType": event.kind, "Detail": detail, "EventBusName": self._name}


def _calls(entries: "Iterable[PutEventsRequestEntryTypeDef]") -> "Iterator[list[PutEventsRequestEntryTypeDef]]":
    """Entries, in their order, as many at once as one call takes."""
    call: list[PutEventsRequestEntryTypeDef] = []
    size = 0
    for entry in entries:
        more = sum(len(str(entry.get(name, "")).encode()) for name in ("Source", "DetailType", "Detail"))
        if call and (len(call) == ENTRIES_PER_CALL or size + more > LARGEST_CALL):
            yield call
            call, size = [], 0
        call.append(entry)
        size += more
    if call:
        yield call
