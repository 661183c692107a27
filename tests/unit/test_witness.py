"""The ledger stays true to what EC2 shows of connections that wait for nobody, and what was seen is told."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from linkgate.errors import Contended, Unavailable
from linkgate.model import ALONE, Decision, Mode, Outcome, Reason, State, Status
from linkgate.witness import Witness

from tests.simulation import SERVICE, House
from tests.world import OTHER, endpoint_id

A, B = endpoint_id(1), endpoint_id(2)
CLOSED = "Endpoint Connection Closed"


@pytest.fixture
def house() -> House:
    """A house that accepted two connections."""
    made = House()
    made.allow_list.put(SERVICE, "*", effect="allow")
    for endpoint in (A, B):
        made.connect(endpoint)
    made.work(10)
    made.settle()
    made.bus.told.clear()
    return made


def look(house: House) -> dict[str, Unavailable | None]:
    """What EC2 shows of every connection, recorded; the endpoints that somebody else is busy with."""
    shown = house.connections.of(SERVICE)
    known = house.ledger.current(connection.endpoint for connection in shown)
    return Witness(house.ledger, house.bus, house.world.clock).record(shown, known).busy


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.PENDING, Status.ACCEPTED),
        (State.AVAILABLE, Status.ACCEPTED),
        (State.PARTIAL, Status.ACCEPTED),
        (State.REJECTED, Status.REJECTED),
        (State.DELETING, Status.CLOSED),
        (State.DELETED, Status.CLOSED),
        (State.FAILED, Status.CLOSED),
        (State.EXPIRED, Status.CLOSED),
    ],
)
def test_each_state_has_its_status(house: House, state: State, status: Status) -> None:
    house.world.turn(A, state)
    look(house)
    assert (house.known(A).status, house.known(A).state) == (status, state)
    told = {Status.CLOSED: [CLOSED], Status.REJECTED: ["Endpoint Connection Rejected"]}
    assert house.bus.kinds(A) == told.get(status, [])


def test_a_state_that_nobody_has_heard_of_changes_nothing(house: House) -> None:
    before = house.known(A)
    house.world.turn(A, State.UNKNOWN)
    look(house)
    assert house.known(A) == before


@pytest.mark.parametrize("status", [Status.VERIFIED, Status.UNHEALTHY])
def test_health_stays_what_patrol_found_while_the_connection_lives(house: House, status: Status) -> None:
    house.ledger.alter(A, status=status)
    house.world.turn(A, State.PARTIAL)
    look(house)
    assert (house.known(A).status, house.known(A).state) == (status, State.PARTIAL)


def test_what_is_known_already_is_not_written_again(house: House) -> None:
    def rival() -> None:
        raise AssertionError("a write")

    house.ledger.store.rival = rival
    look(house)


def test_an_endpoint_that_lives_again_after_a_rejection_is_accepted(house: House) -> None:
    house.world.turn(A, State.REJECTED)
    look(house)
    house.world.turn(A, State.AVAILABLE)
    look(house)
    assert house.known(A).status is Status.ACCEPTED


def test_several_closed_endpoints_are_told_each_once(house: House) -> None:
    for endpoint in (A, B):
        house.world.turn(endpoint, State.DELETED)
    look(house)
    look(house)
    assert sorted(detail["endpoint_id"] for _, detail in house.bus.told) == [A, B]


def contend(house: House, endpoint: str) -> None:
    """Somebody else changes an endpoint's status between our look and our write."""
    house.ledger.alter(endpoint, status=Status.UNHEALTHY)


def test_a_closed_endpoint_is_told_even_if_another_write_is_contended(house: House) -> None:
    for endpoint in (A, B):
        house.world.turn(endpoint, State.DELETED)
    shown = house.connections.of(SERVICE)
    known = house.ledger.current([A, B])
    contend(house, B)
    with suppress(Contended):
        Witness(house.ledger, house.bus, house.world.clock).record(shown, known)
    look(house)
    assert {detail["endpoint_id"] for _, detail in house.bus.told} == {A, B}


