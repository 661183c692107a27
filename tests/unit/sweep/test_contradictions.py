"""What contradicts the allow-list is told once, counted where it should ring, and told again when it is over."""

from dataclasses import replace
from datetime import datetime

import pytest
from linkgate.aws.errors import Refusal
from linkgate.events.digest import MOST_ALONE
from linkgate.model import State, Status
from linkgate.sweep import report
from linkgate.sweep.reconcile import Reconciler
from linkgate.sweep.sweeper import SweepResult

from tests.application import SERVICE, Application
from tests.messages import ALICE, A, live, rejected, sweeps
from tests.world import CONSUMER, endpoint_id

CONTRADICTED, DIGEST = "Allow List Contradicted", "Events Grouped"


def told(app: Application) -> list[tuple[str, str]]:
    """Who contradicts the allow-list and how, as was published."""
    return [
        (detail["endpoint_id"], detail["contradiction"]) for kind, detail in app.bus.published if kind == CONTRADICTED
    ]


def counted(result: SweepResult) -> float:
    """What the alarm reads of a sweep."""
    return report._counts(result)["Contradictions"]


def why_over(app: Application) -> str:
    """Why the last one is over."""
    return str([detail for kind, detail in app.bus.published if kind == CONTRADICTED][-1]["cause"])


def out() -> Application:
    """An endpoint that is allowed and that EC2 refuses to accept, of which people know."""
    app = live()
    app.world.forbidden.add(SERVICE)
    app.connect(endpoint_id(2))
    return sweeps(app)


def found(app: Application) -> int:
    """How many connections contradict the allow-list, whether that rings or not."""
    return sum(one.how is not None for one in app.settle().services[SERVICE].contradictions)


def test_while_table_and_world_agree_nothing_is_told_or_kept() -> None:
    app = sweeps(live(3))
    assert (told(app), found(app), counted(app.settle())) == ([], 0, 0)


def test_a_live_allowed_connection_that_somebody_rejects_is_told_once_with_row_and_culprit() -> None:
    app = sweeps(rejected(), 6)
    assert told(app) == [(A, "allowed_not_live")]
    detail = next(detail for kind, detail in app.bus.published if kind == CONTRADICTED)
    assert (detail["who"], detail["row"], detail["owner"]) == (ALICE, f"{SERVICE}/{CONSUMER}", "payments")
    assert f"rejected by {ALICE}" in detail["cause"]
    assert "create it anew" in detail["step"]
    assert (app.known(A).contradiction, counted(app.settle())) == ("allowed_not_live", 1)


def test_who_rejected_it_is_told_although_cloudtrail_says_so_after_the_notification() -> None:
    app = live()
    app.world.turn(A, State.REJECTED)
    app.send(A, origin="Reject")
    app.work(10)
    app.send(A, origin=f"CloudTrail RejectVpcEndpointConnections {ALICE}")
    app.work(10)
    sweeps(app)
    assert [detail["who"] for kind, detail in app.bus.published if kind == CONTRADICTED] == [ALICE]


def test_it_is_over_when_the_consumer_has_created_it_anew() -> None:
    app = rejected()
    app.connect(endpoint_id(2))
    sweeps(app)
    assert told(app) == [(A, "allowed_not_live"), (A, "")]
    assert (app.known(A).contradiction, app.known(A).contradicted_at, counted(app.settle())) == ("", None, 0)


def test_it_is_over_when_a_row_keeps_it_out() -> None:
    app = rejected()
    app.edit(SERVICE, A, effect="deny")
    assert told(app) == [(A, "allowed_not_live"), (A, "")]
    assert why_over(app) == "the allow-list lets it in no more (denied)."


@pytest.mark.parametrize("row", [None, "review"])
def test_where_nobody_lets_it_in_any_more_no_newer_endpoint_and_no_live_one_is_claimed(row: str | None) -> None:
    app = rejected()
    if row:
        app.edit(SERVICE, CONSUMER, effect=row)
    else:
        app.delete(SERVICE, CONSUMER)
    sweeps(app)
    assert told(app) == [(A, "allowed_not_live"), (A, "")]
    assert why_over(app) == f"the allow-list lets it in no more ({row or 'not_listed'})."


def test_under_observe_nobody_claims_that_a_refused_request_was_let_in() -> None:
    app = out()
    app.edit(SERVICE, "@settings", mode="observe")
    sweeps(app)
    assert told(app)[1:] == [(endpoint_id(2), "")]
    assert why_over(app) == "Linkgate only observes its service now, and lets nobody in."


