"""The ledger stays true to what EC2 shows of connections that wait for nobody, and what was seen is told."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from linkgate.approve.tracker import Tracker
from linkgate.errors import Contended, Unavailable
from linkgate.ledger.items import Judgment
from linkgate.model import Decision, Mode, Outcome, Reason, State, Status

from tests.application import SERVICE, Application
from tests.world import CONSUMER, OTHER, endpoint_id

A, B = endpoint_id(1), endpoint_id(2)
CLOSED = "Endpoint Connection Closed"


@pytest.fixture
def app() -> Application:
    """An application that accepted two connections."""
    made = Application()
    made.allow_list.put(SERVICE, "*", effect="allow")
    for endpoint in (A, B):
        made.connect(endpoint)
    made.work(10)
    made.settle()
    made.bus.published.clear()
    return made


def look(app: Application) -> dict[str, Unavailable | None]:
    """What EC2 shows of every connection, recorded; the endpoints that somebody else is busy with."""
    shown = app.world.shown()
    known = app.ledger.current(connection.endpoint for connection in shown)
    return Tracker(app.ledger, app.bus, app.world.clock).record(shown, known).retry_later


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
def test_each_state_has_its_status(app: Application, state: State, status: Status) -> None:
    app.world.turn(A, state)
    look(app)
    assert (app.known(A).status, app.known(A).state) == (status, state)
    told = {Status.CLOSED: [CLOSED], Status.REJECTED: ["Endpoint Connection Rejected"]}
    assert app.bus.kinds(A) == told.get(status, [])


@pytest.mark.parametrize("status", [Status.ACCEPTED, Status.VERIFIED, Status.REJECTED, Status.CUT])
def test_in_a_state_that_nobody_has_heard_of_an_endpoint_stays_what_it_was(app: Application, status: Status) -> None:
    app.ledger.alter(A, status=status, claimed=status.live)
    before = app.known(A)
    app.world.turn(A, State.UNKNOWN)
    look(app)
    assert app.known(A) == replace(before, state=State.UNKNOWN, raw_state="hibernating")
    assert app.bus.kinds(A) == []


def test_a_request_in_a_state_that_nobody_has_heard_of_is_held_and_judged_once_it_waits(app: Application) -> None:
    new = endpoint_id(9)
    app.world.connect(new, SERVICE, state=State.UNKNOWN)
    app.send(new, origin="Connect")
    app.work()
    assert (app.known(new).status, app.known(new).state, app.known(new).claimed) == (Status.HELD, State.UNKNOWN, False)
    assert (new in {endpoint for _, endpoint in app.world.asked}, app.bus.kinds(new)) == (False, [])
    app.allow_list.put(SERVICE, CONSUMER, effect="allow")
    app.world.turn(new, State.PENDING_ACCEPTANCE)
    app.settle()
    assert app.known(new).status is Status.ACCEPTED


def test_a_decision_that_is_open_is_not_ended_by_a_state_that_nobody_has_heard_of(app: Application) -> None:
    app.ledger.alter(A, settled=False, refusal="Throttled")
    before = app.known(A)
    app.world.turn(A, State.UNKNOWN)
    look(app)
    assert app.known(A) == before


@pytest.mark.parametrize("status", [Status.VERIFIED, Status.UNHEALTHY])
def test_health_stays_what_patrol_found_while_the_connection_lives(app: Application, status: Status) -> None:
    app.ledger.alter(A, status=status)
    app.world.turn(A, State.PARTIAL)
    look(app)
    assert (app.known(A).status, app.known(A).state) == (status, State.PARTIAL)


def test_what_is_known_already_is_not_written_again(app: Application) -> None:
    def rival() -> None:
        raise AssertionError("a write")

    app.ledger.store.rival = rival
    look(app)


def test_an_endpoint_that_lives_again_after_a_rejection_is_accepted(app: Application) -> None:
    app.world.turn(A, State.REJECTED)
    look(app)
    app.world.turn(A, State.AVAILABLE)
    look(app)
    assert app.known(A).status is Status.ACCEPTED


def test_several_closed_endpoints_are_told_each_once(app: Application) -> None:
    for endpoint in (A, B):
        app.world.turn(endpoint, State.DELETED)
    look(app)
    look(app)
    assert sorted(detail["endpoint_id"] for _, detail in app.bus.published) == [A, B]


def contend(app: Application, endpoint: str) -> None:
    """Somebody else changes an endpoint's status between our look and our write."""
    app.ledger.alter(endpoint, status=Status.UNHEALTHY)


