"""The sweep finds what no bell said, and sends bells for nothing else."""

from contextlib import nullcontext

import pytest
from linkgate.aws.errors import Refusal
from linkgate.errors import Unavailable
from linkgate.events.bell import Bell
from linkgate.events.catalog import UNPROBED
from linkgate.events.digest import MOST_ALONE
from linkgate.model import Outcome, RowKey, State, Status
from linkgate.policy.rows import key_of
from linkgate.sweep import compare
from linkgate.sweep.sweeper import SweepResult

from tests import gallery
from tests.application import SERVICE, TOPIC, Application
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

A, B, C = endpoint_id(1), endpoint_id(2), endpoint_id(3)
SECOND = service_id(2)


@pytest.fixture
def app() -> Application:
    """An application whose table allows CONSUMER and denies OTHER on every service."""
    made = Application()
    made.allow_list.put("*", CONSUMER, effect="allow")
    made.allow_list.put("*", OTHER, effect="deny")
    return made


def settled(app: Application) -> None:
    """Every bell that was sent, what it led to, and what was published."""
    app.settle()
    app.work(120)
    app.settle()


def requeued(app: Application) -> set[str]:
    """The endpoints that one sweep rings for."""
    app.sweeper.sweep("a sweep")
    return {endpoint for bell in app.bells.take() for endpoint in bell.endpoints}


def pending(finding: SweepResult) -> int:
    return finding.sum(lambda found: found.pending)


def stale(finding: SweepResult) -> int:
    return finding.sum(lambda found: found.stale)


def refused(finding: SweepResult) -> int:
    return finding.sum(lambda found: found.refused)


def rung_by(finding: SweepResult) -> int:
    """How many endpoints a sweep rang for."""
    return finding.sum(lambda found: found.requeued)


# ------------------------------------------------------------------ what differs


def test_a_connection_whose_events_were_all_lost_is_accepted(app: Application) -> None:
    app.world.connect(A, SERVICE)
    finding = app.settle()
    app.work(10)
    assert app.state(A) is State.AVAILABLE
    assert finding.services.keys() == {SERVICE}
    assert (pending(finding), rung_by(finding)) == (1, 1)
    assert app.ledger.lines(A)[0].rang == "sweep"


def test_where_nothing_differs_nothing_is_rung(app: Application) -> None:
    app.world.connect(A, SERVICE)
    app.world.connect(B, SERVICE, OTHER)
    app.world.connect(C, SERVICE, "444444444444")
    settled(app)
    finding = app.sweeper.sweep("a sweep")
    assert (rung_by(finding), pending(finding)) == (0, 1)
    assert app.bells.queue == []


@pytest.mark.parametrize("settings", [{"mode": "observe"}, {}])
def test_where_a_service_is_only_observed_nothing_is_rung_twice(app: Application, settings: dict[str, str]) -> None:
    app.allow_list.put(SERVICE, "@settings", **settings)
    app.world.connect(A, SERVICE)
    settled(app)
    assert requeued(app) == set()


def test_a_held_connection_is_rung_for_when_its_row_appears_changes_or_goes(app: Application) -> None:
    account = "444444444444"
    app.world.connect(A, SERVICE, account)
    settled(app)
    app.allow_list.put(SERVICE, account, effect="review")
    assert requeued(app) == {A}
    settled(app)
    app.allow_list.put(SERVICE, account, effect="review", note="still looking")
    assert requeued(app) == {A}
    settled(app)
    app.allow_list.delete(SERVICE, account)
    assert requeued(app) == {A}


@pytest.mark.parametrize(
    ("consumer", "attributes"),
    [
        (CONSUMER, {"effect": "allow", "starts_at": "2026-11-23T04:00:00Z"}),
        ("@settings", {"mode": "enforce", "frozen_until": "2026-11-23T04:00:00Z"}),
    ],
)
def test_a_held_connection_is_accepted_when_its_time_comes(
    app: Application, consumer: str, attributes: dict[str, str]
) -> None:
    app.allow_list.delete("*", CONSUMER)
    app.allow_list.put(SERVICE, CONSUMER, effect="allow")
    app.allow_list.put(SERVICE, consumer, **attributes)
    app.connect(A)
    app.work(600)
    app.settle()
    assert app.state(A) is State.PENDING_ACCEPTANCE
    app.world.advance(3600)
    app.settle()
    assert app.state(A) is State.PENDING


