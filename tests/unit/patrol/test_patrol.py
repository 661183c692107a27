"""Accepted is not working: health comes from crossings alone, and only of endpoints that a canary reaches."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from linkgate.errors import Throttled, Unavailable
from linkgate.events import bell
from linkgate.events.bell import Bell
from linkgate.health.causes import CAUSES
from linkgate.ledger.table import ItemKey
from linkgate.model import State, Status
from linkgate.patrol.assessment import Assessment
from linkgate.patrol.report import counts, days_left
from linkgate.patrol.run import Run
from linkgate.policy.probes import Probe

from tests.application import PROBE, SERVICE, Application
from tests.fakes import OWN_CANARY
from tests.world import CONSUMER, OTHER, Service, endpoint_id, service_id

A, B = endpoint_id(1), endpoint_id(2)
VERIFIED, UNHEALTHY, RECOVERED = "Endpoint Verified", "Endpoint Unhealthy", "Endpoint Recovered"
FOREIGN = f"arn:aws:lambda:us-east-1:{OTHER}:function:linkgate-canary-payments"
PRIVATE = "api.example.com"
ZONES = ("eu-west-1a", "eu-west-1b")


@pytest.fixture
def app() -> Application:
    """A house that has accepted A, which is available; nothing was probed yet."""
    made = Application()
    made.allow_list.put(SERVICE, "*", effect="allow")
    made.connect(A)
    made.work(10)
    made.bus.told.clear()
    return made


def walk(app: Application, rounds: str = "1", cause: str = "tcp_refused") -> list[Run]:
    """One round a minute, good (1) or bad (0) for A."""
    seen = []
    for one in rounds:
        app.canary.causes[A] = "" if one == "1" else cause
        seen.append(app.round())
        app.world.advance(60)
    return seen


def found(app: Application) -> list[Assessment]:
    """What one more round finds."""
    return app.round().services[SERVICE]


def unhealthy(assessments: list[Assessment]) -> list[str]:
    return [one.candidate.connection.endpoint for one in assessments if one.unhealthy]


def numbers(assessments: list[Assessment]) -> tuple[float, list[str], float]:
    """How many were probed, which are unhealthy, and how many are unprobed."""
    counted = counts(assessments)
    assert counted["UnhealthyEndpoints"] == len(unhealthy(assessments))
    return counted["ProbedEndpoints"], unhealthy(assessments), counted["UnprobedEndpoints"]


def join(app: Application, endpoint: str, owner: str = CONSUMER, status: Status = Status.ACCEPTED) -> None:
    """An endpoint that was accepted a while ago."""
    app.world.connect(endpoint, SERVICE, owner, state=State.AVAILABLE)
    app.ledger.seen(app.connections.named([endpoint])[0], status, None, app.world.now)


def regional(endpoint: str = A) -> str:
    return f"{endpoint}-abcdefgh.{SERVICE}.eu-west-1.vpce.amazonaws.com"


def zonal(zone: str, endpoint: str = A) -> str:
    return regional(endpoint).replace("-abcdefgh.", f"-abcdefgh-{zone}.")


def in_zones(app: Application) -> None:
    """EC2 lists zonal names of A."""
    app.world.links[A].dns_names = (regional(), *map(zonal, ZONES))


def kept(app: Application) -> dict[ItemKey, dict[str, Any]]:
    """The ledger as it is now."""
    return {place: dict(item) for place, item in app.ledger.store.items.items()}


# ------------------------------------------------------------------ rounds


def test_an_endpoint_that_was_crossed_is_verified_and_told_once(app: Application) -> None:
    seen = walk(app, "111")
    known = app.known(A)
    assert (known.status, known.recent) == (Status.VERIFIED, "111")
    assert app.bus.kinds(A) == [VERIFIED]
    assert [numbers(one.services[SERVICE]) for one in seen] == [(1, [], 0)] * 3


def test_the_time_from_acceptance_to_the_first_crossing_is_measured_once(app: Application) -> None:
    assert [one.times_to_verified for one in walk(app, "011")] == [[], [70_000.0], []]


def test_a_connection_accepted_by_other_hands_has_no_such_time(app: Application) -> None:
    app.ledger.alter(A, accepted_at="")
    assert walk(app)[0].times_to_verified == []


def test_three_bad_rounds_of_five_are_unhealthy_and_told_once(app: Application) -> None:
    seen = walk(app, "1010000")
    assert app.known(A).status is Status.UNHEALTHY
    assert app.bus.kinds(A) == [VERIFIED, UNHEALTHY]
    assert [unhealthy(one.services[SERVICE]) for one in seen] == [[], [], [], [], [A], [A], [A]]


def test_an_unhealthy_endpoint_is_told_in_words_that_name_the_cause_and_the_next_step(app: Application) -> None:
    walk(app, "1000")
    _, detail = app.bus.told[-1]
    meaning, step = CAUSES["tcp_refused"]
    assert detail["summary"].startswith(
        f"Endpoint {A} of account {CONSUMER} on {SERVICE} is unhealthy (tcp_refused): {meaning}. Next: {step}. "
        f"Seen: {detail['url']} at 10.1.0.1: "
    )
    assert (detail["cause"], detail["meaning"], detail["step"]) == ("tcp_refused", meaning, step)
    assert (detail["phase"], detail["address"], detail["zone"], detail["also"]) == ("tcp", "10.1.0.1", "", [])
    assert detail["phases"] == {"dns": 1.25, "tcp": 0.5, "total": 1.75}
    assert detail["url"] == f"tcp://{regional()}:443"
    assert detail["evidence"] in detail["summary"]


def test_an_endpoint_that_answers_again_has_recovered(app: Application) -> None:
    walk(app, "1000" + "111")
    assert app.known(A).status is Status.VERIFIED
    assert app.bus.kinds(A) == [VERIFIED, UNHEALTHY, RECOVERED]
    assert app.bus.told[-1][1]["summary"] == f"Endpoint {A} of account {CONSUMER} on {SERVICE} answers again."


def test_an_endpoint_that_never_answered_is_unhealthy_and_was_never_verified(app: Application) -> None:
    walk(app, "000")
    assert (app.known(A).status, app.known(A).verified_at) == (Status.UNHEALTHY, None)
    assert app.bus.kinds(A) == [UNHEALTHY]


def test_the_ledger_keeps_the_last_round(app: Application) -> None:
    walk(app, "10", cause="http_status")
    health = app.known(A).health
    assert (health["cause"], health["address"], health["phase"]) == ("http_status", "10.1.0.1", "http")
    assert health["detail"]
    assert health["checked_at"] == "2026-11-23T03:01:10+00:00"
    assert {name: str(value) for name, value in dict(health["phases"]).items()} == {  # type: ignore[call-overload]
        "dns": "1.25",
        "tcp": "0.5",
        "total": "1.75",
    }


PROBED = ("dns", "tcp", "tls", "http", "body")


@pytest.mark.parametrize("cause", [cause for cause in CAUSES if cause.startswith(PROBED)])
def test_every_cause_that_a_probe_finds_can_make_an_endpoint_unhealthy(app: Application, cause: str) -> None:
    walk(app, "1000", cause=cause)
    assert app.bus.kinds(A) == [VERIFIED, UNHEALTHY]


def test_the_health_of_a_former_connection_says_nothing_of_a_new_one(app: Application) -> None:
    walk(app, "00000")
    app.world.turn(A, State.REJECTED)
    app.settle()
    app.world.turn(A, State.AVAILABLE)
    app.settle()
    app.bus.told.clear()
    walk(app, "1")
    assert (app.known(A).status, app.bus.kinds(A)) == (Status.VERIFIED, [VERIFIED])


# ------------------------------------------------------------------ unprobed: never called healthy


def unknown(app: Application, seen: Run) -> None:
    """Nobody knows how A is: it is unprobed, and nothing is told or counts for its health."""
    assert numbers(seen.services[SERVICE]) == (0, [], 1)
    assert (app.known(A).status, app.known(A).recent, app.bus.told) == (Status.ACCEPTED, "", [])


def test_an_endpoint_of_which_the_canary_says_nothing_is_unprobed(app: Application) -> None:
    app.canary.mute.add(A)
    seen = app.round()
    unknown(app, seen)
    assert (seen.failed, seen.absent, counts(seen.services[SERVICE])["ProbeErrors"]) == ({}, {}, 1)


@pytest.mark.parametrize("cause", ["probe_error", "quic_failed", "unexpectedly_open", "connection_rejected"])
def test_an_endpoint_with_nothing_but_causes_that_say_nothing_is_unprobed(app: Application, cause: str) -> None:
    for seen in walk(app, "00000", cause):
        unknown(app, seen)
        assert counts(seen.services[SERVICE])["ProbeErrors"] == 1
    assert (app.known(A).health["cause"], app.known(A).verified_at) == ("probe_error", None)


def test_why_an_endpoint_cannot_be_probed_is_written_once_and_forgotten_when_it_can_be(app: Application) -> None:
    walk(app, "11111")
    app.canary.causes[A] = "probe_error"
    app.round()
    assert app.known(A).health["detail"] == "as told"
    before = kept(app)
    app.world.advance(60)
    assert [one.evidence.errors for one in found(app)] == [["as told"]]
    assert kept(app) == before
    walk(app, "1")
    assert (app.known(A).health["cause"], app.known(A).recent) == ("", "11111")


def test_an_unhealthy_endpoint_that_nobody_can_probe_stays_unhealthy(app: Application) -> None:
    walk(app, "000")
    app.bus.told.clear()
    walk(app, "000000", cause="probe_error")
    assert (app.known(A).status, app.bus.told) == (Status.UNHEALTHY, [])


@pytest.mark.parametrize("spoil", [lambda it: it.mute.add(A), lambda it: setattr(it, "error", RuntimeError("gone"))])
def test_an_alarm_is_not_ended_by_a_canary_that_does_not_look(app: Application, spoil: Callable[[Any], Any]) -> None:
    walk(app, "000")
    spoil(app.canary)
    assert numbers(found(app)) == (0, [A], 1)


def test_an_unhealthy_endpoint_that_no_canary_reaches_any_more_is_unprobed_alone(app: Application) -> None:
    walk(app, "000")
    app.canary.own = ""
    assert numbers(found(app)) == (0, [], 1)


def test_a_target_that_could_not_be_probed_is_counted_and_does_not_hide_the_crossings(app: Application) -> None:
    in_zones(app)
    app.canary.causes[zonal("eu-west-1a")] = "probe_error"
    seen = found(app)
    assert (numbers(seen), counts(seen)["ProbeErrors"]) == ((1, [], 0), 1)
    assert app.known(A).status is Status.VERIFIED


@pytest.mark.parametrize(
    "answer",
    [
        b'{"verdicts": []}',
        b'{"verdicts": [{"endpoint_id": "vpce-00000000000000002", "url": "tcp://x:443", "cause": ""}]}',
        json.dumps({"verdicts": [{"endpoint_id": A, "url": f"tcp://{regional()}:443", "cause": ""}]}).encode(),
        json.dumps({"verdicts": [{"endpoint_id": A, "url": f"tcp://{regional(B)}:443", "cause": ""}]}).encode(),
    ],
)
def test_a_canary_that_says_less_than_it_was_asked_makes_nobody_healthy(app: Application, answer: bytes) -> None:
    app.canary.answers[OWN_CANARY] = {"Payload": BytesAgain(answer)}
    unknown(app, app.round())


class BytesAgain:
    """A payload that can be read again and again."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self) -> bytes:
        return self.content