def test_a_vanished_endpoint_is_told_even_if_another_write_is_contended(house: House) -> None:
    known = house.ledger.current([A, B])
    contend(house, B)
    witness = Witness(house.ledger, house.bus, house.world.clock)
    with suppress(Contended):
        witness.gone(known.values())
    witness.gone(house.ledger.current([A, B]).values())
    assert {detail["endpoint_id"] for _, detail in house.bus.told} == {A, B}


@pytest.mark.parametrize("shown", [True, False])
def test_what_could_not_be_told_is_not_written_and_told_at_the_next_look(house: House, shown: bool) -> None:
    def once() -> None:
        if shown:
            look(house)
        else:
            Witness(house.ledger, house.bus, house.world.clock).gone(house.ledger.current([A]).values())

    house.world.turn(A, State.DELETED)
    house.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    once()
    assert house.known(A).status is Status.ACCEPTED
    once()
    once()
    assert (house.known(A).status, house.bus.kinds(A)) == (Status.CLOSED, [CLOSED])


# ------------------------------------------------------------------ decisions that somebody left open


REASONS = {Outcome.ACCEPT: Reason.ALLOWED, Outcome.REJECT: Reason.DENIED, Outcome.HOLD: Reason.REVIEW}


def left_open(house: House, mode: Mode, outcome: Outcome) -> str:
    """A decision on A that nobody answered, a second old; its sort key."""
    asking = replace(house.connections.named([A])[0], state=State.PENDING_ACCEPTANCE)
    decision = Decision(outcome, REASONS[outcome], mode, "hash")
    entry = house.ledger.decided(asking, decision, {}, ALONE, house.known(A), "", house.world.now)
    house.world.advance(1)
    return entry


FOUND = {
    (Mode.ENFORCE, Outcome.ACCEPT, State.AVAILABLE): ["Endpoint Connection Accepted"],
    (Mode.ENFORCE, Outcome.REJECT, State.REJECTED): ["Endpoint Connection Rejected"],
    # What the line did not want, or was not to be done, other hands did.
    (Mode.ENFORCE, Outcome.ACCEPT, State.REJECTED): ["Endpoint Connection Rejected"],
    (Mode.ENFORCE, Outcome.REJECT, State.AVAILABLE): ["Endpoint Connection Accepted"],
    (Mode.ENFORCE, Outcome.HOLD, State.AVAILABLE): ["Endpoint Connection Accepted"],
    (Mode.OBSERVE, Outcome.ACCEPT, State.AVAILABLE): ["Endpoint Connection Accepted"],
    (Mode.OBSERVE, Outcome.REJECT, State.REJECTED): ["Endpoint Connection Rejected"],
}


@pytest.mark.parametrize(("mode", "outcome", "state"), FOUND)
def test_an_open_decision_is_told_as_done_only_if_it_was_to_be_done_and_came_true(
    house: House, mode: Mode, outcome: Outcome, state: State
) -> None:
    left_open(house, mode, outcome)
    house.world.turn(A, state)
    house.world.advance(60)
    assert look(house) == {}
    assert house.bus.kinds(A) == FOUND[mode, outcome, state]
    ours = [line for line in house.ledger.lines(A) if line.reason != "by_hand"]
    assert ours[-1].answer == f"found {state} at a later look"
    assert house.known(A).settled


def test_an_open_decision_on_an_endpoint_shown_as_deleted_is_answered_and_told_as_closed(house: House) -> None:
    left_open(house, Mode.ENFORCE, Outcome.ACCEPT)
    house.world.turn(A, State.DELETED)
    house.world.advance(60)
    look(house)
    assert (house.known(A).status, house.bus.kinds(A)) == (Status.CLOSED, [CLOSED])
    assert house.ledger.lines(A)[-1].answer == "found deleted at a later look"


def test_what_was_done_and_could_not_be_told_stays_open_until_it_is(house: House) -> None:
    left_open(house, Mode.ENFORCE, Outcome.ACCEPT)
    house.world.advance(60)
    house.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    assert isinstance(look(house)[A], Unavailable)
    assert not house.known(A).settled
    look(house)
    assert house.bus.kinds(A) == ["Endpoint Connection Accepted"]


