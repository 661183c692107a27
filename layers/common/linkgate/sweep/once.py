"""Events about what stands in the table: each is published once, until it is true no more."""

from collections.abc import Collection, Mapping
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

    def read(self) -> frozenset[str]:
        """What was published and is true, as far as anybody knows."""
        return self.sets.read([self.name]).get(self.name, frozenset())

    def publish(
        self, events: Mapping[str, Event], published: frozenset[str] | None = None, of: Collection[str] | None = None
    ) -> None:
        """Publish what is new of all that is true now, by member; forget what is true no more.

        `published` is what `read` gave, where that was before the table was read; `of` are the members that could be
        among these events, all of them unless given.
        """
        published = self.read() if published is None else published
        untrue = (published if of is None else published & frozenset(of)) - events.keys()
        new = sorted(events.keys() - published)[: max(0, MOST_PUBLISHED - len(published - untrue))]
        # Published before it is remembered: an event twice harms less than none.
        for some in grouped([events[member] for member in new]):
            self.bus.publish(some)
        self.sets.remove(self.name, untrue)
        self.sets.add(self.name, new)