@pytest.mark.parametrize("answer", [b"", b"null", b"<html>", b'{"errorMessage": "Task timed out after 60 seconds"}'])
def test_a_canary_that_answers_nonsense_is_absent_and_its_endpoints_unprobed(app: Application, answer: bytes) -> None:
    app.canary.answers[OWN_CANARY] = {"Payload": BytesAgain(answer)}
    seen = app.round()
    unknown(app, seen)
    assert seen.absent.keys() == {OWN_CANARY}


def test_a_canary_that_does_not_come_back_says_nothing_about_health(app: Application) -> None:
    walk(app)
    before = kept(app)
    app.canary.error = Unavailable("the canary failed")
    seen = app.round()
    assert {name: str(error) for name, error in seen.absent.items()} == {OWN_CANARY: "the canary failed"}
    assert (numbers(seen.services[SERVICE]), kept(app)) == ((0, [], 1), before)


def test_when_no_time_is_left_nobody_is_sent_and_everybody_is_unprobed(app: Application) -> None:
    seen = app.round(left=30)
    unknown(app, seen)
    assert app.canary.calls == []
    assert str(seen.absent[OWN_CANARY]).startswith("no time is left")


def test_what_no_time_is_left_to_keep_is_left_to_the_next_round(app: Application) -> None:
    seconds = iter([100.0] + [5.0] * 9)
    seen = app.patrol.round(lambda: next(seconds))
    assert str(seen.failed[SERVICE]) == "no time is left to record the health of 1 endpoints"
    assert (app.known(A).recent, app.bus.told) == ("", [])


