"""The sweep finds what no bell told, and rings for nothing else."""

import pytest
from linkgate.bell import Bell
from linkgate.connections import Refusal
from linkgate.errors import Unavailable
from linkgate.model import Outcome, RowKey, State, Status
from linkgate.rows import key_of
from linkgate.sweep import Finding

from tests import gallery
from tests.simulation import SERVICE, TOPIC, House
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

A, B, C = endpoint_id(1), endpoint_id(2), endpoint_id(3)
SECOND = service_id(2)


@pytest.fixture
def house() -> House:
    """A house whose table allows CONSUMER and denies OTHER on every service."""
    made = House()
    made.allow_list.put("*", CONSUMER, effect="allow")
    made.allow_list.put("*", OTHER, effect="deny")
    return made


def settled(house: House) -> None:
    """Everything rung for, answered, and told."""
    house.settle()
    house.work(120)
    house.settle()


def rung(house: House) -> set[str]:
    """The endpoints that one sweep rings for."""
    house.sweeper.sweep("a sweep")
    return {endpoint for bell in house.bells.take() for endpoint in bell.endpoints}


def pending(finding: Finding) -> int:
    return finding.sum(lambda found: found.pending)


def stale(finding: Finding) -> int:
    return finding.sum(lambda found: found.stale)


def refused(finding: Finding) -> int:
    return finding.sum(lambda found: found.refused)


def rung_by(finding: Finding) -> int:
    """How many endpoints a sweep rang for."""
    return finding.sum(lambda found: found.rung)


# ------------------------------------------------------------------ what differs


def test_a_connection_whose_events_were_all_lost_is_accepted(house: House) -> None:
    house.world.connect(A, SERVICE)
    finding = house.settle()
    house.work(10)
    assert house.state(A) is State.AVAILABLE
    assert finding.services.keys() == {SERVICE}
    assert (pending(finding), rung_by(finding)) == (1, 1)
    assert house.ledger.lines(A)[0].rang == "sweep"


def test_where_nothing_differs_nothing_is_rung(house: House) -> None:
    house.world.connect(A, SERVICE)
    house.world.connect(B, SERVICE, OTHER)
    house.world.connect(C, SERVICE, "444444444444")
    settled(house)
    finding = house.sweeper.sweep("a sweep")
    assert (rung_by(finding), pending(finding)) == (0, 1)
    assert house.bells.queue == []


@pytest.mark.parametrize("settings", [{"mode": "observe"}, {}])
def test_where_a_service_is_only_observed_nothing_is_rung_twice(house: House, settings: dict[str, str]) -> None:
    house.allow_list.put(SERVICE, "@settings", **settings)
    house.world.connect(A, SERVICE)
    settled(house)
    assert rung(house) == set()


def test_a_held_connection_is_rung_for_when_its_row_appears_changes_or_goes(house: House) -> None:
    account = "444444444444"
    house.world.connect(A, SERVICE, account)
    settled(house)
    house.allow_list.put(SERVICE, account, effect="review")
    assert rung(house) == {A}
    settled(house)
    house.allow_list.put(SERVICE, account, effect="review", note="still looking")
    assert rung(house) == {A}
    settled(house)
    house.allow_list.delete(SERVICE, account)
    assert rung(house) == {A}


@pytest.mark.parametrize(
    ("consumer", "attributes"),
    [
        (CONSUMER, {"effect": "allow", "starts_at": "2026-11-23T04:00:00Z"}),
        ("@settings", {"mode": "enforce", "frozen_until": "2026-11-23T04:00:00Z"}),
    ],
)
def test_a_held_connection_is_accepted_when_its_time_comes(
    house: House, consumer: str, attributes: dict[str, str]
) -> None:
    house.allow_list.delete("*", CONSUMER)
    house.allow_list.put(SERVICE, CONSUMER, effect="allow")
    house.allow_list.put(SERVICE, consumer, **attributes)
    house.connect(A)
    house.work(600)
    house.settle()
    assert house.state(A) is State.PENDING_ACCEPTANCE
    house.world.advance(3600)
    house.settle()
    assert house.state(A) is State.PENDING