def test_an_endpoint_on_which_somebody_is_acting_is_left_and_named(house: House) -> None:
    left_open(house, Mode.ENFORCE, Outcome.ACCEPT)
    before = house.known(A)
    house.world.turn(A, State.DELETED)
    assert look(house) == {A: None}
    assert (house.known(A), house.bus.told) == (before, [])


def test_an_endpoint_whose_decision_ec2_refused_belongs_to_nobody(house: House) -> None:
    entry = left_open(house, Mode.ENFORCE, Outcome.REJECT)
    until = house.world.now + timedelta(hours=1)
    house.ledger.refused(A, entry, "InvalidState: late", 1, until)
    assert look(house) == {}
    assert (house.known(A).status, house.known(A).settled) == (Status.ACCEPTED, True)


# ------------------------------------------------------------------ other hands

ALICE = "arn:aws:iam::111111111111:user/alice"


def trail(event: str, endpoint: str, by: str = ALICE) -> str:
    """The cause of CloudTrail's bell."""
    return f"CloudTrail {event}VpcEndpointConnections {by}"


def by_hand(house: House, endpoint: str) -> list[tuple[str, str]]:
    """What other hands did to an endpoint, and whose they were, by the ledger."""
    items = [item for place, item in sorted(house.ledger.store.items.items()) if place.subject == endpoint]
    return [(str(item["outcome"]), str(item["who"])) for item in items if item.get("reason") == "by_hand"]


def test_who_accepted_by_hand_is_recorded_where_cloudtrail_says(house: House) -> None:
    endpoint = endpoint_id(3)
    house.allow_list.put(SERVICE, OTHER, effect="review")
    house.connect(endpoint, OTHER)
    house.work(100)
    house.bus.told.clear()
    house.world.turn(endpoint, State.AVAILABLE)
    house.ring(endpoint, cause=trail("Accept", endpoint))
    house.work()
    assert by_hand(house, endpoint) == [("accept", ALICE)]
    (told,) = house.bus.told
    assert (told[0], told[1]["reason"], told[1]["who"]) == ("Endpoint Connection Accepted", "by_hand", ALICE)
    assert (house.known(endpoint).status, house.known(endpoint).claimed) == (Status.ACCEPTED, True)


def test_cloudtrail_that_comes_late_still_says_who_it_was(house: House) -> None:
    house.world.turn(A, State.REJECTED)
    house.ring(A, cause="Reject")
    house.work()
    assert by_hand(house, A) == [("reject", "")]
    house.ring(A, cause=trail("Accept", A, "arn:aws:iam::111111111111:user/bob"))
    house.work(300)
    assert by_hand(house, A) == [("reject", "")]
    house.ring(A, cause=trail("Reject", A))
    house.work(300)
    assert by_hand(house, A) == [("reject", ALICE)]


def test_our_own_acts_are_nobody_elses(house: House) -> None:
    ours = "arn:aws:sts::111111111111:assumed-role/linkgate-approve/x"
    for endpoint in (A, B):
        house.ring(endpoint, cause=trail("Accept", endpoint, ours))
    house.work(300)
    house.settle()
    assert (by_hand(house, A), by_hand(house, B)) == ([], [])


def test_what_was_there_before_linkgate_is_nobodys_act(house: House) -> None:
    for number, state in enumerate((State.AVAILABLE, State.REJECTED)):
        house.world.connect(endpoint_id(10 + number), SERVICE, OTHER, state=state)
    house.settle()
    house.work(100)
    assert [by_hand(house, endpoint_id(10 + number)) for number in (0, 1)] == [[], []]
    assert house.bus.kinds(endpoint_id(10)) == []


def test_a_cut_stays_a_cut_when_it_is_seen_again(house: House) -> None:
    house.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="1s")
    house.allow_list.delete(SERVICE, "*")
    house.settle()
    house.work(60)
    house.ring(A, cause="Reject")
    house.work(100)
    house.settle()
    assert (house.known(A).status, by_hand(house, A)) == (Status.CUT, [])
