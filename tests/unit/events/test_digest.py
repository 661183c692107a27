"""Digests: many events that are alike are one message; few are one each, and nothing is untold."""

from typing import Any

import pytest
from linkgate.events.bus import Event
from linkgate.events.catalog import (
    CONTRADICTED,
    EXPIRING_SOON,
    MISCONFIGURED,
    RECOVERED,
    ROW_INVALID,
    UNHEALTHY,
    UNPROBED,
)
from linkgate.events.digest import MOST_ALONE, grouped
from linkgate.health.causes import CAUSES, OPEN, UNKNOWN

from tests import gallery
from tests.fakes import FakeBus
from tests.world import endpoint_id, service_id

CLOSED = "Endpoint Connection Closed"
KINDS = (UNHEALTHY, RECOVERED, UNPROBED, ROW_INVALID, EXPIRING_SOON, CONTRADICTED, MISCONFIGURED)


def sample(kind: str, **changes: object) -> Event:
    example: dict[str, Any] = gallery.schema(kind)["examples"][0]
    return Event(kind, {name: value for name, value in (example | changes).items() if name != "version"})


def unhealthy(number: int, cause: str = "tcp_timeout", service: int = 1) -> Event:
    meaning, step = CAUSES[cause]
    about = {"endpoint_id": endpoint_id(number), "service_id": service_id(service)}
    return sample(UNHEALTHY, cause=cause, meaning=meaning, step=step, **about)


def told(events: list[Event]) -> list[Event]:
    """What HealthRule makes messages of."""
    digests, marked = grouped(events)
    FakeBus().publish([*digests, *marked])
    return digests + [event for event in marked if "grouped" not in event.detail]


@pytest.mark.parametrize("kind", KINDS)
def test_up_to_five_events_of_a_kind_are_a_message_each_and_more_are_one(kind: str) -> None:
    few, many = [sample(kind)] * MOST_ALONE, [sample(kind)] * (MOST_ALONE + 1)
    assert grouped(few) == ([], few)
    (digest,) = told(many)
    assert (digest.kind, digest.detail["kind"], digest.detail["count"]) == ("Events Grouped", kind, len(many))


def test_every_event_is_published_as_it_is_but_for_the_mark_and_in_its_order() -> None:
    events = [unhealthy(number) for number in range(7)] + [sample(CLOSED)]
    _, marked = grouped(events)
    assert [event.detail["endpoint_id"] for event in marked] == [event.detail["endpoint_id"] for event in events]
    assert [{**one.detail, "grouped": True} for one in events[:7]] == [one.detail for one in marked[:7]]
    assert marked[7] == events[7]


def test_kinds_that_become_no_messages_have_no_digest() -> None:
    events = [sample(CLOSED)] * 20
    assert grouped(events) == ([], events)


def test_a_digest_names_the_services_the_most_common_cause_with_its_step_and_the_first_five() -> None:
    events = [unhealthy(1, "tcp_refused"), *(unhealthy(number, service=number % 2 + 1) for number in range(2, 10))]
    (digest,) = told(events)
    meaning, step = CAUSES["tcp_timeout"]
    account = events[0].detail["account"]
    assert str(digest.detail["summary"]).splitlines() == [
        "9 endpoints are UNHEALTHY",
        "",
        f"Services: {service_id(1)}, {service_id(2)}",
        f"Cause of 8: tcp_timeout: {meaning}.",
        f"Next: {step}.",
        "The first 5: ",
        *(f"  {endpoint_id(number)} of account {account}" for number in range(1, 6)),
        "All of them: each is on the bus as Endpoint Unhealthy; the runbook says how to list them.",
        "Runbook: docs/runbook.md#events-grouped",
    ]


def test_an_endpoint_that_gets_in_is_not_lost_among_those_that_do_not_answer() -> None:
    closed = unhealthy(1, OPEN)
    assert closed in told([closed, *(unhealthy(number) for number in range(2, 30))])
    (digest,) = told([unhealthy(number, OPEN) for number in range(6)])
    assert str(digest.detail["summary"]).startswith("6 endpoints that must stay out GET IN\n")


def test_who_is_in_is_told_apart_from_who_is_out() -> None:
    out = [sample(CONTRADICTED)] * 6
    back = [sample(CONTRADICTED, contradiction="live_not_allowed")] * 6
    assert [str(one.detail["summary"]).partition("\n")[0] for one in told([*out, *back])] == [
        "6 connections are OUT and allowed",
        "6 connections are IN and not allowed",
    ]


def test_services_that_are_open_are_told_apart_and_first_of_all_with_what_to_do() -> None:
    wrong = [sample(MISCONFIGURED, problems=["the service is Deleting, not Available"]) for _ in range(6)]
    first, second = told([*[sample(MISCONFIGURED)] * 6, *wrong])
    assert str(first.detail["summary"]).startswith("6 services let everybody in: OPEN\n")
    assert "\nNext: aws ec2 modify-vpc-endpoint-service-configuration" in str(first.detail["summary"])
    assert str(second.detail["summary"]).startswith("6 services are MISCONFIGURED\n")


def test_a_digest_of_unprobed_endpoints_has_the_most_common_reason_and_what_to_do() -> None:
    (digest,) = told([sample(UNPROBED, evidence="another"), *[sample(UNPROBED)] * 6])
    lines = str(digest.detail["summary"]).splitlines()
    assert lines[0] == "7 endpoints are UNPROBED"
    assert lines[3:5] == ["Cause of 6: no canary reaches it.", f"Next: {CAUSES[UNKNOWN].step}."]


def test_a_digest_of_rows_shows_what_is_wrong_with_most_of_them() -> None:
    rows = [sample(ROW_INVALID, row=f"{service_id(number)}/*", attribute="limit") for number in range(8)]
    (digest,) = told([sample(ROW_INVALID, row=f"{service_id(1)}/@settings"), *rows])
    assert digest.detail["services"] == [service_id(number) for number in range(8)]
    assert "\nOf 8: attribute limit, as here:\n  " in str(digest.detail["summary"])
    assert f"\nServices: {', '.join(map(service_id, range(5)))} and 3 more\n" in str(digest.detail["summary"])