def test_with_settings_that_cannot_be_read_nobody_knows_how_to_probe(app: Application) -> None:
    app.allow_list.put(SERVICE, "@settings", probe="https://example.com/")
    unknown(app, app.round())
    assert app.canary.targets == []


def test_an_endpoint_without_a_name_is_unprobed(app: Application) -> None:
    app.world.links[A].dns_names = ()
    unknown(app, app.round())


def test_without_a_canary_everything_is_unprobed_and_nothing_is_healthy(app: Application) -> None:
    app.canary.own = ""
    unknown(app, app.round())
    assert app.canary.calls == []


def test_endpoints_of_other_accounts_are_unprobed_and_never_called_healthy(app: Application) -> None:
    join(app, B, OTHER)
    assert numbers(found(app)) == (1, [], 1)
    assert {target["endpoint_id"] for target in app.canary.targets} == {A}
    assert (app.known(B).status, app.bus.kinds(B)) == (Status.ACCEPTED, [])


# ------------------------------------------------------------------ whose canary


def test_an_endpoint_of_another_account_is_probed_by_the_canary_that_its_row_names(app: Application) -> None:
    join(app, B, OTHER)
    app.allow_list.put(SERVICE, f"@canary:{OTHER}", function=FOREIGN)
    assert numbers(found(app)) == (2, [], 0)
    assert {(name, target["endpoint_id"]) for name, targets in app.canary.calls for target in targets} == {
        (OWN_CANARY, A),
        (FOREIGN, B),
    }
    assert set(app.canary.regions) == {"", "us-east-1"}
    assert app.known(B).status is Status.VERIFIED


