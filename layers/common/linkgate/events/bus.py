"""The bus `linkgate`: events are published there, with source `linkgate` (design section 7)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linkgate.aws.calls import parts
from linkgate.aws.errors import ec2_errors
from linkgate.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "linkgate"
VERSION = "1"
ENTRIES_PER_CALL = 10
"""Entries that one PutEvents takes (EventBridge API reference)."""


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
        for batch in parts(events, ENTRIES_PER_CALL):
            entries: list[PutEventsRequestEntryTypeDef] = [
                {
                    "Source": SOURCE,
                    "DetailType": event.kind,
                    "Detail": json.dumps({"version": VERSION, **event.detail}),
                    "EventBusName": self._name,
                }
                for event in batch
            ]
            with ec2_errors():
                answer = self._events.put_events(Entries=entries)
            if answer["FailedEntryCount"]:
                raise Unavailable(f"the bus {self._name} refused {answer['FailedEntryCount']} of {len(batch)} events")
