"""Rounds: five give an endpoint's status, what changed is published once, and little is written."""

import json
from datetime import timedelta

import pytest
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError
from linkgate.errors import NotYet, Unavailable
from linkgate.health.causes import CAUSES
from linkgate.model import State, Status
from linkgate.patrol.report import days_left, report_round

from tests.application import SERVICE, Application
from tests.fakes import OWN_CANARY
from tests.unit.patrol.scene import (
    FOREIGN,
    RECOVERED,
    UNHEALTHY,
    VERIFIED,
    A,
    B,
    found,
    in_zones,
    join,
    ledger_items,
    numbers,
    regional,
    unhealthy,
    walk,
    zonal,
)
from tests.world import CONSUMER, OTHER, endpoint_id

# ------------------------------------------------------------------ rounds


def test_an_endpoint_that_answers_is_verified_and_published_once(app: Application) -> None:
    seen = walk(app, "111")
    known = app.known(A)
    assert (known.status, known.recent) == (Status.VERIFIED, "111")
    assert app.bus.kinds(A) == [VERIFIED]
    assert [numbers(one.services[SERVICE]) for one in seen] == [(1, [], 0)] * 3


def test_the_time_from_acceptance_to_the_first_good_round_is_measured_once(app: Application) -> None:
    assert [one.times_to_verified for one in walk(app, "011")] == [[], [70_000.0], []]


def test_a_connection_accepted_out_of_band_has_no_such_time(app: Application) -> None:
    app.ledger.alter(A, accepted_at="")
    assert walk(app)[0].times_to_verified == []


def test_three_bad_rounds_of_five_are_unhealthy_and_published_once(app: Application) -> None:
    seen = walk(app, "1010000")
    assert app.known(A).status is Status.UNHEALTHY
    assert app.bus.kinds(A) == [VERIFIED, UNHEALTHY]
    assert [unhealthy(one.services[SERVICE]) for one in seen] == [[], [], [], [], [A], [A], [A]]


def test_an_unhealthy_endpoint_is_published_in_words_that_name_the_cause_and_the_next_step(app: Application) -> None:
    walk(app, "1000")
    _, detail = app.bus.published[-1]
    meaning, step = CAUSES["tcp_refused"]
    since = app.world.now - timedelta(minutes=3)
    assert detail["summary"].splitlines() == [
        f"UNHEALTHY: {A} of account {CONSUMER}: tcp_refused",
        "",
        f"Endpoint: {A}",
        f"Account: {CONSUMER}, Region eu-west-1",
        f"Service: {SERVICE}",
        f"Row: {SERVICE}/*",
        f"Since: {since:%Y-%m-%d %H:%M} UTC",
        f"Cause: tcp_refused: {meaning}.",
        f"Seen: {detail['evidence']}, probed as {detail['url']} at 10.1.0.1",
        f"Next: {step}.",
        "Runbook: docs/runbook.md#tcp_refused",
    ]
    assert (detail["cause"], detail["meaning"], detail["step"]) == ("tcp_refused", meaning, step)
    assert (detail["phase"], detail["address"], detail["zone"], detail["also"]) == ("tcp", "10.1.0.1", "", [])
    assert detail["phases"] == {"dns": 1.25, "tcp": 0.5, "total": 1.75}
    assert detail["url"] == f"tcp://{regional()}:443"


def test_an_endpoint_that_answers_again_has_recovered(app: Application) -> None:
    walk(app, "1000" + "111")
    assert app.known(A).status is Status.VERIFIED
    assert app.bus.kinds(A) == [VERIFIED, UNHEALTHY, RECOVERED]
    summary = app.bus.published[-1][1]["summary"]
    assert summary.startswith(f"RECOVERED: {A} of account {CONSUMER}: it answers again\n")
    assert "\nIt was: tcp_refused: " in summary
    assert "\nIt lasted: 5 minutes, " in summary


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


def test_the_health_of_a_former_connection_says_nothing_of_a_new_one(app: Application) -> None:
    walk(app, "00000")
    app.world.turn(A, State.REJECTED)
    app.settle()
    app.world.turn(A, State.AVAILABLE)
    app.settle()
    app.bus.published.clear()
    walk(app, "1")
    assert (app.known(A).status, app.bus.kinds(A)) == (Status.VERIFIED, [VERIFIED])


# ------------------------------------------------------------------ a canary that sleeps


def test_an_idle_canary_is_woken_once_a_day(app: Application) -> None:
    app.world.forget(A)
    woken = []
    for _ in range(3 * 144):
        before = len(app.canary.calls)
        app.round()
        woken.append(app.canary.calls[before:])
        app.world.advance(600)
    assert [calls for calls in woken if calls] == [[(OWN_CANARY, [])]] * 3


def test_a_canary_that_has_endpoints_to_probe_is_not_woken(app: Application) -> None:
    app.world.advance(21 * 3600)
    walk(app, "111")
    assert [len(targets) for _, targets in app.canary.calls] == [1, 1, 1]


def test_an_idle_canary_is_woken_also_while_another_one_is_at_work(app: Application) -> None:
    app.world.forget(A)
    join(app, B, OTHER)
    app.allow_list.put(SERVICE, f"@canary:{OTHER}", function=FOREIGN)
    app.world.advance(21 * 3600)
    walk(app)
    assert [(name, len(targets)) for name, targets in app.canary.calls] == [(FOREIGN, 1), (OWN_CANARY, 0)]


def test_a_stack_without_a_canary_wakes_nobody(app: Application) -> None:
    app.canary.own = ""
    app.world.advance(21 * 3600)
    walk(app, "1")
    assert app.canary.calls == []