def test_an_endpoint_with_a_malformed_canary_row_is_unprobed(app: Application) -> None:
    app.allow_list.put(SERVICE, f"@canary:{A}", function="linkgate-canary")
    unknown(app, app.round())


def test_one_canarys_failure_is_not_anothers(app: Application) -> None:
    join(app, B, OTHER)
    app.allow_list.put("*", f"@canary:{OTHER}", function=FOREIGN)
    app.canary.errors[FOREIGN] = RuntimeError("gone")
    seen = app.round()
    assert seen.absent.keys() == {FOREIGN}
    assert numbers(seen.services[SERVICE]) == (1, [], 1)
    assert [app.known(one).status for one in (A, B)] == [Status.VERIFIED, Status.ACCEPTED]


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


@pytest.mark.parametrize("state", [state for state in State if state is not State.AVAILABLE])
def test_only_available_connections_are_probed(app: Application, state: State) -> None:
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
    app.world.hidden = dict.fromkeys((first, service_id(2)), RuntimeError("nobody thought of it"))
    (seen,) = walk(app)
    assert (set(seen.failed), set(seen.services)) == ({first, service_id(2)}, {SERVICE})
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
    assert (app.known(A).status, app.bus.told) == (status, [])


def test_an_endpoint_whose_names_lead_out_of_the_canarys_vpc_is_unprobed(app: Application) -> None:
    """EC2 tells no VPC, so an endpoint of the stack's own account may be anywhere."""
    seen = walk(app, "000", "dns_unexpected_address")
    assert [numbers(one.services[SERVICE]) for one in seen] == [(0, [], 1)] * 3
    assert (app.known(A).status, app.known(A).recent) == (Status.ACCEPTED, "")


def test_an_endpoint_that_was_crossed_once_and_whose_names_lead_away_is_unhealthy(app: Application) -> None:
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


@pytest.mark.parametrize("state", [State.PARTIAL, State.UNKNOWN])
def test_a_state_that_says_nothing_is_unprobed(app: Application, state: State) -> None:
    app.world.turn(A, state)
    unknown(app, app.round())


@pytest.mark.parametrize("cause", ["tcp_timeout", "dns_not_found"])
@pytest.mark.parametrize(
    ("state", "found"), [(State.REJECTED, "connection_rejected"), (State.DELETED, "endpoint_deleted")]
)
def test_a_connection_that_ends_during_the_probes_is_not_blamed_on_a_security_group(
    app: Application, cause: str, state: State, found: str
) -> None:
    app.canary.during = lambda: app.world.turn(A, state)
    walk(app, "0", cause)
    assert app.known(A).health["cause"] == found


def test_a_connection_that_is_gone_after_the_probes_was_deleted(app: Application) -> None:
    app.canary.during = lambda: app.world.forget(A)
    walk(app, "0", "dns_not_found")
    assert app.known(A).health["cause"] == "endpoint_deleted"


def test_where_ec2_does_not_answer_again_what_it_showed_first_stands(app: Application) -> None:
    def silence() -> None:
        app.world.silence = Throttled("RequestLimitExceeded")

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


# ------------------------------------------------------------------ under our feet


def test_a_status_that_changed_during_the_round_wins_and_nothing_is_told(app: Application) -> None:
    app.canary.during = lambda: app.ledger.alter(A, status=Status.CLOSED)
    (seen,) = walk(app)
    assert (app.known(A).status, app.known(A).recent) == (Status.CLOSED, "")
    assert (seen.failed, seen.times_to_verified, app.bus.told) == ({}, [], [])


def test_an_endpoint_that_was_decided_on_again_meanwhile_is_not_told_of(app: Application) -> None:
    walk(app, "100")
    app.bus.told.clear()
    app.canary.during = lambda: app.ledger.alter(A, decision="2026-11-23T04:00:00.000000Z#0123456789abcdef")
    walk(app, "0")
    assert (app.known(A).status, app.bus.told) == (Status.VERIFIED, [])


