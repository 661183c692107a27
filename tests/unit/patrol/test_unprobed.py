"""An endpoint that no canary could probe is unprobed: never called healthy, and never blamed."""

from collections.abc import Callable
from typing import Any

import pytest
from linkgate.errors import Unavailable
from linkgate.ledger.table import ItemKey
from linkgate.model import State, Status
from linkgate.patrol.report import counts

from tests.application import SERVICE, Application
from tests.fakes import OWN_CANARY
from tests.unit.patrol.scene import FOREIGN, A, B, found, in_zones, join, ledger_items, numbers, unknown, walk, zonal
from tests.world import CONSUMER, OTHER

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


# ------------------------------------------------------------------ verified, and then never looked at again


def hours(app: Application, number: float) -> list[str]:
    """What is published in so many hours of a round each ten minutes."""
    app.bus.published.clear()
    for _ in range(int(number * 6)):
        app.round()
        app.world.advance(600)
    return app.bus.kinds(A)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda it: setattr(it.canary, "error", Unavailable("gone")), "its canary did not come back"),
        (lambda it: setattr(it.world.links[A], "dns_names", ()), "its service's settings or its names give no target"),
        (lambda it: it.canary.causes.update({A: "probe_error"}), "as told"),
        (lambda it: it.canary.mute.add(A), "the canary said nothing about it"),
    ],
    ids=["gone", "no names", "not allowed", "mute"],
)
def test_an_endpoint_is_verified_for_an_hour_after_anybody_found_anything_out_and_then_accepted_again(
    app: Application, spoil: Callable[[Application], Any], why: str
) -> None:
    walk(app, "111")
    spoil(app)
    app.bus.published.clear()
    assert (hours(app, 0.8), app.known(A).status) == ([], Status.VERIFIED)
    assert (hours(app, 12), app.known(A).status) == (["Endpoint Unprobed"], Status.ACCEPTED)
    _, detail = app.bus.published[-1]
    assert detail["evidence"] == why
    assert detail["summary"].startswith(f"UNPROBED: {A} of account {CONSUMER}: ")
    assert (app.known(A).recent, app.known(A).health["detail"]) == ("", why)


@pytest.mark.parametrize("rounds", ["111", "000"], ids=["verified", "unhealthy"])
def test_an_endpoint_that_no_canary_reaches_any_more_loses_at_once_what_was_known_of_it_and_says_why(
    app: Application, rounds: str
) -> None:
    walk(app, rounds)
    app.bus.published.clear()
    app.allow_list.put(SERVICE, f"@canary:{A}", function=f"arn:aws:lambda:eu-west-1:{CONSUMER}:function:payroll")
    app.round()
    ((kind, detail),) = app.bus.published
    why = f"no canary reaches it: row {SERVICE}/@canary:{A}: function is"
    assert (kind, detail["evidence"].startswith(why)) == ("Endpoint Unprobed", True)
    assert A in detail["summary"]
    assert detail["evidence"] in detail["summary"]
    known = app.known(A)
    assert (known.status, known.recent, known.cause, known.health["phases"]) == (Status.ACCEPTED, "", "probe_error", {})
    assert known.health["detail"] == detail["evidence"]
    app.allow_list.delete(SERVICE, f"@canary:{A}")
    app.canary.causes.clear()
    assert (hours(app, 1), app.known(A).status) == (["Endpoint Verified"], Status.VERIFIED)


def test_an_unhealthy_endpoint_whose_names_give_no_target_is_so_no_more_after_an_hour(app: Application) -> None:
    walk(app, "000")
    app.world.links[A].dns_names = ()
    assert (hours(app, 0.6), app.known(A).status) == ([], Status.UNHEALTHY)
    assert (hours(app, 1), app.known(A).status) == (["Endpoint Unprobed"], Status.ACCEPTED)


def test_why_no_canary_was_ever_sent_is_written_once_and_again_when_it_is_another_reason(app: Application) -> None:
    join(app, B, OTHER)
    app.round()
    row = f"{SERVICE}/@canary:{OTHER}"
    assert app.known(B).health["detail"] == f"no canary reaches it: there is no row {row}"
    before = ledger_items(app)
    app.round()
    assert ledger_items(app)[ItemKey(B)] == before[ItemKey(B)]
    app.allow_list.put(SERVICE, f"@canary:{OTHER}", function="payroll")
    app.round()
    assert str(app.known(B).health["detail"]).startswith(
        f'no canary reaches it: row {row}: function is "payroll": expected'
    )
    assert app.bus.kinds(B) == []


# ------------------------------------------------------------------ never crossed


def test_what_nothing_ever_crossed_and_does_not_answer_may_be_in_another_vpc(app: Application) -> None:
    walk(app, "000", cause="tcp_timeout")
    known = app.known(A)
    assert (known.status, known.cause, known.health["also"]) == (Status.UNHEALTHY, "never_verified", [])
    assert str(known.health["detail"]).startswith(f"canary {OWN_CANARY} never crossed it; 1 of 1 probes: ")
    assert known.health["phase"] == "tcp"


