"""Events about what stands in the table: each is published once, until it is true no more."""

from collections.abc import Mapping
from dataclasses import dataclass

from linkgate.events.bus import Bus, Event
from linkgate.events.digest import grouped
from linkgate.ledger.sets import NamedSets

MOST_PUBLISHED = 2000
"""Members remembered at most: DynamoDB keeps 400 KB in one item, and a member is some 100 bytes."""


@dataclass(frozen=True, slots=True)
class Once:
    """Remembers under a name what was published."""

    sets: NamedSets
    bus: Bus
    name: str

    def publish(self, events: Mapping[str, Event]) -> None:
        """Publish what is new of all that is true now, by member; forget what is true no more."""
        published = self.sets.read([self.name]).get(self.name, frozenset())
        new = sorted(events.keys() - published)[: max(0, MOST_PUBLISHED - len(published & events.keys()))]
        # Published before it is remembered: an event twice harms less than none.
        for some in grouped([events[member] for member in new]):
            self.bus.publish(some)
        self.sets.remove(self.name, published - events.keys())
        self.sets.add(self.name, new)
