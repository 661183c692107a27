"""What is probed of which connections, and what the connection's state says beside the verdicts."""

from collections.abc import Callable
from typing import Any

import pytest
from linkgate.errors import Throttled
from linkgate.model import State, Status

from tests.application import PROBE, SERVICE, Application
from tests.unit.patrol.scene import ZONES, A, B, found, in_zones, join, numbers, regional, walk, zonal
from tests.world import Service, endpoint_id, service_id

# ------------------------------------------------------------------ what is probed


@pytest.mark.parametrize("service", [SERVICE, "*"])
def test_settings_say_what_is_probed_and_every_probe_must_be_good(app: Application, service: str) -> None:
    app.allow_list.put(service, "@settings", probe={"https://:443/healthz#status=204", "tcp://:80"})
    walk(app)
    assert sorted((target["url"], target.get("expect_status")) for target in app.canary.targets) == [
        (f"https://{regional()}:443/healthz", 204),
        (f"tcp://{regional()}:80", None),
    ]


def test_without_settings_the_parameter_says_what_is_probed(app: Application) -> None:
    app.allow_list.delete(SERVICE, "@settings")
    walk(app)
    assert [target["url"].rpartition(":")[2] for target in app.canary.targets] == [PROBE.rpartition(":")[2]]


def test_every_name_is_probed_and_one_dead_zone_is_a_bad_round(app: Application) -> None:
    in_zones(app)
    app.canary.causes[zonal("eu-west-1a")] = "tcp_timeout"
    assert numbers(found(app)) == (1, [], 0)
    assert app.known(A).recent == "0"
    assert {target["name"] for target in app.canary.targets} == {regional(), *map(zonal, ZONES)}
    assert app.known(A).health["zone"] == "eu-west-1a"


@pytest.mark.parametrize("state", [one for one in State if one not in (State.AVAILABLE, State.PARTIAL, State.UNKNOWN)])
def test_connections_in_which_nothing_can_pass_are_not_probed(app: Application, state: State) -> None:
    app.world.turn(A, state)
    assert numbers(found(app))[0] == 0
    assert app.canary.targets == []


def test_a_service_without_connections_is_counted_with_none(app: Application) -> None:
    app.world.offer(service_id(2))
    app.world.offer(service_id(3), managed=False)
    (seen,) = walk(app)
    assert {service: numbers(one)[0] for service, one in seen.services.items()} == {SERVICE: 1, service_id(2): 0}


def test_what_fails_at_one_service_does_not_stop_the_others(app: Application) -> None:
    first = service_id(0)
    app.world.services = {first: Service(), **app.world.services, service_id(2): Service()}
    for endpoint, service in ((B, first), (endpoint_id(3), service_id(2))):
        app.world.connect(endpoint, service, state=State.AVAILABLE)
        app.ledger.seen(app.world.connection(endpoint), Status.ACCEPTED, None, app.world.now)
        app.ledger.store.refuses[endpoint] = RuntimeError("nobody thought of it")
    (seen,) = walk(app)
    assert set(seen.failed) == {first, service_id(2)}
    assert app.known(A).status is Status.VERIFIED


def test_a_connection_that_the_ledger_does_not_know_yet_is_left_to_the_next_round(app: Application) -> None:
    app.world.connect(B, SERVICE, state=State.AVAILABLE)
    walk(app)
    assert B not in app.ledger.currents
    app.settle()
    walk(app)
    assert app.known(B).status is Status.VERIFIED


@pytest.mark.parametrize("status", [Status.HELD, Status.REJECTED, Status.CUT, Status.CLOSED])
def test_the_status_of_a_connection_that_is_not_live_stays_as_it_is(app: Application, status: Status) -> None:
    app.ledger.alter(A, status=status)
    walk(app, "1000")
    assert (app.known(A).status, app.bus.published) == (status, [])