def test_a_round_that_another_round_overtook_is_not_kept(app: Application) -> None:
    walk(app)

    def rival() -> None:
        app.ledger.alter(A, recent="00000")

    app.ledger.store.rival = rival
    walk(app)
    assert app.known(A).recent == "00000"


def test_what_could_not_be_told_is_not_kept_and_told_by_the_next_round(app: Application) -> None:
    join(app, B)
    app.ledger.alter(B, status=Status.VERIFIED)
    app.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    (seen,) = walk(app)
    assert (set(seen.failed), app.known(A).status, app.known(A).recent) == ({SERVICE}, Status.ACCEPTED, "")
    assert app.known(B).recent == "1"
    walk(app)
    assert (app.known(A).status, app.bus.kinds(A)) == (Status.VERIFIED, [VERIFIED])


def test_a_round_that_ends_early_has_told_few_that_it_did_not_keep(app: Application) -> None:
    for number in range(2, 26):
        join(app, endpoint_id(number))
    seconds = iter([100.0] * 15)
    app.patrol.round(lambda: next(seconds, 5.0))
    verified = [one for one in app.ledger.currents.values() if one.status is Status.VERIFIED]
    assert 0 < len(verified) < len(app.bus.told) < len(verified) + 10
    app.round()
    assert len(app.bus.told) < 25 + 10
    assert all(one.status is Status.VERIFIED for one in app.ledger.currents.values())


# ------------------------------------------------------------------ cost


def test_a_healthy_endpoint_is_written_only_every_ten_minutes_or_so(app: Application) -> None:
    walk(app, "11111")
    changes, before = 0, kept(app)
    for _ in range(60):
        walk(app)
        changes += kept(app) != before
        before = kept(app)
    assert 4 <= changes <= 6


def test_an_endpoint_that_stays_unhealthy_for_the_same_cause_is_not_written_each_round(app: Application) -> None:
    walk(app, "00000")
    before = kept(app)
    walk(app, "000")
    assert kept(app) == before
    walk(app, "0", "http_status")
    assert app.known(A).health["cause"] == "http_status"


def test_thousands_of_endpoints_take_few_calls(app: Application) -> None:
    """EC2: one description of the service. Lambda: a hundred targets a call. The ledger: nothing once all is well."""
    for number in range(2, 3001):
        app.world.connect(endpoint_id(number), SERVICE, state=State.AVAILABLE)
    health = {"cause": "", "checked_at": app.world.now.isoformat(), "private_seen_at": ""}
    for connection in app.connections.of(SERVICE):
        if connection.endpoint != A:
            app.ledger.seen(connection, Status.ACCEPTED, None, app.world.now)
        app.ledger.alter(connection.endpoint, status=Status.VERIFIED, recent="11111", health=health)
    before, app.world.described = kept(app), 0
    seen = found(app)
    assert numbers(seen) == (3000, [], 0)
    assert (app.world.described, len(app.canary.calls), kept(app)) == (1, 30, before)


# ------------------------------------------------------------------ the private name


@pytest.fixture
def private(app: Application) -> Application:
    """The service has a private name, which A does not use: it does not exist in the canary's VPC."""
    app.world.services[SERVICE] = Service(private_dns_name=PRIVATE, private_dns_state="verified")
    app.canary.nowhere.add(PRIVATE)
    return app


def test_a_private_name_that_an_endpoint_does_not_use_is_not_missed(private: Application) -> None:
    assert numbers(found(private)) == (1, [], 0)
    assert private.known(A).status is Status.VERIFIED
    assert PRIVATE in {target["name"] for target in private.canary.targets}


def test_a_private_name_that_vanishes_is_missed_for_a_day_and_then_forgotten(private: Application) -> None:
    private.canary.nowhere.clear()
    walk(private, "11111")
    assert private.known(A).health["private_seen_at"]
    private.canary.nowhere.add(PRIVATE)
    walk(private, "111")
    assert private.known(A).status is Status.UNHEALTHY
    assert private.known(A).health["cause"] == "private_name_missing"
    assert private.bus.told[-1][1]["phase"] == "dns"
    private.world.advance(86400)
    walk(private, "111")
    assert private.known(A).status is Status.VERIFIED
    assert private.bus.kinds(A) == [VERIFIED, UNHEALTHY, RECOVERED]


def test_a_private_name_that_comes_back_is_well_again(private: Application) -> None:
    private.canary.nowhere.clear()
    walk(private, "1")
    private.canary.nowhere.add(PRIVATE)
    walk(private, "1")
    private.canary.nowhere.clear()
    assert numbers(found(private)) == (1, [], 0)


