"""Visits: endpoints just accepted are probed at once, and again a little later until they are verified."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from linkgate.events import bell
from linkgate.events.bell import Bell
from linkgate.model import State, Status
from linkgate.patrol.run import Run
from linkgate.policy.probes import Probe

from tests.application import SERVICE, Application
from tests.fakes import OWN_CANARY
from tests.unit.patrol.scene import (
    PRIVATE,
    VERIFIED,
    A,
    B,
)
from tests.world import CONSUMER, OTHER, Service, service_id


def visit(app: Application, *endpoints: str, attempt: int = 0) -> Run:
    return app.visit(Bell(frozenset(endpoints), frozenset(), "Accepted", attempt))


def accepted_again(app: Application) -> None:
    """B is accepted, and still pending."""
    app.connect(B)
    app.work()
    app.bus.published.clear()


def test_an_accepted_event_is_a_visit_of_its_endpoint() -> None:
    app = Application()
    app.allow_list.put(SERVICE, CONSUMER, effect="allow")
    app.connect(A)
    app.work(10)
    ((kind, detail),) = app.bus.published
    seen = app.visit(bell.parse(json.dumps({"detail-type": kind, "detail": detail})))
    assert seen.times_to_verified == [10_000.0]
    assert app.known(A).status is Status.VERIFIED


def test_a_visit_waits_until_the_connection_is_available_and_probes_at_once(app: Application) -> None:
    accepted_again(app)
    visit(app, B)
    assert (app.known(B).status, app.canary.targets) == (Status.ACCEPTED, [])
    for _ in range(10):
        app.world.advance(1)
        app.visit(*app.visits.take())
    assert (app.known(B).status, app.bus.kinds(B)) == (Status.VERIFIED, [VERIFIED])
    assert app.visits.queue == []


def test_a_visit_that_fails_says_nothing_about_health_and_is_repeated(app: Application) -> None:
    app.canary.causes[A] = "tcp_timeout"
    visit(app, A)
    assert (app.known(A).status, app.known(A).recent, app.bus.published) == (Status.ACCEPTED, "", [])
    assert app.visits.waiting() == [Bell(frozenset({A}), frozenset(), "Accepted", 1)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda it: it.canary.mute.add(A),
        lambda it: setattr(it.canary, "error", RuntimeError("gone")),
        lambda it: it.canary.causes.update({A: "probe_error"}),
        lambda it: it.ledger.alter(A, status=Status.HELD),
        lambda it: it.world.forget(A),
    ],
    ids=["silent", "absent", "probe_error", "held", "not shown by EC2"],
)
def test_a_visit_that_did_not_verify_is_repeated(app: Application, spoil: Callable[[Application], Any]) -> None:
    spoil(app)
    before = app.known(A).status
    run = visit(app, A)
    assert (app.known(A).status, len(app.visits.queue), app.bus.published) == (before, 1, [])
    assert run.absent.keys() == ({OWN_CANARY} if app.canary.error else set())


def test_visits_end_after_a_while(app: Application) -> None:
    app.canary.causes[A] = "tcp_timeout"
    visit(app, A, attempt=9)
    assert app.visits.queue == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda it: it.world.turn(A, State.REJECTED),
        lambda it: it.world.turn(A, State.DELETED),
        lambda it: it.world.turn(A, State.PENDING_ACCEPTANCE),
        lambda it: setattr(it.world.links[A], "account", OTHER),
        lambda it: setattr(it.canary, "own", ""),
        lambda it: setattr(it.world.services[SERVICE], "managed", False),
    ],
    ids=["rejected", "deleted", "waiting", "of another account", "no canary", "service not managed"],
)
def test_an_endpoint_that_cannot_be_verified_is_not_visited(
    app: Application, spoil: Callable[[Application], Any]
) -> None:
    spoil(app)
    visit(app, A)
    assert (app.canary.targets, app.visits.queue) == ([], [])


def test_endpoints_of_several_services_and_bells_are_visited_together(app: Application) -> None:
    second = service_id(2)
    app.world.offer(second)
    app.world.connect(B, second, state=State.AVAILABLE)
    app.ledger.seen(app.world.connection(B), Status.ACCEPTED, None, app.world.now)
    app.world.described = 0
    app.visit(Bell(frozenset({A})), Bell(frozenset({B})))
    assert [app.known(endpoint).status for endpoint in (A, B)] == [Status.VERIFIED] * 2
    assert (app.world.described, len(app.canary.calls)) == (1, 1)
    assert sorted((target["service_id"], target["endpoint_id"]) for target in app.canary.targets) == [
        (SERVICE, A),
        (second, B),
    ]


def test_each_bell_of_a_visit_is_repeated_for_its_own_endpoints(app: Application) -> None:
    accepted_again(app)
    app.visit(Bell(frozenset({A})), Bell(frozenset({B}), attempt=3))
    assert app.visits.waiting() == [Bell(frozenset({B}), attempt=4)]


def test_a_visit_without_an_endpoint_probes_nothing(app: Application) -> None:
    visit(app)
    assert (app.canary.targets, app.visits.queue) == ([], [])


def test_the_private_name_is_asked_for_on_the_first_visit(app: Application) -> None:
    app.world.services[SERVICE] = Service(private_dns_name=PRIVATE, private_dns_state="verified")
    patrol = replace(app.patrol, default_probe=(Probe.parse("https://:443/"),))
    patrol.visit([Bell(frozenset({A}))], lambda: 900)
    assert {target["server_name"] for target in app.canary.targets} == {PRIVATE}
