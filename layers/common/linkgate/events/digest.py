"""Digests: where many events of a round are alike, people get one message for all of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from linkgate.events.bus import Event
from linkgate.events.catalog import CONTRADICTED, EXPIRING_SOON, RECOVERED, ROW_INVALID, UNHEALTHY, grouped_event
from linkgate.health.causes import OPEN
from linkgate.model import Contradiction

MOST_ALONE = 5
"""Events of a round that are alike and yet are a message each."""
_WORDS = {
    UNHEALTHY: "endpoints are UNHEALTHY",
    RECOVERED: "endpoints RECOVERED",
    ROW_INVALID: "ROWS of the allow-list CANNOT BE READ",
    EXPIRING_SOON: "rows of the allow-list END SOON",
    CONTRADICTED: "connections are AS ALLOWED again",
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
    digests = [grouped_event(words, some) for words, some in many.items()]
    return digests, [_marked(event) if _words(event) in many else event for event in events]


def _words(event: Event) -> str:
    """What is said of many events like this one; "" of kinds that have no digest."""
    if event.detail.get("cause") == OPEN:
        return "endpoints that must stay out GET IN"  # not to be overlooked among those that do not answer
    return _CONTRADICTING.get(str(event.detail.get("contradiction", "")), _WORDS.get(event.kind, ""))


def _marked(event: Event) -> Event:
    return replace(event, detail={**event.detail, "grouped": True})
