"""Rounds in which many endpoints change alike: an event for each of them, and one message."""

from typing import Any

import pytest
from linkgate.errors import Unavailable
from linkgate.events.catalog import UNPROBED
from linkgate.health.status import record
from linkgate.model import State, Status

from tests.application import SERVICE, Application
from tests.unit.patrol.scene import RECOVERED, UNHEALTHY, A, B, join, walk
from tests.world import CONSUMER, endpoint_id, service_id

SECOND, GROUPED = service_id(2), "Events Grouped"


def zone(app: Application, count: int) -> None:
    """So many verified endpoints, on two services in turns, none of which answers any more."""
    app.world.offer(SECOND)
    for number in range(2, count + 2):
        one = endpoint_id(number)
        app.world.connect(one, (SERVICE, SECOND)[number % 2], CONSUMER, state=State.AVAILABLE)
        app.ledger.seen(app.world.connection(one), Status.VERIFIED, None, app.world.now)
        app.canary.causes[one] = "tcp_timeout"


def messages(app: Application) -> list[dict[str, Any]]:
    """What HealthRule makes messages of."""
    kinds = (GROUPED, UNHEALTHY, RECOVERED, UNPROBED)
    return [one for kind, one in app.bus.published if kind in kinds and "grouped" not in one]


def test_a_zone_that_fails_and_comes_back_is_a_message_each_for_all_services_and_an_event_for_each_endpoint(
    app: Application,
) -> None:
    zone(app, 30)
    for _ in range(3):
        app.round()
    (failed,) = messages(app)
    assert (failed["kind"], failed["count"], failed["services"]) == (UNHEALTHY, 30, sorted([SERVICE, SECOND]))
    for number in range(2, 32):
        app.canary.causes[endpoint_id(number)] = ""
    for _ in range(5):
        app.round()
    assert [(one["kind"], one["count"]) for one in messages(app)] == [(UNHEALTHY, 30), (RECOVERED, 30)]
    assert all(app.bus.kinds(endpoint_id(number)) == [UNHEALTHY, RECOVERED] for number in range(2, 32))


def test_many_that_no_canary_reaches_any_more_are_one_message(app: Application) -> None:
    zone(app, 30)
    app.canary.own = ""
    app.round()
    (lost,) = messages(app)
    assert (lost["kind"], lost["count"]) == (UNPROBED, 30)


def test_a_digest_that_the_bus_did_not_take_is_published_with_what_the_next_service_or_round_publishes(
    app: Application,
) -> None:
    zone(app, 30)
    for _ in range(2):
        app.round()
    app.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    assert len(app.round().failed) == 1
    assert [one["count"] for one in messages(app)] == [30]
    app.round()
    assert [one["count"] for one in messages(app)] == [30, 15]
    assert all(app.bus.kinds(endpoint_id(number)) == [UNHEALTHY] for number in range(2, 32))


def test_what_cannot_be_judged_of_one_endpoint_keeps_no_other_of_its_service_from_being_recorded(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    join(app, B)

    def fails(*facts: Any) -> dict[str, Any]:
        if next(failing, False):
            raise KeyError("nobody thought of it")
        return record(*facts)

    failing = iter([True])
    monkeypatch.setattr("linkgate.patrol.recorder.record", fails)
    (seen,) = walk(app)
    assert set(seen.failed) == {SERVICE}
    assert {app.known(A).status, app.known(B).status} == {Status.ACCEPTED, Status.VERIFIED}