def test_a_decision_that_ec2_refused_is_rung_for_again(app: Application) -> None:
    app.world.refusals[A] = [Refusal("InternalError", "sorry")]
    app.world.connect(A, SERVICE)
    app.settle()
    app.world.advance(1)
    assert requeued(app) == set()
    app.world.advance(1)
    assert requeued(app) == {A}


def test_connections_that_ec2_refuses_to_act_on_are_counted_while_they_wait(app: Application) -> None:
    app.world.refusals[A] = [Refusal("InternalError", "sorry")]
    app.world.connect(A, SERVICE)
    app.world.connect(B, SERVICE, "444444444444")
    found = []
    for _ in range(3):
        found.append(refused(app.settle()))
        app.world.advance(1)
    assert found == [0, 1, 1]
    assert refused(app.settle()) == 0


def test_a_connection_that_changed_behind_our_back_is_rung_for(app: Application) -> None:
    for endpoint in (A, B, C):
        app.world.connect(endpoint, SERVICE)
    settled(app)
    app.world.turn(A, State.REJECTED)
    app.world.turn(B, State.DELETED)
    app.world.forget(C)
    assert requeued(app) == {A, B, C}
    settled(app)
    expected = {A: Status.REJECTED, B: Status.CLOSED, C: Status.CLOSED}
    assert {endpoint: app.known(endpoint).status for endpoint in (A, B, C)} == expected
    assert requeued(app) == set()


def test_a_connection_accepted_by_hand_before_we_knew_it_is_rung_for(app: Application) -> None:
    app.world.connect(A, SERVICE, OTHER, state=State.AVAILABLE)
    settled(app)
    assert (app.state(A), app.known(A).status) == (State.AVAILABLE, Status.ACCEPTED)
    assert app.world.asked == []


def test_an_endpoint_that_was_gone_before_we_knew_it_is_not_worth_a_bell(app: Application) -> None:
    app.world.connect(A, SERVICE, state=State.DELETED)
    assert requeued(app) == set()


def test_a_state_that_nobody_has_heard_of_is_named_at_every_sweep_and_rung_for_once(app: Application) -> None:
    app.world.connect(A, SERVICE, state=State.UNKNOWN)
    settled(app)
    assert app.known(A).status is Status.HELD
    assert (app.known(A).state, app.known(A).raw_state) == (State.UNKNOWN, "hibernating")
    assert requeued(app) == set()
    assert app.sweeper.sweep("a sweep").services[SERVICE].unknown == {A: "hibernating"}


def test_another_word_that_nobody_knows_is_recorded_and_a_known_state_takes_it_away(app: Application) -> None:
    app.world.connect(A, SERVICE, state=State.UNKNOWN)
    settled(app)
    app.world.links[A].raw_state = "thawing"
    settled(app)
    assert (app.known(A).status, app.known(A).raw_state) == (Status.HELD, "thawing")
    app.world.turn(A, State.AVAILABLE)
    settled(app)
    assert (app.known(A).state, app.known(A).raw_state) == (State.AVAILABLE, "")


# ------------------------------------------------------------------ services that are gone


def test_live_endpoints_of_a_service_that_is_gone_are_closed(app: Application) -> None:
    app.world.connect(A, SERVICE, state=State.AVAILABLE)
    settled(app)
    app.settle()
    assert app.known(A).status is Status.ACCEPTED
    del app.world.services[SERVICE]
    app.world.forget(A)
    app.sweeper.sweep("a sweep")
    app.bells.take()  # and lost
    app.settle()
    app.work(60)
    assert app.known(A).status is Status.CLOSED
    app.settle()
    assert requeued(app) == set()


@pytest.mark.parametrize("state", [state for state in State if state.gone])
def test_live_endpoints_that_ec2_shows_as_gone_with_their_service_are_closed(app: Application, state: State) -> None:
    app.world.connect(A, SERVICE, state=State.AVAILABLE)
    settled(app)
    app.settle()
    del app.world.services[SERVICE]
    app.world.turn(A, state)
    app.settle()
    app.work(60)
    assert app.known(A).status is Status.CLOSED


def test_live_endpoints_of_a_service_that_lost_its_tag_stay_what_they_are(app: Application) -> None:
    app.world.connect(A, SERVICE, state=State.AVAILABLE)
    settled(app)
    app.settle()
    app.world.services[SERVICE].managed = False
    for _ in range(4):
        assert requeued(app) == set()
        app.work(60)
    assert app.known(A).status is Status.ACCEPTED