def test_who_was_out_and_is_in_is_told_as_in_since_then_after_the_grace() -> None:
    app = rejected()
    app.allow_list.put(SERVICE, CONSUMER, effect="deny")
    app.world.turn(A, State.AVAILABLE)
    app.send(A, origin=f"CloudTrail AcceptVpcEndpointConnections {ALICE}")
    app.work(10)
    turned = app.world.now
    sweeps(app)
    assert told(app) == [(A, "allowed_not_live"), (A, "live_not_allowed")]
    assert datetime.fromisoformat(app.bus.published[-1][1]["since"]) == turned


def test_while_ec2_is_asked_once_more_nothing_is_over() -> None:
    app = out()
    before = app.known(endpoint_id(2))
    app.ledger.alter(endpoint_id(2), refusal="")  # as who asks again begins
    assert app.sweeper.sweep("a sweep").services[SERVICE].contradictions
    after = app.known(endpoint_id(2))
    assert (told(app), after.contradicted_at) == ([(endpoint_id(2), "allowed_not_live")], before.contradicted_at)


def test_what_ec2_accepts_again_is_told_with_who_rejected_it() -> None:
    app = live()
    app.world.accepts_rejected = True
    app.world.turn(A, State.REJECTED)
    app.send(A, origin=f"CloudTrail RejectVpcEndpointConnections {ALICE}")
    app.work(60)
    sweeps(app)
    assert (app.known(A).status, told(app)) == (Status.ACCEPTED, [(A, "")])
    (detail,) = (detail for kind, detail in app.bus.published if kind == CONTRADICTED)
    assert (detail["who"], detail["summary"].partition(":")[0]) == (ALICE, "ACCEPTED AGAIN")


def test_an_old_rejection_by_hand_is_not_blamed_for_one_of_ours() -> None:
    app = live()
    app.world.accepts_rejected = True
    app.world.turn(A, State.REJECTED)
    app.send(A, origin=f"CloudTrail RejectVpcEndpointConnections {ALICE}")
    app.work(60)
    app.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="0s")
    app.edit(SERVICE, CONSUMER, effect="deny")
    sweeps(app)
    assert (app.known(A).status, app.known(A).by_whom, app.known(A).by_hand_at) == (Status.CUT, "", None)


@pytest.mark.parametrize(
    ("settings", "messages", "rings"),
    [
        ({"reconcile": "report"}, [(A, "live_not_allowed")], 1),
        ({"reconcile": "off"}, [], 0),
        ({"mode": "observe"}, [(A, "live_not_allowed")], 0),
    ],
)
def test_who_is_live_and_not_allowed_is_kept_and_counted_and_rings_where_somebody_wants_to_know(
    settings: dict[str, str], messages: list[tuple[str, str]], rings: int
) -> None:
    app = live(**settings)
    app.edit(SERVICE, CONSUMER, effect="deny")
    sweeps(app)
    assert (told(app), counted(app.settle())) == (messages, rings)
    assert (app.known(A).contradiction, found(app)) == ("live_not_allowed", 1)


def test_who_was_left_alone_under_off_is_told_once_somebody_wants_to_know() -> None:
    app = live(reconcile="off")
    app.edit(SERVICE, CONSUMER, effect="deny")
    sweeps(app)
    app.edit(SERVICE, "@settings", mode="enforce", reconcile="report")
    sweeps(app)
    assert (told(app), counted(app.settle())) == ([(A, "live_not_allowed")], 1)


def test_the_row_that_has_ended_is_named_with_whose_it_is_and_no_deny_that_is_over() -> None:
    app = live(reconcile="report")
    past = "2020-01-01T00:00:00Z"
    app.allow_list.put(SERVICE, A, effect="deny", expires_at=past, owner="security")
    app.edit(SERVICE, CONSUMER, effect="allow", expires_at=past, owner="payments", ticket="OPS-7")
    sweeps(app)
    ((_, detail),) = ((kind, detail) for kind, detail in app.bus.published if kind == CONTRADICTED)
    assert (detail["reason"], detail["row"]) == ("expired", f"{SERVICE}/{CONSUMER}")
    assert (detail["owner"], detail["ticket"]) == ("payments", "OPS-7")


def test_a_row_that_is_deleted_and_put_back_within_the_grace_is_not_told() -> None:
    app = live(reconcile="report")
    app.delete(SERVICE, CONSUMER)
    app.work(30)
    app.edit(SERVICE, CONSUMER, effect="allow")
    sweeps(app)
    assert (told(app), app.known(A).contradicted_at) == ([], None)


def test_who_is_cut_never_contradicted_anything() -> None:
    app = live(reconcile="enforce")
    app.delete(SERVICE, CONSUMER)
    sweeps(app)
    assert (app.known(A).status, told(app), app.known(A).contradicted_at) == (Status.CUT, [], None)