def test_a_closed_endpoint_is_told_even_if_another_write_is_contended(app: Application) -> None:
    for endpoint in (A, B):
        app.world.turn(endpoint, State.DELETED)
    shown = app.world.shown()
    known = app.ledger.current([A, B])
    contend(app, B)
    with suppress(Contended):
        Tracker(app.ledger, app.bus, app.world.clock).record(shown, known)
    look(app)
    assert {detail["endpoint_id"] for _, detail in app.bus.published} == {A, B}


def test_a_vanished_endpoint_is_told_even_if_another_write_is_contended(app: Application) -> None:
    known = app.ledger.current([A, B])
    contend(app, B)
    witness = Tracker(app.ledger, app.bus, app.world.clock)
    with suppress(Contended):
        witness.gone(known.values())
    witness.gone(app.ledger.current([A, B]).values())
    assert {detail["endpoint_id"] for _, detail in app.bus.published} == {A, B}


@pytest.mark.parametrize("shown", [True, False])
def test_what_could_not_be_told_is_not_written_and_told_at_the_next_look(app: Application, shown: bool) -> None:
    def once() -> None:
        if shown:
            look(app)
        else:
            Tracker(app.ledger, app.bus, app.world.clock).gone(app.ledger.current([A]).values())

    app.world.turn(A, State.DELETED)
    app.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    once()
    assert app.known(A).status is Status.ACCEPTED
    once()
    once()
    assert (app.known(A).status, app.bus.kinds(A)) == (Status.CLOSED, [CLOSED])


# ------------------------------------------------------------------ decisions that somebody left open


REASONS = {Outcome.ACCEPT: Reason.ALLOWED, Outcome.REJECT: Reason.DENIED, Outcome.HOLD: Reason.REVIEW}


def left_open(app: Application, mode: Mode, outcome: Outcome) -> str:
    """A decision on A that nobody answered, a second old; its sort key."""
    asking = replace(app.world.connection(A), state=State.PENDING_ACCEPTANCE)
    decision = Decision(outcome, REASONS[outcome], mode, "hash")
    entry = app.ledger.decided(Judgment(asking, app.known(A), decision, {}), "", app.world.now)
    app.world.advance(1)
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
    app: Application, mode: Mode, outcome: Outcome, state: State
) -> None:
    left_open(app, mode, outcome)
    app.world.turn(A, state)
    app.world.advance(60)
    assert look(app) == {}
    assert app.bus.kinds(A) == FOUND[mode, outcome, state]
    ours = [line for line in app.ledger.lines(A) if line.reason != "by_hand"]
    assert ours[-1].answer == f"found {state} at a later look"
    assert app.known(A).settled


def test_an_open_decision_on_an_endpoint_shown_as_deleted_is_answered_and_told_as_closed(app: Application) -> None:
    left_open(app, Mode.ENFORCE, Outcome.ACCEPT)
    app.world.turn(A, State.DELETED)
    app.world.advance(60)
    look(app)
    assert (app.known(A).status, app.bus.kinds(A)) == (Status.CLOSED, [CLOSED])
    assert app.ledger.lines(A)[-1].answer == "found deleted at a later look"


def test_what_was_done_and_could_not_be_told_stays_open_until_it_is(app: Application) -> None:
    left_open(app, Mode.ENFORCE, Outcome.ACCEPT)
    app.world.advance(60)
    app.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    assert isinstance(look(app)[A], Unavailable)
    assert not app.known(A).settled
    look(app)
    assert app.bus.kinds(A) == ["Endpoint Connection Accepted"]