def test_what_its_canary_crossed_before_is_in_its_vpc(app: Application) -> None:
    walk(app, "1000", cause="tcp_timeout")
    assert (app.known(A).cause, app.known(A).health["by"]) == ("tcp_timeout", OWN_CANARY)


def test_another_canary_that_crosses_it_is_kept_in_mind_at_once(app: Application) -> None:
    walk(app, "11111")
    app.allow_list.put(SERVICE, f"@canary:{A}", function=FOREIGN)
    walk(app, "1")
    assert app.known(A).health["by"] == FOREIGN


def test_what_an_older_version_verified_without_saying_by_whom_is_in_its_canarys_vpc(app: Application) -> None:
    walk(app, "11")
    old = {name: value for name, value in app.known(A).health.items() if name != "by"}
    app.ledger.alter(A, health=old)
    walk(app, "000", cause="tcp_timeout")
    assert (app.known(A).status, app.known(A).cause) == (Status.UNHEALTHY, "tcp_timeout")


def test_another_canary_than_the_one_that_crossed_it_may_be_in_another_vpc(app: Application) -> None:
    walk(app, "11")
    app.allow_list.put(SERVICE, f"@canary:{A}", function=FOREIGN)
    walk(app, "0", cause="tcp_timeout")
    assert (app.known(A).cause, app.known(A).health["by"]) == ("never_verified", OWN_CANARY)
    walk(app, "1")
    assert app.known(A).health["by"] == FOREIGN
    walk(app, "0", cause="tcp_timeout")
    assert app.known(A).cause == "tcp_timeout"


@pytest.mark.parametrize("cause", ["tcp_refused", "http_timeout", "dns_not_found"])
def test_whatever_answered_or_has_no_name_is_blamed_for_what_it_is(app: Application, cause: str) -> None:
    walk(app, "0", cause=cause)
    assert app.known(A).cause == cause


def test_an_endpoint_that_is_probed_again_after_that_is_verified_again(app: Application) -> None:
    walk(app, "111")
    app.canary.mute.add(A)
    hours(app, 2)
    app.canary.mute.clear()
    assert hours(app, 1) == ["Endpoint Verified"]
    assert app.known(A).status is Status.VERIFIED


def test_an_endpoint_that_was_good_before_and_fails_after_a_long_silence_is_judged_by_its_new_rounds(
    app: Application,
) -> None:
    walk(app, "11111")
    app.canary.mute.add(A)
    hours(app, 2)
    app.canary.mute.clear()
    walk(app, "000")
    assert app.known(A).status is Status.UNHEALTHY


def test_what_an_older_version_wrote_is_forgotten_an_hour_after_it_was_checked(app: Application) -> None:
    walk(app, "1")
    old = {name: value for name, value in app.known(A).health.items() if name not in ("looked_at", "errors")}
    app.ledger.alter(A, health=old)
    app.canary.causes[A] = "probe_error"
    hours(app, 2)
    assert app.known(A).status is Status.ACCEPTED


# ------------------------------------------------------------------ a family that the canary cannot cross

IPV6 = "its IPv6 addresses, since its canary has no IPv6"


def test_ipv6_addresses_that_the_canary_cannot_cross_are_told_once_where_the_rest_is_well(
    app: Application,
) -> None:
    app.world.links[A].ip_type = "dualstack"
    seen = walk(app, "11111")
    assert [numbers(one.services[SERVICE]) for one in seen] == [(1, [], 0)] * 5
    assert (app.known(A).status, app.known(A).health["left_out"]) == (Status.VERIFIED, IPV6)
    ((kind, detail),) = app.bus.published
    assert (kind, f"\nNot probed: {IPV6}\n" in detail["summary"]) == ("Endpoint Verified", True)


def test_of_an_endpoint_verified_before_anybody_asked_it_is_written_at_once(app: Application) -> None:
    walk(app, "1")
    app.world.links[A].ip_type = "dualstack"
    walk(app, "1")
    assert app.known(A).health["left_out"] == IPV6
    app.canary.mute.add(A)
    walk(app, "1")
    assert app.known(A).health["left_out"] == IPV6


def test_an_endpoint_of_one_family_leaves_nothing_out(app: Application) -> None:
    walk(app, "1")
    assert app.known(A).health["left_out"] == ""
    assert "Not probed" not in app.bus.published[-1][1]["summary"]


# ------------------------------------------------------------------ EC2's states


@pytest.mark.parametrize("state", [State.PARTIAL, State.UNKNOWN])
def test_every_state_in_which_traffic_may_pass_is_probed(app: Application, state: State) -> None:
    walk(app, "1")
    app.world.turn(A, state)
    seen = walk(app, "1000")
    assert [numbers(one.services[SERVICE]) for one in seen] == [(1, [], 0)] * 3 + [(1, [A], 0)]
    assert app.known(A).cause == "tcp_refused"


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


def test_an_endpoint_of_a_gateway_load_balancer_has_nothing_to_probe_and_is_asked_for_no_row(app: Application) -> None:
    app.world.services[SERVICE].gateway = True
    app.round()
    assert "Gateway Load Balancer has no name" in str(app.known(A).health["detail"])
    assert app.known(A).status is Status.ACCEPTED