def test_endpoints_of_a_service_that_lost_its_tag_are_verified_no_more_after_an_hour(app: Application) -> None:
    app.world.connect(A, SERVICE, state=State.AVAILABLE)
    settled(app)
    app.settle()
    app.round()
    assert app.known(A).status is Status.VERIFIED
    app.world.services[SERVICE].managed = False
    app.world.advance(3000)
    app.settle()
    assert app.known(A).status is Status.VERIFIED
    app.world.advance(1200)
    app.settle()
    app.settle()
    assert (app.known(A).status, app.known(A).health["detail"]) == (Status.ACCEPTED, "its service is managed no more")
    assert app.bus.kinds(A).count("Endpoint Unprobed") == 1


def verified(app: Application) -> None:
    app.world.connect(A, SERVICE, state=State.AVAILABLE)
    settled(app)
    app.settle()
    app.round()
    assert app.known(A).status is Status.VERIFIED


@pytest.mark.parametrize("managed", [True, False])
def test_while_ec2_describes_no_connections_nobody_is_verified_for_ever(
    app: Application, managed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable() -> None:
        raise Unavailable("no route")

    verified(app)
    app.world.services[SERVICE].managed = managed
    monkeypatch.setattr(app.world, "shown", unavailable)
    for _ in range(2):
        app.world.advance(3000)
        assert app.sweeper.sweep("a sweep").failed
        with pytest.raises(Unavailable) if managed else nullcontext():
            app.round()
    assert app.known(A).status is Status.ACCEPTED
    why = "no round of patrol got to it" if managed else "its service is managed no more"
    assert app.known(A).health["detail"] == why
    assert app.bus.kinds(A).count("Endpoint Unprobed") == 1


def test_while_ec2_describes_no_services_nobody_is_verified_for_ever_either(app: Application) -> None:
    verified(app)
    app.world.silence = Unavailable("no route")
    for status in (Status.VERIFIED, Status.ACCEPTED):
        app.world.advance(3000)
        with pytest.raises(Unavailable):
            app.sweeper.sweep("a sweep")
        assert app.known(A).status is status
    assert app.known(A).health["detail"] == "no round of patrol got to it"


def test_a_look_calls_some_of_many_verified_no_more_and_the_next_one_the_rest(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "MOST_FORGOTTEN", 2)
    for endpoint in (A, B, C):
        app.world.connect(endpoint, SERVICE, state=State.AVAILABLE)
    settled(app)
    app.round()
    app.world.advance(6000)
    for verified in (1, 0):
        app.sweeper.sweep("a sweep")
        assert [app.known(one).status for one in (A, B, C)].count(Status.VERIFIED) == verified


def test_many_that_a_look_calls_verified_no_more_are_one_message(app: Application) -> None:
    for number in range(1, MOST_ALONE + 2):
        app.world.connect(endpoint_id(number), SERVICE, state=State.AVAILABLE)
    settled(app)
    app.round()
    app.world.advance(6000)
    app.bus.published.clear()
    app.sweeper.sweep("a sweep")
    unprobed = [detail for kind, detail in app.bus.published if kind == UNPROBED]
    assert (len(unprobed), all("grouped" in one for one in unprobed)) == (MOST_ALONE + 1, True)
    assert app.bus.kinds().count("Events Grouped") == 1


def test_where_patrol_goes_its_rounds_a_sweep_leaves_health_to_it(app: Application) -> None:
    verified(app)
    for _ in range(12):
        app.world.advance(1200)
        app.round()
        assert app.sweeper.sweep("a sweep").failed == {}
    assert (app.known(A).status, app.bus.kinds(A).count("Endpoint Unprobed")) == (Status.VERIFIED, 0)


def test_a_sweep_acts_on_nothing_itself(app: Application) -> None:
    app.world.connect(A, SERVICE)
    app.world.connect(B, SERVICE, OTHER)
    app.sweeper.sweep("a sweep")
    assert (app.world.asked, app.ledger.currents) == ([], {})


def test_a_bell_names_its_service_and_five_hundred_endpoints_at_most(app: Application) -> None:
    for number in range(1100):
        app.world.connect(endpoint_id(number), SERVICE)
    finding = app.sweeper.sweep("a sweep")
    bells = app.bells.take()
    assert rung_by(finding) == 1100
    assert [len(bell.endpoints) for bell in bells] == [500, 500, 100]
    assert {bell.services for bell in bells} == {frozenset({SERVICE})}


# ------------------------------------------------------------------ which services


def test_only_managed_services_are_looked_at(app: Application) -> None:
    app.world.offer(SECOND, managed=False)
    app.world.connect(A, SECOND)
    assert app.sweeper.sweep("a sweep").services.keys() == {SERVICE}
    assert app.bells.take() == []
    assert app.world.services[SECOND].topics == {}


@pytest.mark.parametrize("gateway", [True, False])
def test_a_service_behind_gateway_load_balancers_is_swept_and_asked_for_no_notification(
    app: Application, gateway: bool
) -> None:
    app.world.offer(SECOND, gateway=gateway)
    app.world.connect(A, SECOND)
    finding = app.sweeper.sweep("a sweep")
    assert [bell.endpoints for bell in app.bells.take()] == [{A}]
    assert (finding.configuration.misconfigured, bool(app.world.services[SECOND].topics)) == ({}, not gateway)


@pytest.fixture
def two_services(app: Application) -> Application:
    app.world.offer(SECOND)
    app.world.connect(A, SERVICE)
    app.world.connect(B, SECOND)
    return app


@pytest.mark.parametrize(
    ("edited", "expected"),
    [({SERVICE}, {A}), ({SECOND}, {B}), ({"*"}, {A, B}), ({service_id(3)}, set()), (set(), set())],
)
def test_an_edit_looks_at_the_services_that_it_touches(
    two_services: Application, edited: set[str], expected: set[str]
) -> None:
    finding = two_services.sweeper.edited({RowKey(service, CONSUMER): None for service in edited}, "an edit")
    assert {endpoint for bell in two_services.bells.take() for endpoint in bell.endpoints} == expected
    assert len(finding.services) == len(expected)


@pytest.mark.parametrize("broken", [SERVICE, SECOND])
@pytest.mark.parametrize("whole", [True, False])
def test_what_fails_at_one_service_does_not_stop_the_others(
    two_services: Application, broken: str, whole: bool
) -> None:
    two_services.ledger.store.refuses[broken] = RuntimeError("nobody thought of it")
    sweeper, every = two_services.sweeper, RowKey("*", CONSUMER)
    finding = (
        sweeper.sweep("a sweep") if whole else sweeper.edited({every: two_services.allow_list.table[every]}, "an edit")
    )
    assert {name: str(error) for name, error in finding.failed.items()} == {broken: "nobody thought of it"}
    rung_for = {endpoint for bell in two_services.bells.take() for endpoint in bell.endpoints}
    assert rung_for == ({A, B} - {A if broken == SERVICE else B})


# ------------------------------------------------------------------ pending and stale


def test_requests_that_wait_are_counted_and_those_that_wait_too_long(app: Application) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", stale_after="1h")
    app.world.connect(A, SERVICE, "444444444444")
    app.world.advance(3000)
    app.world.connect(B, SERVICE, "444444444444")
    found = []
    for seconds in (600, 1, 3000):
        app.world.advance(seconds)
        finding = app.sweeper.sweep("a sweep")
        found.append((pending(finding), stale(finding)))
    assert found == [(2, 0), (2, 1), (2, 2)]


def test_without_settings_a_request_is_stale_after_three_days(app: Application) -> None:
    app.allow_list.delete(SERVICE, "@settings")
    app.world.connect(A, SERVICE)
    app.world.advance(3 * 86400)
    assert stale(app.sweeper.sweep("a sweep")) == 0
    app.world.advance(1)
    assert stale(app.sweeper.sweep("a sweep")) == 1


def test_a_patience_of_a_hundred_thousand_years_does_not_end_the_sweep(app: Application) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", stale_after="36500000d")
    app.world.connect(A, SERVICE)
    assert stale(app.sweeper.sweep("a sweep")) == 0


# ------------------------------------------------------------------ gates and rows


def test_an_unwired_service_is_wired(app: Application) -> None:
    finding = app.sweeper.sweep("a sweep")
    assert app.world.services[SERVICE].topics == {TOPIC: True}
    assert finding.configuration.misconfigured == {}


def test_what_leaves_a_gate_open_is_told_when_it_changes_and_counted_while_it_lasts(app: Application) -> None:
    counts = []
    for required in (True, False, False, True, True):
        app.world.services[SERVICE].acceptance_required = required
        counts.append(len(app.sweeper.sweep("a sweep").configuration.misconfigured))
    assert counts == [0, 1, 1, 0, 0]
    problem = "AcceptanceRequired is off: EC2 accepts every connection by itself"
    told = [(kind, detail["service_id"], detail["problems"]) for kind, detail in app.bus.published]
    assert told == [
        ("Endpoint Service Misconfigured", SERVICE, [problem]),
        ("Endpoint Service Misconfigured", SERVICE, []),
    ]


def test_a_problem_of_a_gate_that_could_not_be_told_is_told_by_the_next_sweep(app: Application) -> None:
    app.world.services[SERVICE].acceptance_required = False
    app.world.connect(A, SERVICE)
    app.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    finding = app.sweeper.sweep("a sweep")
    assert (set(finding.failed), rung_by(finding)) == ({"what is wrong with services"}, 1)
    assert app.bus.published == []
    assert app.sweeper.sweep("a sweep").failed == {}
    assert app.bus.kinds() == ["Endpoint Service Misconfigured"]


def test_a_notification_that_is_disabled_is_a_problem_of_its_gate(app: Application) -> None:
    app.world.services[SERVICE].topics[TOPIC] = False
    finding = app.sweeper.sweep("a sweep")
    assert finding.configuration.misconfigured == {
        SERVICE: ("its connection notification is disabled or does not carry every event",)
    }


def test_an_edit_of_the_table_does_not_look_at_gates(app: Application) -> None:
    app.world.services[SERVICE].acceptance_required = False
    assert app.edit(SERVICE, CONSUMER, effect="allow").configuration.misconfigured == {}
    assert app.world.services[SERVICE].topics == {}


def test_a_malformed_row_that_holds_somebody_is_found(app: Application) -> None:
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", expires="2027-01-01T00:00:00Z")
    app.world.connect(A, SERVICE)
    app.world.connect(B, SERVICE)
    finding = app.sweeper.sweep("a sweep")
    assert finding.malformed.keys() == {f"{SERVICE}/{CONSUMER}"}
    assert "attribute 'expires' is not known here" in finding.malformed[f"{SERVICE}/{CONSUMER}"]


def test_edited_rows_that_cannot_be_read_are_told_and_named(app: Application) -> None:
    changes = {key_of(row): row for row in gallery.malformed().values()}
    found = app.sweeper.edited(changes, "an edit").malformed
    (_, digest), *each = app.bus.published
    assert digest["count"] == len(changes)
    told = [(kind, detail["row"], detail["attribute"], detail["problem"]) for kind, detail in each]
    assert len(told) == len(changes)
    assert {kind for kind, *_ in told} == {"Allow List Row Invalid"}
    assert {row: f"row {row}: {problem}" for _, row, _, problem in told} == found


def test_malformed_settings_are_found_even_if_nobody_waits(app: Application) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="sometimes")
    finding = app.sweeper.sweep("a sweep")
    assert finding.malformed.keys() == {f"{SERVICE}/@settings"}
    assert finding.malformed[f"{SERVICE}/@settings"].startswith(f"row {SERVICE}/@settings: ")
    app.world.connect(A, SERVICE)
    assert app.sweeper.sweep("a sweep").malformed == finding.malformed


