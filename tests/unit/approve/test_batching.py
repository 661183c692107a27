"""Calls of EC2 are few and full: what one run takes, in which order, and what it sends on."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from linkgate.approve.batch import FULL, GROUPS, SOON, Batch, fuller, merged, planned
from linkgate.approve.report import Report
from linkgate.aws.connections import PER_CALL
from linkgate.aws.errors import Refusal
from linkgate.errors import Throttled
from linkgate.events.bell import ENDPOINTS_PER_BELL, Bell
from linkgate.model import Connection, Outcome, State
from linkgate.retry import THROTTLED

from tests.application import SERVICE, Application
from tests.fakes import FakeQueue
from tests.world import REGION, START, World, endpoint_id, service_id

OTHER = service_id(7)
MINE = frozenset({SERVICE})


def connections(count: int, state: State = State.PENDING_ACCEPTANCE, service: str = SERVICE) -> list[Connection]:
    """The first is the oldest; all were asked for within a second."""
    return [
        Connection(service, endpoint_id(number), "222222222222", REGION, state, START + timedelta(milliseconds=number))
        for number in range(count)
    ]


def sizes(groups: Iterable[list[Connection]]) -> list[tuple[str, bool, int]]:
    return [(group[0].service, group[0].waits, len(group)) for group in groups]


def bells(count: int, size: int = 1, attempt: int = 0, service: str = "", first: int = 0) -> list[Bell]:
    """So many bells for so many endpoints each."""
    services = frozenset({service}) if service else frozenset[str]()
    starts = range(first, first + count * size, size)
    return [Bell(frozenset(map(endpoint_id, range(at, at + size))), services, "Connect", attempt) for at in starts]


def named(some: Iterable[Bell]) -> list[str]:
    return sorted(one for bell in some for one in bell.endpoints)


# ------------------------------------------------------------------ which bells one run answers


def test_a_full_batch_is_sent_on_as_one_bell_and_nobody_is_asked_about_it() -> None:
    app = Application()
    app.approver.answer(bells(FULL, service=SERVICE))
    (one,) = app.bells.waiting()
    assert (named([one]), one.services, one.origin, one.attempt) == (named(bells(FULL)), MINE, "Connect", 0)
    assert (app.bells.next_due(), app.world.described) == (app.world.now, 0)


@pytest.mark.parametrize(
    ("asked", "fewer"),
    [
        (bells(FULL - 1), 0),  # nobody waits behind these
        (bells(FULL), 1),
        (bells(FULL, ENDPOINTS_PER_BELL // 2), FULL // 2),
        (bells(FULL, ENDPOINTS_PER_BELL // 2 + 1), 0),  # as full as they get
    ],
)
def test_bells_are_sent_on_as_long_as_they_become_half_as_many(asked: list[Bell], fewer: int) -> None:
    assert len(fuller(asked)) == fewer
    assert not fewer or named(fuller(asked)) == named(asked)


@pytest.mark.parametrize(
    "other",
    [
        replace(bells(1, first=9)[0], origin="CloudTrail AcceptVpcEndpointConnections arn:aws:iam::1:user/alice"),
        bells(1, attempt=1, first=9)[0],
        replace(bells(1, first=9)[0], absent=2),
        Bell(origin="Connect"),
        Bell(services=MINE, origin="Connect"),
        bells(1, service=SERVICE, first=9)[0],
    ],
    ids=["who", "attempt", "absent", "everything", "a whole service", "of a known service"],
)
def test_bells_that_say_different_things_stay_two(other: Bell) -> None:
    assert set(merged([*bells(3), other])) == {replace(bells(1)[0], endpoints=frozenset(named(bells(3)))), other}


def test_bells_of_one_kind_name_the_services_of_all() -> None:
    (one,) = merged([*bells(1, service=SERVICE), *bells(1, service=OTHER, first=1)])
    assert (named([one]), one.services) == (named(bells(2)), frozenset({SERVICE, OTHER}))


@pytest.mark.parametrize(("full", "described"), [(True, 0), (False, 1)])
def test_under_load_what_was_just_answered_is_left_to_the_sweep(full: bool, described: int) -> None:
    app = Application()
    app.allow_list.put(SERVICE, "*", effect="allow")
    app.connect(endpoint_id(1))
    app.work(10)
    app.world.described = 0
    echoes = [Bell(frozenset({endpoint_id(1)}), MINE, f"Accept {number}") for number in range(FULL if full else 1)]
    app.approver.answer(echoes)
    assert (app.world.described, app.bells.waiting()) == (described, [])


@pytest.mark.parametrize(("error", "attempt"), [(Throttled("slower"), THROTTLED), (None, 8)])
def test_what_ec2_throttles_is_not_asked_ever_more_seldom(error: Exception | None, attempt: int) -> None:
    queue, asked = FakeQueue(World()), endpoint_id(1)
    Batch([Bell(frozenset({asked}), attempt=7)], Report(), queue).repeat({asked: error})
    assert [bell.attempt for bell in queue.waiting()] == [attempt]


# ------------------------------------------------------------------ which calls one run makes


def test_live_connections_are_seen_before_those_that_wait_for_their_slots() -> None:
    mine, rest = planned([*connections(2), *connections(1, State.AVAILABLE)], [])
    assert (sizes(mine), rest) == ([(SERVICE, False, 1), (SERVICE, True, 2)], [])


def test_full_calls_come_first_and_the_oldest_of_a_service_are_together() -> None:
    mine, _ = planned([*reversed(connections(PER_CALL + 1)), *connections(2, service=OTHER)], [])
    assert sizes(mine) == [(SERVICE, True, PER_CALL), (OTHER, True, 2), (SERVICE, True, 1)]
    assert [one.endpoint for one in mine[0]] == [endpoint_id(number) for number in range(PER_CALL)]


@pytest.mark.parametrize(("attempt", "next_attempt"), [(None, 1), (0, 1), (7, 7)])
def test_a_run_judges_so_many_groups_and_sends_bells_for_the_rest(attempt: int | None, next_attempt: int) -> None:
    found = connections((GROUPS + 2) * PER_CALL)
    mine, rest = planned(found, [Bell(services=MINE)] if attempt is None else bells(len(found), attempt=attempt))
    assert len(mine) == GROUPS
    assert [(len(one.endpoints), one.services, one.attempt) for one in rest] == [(PER_CALL, MINE, next_attempt)] * 2
    everybody = sorted(one.endpoint for one in found)
    assert sorted([*(one.endpoint for group in mine for one in group), *named(rest)]) == everybody


def test_a_call_that_is_throttled_rings_again_and_no_other_is_tried() -> None:
    app = Application()
    app.world.offer(OTHER)
    for service in (SERVICE, OTHER):
        app.allow_list.put(service, "@settings", mode="enforce")
        app.allow_list.put(service, "*", effect="allow")
    app.world.connect(endpoint_id(1), SERVICE)
    app.world.connect(endpoint_id(2), OTHER)
    app.world.refusals[endpoint_id(1)] = [Refusal("RequestLimitExceeded", "not now")]
    report = app.approver.answer([Bell(frozenset({endpoint_id(1), endpoint_id(2)}))])
    assert (report.throttled, app.world.acts) == (True, [])
    assert {(bell.endpoints, bell.services) for bell in app.bells.waiting()} == {
        (frozenset({endpoint_id(1)}), MINE),
        (frozenset({endpoint_id(2)}), frozenset({OTHER})),
    }
    app.work(10)
    assert set(app.world.acts) == {(Outcome.ACCEPT, endpoint_id(1)), (Outcome.ACCEPT, endpoint_id(2))}


def test_what_was_put_off_says_what_rang_for_it() -> None:
    app = Application()
    app.allow_list.put(SERVICE, "*", effect="allow")
    for number in range(GROUPS * PER_CALL + 1):
        app.world.connect(endpoint_id(number), SERVICE)
    app.approver.answer([Bell(origin="a look")])
    assert [(len(one.endpoints), one.origin) for one in app.bells.waiting()] == [(1, "a look")]
    assert app.bells.next_due() == app.world.now + timedelta(seconds=SOON)


def test_what_was_put_off_together_keeps_what_rang_for_each() -> None:
    alice = "CloudTrail AcceptVpcEndpointConnections arn:aws:iam::1:user/alice"
    batch = Batch([*bells(3), replace(bells(1)[0], origin=alice)], Report(), FakeQueue(World()))
    late = batch.attributed([Bell(frozenset(named(bells(3))), MINE)])
    assert {one.origin: len(one.endpoints) for one in late} == {alice: 1, "Connect": 2}
