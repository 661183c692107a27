"""Calls of EC2 are few and full: what one run takes, in which order, and what waits."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from linkgate.approve.batch import Batch
from linkgate.approve.batching import CALLS, COMPANY, FULL, LOOKS, SOON, STORM, at_once, planned
from linkgate.approve.report import Report
from linkgate.aws.connections import PER_CALL
from linkgate.aws.errors import Refusal
from linkgate.errors import Throttled
from linkgate.events.bell import ENDPOINTS_PER_BELL, Bell
from linkgate.model import Connection, Outcome, State
from linkgate.retry import SLOWEST

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


def test_a_run_takes_no_more_than_it_looks_at_and_loses_nothing() -> None:
    requeued = bells(LOOKS + 150)
    taken, rest = at_once(requeued)
    assert len(taken) == LOOKS
    assert [len(bell.endpoints) for bell in rest] == [ENDPOINTS_PER_BELL, 50]
    assert named(taken + rest) == named(requeued)


def test_of_what_was_put_off_a_run_takes_what_its_calls_hold_the_fullest_services_first() -> None:
    many = bells(CALLS, PER_CALL, 1, OTHER)
    few = bells(2, PER_CALL // 2, 1, SERVICE, first=10_000)
    taken, rest = at_once([*few, *many])
    assert taken == many
    assert named(rest) == named(few)
    assert {(one.services, one.attempt, one.origin) for one in rest} == {(MINE, 1, "Connect")}


def test_of_equally_full_services_one_is_taken_whole() -> None:
    mixed = [bell for pair in zip(bells(8, 50, 1), bells(8, 50, 1, first=10_000), strict=True) for bell in pair]
    mixed = [replace(bell, services=frozenset({(SERVICE, OTHER)[turn % 2]})) for turn, bell in enumerate(mixed)]
    taken, rest = at_once(mixed)
    assert ({one.services for one in taken}, {one.services for one in rest}) == ({MINE}, {frozenset({OTHER})})


def test_bells_that_name_nothing_are_always_answered() -> None:
    nothing, whole = Bell(origin="sweep"), Bell(services=MINE)
    taken, _ = at_once([*bells(CALLS, PER_CALL, 1, OTHER), *bells(LOOKS, first=10_000), nothing, whole])
    assert {nothing, whole} <= set(taken)


@pytest.mark.parametrize(("error", "attempt"), [(Throttled("slower"), SLOWEST), (None, 8)])
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


def test_a_run_makes_so_many_calls_and_rings_a_little_later_for_the_rest() -> None:
    found = connections((CALLS + 2) * PER_CALL)
    mine, rest = planned(found, bells(len(found)))
    assert len(mine) == CALLS
    assert [(len(one.endpoints), one.services, one.attempt) for one in rest] == [(PER_CALL, MINE, 1)] * 2
    everybody = sorted(one.endpoint for one in found)
    assert sorted([*(one.endpoint for group in mine for one in group), *named(rest)]) == everybody


def test_what_is_only_looked_at_takes_no_call_from_those_that_wait() -> None:
    live = connections(LOOKS + PER_CALL, State.AVAILABLE)
    mine, rest = planned([*live, *connections(CALLS * PER_CALL, service=OTHER)], [])
    assert sizes(mine[-CALLS:]) == [(OTHER, True, PER_CALL)] * CALLS
    assert [(len(one.endpoints), one.services) for one in rest] == [(PER_CALL, MINE)]


@pytest.mark.parametrize(
    ("few", "many", "turns", "goes"),
    [
        (FULL - 1, STORM, 0, False),
        (FULL - 1, STORM, COMPANY - 1, False),
        (FULL - 1, STORM, COMPANY, True),  # it has waited often enough
        (FULL, STORM, 0, True),  # it is full enough
        (STORM - 1, 0, 0, True),  # there is no storm
        (STORM, 0, 0, False),
    ],
)
def test_in_a_storm_a_call_for_few_waits_for_company_a_few_times(few: int, many: int, turns: int, goes: bool) -> None:
    found = [*connections(few), *connections(many, service=OTHER)]
    mine, rest = planned(found, [*bells(few, attempt=turns), *bells(1, attempt=0)])
    rest = [bell for bell in rest if bell.services == MINE]
    assert ((SERVICE, True, few) in sizes(mine)) is goes
    put_off = [(few, MINE, turns + 1)]
    assert [(len(one.endpoints), one.services, one.attempt) for one in rest] == ([] if goes else put_off)


def test_who_is_looked_at_with_a_whole_service_waits_for_nobody() -> None:
    mine, rest = planned(connections(STORM), [Bell(services=MINE)])
    assert (sizes(mine), rest) == ([(SERVICE, True, STORM)], [])


def test_of_several_bells_for_one_endpoint_the_one_that_rang_most_often_counts() -> None:
    mine, rest = planned(connections(STORM), [*bells(STORM, attempt=COMPANY), *bells(STORM)])
    assert (sizes(mine), rest) == ([(SERVICE, True, STORM)], [])


def test_in_a_storm_what_is_only_looked_at_waits_for_nobody() -> None:
    found = [*connections(1, State.AVAILABLE), *connections(STORM, service=OTHER)]
    mine, rest = planned(found, bells(1))
    assert (sizes(mine), rest) == ([(SERVICE, False, 1), (OTHER, True, STORM)], [])


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
    for number in range(CALLS * PER_CALL + 1):
        app.world.connect(endpoint_id(number), SERVICE)
    app.approver.answer([Bell(origin="a look")])
    assert [(len(one.endpoints), one.origin) for one in app.bells.waiting()] == [(1, "a look")]
    assert app.bells.next_due() == app.world.now + timedelta(seconds=SOON)


def test_what_is_too_much_for_a_run_rings_at_once_for_another() -> None:
    app = Application()
    app.approver.answer(bells(LOOKS + 1))
    due = [bell for bell in app.bells.waiting() if not bell.absent]
    assert (named(due), app.bells.next_due()) == ([endpoint_id(LOOKS)], app.world.now)


def test_what_was_put_off_together_keeps_what_rang_for_each() -> None:
    app = Application()
    app.allow_list.put(SERVICE, "*", effect="review")
    for number in range(STORM):
        app.world.connect(endpoint_id(number), SERVICE)
    alice = "CloudTrail AcceptVpcEndpointConnections arn:aws:iam::1:user/alice"
    app.approver.answer([*bells(STORM), replace(bells(1)[0], origin=alice), *bells(1)])
    assert {one.origin: len(one.endpoints) for one in app.bells.waiting()} == {alice: 1, "Connect": STORM - 1}


def test_what_had_no_room_in_a_look_at_a_whole_service_is_asked_for_as_if_for_the_first_time() -> None:
    _, rest = planned(connections(CALLS * PER_CALL + 1), [Bell(services=MINE)])
    assert [one.attempt for one in rest] == [1]