def test_malformed_settings_of_every_service_are_one_row(two_services: Application) -> None:
    two_services.allow_list.put("*", "@settings", mode="sometimes")
    assert two_services.sweeper.sweep("a sweep").malformed.keys() == {"*/@settings"}


def test_edited_rows_that_can_be_read_are_not_worth_a_word(app: Application) -> None:
    assert app.sweeper.edited(app.allow_list.table, "an edit").malformed == {}
    assert app.bus.published == []


def test_the_sweep_and_a_bell_at_the_same_time_act_once(app: Application) -> None:
    app.connect(A)
    app.sweeper.sweep("a sweep")
    assert len(app.bells.waiting()) == 2
    app.work(600)
    assert app.world.asked == [(Outcome.ACCEPT, A)]
    assert app.bus.kinds(A) == ["Endpoint Connection Accepted"]


def test_what_the_sweep_rings_says_what_rang(app: Application) -> None:
    app.world.connect(A, SERVICE)
    app.sweeper.sweep("a sweep")
    app.edit(SERVICE, OTHER, effect="allow")
    requeued = [Bell(frozenset({A}), frozenset({SERVICE}), origin) for origin in ("sweep", "allow-list edited")]
    assert app.bells.waiting() == requeued


def test_a_sweep_counts_who_stands_where(app: Application) -> None:
    for endpoint, account in ((A, CONSUMER), (B, OTHER), (C, "444444444444")):
        app.connect(endpoint, account)
    app.work()
    statuses = app.sweeper.sweep("a sweep").services[SERVICE].statuses
    assert statuses == {Status.ACCEPTED: 1, Status.REJECTED: 1, Status.HELD: 1}