def test_a_private_name_that_leads_to_another_endpoint_of_the_vpc_is_not_this_ones(private: Application) -> None:
    join(private, B)
    private.canary.nowhere.clear()
    private.canary.during = None
    answered = private.canary._verdict

    def to_b(target: dict[str, Any]) -> dict[str, Any]:
        found = answered(target)
        return found | {"address": "10.1.0.2"} if target["name"] == PRIVATE else found

    private.canary._verdict = to_b  # type: ignore[method-assign]
    walk(private, "11111")
    assert not private.known(A).health["private_seen_at"]
    assert private.known(B).health["private_seen_at"]
    private.canary.nowhere.add(PRIVATE)
    walk(private)
    assert (private.known(A).recent, private.known(B).recent) == ("11111", "11110")


def test_a_private_name_that_ec2_lists_counts_from_the_first_round_on(private: Application) -> None:
    private.world.links[A].dns_names = (regional(), PRIVATE)
    assert numbers(found(private)) == (1, [], 0)
    assert (private.known(A).recent, private.known(A).health["cause"]) == ("0", "private_name_missing")


def test_an_unverified_private_name_is_told_from_a_missing_one(private: Application) -> None:
    private.world.links[A].dns_names = (regional(), PRIVATE)
    private.world.services[SERVICE].private_dns_state = "pendingVerification"
    walk(private)
    assert private.known(A).health["cause"] == "private_name_unverified"


def test_what_a_canary_may_not_probe_of_an_unused_private_name_is_no_error(private: Application) -> None:
    private.canary.nowhere.clear()
    private.canary.causes[PRIVATE] = "probe_error"
    assert counts(found(private))["ProbeErrors"] == 0


# ------------------------------------------------------------------ who must stay out


@pytest.fixture
def shut(app: Application) -> Application:
    """A was cut a while ago, and is out: nothing answers."""
    walk(app)
    app.world.turn(A, State.REJECTED)
    app.ledger.alter(A, status=Status.CUT, state=State.REJECTED)
    app.world.advance(120)
    app.bus.told.clear()
    app.canary.calls.clear()
    app.canary.causes[A] = "tcp_timeout"
    return app


def is_open(assessments: list[Assessment]) -> int:
    return int(counts(assessments)["UnexpectedlyOpenEndpoints"])


def look(app: Application, open_: bool) -> list[Assessment]:
    app.canary.causes[A] = "" if open_ else "tcp_timeout"
    app.world.advance(60)
    return found(app)


def test_an_endpoint_that_stays_out_is_looked_at_and_nothing_is_counted_written_or_told(shut: Application) -> None:
    before = kept(shut)
    seen = look(shut, open_=False)
    assert set(counts(seen).values()) == {0}
    (target,) = shut.canary.targets
    assert (target["expect"], target["url"], target["timeout_seconds"]) == ("closed", f"tcp://{regional()}:443", 1)
    assert (kept(shut), shut.bus.told) == (before, [])


@pytest.mark.parametrize("status", [Status.CUT, Status.REJECTED])
def test_an_endpoint_that_gets_in_although_it_must_stay_out_is_told_once(shut: Application, status: Status) -> None:
    shut.ledger.alter(A, status=status)
    assert [is_open(look(shut, open_=True)) for _ in range(8)] == [0, 1, 1, 1, 1, 1, 1, 1]
    ((kind, detail),) = shut.bus.told
    assert (kind, detail["cause"]) == (UNHEALTHY, "unexpectedly_open")
    before = kept(shut)
    look(shut, open_=True)
    assert kept(shut) == before
    assert f"Endpoint {A} of account {CONSUMER} on {SERVICE} gets in although it must stay out" in detail["summary"]
    assert (shut.known(A).status, shut.known(A).health["cause"]) == (status, "unexpectedly_open")


def test_bad_rounds_of_its_life_do_not_count_for_one_that_was_cut(shut: Application) -> None:
    shut.ledger.alter(A, recent="00000", health={"cause": "tcp_timeout", "checked_at": shut.world.now.isoformat()})
    assert [is_open(look(shut, open_=True)) for _ in range(3)] == [0, 1, 1]
    assert shut.bus.kinds(A) == [UNHEALTHY]


def test_an_endpoint_that_stays_out_again_has_recovered(shut: Application) -> None:
    for open_ in (True, True, False, False):
        seen = look(shut, open_)
    assert (is_open(seen), shut.known(A).health["cause"]) == (0, "")
    assert shut.bus.kinds(A) == [UNHEALTHY, RECOVERED]
    assert shut.bus.told[-1][1]["summary"].endswith("stays out again.")


