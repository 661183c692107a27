"""Events on the bus: small versioned details, ten a call, none lost in silence; and the schemas themselves."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber
from jsonschema import Draft202012Validator
from linkgate.errors import Unavailable
from linkgate.events.bus import Bus, Event
from linkgate.events.catalog import about, decision_event, finished_event
from linkgate.health.causes import CAUSES
from linkgate.ledger.items import EndpointRecord
from linkgate.model import Connection, Decision, Mode, Outcome, Reason, RowKey, State, Status
from linkgate.policy.attributes import LONGEST_TEXT

from lab import limits
from tests import gallery
from tests.fakes import FakeBus
from tests.unit.edges import stubbed
from tests.world import CONSUMER, REGION, endpoint_id, service_id

SERVICE, ENDPOINT = service_id(1), endpoint_id(1)
ASKING = Connection(SERVICE, ENDPOINT, CONSUMER, REGION, State.PENDING_ACCEPTANCE, datetime(2026, 11, 23, tzinfo=UTC))
ENTRY = "2026-11-23T03:00:00.000000Z#0123456789abcdef"
ABOUT = {"endpoint_id": ENDPOINT, "service_id": SERVICE, "account": CONSUMER, "region": REGION}
PUT = "put_events"


@pytest.fixture
def edge() -> Iterator[tuple[Bus, Stubber]]:
    with stubbed("events") as (client, stubber):
        yield Bus(client, "linkgate"), stubber


Edge = tuple[Bus, Stubber]


def expect(edge: Edge, events: list[Event], failed: int = 0) -> None:
    entries = [
        {
            "Source": "linkgate",
            "DetailType": event.kind,
            "Detail": json.dumps({"version": "1", **event.detail}),
            "EventBusName": "linkgate",
        }
        for event in events
    ]
    answer: dict[str, Any] = {"FailedEntryCount": failed, "Entries": []}
    edge[1].add_response(PUT, answer, {"Entries": entries})


def closed(count: int) -> list[Event]:
    return [Event("Endpoint Connection Closed", {"number": number}) for number in range(count)]


def test_an_event_is_published_with_its_source_version_and_kind(edge: Edge) -> None:
    events = [Event("Endpoint Connection Closed", about(ASKING))]
    expect(edge, events)
    edge[0].publish(events)


@pytest.mark.parametrize("count", [0, 1, 10, 11, 25])
def test_events_are_published_ten_a_call_and_no_events_make_no_call(edge: Edge, count: int) -> None:
    events = closed(count)
    for start in range(0, count, 10):
        expect(edge, events[start : start + 10])
    edge[0].publish(events)


def test_events_with_the_longest_texts_of_rows_are_put_on_the_bus_in_calls_that_it_takes() -> None:
    calls = list[list[dict[str, str]]]()

    class Client:
        def put_events(self, Entries: list[dict[str, str]]) -> dict[str, int]:
            calls.append(list(Entries))
            return {"FailedEntryCount": 0}

    people = dict.fromkeys(("owner", "reason", "ticket", "note"), "\U0001f600" * LONGEST_TEXT)
    decision = Decision(Outcome.ACCEPT, Reason.ALLOWED, Mode.ENFORCE, "", RowKey(SERVICE, CONSUMER), people=people)
    Bus(Client(), "linkgate").publish([decision_event(ASKING, decision, ENTRY)] * 10)  # type: ignore[arg-type]
    assert sum(map(len, calls)) == 10
    assert len(calls) > 1
    assert max(sum(map(limits.size, entries)) for entries in calls) <= limits.LARGEST_REQUEST


def test_a_bus_that_did_not_take_every_event_is_unavailable(edge: Edge) -> None:
    expect(edge, closed(3), failed=1)
    with pytest.raises(Unavailable, match="refused 1 of 3 events"):
        edge[0].publish(closed(3))


DECISIONS = {
    (Outcome.ACCEPT, Mode.ENFORCE): "Endpoint Connection Accepted",
    (Outcome.REJECT, Mode.ENFORCE): "Endpoint Connection Rejected",
    (Outcome.HOLD, Mode.ENFORCE): "Endpoint Connection Held",
    (Outcome.CUT, Mode.ENFORCE): "Endpoint Connection Cut",
    (Outcome.ACCEPT, Mode.OBSERVE): "Would Accept",
    (Outcome.REJECT, Mode.OBSERVE): "Would Reject",
    (Outcome.HOLD, Mode.OBSERVE): "Endpoint Connection Held",
    (Outcome.CUT, Mode.OBSERVE): "Would Cut",
}
REASONS = {
    Outcome.ACCEPT: Reason.ALLOWED,
    Outcome.REJECT: Reason.DENIED,
    Outcome.HOLD: Reason.REVIEW,
    Outcome.CUT: Reason.NOT_LISTED,
}


@pytest.mark.parametrize(("outcome", "mode"), DECISIONS)
def test_a_decision_is_published_as_what_was_done_or_would_have_been(outcome: Outcome, mode: Mode) -> None:
    key = RowKey(SERVICE, CONSUMER)
    decision = Decision(outcome, REASONS[outcome], mode, "hash", key, people={"ticket": "NET-17"}, note="a note")
    event = decision_event(ASKING, decision, ENTRY)
    assert event.kind == DECISIONS[outcome, mode]
    assert event.detail == ABOUT | {
        "decision_id": "0123456789abcdef",
        "outcome": outcome,
        "reason": REASONS[outcome],
        "row": f"{SERVICE}/{CONSUMER}",
        "mode": mode,
        "note": "a note",
        "people": {"ticket": "NET-17"},
    }
    FakeBus().publish([event])


def test_a_decision_without_a_row_is_published_with_an_empty_one() -> None:
    decision = Decision(Outcome.HOLD, Reason.NOT_LISTED, Mode.ENFORCE, "hash")
    event = decision_event(ASKING, decision, ENTRY)
    assert event.detail["row"] == ""
    FakeBus().publish([event])


@pytest.mark.parametrize("outcome", Outcome)
def test_a_decision_that_an_earlier_run_acted_on_is_published_as_done(outcome: Outcome) -> None:
    known = EndpointRecord(ENDPOINT, SERVICE, Status.ACCEPTED, State.AVAILABLE, account=CONSUMER, region=REGION)
    event = finished_event(known, (outcome, REASONS[outcome], ""), ENTRY)
    assert event.kind == DECISIONS[outcome, Mode.ENFORCE]
    FakeBus().publish([event])


# ------------------------------------------------------------------ schemas

KINDS = {
    *DECISIONS.values(),
    *("Endpoint Connection Closed", "Endpoint Verified", "Endpoint Unhealthy", "Endpoint Recovered"),
    "Endpoint Unprobed",
    *(
        "Allow List Row Invalid",
        "Allow List Row Unused",
        "Endpoint Service Misconfigured",
        "Breaker Tripped",
        "Expiring Soon",
        "Events Grouped",
        "Stack Incomplete",
    ),
}


def test_every_kind_of_event_has_a_schema_and_no_schema_is_without_one() -> None:
    assert gallery.kinds() == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_schema_is_one_and_its_example_holds_to_it(kind: str) -> None:
    schema = gallery.schema(kind)
    Draft202012Validator.check_schema(schema)
    assert schema["title"] == kind
    for example in schema["examples"]:
        gallery.hold_to_schema(kind, example)


def test_every_cause_that_blames_somebody_can_be_published() -> None:
    causes = set(CAUSES) - {"probe_error"}
    properties = gallery.schema("Endpoint Unhealthy")["properties"]
    assert set(properties["cause"]["enum"]) == set(properties["also"]["items"]["enum"]) == causes


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_schema_lets_nothing_through_that_it_does_not_name_or_that_lacks_a_part(kind: str) -> None:
    example = gallery.schema(kind)["examples"][0]
    wrong = [example | {"surprise": 1}, example | {"version": "2"}, {}]
    wrong += [{name: value for name, value in example.items() if name != "version"}]
    for detail in wrong:
        with pytest.raises(AssertionError, match=kind):
            gallery.hold_to_schema(kind, detail)