def test_an_endpoint_whose_names_lead_out_of_the_canarys_vpc_is_unprobed(app: Application) -> None:
    """EC2 tells no VPC, so an endpoint of the stack's own account may be anywhere."""
    seen = walk(app, "000", "dns_unexpected_address")
    assert [numbers(one.services[SERVICE]) for one in seen] == [(0, [], 1)] * 3
    assert (app.known(A).status, app.known(A).recent) == (Status.ACCEPTED, "")


def test_an_endpoint_that_was_verified_once_and_whose_names_lead_away_is_unhealthy(app: Application) -> None:
    walk(app, "1000", "dns_unexpected_address")
    assert (app.known(A).status, app.known(A).cause) == (Status.UNHEALTHY, "dns_unexpected_address")


# ------------------------------------------------------------------ the connection's state


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (State.REJECTED, "connection_rejected"),
        (State.DELETED, "endpoint_deleted"),
        (State.DELETING, "endpoint_deleted"),
        (State.FAILED, "endpoint_deleted"),
        (State.PENDING_ACCEPTANCE, "connection_pending"),
    ],
)
def test_a_connection_that_is_live_in_the_ledger_alone_is_diagnosed_by_its_state(
    app: Application, state: State, cause: str
) -> None:
    walk(app)
    app.world.turn(A, state)
    assert numbers(found(app)) == (0, [], 0)
    assert app.canary.calls == app.canary.calls[:1]
    assert app.known(A).health["cause"] == cause
    assert app.known(A).recent == "10"


def test_a_connection_that_was_just_accepted_may_be_pending_for_a_while(app: Application) -> None:
    app.world.turn(A, State.PENDING)
    assert numbers(found(app)) == (0, [], 0)
    app.world.advance(600)
    assert app.known(A).health == {}
    assert numbers(found(app)) == (0, [], 0)
    assert (app.known(A).recent, app.known(A).health["cause"]) == ("0", "connection_pending")


def test_a_connection_of_which_nobody_knows_when_it_was_accepted_may_be_pending_for_long(app: Application) -> None:
    app.ledger.alter(A, accepted_at="")
    app.world.turn(A, State.PENDING)
    app.world.advance(6000)
    assert numbers(found(app)) == (0, [], 0)


def test_a_request_in_a_state_that_nobody_knows_is_not_probed(app: Application) -> None:
    app.world.connect(B, SERVICE, state=State.UNKNOWN)
    app.round()
    assert {target["endpoint_id"] for target in app.canary.targets} == {A}


@pytest.mark.parametrize("cause", ["tcp_timeout", "dns_not_found"])
@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (lambda it: it.turn(A, State.REJECTED), "connection_rejected"),
        (lambda it: it.turn(A, State.DELETED), "endpoint_deleted"),
        (lambda it: it.forget(A), "endpoint_deleted"),
    ],
)
def test_a_connection_that_ends_during_the_probes_is_not_blamed_on_a_security_group(
    app: Application, cause: str, end: Callable[[Any], None], expected: str
) -> None:
    app.canary.during = lambda: end(app.world)
    walk(app, "0", cause)
    assert app.known(A).cause == expected


def test_where_ec2_does_not_answer_again_what_it_showed_first_stands(app: Application) -> None:
    def silence() -> None:
        app.world.silence = Throttled("RequestLimitExceeded")

    walk(app, "1")
    app.canary.during = silence
    walk(app, "0", "tcp_timeout")
    assert app.known(A).health["cause"] == "tcp_timeout"


def test_ec2_is_asked_once_more_about_all_that_look_dead_together_and_about_nobody_else(app: Application) -> None:
    for number in range(2, 150):
        join(app, endpoint_id(number))
    app.world.described = 0
    app.round()
    assert app.world.described == 1
    app.canary.causes.update({endpoint_id(number): "tcp_timeout" for number in range(1, 150)})
    app.world.described = 0
    app.round()
    assert app.world.described == 2