def test_a_door_that_was_open_for_one_look_is_not_told(shut: Application) -> None:
    for open_ in (True, False, True, False):
        assert is_open(look(shut, open_)) == 0
    assert shut.bus.told == []


@pytest.mark.parametrize("cause", ["probe_error", "dns_timeout"])
def test_a_look_that_finds_nothing_out_changes_nothing(shut: Application, cause: str) -> None:
    look(shut, open_=True)
    look(shut, open_=True)
    shut.canary.causes[A] = cause
    assert is_open(found(shut)) == 1
    shut.canary.error = RuntimeError("gone")
    assert is_open(found(shut)) == 1
    assert shut.bus.kinds(A) == [UNHEALTHY]


def test_an_endpoint_that_is_let_in_during_the_look_is_not_open(shut: Application) -> None:
    shut.canary.during = lambda: shut.world.turn(A, State.AVAILABLE)
    for _ in range(3):
        shut.world.turn(A, State.REJECTED)
        assert is_open(look(shut, open_=True)) == 0
    assert shut.bus.told == []


def test_an_endpoint_that_was_rejected_this_minute_is_not_looked_at_yet(shut: Application) -> None:
    shut.ledger.alter(A, settled=True, answered_at="2026-11-23T03:03:30.000000Z")
    look(shut, open_=True)
    assert shut.canary.calls == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda it: it.world.turn(A, State.DELETED),
        lambda it: it.world.turn(A, State.PENDING_ACCEPTANCE),
        lambda it: it.ledger.alter(A, status=Status.HELD),
        lambda it: it.ledger.alter(A, status=Status.CLOSED),
        lambda it: it.allow_list.put(SERVICE, "@settings", probe="nonsense"),
        lambda it: setattr(it.canary, "own", ""),
    ],
)
def test_whoever_need_not_or_cannot_be_kept_out_is_not_looked_at(
    shut: Application, spoil: Callable[[Application], Any]
) -> None:
    spoil(shut)
    assert (is_open(look(shut, open_=True)), shut.canary.calls) == (0, [])


def test_of_many_that_must_stay_out_a_few_are_looked_at_each_round_and_all_in_time(shut: Application) -> None:
    everybody = {endpoint_id(number) for number in range(1, 101)}
    for endpoint in everybody - {A}:
        shut.world.connect(endpoint, SERVICE, state=State.REJECTED)
        shut.ledger.seen(shut.connections.named([endpoint])[0], Status.REJECTED, None, shut.world.now)
    shut.canary.causes = dict.fromkeys(everybody, "tcp_timeout")
    looked: set[str] = set()
    for _ in range(60):
        shut.canary.calls.clear()
        shut.world.advance(60)
        shut.round()
        assert len(shut.canary.targets) == 20
        looked |= {target["endpoint_id"] for target in shut.canary.targets}
    assert looked == everybody


def test_one_that_got_in_is_looked_at_each_round_until_it_stays_out(shut: Application) -> None:
    for number in range(2, 101):
        shut.world.connect(endpoint_id(number), SERVICE, state=State.REJECTED)
        known = shut.connections.named([endpoint_id(number)])[0]
        shut.ledger.seen(known, Status.REJECTED, None, shut.world.now)
        shut.canary.causes[endpoint_id(number)] = "tcp_timeout"
    shut.ledger.alter(A, health={"cause": "unexpectedly_open", "checked_at": shut.world.now.isoformat()}, recent="00")
    for _ in range(5):
        shut.canary.calls.clear()
        assert is_open(look(shut, open_=True)) == 1
        assert len(shut.canary.targets) == 21
        assert A in {target["endpoint_id"] for target in shut.canary.targets}


# ------------------------------------------------------------------ numbers


def test_phase_times_are_those_of_the_slowest_good_crossing_of_each_endpoint(app: Application) -> None:
    in_zones(app)
    app.canary.causes[zonal("eu-west-1a")] = "tcp_timeout"
    (seen,) = found(app)
    assert seen.evidence.slowest
    assert dict(seen.evidence.slowest.phases) == {"dns": 1.25, "tcp": 0.5, "total": 1.75}


def test_unhealthy_addresses_are_counted_by_zone_the_healthy_zones_with_none(app: Application) -> None:
    in_zones(app)
    app.canary.causes[zonal("eu-west-1a")] = "dns_not_found"
    assert found(app)[0].evidence.unhealthy_addresses() == {"eu-west-1a": 1, "eu-west-1b": 0}


def test_the_certificate_that_expires_first_is_told(app: Application) -> None:
    join(app, B)
    days = iter([30.5, 12.25])
    answered = app.canary._verdict
    app.canary._verdict = lambda target: answered(target) | {"tls_days_left": next(days)}  # type: ignore[method-assign]
    assert days_left(found(app)) == {"CertificateDaysLeft": 12.25}