def test_whoever_is_to_be_cut_and_is_not_yet_is_told_without_asking_for_what_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Reconciler, "_opened", lambda *_: "")  # somebody else writes, again and again
    app = live(reconcile="enforce", grace="0s")
    app.delete(SERVICE, CONSUMER)
    app.work(60)
    app.settle()
    assert told(app) == []  # the next look may cut it
    sweeps(app)
    ((_, detail),) = ((kind, detail) for kind, detail in app.bus.published if kind == CONTRADICTED)
    assert detail["cause"] == "no row lets it in, and its cut is not made yet."
    assert detail["step"] == "nothing, the sweep cuts it by itself; to keep it, let a row allow it."


def test_whom_the_breaker_keeps_is_told_by_the_breaker_alone_but_kept_and_counted() -> None:
    app = live(2, reconcile="enforce", max_cuts=1, grace="0s")
    app.delete(SERVICE, CONSUMER)
    sweeps(app)
    assert (told(app), app.bus.kinds().count("Breaker Tripped"), counted(app.settle())) == ([], 1, 0)
    assert (app.known(A).contradiction, found(app)) == ("live_not_allowed", 2)


def test_who_is_released_and_cut_at_that_look_is_not_told_as_still_in() -> None:
    app = live(2, reconcile="enforce", max_cuts=1, grace="0s")
    app.delete(SERVICE, CONSUMER)
    sweeps(app)
    app.edit(SERVICE, "@release", endpoints={A, endpoint_id(2)})
    sweeps(app)
    assert (app.known(A).status, told(app), app.known(A).contradiction) == (Status.CUT, [], "")


def test_what_ec2_refuses_for_longer_than_a_sweep_is_told_in_its_words() -> None:
    app = live()
    app.world.forbidden.add(SERVICE)
    app.connect(endpoint_id(2))
    sweeps(app, 1)
    assert told(app) == []
    sweeps(app, 2)
    assert told(app) == [(endpoint_id(2), "allowed_not_live")]
    assert "UnauthorizedOperation" in app.bus.published[-1][1]["cause"]
    assert counted(app.settle()) == 0  # the alarm on refusals counts it


def test_what_ec2_refuses_is_told_by_no_sweep_that_sees_it_for_the_first_time() -> None:
    app = live()
    app.world.forbidden.add(SERVICE)
    app.connect(endpoint_id(2))
    app.work(10)
    app.sweeper.sweep("a sweep")
    assert (told(app), app.known(endpoint_id(2)).contradicted_at) == ([], app.world.now)


def test_a_throttle_contradicts_nothing_however_long_it_lasts() -> None:
    app = live()
    app.world.refusals[endpoint_id(2)] = [Refusal("RequestLimitExceeded", "slow down") for _ in range(9999)]
    app.connect(endpoint_id(2))
    sweeps(app)
    assert app.known(endpoint_id(2)).refusal
    assert told(app) == []


def test_under_report_nobody_waits_for_the_next_sweep_to_be_told() -> None:
    app = live(reconcile="report")
    app.delete(SERVICE, CONSUMER)
    app.work(90)
    assert told(app) == [(A, "live_not_allowed")]


def test_many_at_once_are_one_message() -> None:
    app = live(MOST_ALONE + 1, reconcile="report")
    app.delete(SERVICE, CONSUMER)
    sweeps(app)
    assert len(told(app)) == MOST_ALONE + 1
    assert app.bus.kinds().count(DIGEST) == 1


def test_a_message_that_the_bus_did_not_take_is_sent_by_the_next_sweep() -> None:
    app = live()
    app.edit(SERVICE, CONSUMER, effect="deny")
    app.work(120)
    app.bus.published.clear()
    app.ledger.alter(A, contradiction="", contradiction_told=False)
    app.bus.refusal = RuntimeError("gone")
    assert app.sweeper.sweep("a sweep").failed
    assert app.known(A).contradiction == ""
    sweeps(app, 1)
    assert told(app) == [(A, "live_not_allowed")]


def test_settings_that_cannot_be_read_end_nothing() -> None:
    app = rejected()
    app.edit(SERVICE, "@settings", mode="enforced")
    sweeps(app)
    assert (told(app), app.known(A).contradiction) == ([(A, "allowed_not_live")], "allowed_not_live")


def test_each_services_contradictions_are_a_metric_of_whole_sweeps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    written = list[tuple[str, ...]]()
    monkeypatch.setattr("linkgate.metrics.emit", lambda stack, counts, service="": written.append((*counts, service)))
    app = live(reconcile="off")
    app.edit(SERVICE, CONSUMER, effect="deny")
    result = sweeps(app).settle()
    report.emit(replace(result, whole=False), "linkgate")
    assert ("Contradictions", SERVICE) not in written
    report.emit(result, "linkgate")
    assert ("Contradictions", SERVICE) in written