def test_a_decision_that_ec2_refused_is_rung_for_again(house: House) -> None:
    house.world.refusals[A] = [Refusal("InternalError", "sorry")]
    house.world.connect(A, SERVICE)
    house.settle()
    house.world.advance(1)
    assert rung(house) == set()
    house.world.advance(1)
    assert rung(house) == {A}


def test_connections_that_ec2_refuses_to_act_on_are_counted_while_they_wait(house: House) -> None:
    house.world.refusals[A] = [Refusal("InternalError", "sorry")]
    house.world.connect(A, SERVICE)
    house.world.connect(B, SERVICE, "444444444444")
    found = []
    for _ in range(3):
        found.append(refused(house.settle()))
        house.world.advance(1)
    assert found == [0, 1, 1]
    assert refused(house.settle()) == 0


def test_a_connection_that_changed_behind_our_back_is_rung_for(house: House) -> None:
    for endpoint in (A, B, C):
        house.world.connect(endpoint, SERVICE)
    settled(house)
    house.world.turn(A, State.REJECTED)
    house.world.turn(B, State.DELETED)
    house.world.forget(C)
    assert rung(house) == {A, B, C}
    settled(house)
    expected = {A: Status.REJECTED, B: Status.CLOSED, C: Status.CLOSED}
    assert {endpoint: house.known(endpoint).status for endpoint in (A, B, C)} == expected
    assert rung(house) == set()


def test_a_connection_accepted_by_hand_before_we_knew_it_is_rung_for(house: House) -> None:
    house.world.connect(A, SERVICE, OTHER, state=State.AVAILABLE)
    settled(house)
    assert (house.state(A), house.known(A).status) == (State.AVAILABLE, Status.ACCEPTED)
    assert house.world.asked == []


def test_an_endpoint_that_was_gone_before_we_knew_it_is_not_worth_a_bell(house: House) -> None:
    house.world.connect(A, SERVICE, state=State.DELETED)
    assert rung(house) == set()


def test_a_state_that_nobody_has_heard_of_is_not_rung_for_at_every_sweep(house: House) -> None:
    house.world.connect(A, SERVICE, state=State.UNKNOWN)
    settled(house)
    assert rung(house) == set()


def test_a_sweep_acts_on_nothing_itself(house: House) -> None:
    house.world.connect(A, SERVICE)
    house.world.connect(B, SERVICE, OTHER)
    house.sweeper.sweep("a sweep")
    assert (house.world.asked, house.ledger.currents) == ([], {})


def test_a_bell_names_its_service_and_a_hundred_endpoints_at_most(house: House) -> None:
    for number in range(250):
        house.world.connect(endpoint_id(number), SERVICE)
    finding = house.sweeper.sweep("a sweep")
    bells = house.bells.take()
    assert rung_by(finding) == 250
    assert [len(bell.endpoints) for bell in bells] == [100, 100, 50]
    assert {bell.services for bell in bells} == {frozenset({SERVICE})}


# ------------------------------------------------------------------ which services


def test_only_managed_services_are_looked_at(house: House) -> None:
    house.world.offer(SECOND, managed=False)
    house.world.connect(A, SECOND)
    assert house.sweeper.sweep("a sweep").services.keys() == {SERVICE}
    assert house.bells.take() == []
    assert house.world.services[SECOND].topics == {}


@pytest.fixture
def two_services(house: House) -> House:
    house.world.offer(SECOND)
    house.world.connect(A, SERVICE)
    house.world.connect(B, SECOND)
    return house


@pytest.mark.parametrize(
    ("edited", "expected"),
    [({SERVICE}, {A}), ({SECOND}, {B}), ({"*"}, {A, B}), ({service_id(3)}, set()), (set(), set())],
)
def test_an_edit_looks_at_the_services_that_it_touches(
    two_services: House, edited: set[str], expected: set[str]
) -> None:
    finding = two_services.sweeper.edited({RowKey(service, CONSUMER): None for service in edited}, "an edit")
    assert {endpoint for bell in two_services.bells.take() for endpoint in bell.endpoints} == expected
    assert len(finding.services) == len(expected)


