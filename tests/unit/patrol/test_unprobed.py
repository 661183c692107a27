"""An endpoint that no canary could probe is unprobed: never called healthy, and never blamed."""

from collections.abc import Callable
from typing import Any

import pytest
from linkgate.errors import Unavailable
from linkgate.model import Status
from linkgate.patrol.report import counts

from tests.application import SERVICE, Application
from tests.fakes import OWN_CANARY
from tests.unit.patrol.scene import FOREIGN, A, B, found, in_zones, join, ledger_items, numbers, unknown, walk, zonal
from tests.world import OTHER

# ------------------------------------------------------------------ unprobed


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
    before = ledger_items(app)
    app.world.advance(60)
    assert [one.evidence.errors for one in found(app)] == [["as told"]]
    assert ledger_items(app) == before
    walk(app, "1")
    assert (app.known(A).health["cause"], app.known(A).recent) == ("", "11111")


def test_an_unhealthy_endpoint_that_nobody_can_probe_stays_unhealthy(app: Application) -> None:
    walk(app, "000")
    app.bus.published.clear()
    walk(app, "000000", cause="probe_error")
    assert (app.known(A).status, app.bus.published) == (Status.UNHEALTHY, [])


@pytest.mark.parametrize("spoil", [lambda it: it.mute.add(A), lambda it: setattr(it, "error", RuntimeError("gone"))])
def test_an_alarm_is_not_ended_by_a_canary_that_says_nothing(app: Application, spoil: Callable[[Any], Any]) -> None:
    walk(app, "000")
    spoil(app.canary)
    assert numbers(found(app)) == (0, [A], 1)


def test_an_unhealthy_endpoint_that_no_canary_reaches_any_more_is_unprobed_alone(app: Application) -> None:
    walk(app, "000")
    app.canary.own = ""
    assert numbers(found(app)) == (0, [], 1)


def test_a_target_that_could_not_be_probed_is_counted_and_does_not_hide_the_other_verdicts(app: Application) -> None:
    in_zones(app)
    app.canary.causes[zonal("eu-west-1a")] = "probe_error"
    seen = found(app)
    assert (numbers(seen), counts(seen)["ProbeErrors"]) == ((1, [], 0), 1)
    assert app.known(A).status is Status.VERIFIED


def test_a_canary_that_does_not_come_back_says_nothing_about_health(app: Application) -> None:
    walk(app)
    before = ledger_items(app)
    app.canary.error = Unavailable("the canary failed")
    seen = app.round()
    assert {name: str(error) for name, error in seen.absent.items()} == {OWN_CANARY: "the canary failed"}
    assert (numbers(seen.services[SERVICE]), ledger_items(app)) == ((0, [], 1), before)


def test_when_no_time_is_left_no_canary_is_invoked_and_everybody_is_unprobed(app: Application) -> None:
    seen = app.round(left=30)
    unknown(app, seen)
    assert app.canary.calls == []
    assert str(seen.absent[OWN_CANARY]).startswith("no time is left")


def test_what_no_time_is_left_to_record_is_left_to_the_next_round(app: Application) -> None:
    seconds = iter([100.0] + [5.0] * 9)
    seen = app.patrol.round(lambda: next(seconds))
    assert str(seen.failed[SERVICE]) == "no time is left to record the health of 1 endpoints"
    assert (app.known(A).recent, app.bus.published) == ("", [])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda it: it.allow_list.put(SERVICE, "@settings", probe="https://example.com/"),
        lambda it: setattr(it.world.links[A], "dns_names", ()),
        lambda it: setattr(it.canary, "own", ""),
    ],
    ids=["settings that cannot be read", "no name", "no canary"],
)
def test_an_endpoint_that_cannot_be_probed_is_unprobed(app: Application, spoil: Callable[[Application], Any]) -> None:
    spoil(app)
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