@pytest.mark.parametrize("code", ["ResourceConflictException", "ResourceNotReadyException"])
def test_a_canary_that_lambda_makes_ready_is_no_failure_and_says_nothing_about_health(
    app: Application, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    walk(app, "1")
    words = "The function is currently in the following state: Pending"
    app.canary.error = ClientError({"Error": {"Code": code, "Message": words}}, "Invoke")
    run = app.round()
    assert isinstance(run.absent[OWN_CANARY], NotYet)
    assert (run.failing, app.known(A).status) == (set(), Status.VERIFIED)
    report_round(Logger(service="test"), "stack", run, OWN_CANARY)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    (whole,) = [line for line in lines if "Service" not in line]
    assert whole["ProbeErrors"] == [0]
    # Six minutes without ProbedEndpoints are patrol-silent: a canary that never becomes ready is heard of.
    assert not whole.keys() & {"Failures", "ProbedEndpoints"}


def test_another_error_of_lambda_is_a_failure(app: Application) -> None:
    app.canary.error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Invoke")
    assert app.round().failing == {OWN_CANARY}


# ------------------------------------------------------------------ changes meanwhile


def test_a_status_that_changed_during_the_round_wins_and_nothing_is_published(app: Application) -> None:
    app.canary.during = lambda: app.ledger.alter(A, status=Status.CLOSED)
    (seen,) = walk(app)
    assert (app.known(A).status, app.known(A).recent) == (Status.CLOSED, "")
    assert (seen.failed, seen.times_to_verified, app.bus.published) == ({}, [], [])


def test_an_endpoint_that_was_decided_on_again_meanwhile_is_not_published(app: Application) -> None:
    walk(app, "100")
    app.bus.published.clear()
    app.canary.during = lambda: app.ledger.alter(A, decision="2026-11-23T04:00:00.000000Z#0123456789abcdef")
    walk(app, "0")
    assert (app.known(A).status, app.bus.published) == (Status.VERIFIED, [])


def test_a_round_that_another_round_overtook_is_not_recorded(app: Application) -> None:
    walk(app)

    def rival() -> None:
        app.ledger.alter(A, recent="00000")

    app.ledger.store.rival = rival
    walk(app)
    assert app.known(A).recent == "00000"


def test_what_could_not_be_published_is_not_recorded_and_published_by_the_next_round(app: Application) -> None:
    join(app, B)
    app.ledger.alter(B, status=Status.VERIFIED)
    app.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    (seen,) = walk(app)
    assert (set(seen.failed), app.known(A).status, app.known(A).recent) == ({SERVICE}, Status.ACCEPTED, "")
    assert app.known(B).recent == "1"
    walk(app)
    assert (app.known(A).status, app.bus.kinds(A)) == (Status.VERIFIED, [VERIFIED])


def test_a_round_that_ends_early_has_published_few_that_it_did_not_record(app: Application) -> None:
    for number in range(2, 26):
        join(app, endpoint_id(number))
    seconds = iter([100.0] * 15)
    app.patrol.round(lambda: next(seconds, 5.0))
    verified = [one for one in app.ledger.currents.values() if one.status is Status.VERIFIED]
    assert 0 < len(verified) < len(app.bus.published) < len(verified) + 10
    app.round()
    assert len(app.bus.published) < 25 + 10
    assert all(one.status is Status.VERIFIED for one in app.ledger.currents.values())


# ------------------------------------------------------------------ cost


def test_a_healthy_endpoint_is_written_only_every_ten_minutes_or_so(app: Application) -> None:
    walk(app, "11111")
    changes, before = 0, ledger_items(app)
    for _ in range(60):
        walk(app)
        changes += ledger_items(app) != before
        before = ledger_items(app)
    assert 4 <= changes <= 6


def test_an_endpoint_that_stays_unhealthy_for_the_same_cause_is_not_written_each_round(app: Application) -> None:
    walk(app, "00000")
    before = ledger_items(app)
    walk(app, "000")
    assert ledger_items(app) == before
    walk(app, "0", "http_status")
    assert app.known(A).health["cause"] == "http_status"


def test_thousands_of_endpoints_take_few_calls(app: Application) -> None:
    """EC2: one description of the service. Lambda: a hundred targets a call. The ledger: nothing once all is well."""
    health = {"cause": "", "checked_at": app.world.now.isoformat(), "private_seen_at": ""}
    for number in range(1, 3001):
        if number > 1:
            join(app, endpoint_id(number))
        app.ledger.alter(endpoint_id(number), status=Status.VERIFIED, recent="11111", health=health)
    before, app.world.described = ledger_items(app), 0
    seen = found(app)
    assert numbers(seen) == (3000, [], 0)
    assert (app.world.described, len(app.canary.calls), ledger_items(app)) == (1, 30, before)


# ------------------------------------------------------------------ numbers


def test_unhealthy_addresses_are_counted_by_zone_the_healthy_zones_with_none(app: Application) -> None:
    in_zones(app)
    app.canary.causes[zonal("eu-west-1a")] = "dns_not_found"
    assert found(app)[0].evidence.unhealthy_addresses() == {"eu-west-1a": 1, "eu-west-1b": 0}


def test_the_certificate_that_expires_first_is_counted_and_none_without_tls(app: Application) -> None:
    assert days_left(found(app)) == {}
    join(app, B)
    days = iter([30.5, 12.25])
    answered = app.canary._verdict
    app.canary._verdict = lambda target: answered(target) | {"tls_days_left": next(days)}  # type: ignore[method-assign]
    assert days_left(found(app)) == {"CertificateDaysLeft": 12.25}