@pytest.mark.parametrize("broken", [SERVICE, SECOND])
@pytest.mark.parametrize("whole", [True, False])
def test_what_fails_at_one_service_does_not_stop_the_others(two_services: House, broken: str, whole: bool) -> None:
    two_services.world.hidden[broken] = RuntimeError("nobody thought of it")
    sweeper, every = two_services.sweeper, RowKey("*", CONSUMER)
    finding = (
        sweeper.sweep("a sweep") if whole else sweeper.edited({every: two_services.allow_list.table[every]}, "an edit")
    )
    assert {name: str(error) for name, error in finding.failed.items()} == {broken: "nobody thought of it"}
    rung_for = {endpoint for bell in two_services.bells.take() for endpoint in bell.endpoints}
    assert rung_for == ({A, B} - {A if broken == SERVICE else B})


# ------------------------------------------------------------------ pending and stale


def test_requests_that_wait_are_counted_and_those_that_wait_too_long(house: House) -> None:
    house.allow_list.put(SERVICE, "@settings", mode="enforce", stale_after="1h")
    house.world.connect(A, SERVICE, "444444444444")
    house.world.advance(3000)
    house.world.connect(B, SERVICE, "444444444444")
    found = []
    for seconds in (600, 1, 3000):
        house.world.advance(seconds)
        finding = house.sweeper.sweep("a sweep")
        found.append((pending(finding), stale(finding)))
    assert found == [(2, 0), (2, 1), (2, 2)]


def test_without_settings_a_request_is_stale_after_three_days(house: House) -> None:
    house.allow_list.delete(SERVICE, "@settings")
    house.world.connect(A, SERVICE)
    house.world.advance(3 * 86400)
    assert stale(house.sweeper.sweep("a sweep")) == 0
    house.world.advance(1)
    assert stale(house.sweeper.sweep("a sweep")) == 1


def test_a_patience_of_a_hundred_thousand_years_does_not_end_the_sweep(house: House) -> None:
    house.allow_list.put(SERVICE, "@settings", mode="enforce", stale_after="36500000d")
    house.world.connect(A, SERVICE)
    assert stale(house.sweeper.sweep("a sweep")) == 0


# ------------------------------------------------------------------ gates and rows


def test_an_unwired_service_is_wired(house: House) -> None:
    finding = house.sweeper.sweep("a sweep")
    assert house.world.services[SERVICE].topics == {TOPIC: True}
    assert finding.gates.misconfigured == {}


def test_what_leaves_a_gate_open_is_told_when_it_changes_and_counted_while_it_lasts(house: House) -> None:
    counts = []
    for required in (True, False, False, True, True):
        house.world.services[SERVICE].acceptance_required = required
        counts.append(len(house.sweeper.sweep("a sweep").gates.misconfigured))
    assert counts == [0, 1, 1, 0, 0]
    problem = "AcceptanceRequired is off: EC2 accepts every connection by itself"
    assert set(house.bus.kinds()) == {"Endpoint Service Misconfigured"}
    told = [(detail["service_id"], detail["problems"]) for _, detail in house.bus.told]
    assert told == [(SERVICE, [problem]), (SERVICE, [])]


def test_a_problem_of_a_gate_that_could_not_be_told_is_told_by_the_next_sweep(house: House) -> None:
    house.world.services[SERVICE].acceptance_required = False
    house.world.connect(A, SERVICE)
    house.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    finding = house.sweeper.sweep("a sweep")
    assert (set(finding.failed), rung_by(finding)) == ({f"the gate of {SERVICE}"}, 1)
    assert house.bus.told == []
    assert house.sweeper.sweep("a sweep").failed == {}
    assert house.bus.kinds() == ["Endpoint Service Misconfigured"]


