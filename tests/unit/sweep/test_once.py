"""What is published once: new things have the room of those that are true no more."""

import pytest
from linkgate.events.bus import Event
from linkgate.events.catalog import incomplete_event
from linkgate.sweep import once
from linkgate.sweep.once import Once

from tests.application import Application


def events(*members: str) -> dict[str, Event]:
    return {member: incomplete_event([member]) for member in members}


def test_what_is_true_no_more_makes_room_for_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "MOST_PUBLISHED", 2)
    app = Application()
    told = Once(app.sets, app.bus, "some")
    told.publish(events("a", "b", "c"))
    told.publish(events("b", "c"))
    assert [detail["gaps"] for _, detail in app.bus.published] == [["a"], ["b"], ["c"]]
    assert told.read() == {"b", "c"}