def test_without_tls_no_days_are_told(app: Application) -> None:
    assert days_left(found(app)) == {}


# ------------------------------------------------------------------ visits


def visit(app: Application, *endpoints: str, attempt: int = 0) -> Run:
    return app.visit(Bell(frozenset(endpoints), frozenset(), "Accepted", attempt))


def accepted_again(app: Application) -> None:
    """B is accepted, and still pending."""
    app.connect(B)
    app.work()
    app.bus.told.clear()


def test_an_accepted_event_is_a_visit_of_its_endpoint() -> None:
    app = Application()
    app.allow_list.put(SERVICE, CONSUMER, effect="allow")
    app.connect(A)
    app.work(10)
    ((kind, detail),) = app.bus.told
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
    assert (app.known(A).status, app.known(A).recent, app.bus.told) == (Status.ACCEPTED, "", [])
    assert app.visits.waiting() == [Bell(frozenset({A}), frozenset(), "Accepted", 1)]


def test_a_visit_of_an_endpoint_that_ec2_does_not_show_is_repeated(app: Application) -> None:
    visit(app, B)
    assert [bell.endpoints for bell in app.visits.waiting()] == [{B}]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda it: it.canary.mute.add(A),
        lambda it: setattr(it.canary, "error", RuntimeError("gone")),
        lambda it: it.canary.causes.update({A: "probe_error"}),
        lambda it: it.ledger.alter(A, status=Status.HELD),
    ],
)
def test_a_visit_that_did_not_verify_is_repeated(app: Application, spoil: Callable[[Application], Any]) -> None:
    spoil(app)
    before = app.known(A).status
    visit(app, A)
    assert (app.known(A).status, len(app.visits.queue), app.bus.told) == (before, 1, [])


def test_a_canary_that_fails_on_a_visit_is_told(app: Application) -> None:
    app.canary.error = RuntimeError("gone")
    assert visit(app, A).absent.keys() == {OWN_CANARY}


def test_visits_end_after_a_while(app: Application) -> None:
    app.canary.causes[A] = "tcp_timeout"
    visit(app, A, attempt=9)
    assert app.visits.queue == []


@pytest.mark.parametrize("state", [State.REJECTED, State.DELETED, State.PENDING_ACCEPTANCE])
def test_a_connection_that_is_not_on_its_way_is_not_visited(app: Application, state: State) -> None:
    app.world.turn(A, state)
    visit(app, A)
    assert (app.canary.targets, app.visits.queue) == ([], [])


def test_an_endpoint_that_no_canary_reaches_is_not_visited(app: Application) -> None:
    join(app, B, OTHER)
    visit(app, B)
    app.canary.own = ""
    visit(app, A)
    assert (app.canary.targets, app.visits.queue) == ([], [])


def test_an_endpoint_of_a_service_that_is_no_longer_managed_is_not_visited(app: Application) -> None:
    app.world.services[SERVICE].managed = False
    visit(app, A)
    assert (app.canary.targets, app.visits.queue) == ([], [])


def test_endpoints_of_several_services_and_bells_are_visited_together(app: Application) -> None:
    second = service_id(2)
    app.world.offer(second)
    app.world.connect(B, second, state=State.AVAILABLE)
    app.ledger.seen(app.connections.named([B])[0], Status.ACCEPTED, None, app.world.now)
    app.world.described = 0
    app.visit(Bell(frozenset({A})), Bell(frozenset({B})))
    assert [app.known(endpoint).status for endpoint in (A, B)] == [Status.VERIFIED] * 2
    assert (app.world.described, len(app.canary.calls)) == (1, 1)
    assert sorted((target["service_id"], target["endpoint_id"]) for target in app.canary.targets) == [
        (SERVICE, A),
        (second, B),
    ]


def test_a_visit_is_told_by_what_becomes_of_each_bell(app: Application) -> None:
    accepted_again(app)
    app.visit(Bell(frozenset({A})), Bell(frozenset({B}), attempt=3))
    assert app.visits.waiting() == [Bell(frozenset({B}), attempt=4)]


def test_a_visit_without_an_endpoint_is_nothing(app: Application) -> None:
    visit(app)
    assert (app.canary.targets, app.visits.queue) == ([], [])


def test_the_private_name_is_asked_for_on_the_first_visit(app: Application) -> None:
    app.world.services[SERVICE] = Service(private_dns_name=PRIVATE, private_dns_state="verified")
    patrol = replace(app.patrol, default_probe=(Probe.parse("https://:443/"),))
    patrol.visit([Bell(frozenset({A}))], lambda: 900)
    assert {target["server_name"] for target in app.canary.targets} == {PRIVATE}