def test_a_notification_that_is_disabled_is_a_problem_of_its_gate(house: House) -> None:
    house.world.services[SERVICE].topics[TOPIC] = False
    finding = house.sweeper.sweep("a sweep")
    assert finding.gates.misconfigured == {
        SERVICE: ("its connection notification is disabled or does not carry every event",)
    }


def test_an_edit_of_the_table_does_not_look_at_gates(house: House) -> None:
    house.world.services[SERVICE].acceptance_required = False
    assert house.edit(SERVICE, CONSUMER, effect="allow").gates.misconfigured == {}
    assert house.world.services[SERVICE].topics == {}


def test_a_malformed_row_that_holds_somebody_is_found(house: House) -> None:
    house.allow_list.put(SERVICE, CONSUMER, effect="allow", expires="2027-01-01T00:00:00Z")
    house.world.connect(A, SERVICE)
    house.world.connect(B, SERVICE)
    finding = house.sweeper.sweep("a sweep")
    assert finding.malformed.keys() == {f"{SERVICE}/{CONSUMER}"}
    assert "attribute 'expires' is not known here" in finding.malformed[f"{SERVICE}/{CONSUMER}"]


def test_edited_rows_that_cannot_be_read_are_told_and_named(house: House) -> None:
    changes = {key_of(row): row for row in gallery.malformed().values()}
    found = house.sweeper.edited(changes, "an edit").malformed
    told = [(kind, detail["row"], detail["attribute"], detail["problem"]) for kind, detail in house.bus.told]
    assert len(told) == len(changes)
    assert {kind for kind, *_ in told} == {"Allow List Row Invalid"}
    assert {row: f"row {row}: {problem}" for _, row, _, problem in told} == found


def test_malformed_settings_are_found_even_if_nobody_waits(house: House) -> None:
    house.allow_list.put(SERVICE, "@settings", mode="sometimes")
    finding = house.sweeper.sweep("a sweep")
    assert finding.malformed.keys() == {f"{SERVICE}/@settings"}
    assert finding.malformed[f"{SERVICE}/@settings"].startswith(f"row {SERVICE}/@settings: ")
    house.world.connect(A, SERVICE)
    assert house.sweeper.sweep("a sweep").malformed == finding.malformed


def test_malformed_settings_of_every_service_are_one_row(two_services: House) -> None:
    two_services.allow_list.put("*", "@settings", mode="sometimes")
    assert two_services.sweeper.sweep("a sweep").malformed.keys() == {"*/@settings"}


def test_edited_rows_that_can_be_read_are_not_worth_a_word(house: House) -> None:
    assert house.sweeper.edited(house.allow_list.table, "an edit").malformed == {}
    assert house.bus.told == []


def test_the_sweep_and_a_bell_at_the_same_time_act_once(house: House) -> None:
    house.connect(A)
    house.sweeper.sweep("a sweep")
    assert len(house.bells.waiting()) == 2
    house.work(600)
    assert house.world.asked == [(Outcome.ACCEPT, A)]
    assert house.bus.kinds(A) == ["Endpoint Connection Accepted"]


def test_what_the_sweep_rings_says_what_rang(house: House) -> None:
    house.world.connect(A, SERVICE)
    house.sweeper.sweep("a sweep")
    house.edit(SERVICE, OTHER, effect="allow")
    rung = [Bell(frozenset({A}), frozenset({SERVICE}), cause) for cause in ("sweep", "allow-list edited")]
    assert house.bells.waiting() == rung


def test_a_sweep_counts_who_stands_where(house: House) -> None:
    for endpoint, owner in ((A, CONSUMER), (B, OTHER), (C, "444444444444")):
        house.connect(endpoint, owner)
    house.work()
    statuses = house.sweeper.sweep("a sweep").services[SERVICE].statuses
    assert statuses == {Status.ACCEPTED: 1, Status.REJECTED: 1, Status.HELD: 1}