def test_an_endpoint_on_which_somebody_is_acting_is_left_and_named(app: Application) -> None:
    left_open(app, Mode.ENFORCE, Outcome.ACCEPT)
    before = app.known(A)
    app.world.turn(A, State.DELETED)
    assert look(app) == {A: None}
    assert (app.known(A), app.bus.published) == (before, [])


def test_an_endpoint_whose_decision_ec2_refused_belongs_to_nobody(app: Application) -> None:
    entry = left_open(app, Mode.ENFORCE, Outcome.REJECT)
    until = app.world.now + timedelta(hours=1)
    app.ledger.refused(A, entry, "InvalidState: late", 1, until, "Waits: late.")
    assert look(app) == {}
    assert (app.known(A).status, app.known(A).settled) == (Status.ACCEPTED, True)


# ------------------------------------------------------------------ other hands

ALICE = "arn:aws:iam::111111111111:user/alice"


def trail(event: str, endpoint: str, by: str = ALICE) -> str:
    """The cause of CloudTrail's bell."""
    return f"CloudTrail {event}VpcEndpointConnections {by}"


def by_hand(app: Application, endpoint: str) -> list[tuple[str, str]]:
    """What other hands did to an endpoint, and whose they were, by the ledger."""
    items = [item for place, item in sorted(app.ledger.store.items.items()) if place.subject == endpoint]
    return [(str(item["outcome"]), str(item["who"])) for item in items if item.get("reason") == "by_hand"]


def test_who_accepted_by_hand_is_recorded_where_cloudtrail_says(app: Application) -> None:
    endpoint = endpoint_id(3)
    app.allow_list.put(SERVICE, OTHER, effect="review")
    app.connect(endpoint, OTHER)
    app.work(100)
    app.bus.published.clear()
    app.world.turn(endpoint, State.AVAILABLE)
    app.send(endpoint, origin=trail("Accept", endpoint))
    app.work()
    assert by_hand(app, endpoint) == [("accept", ALICE)]
    (told,) = app.bus.published
    assert (told[0], told[1]["reason"], told[1]["who"]) == ("Endpoint Connection Accepted", "by_hand", ALICE)
    assert (app.known(endpoint).status, app.known(endpoint).claimed) == (Status.ACCEPTED, True)


def test_cloudtrail_that_comes_late_still_says_who_it_was(app: Application) -> None:
    app.world.turn(A, State.REJECTED)
    app.send(A, origin="Reject")
    app.work()
    assert by_hand(app, A) == [("reject", "")]
    app.send(A, origin=trail("Accept", A, "arn:aws:iam::111111111111:user/bob"))
    app.work(300)
    assert by_hand(app, A) == [("reject", "")]
    app.send(A, origin=trail("Reject", A))
    app.work(300)
    assert by_hand(app, A) == [("reject", ALICE)]


def test_our_own_acts_are_nobody_elses(app: Application) -> None:
    ours = "arn:aws:sts::111111111111:assumed-role/linkgate-approve/x"
    for endpoint in (A, B):
        app.send(endpoint, origin=trail("Accept", endpoint, ours))
    app.work(300)
    app.settle()
    assert (by_hand(app, A), by_hand(app, B)) == ([], [])


def test_what_was_there_before_linkgate_is_nobodys_act(app: Application) -> None:
    for number, state in enumerate((State.AVAILABLE, State.REJECTED)):
        app.world.connect(endpoint_id(10 + number), SERVICE, OTHER, state=state)
    app.settle()
    app.work(100)
    assert [by_hand(app, endpoint_id(10 + number)) for number in (0, 1)] == [[], []]
    assert app.bus.kinds(endpoint_id(10)) == []


def test_a_cut_stays_a_cut_when_it_is_seen_again(app: Application) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="1s")
    app.allow_list.delete(SERVICE, "*")
    app.settle()
    app.work(60)
    app.send(A, origin="Reject")
    app.work(100)
    app.settle()
    assert (app.known(A).status, by_hand(app, A)) == (Status.CUT, [])
