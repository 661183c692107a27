"""What the stack's parameters leave out: told once, as soon as somebody hears the alarm topic."""

from dataclasses import dataclass

from linkgate.aws.topic import Topic
from linkgate.events.bus import Bus
from linkgate.events.catalog import incomplete_event
from linkgate.ledger.sets import NamedSets
from linkgate.sweep.once import Once

GAPS = "stack-gaps"
"""The set of gaps that an event was published about; the ledger has it under this name."""
NOBODY = "nobody has confirmed a subscription to AlarmTopic, so that alarms and messages reach nobody"


@dataclass(frozen=True, slots=True)
class StackGaps:
    """`gaps` are sentences of the template, one for each parameter that was left empty and should not be for good."""

    sets: NamedSets
    bus: Bus
    topic: Topic
    gaps: tuple[str, ...]

    def told(self) -> tuple[str, ...]:
        """Publish the gaps if that was not done yet; what is to be logged: them, and that nobody hears of anything."""
        if not self.topic.heard():
            return (*self.gaps, NOBODY)
        events = {" ".join(self.gaps): incomplete_event(self.gaps)} if self.gaps else {}
        Once(self.sets, self.bus, GAPS).publish(events)
        return self.gaps
