"""Calls of EC2 are few and full: what one run takes, in which order, and what waits."""

from datetime import timedelta

from linkgate.bell import Bell
from linkgate.connections import PER_CALL, Refusal
from linkgate.model import Connection, Outcome, State
from linkgate.pace import CALLS, COMPANY, LOOKS, MEETING, at_once, meeting, planned

from tests.house import SERVICE, House
from tests.world import REGION, START, endpoint_id, service_id


def connections(count: int, state: State = State.PENDING_ACCEPTANCE, service: str = SERVICE) -> list[Connection]:
    """The first is the oldest."""
    return [
        Connection(service, endpoint_id(number), "222222222222", REGION, state, START + timedelta(seconds=number))
        for number in range(count)
    ]


def sizes(groups: list[list[Connection]]) -> list[tuple[str, bool, int]]:
    return [(group[0].service, group[0].waits, len(group)) for group in groups]


def test_live_connections_are_seen_before_those_that_wait_for_their_slots() -> None:
    now, late = planned([*connections(2), *connections(1, State.AVAILABLE)])
    assert (sizes(now), late) == ([(SERVICE, False, 1), (SERVICE, True, 2)], [])


def test_full_calls_come_first_and_the_oldest_of_a_service_are_together() -> None:
    small = service_id(7)
    now, _ = planned([*reversed(connections(PER_CALL + 1)), *connections(2, service=small)])
    assert sizes(now) == [(SERVICE, True, PER_CALL), (small, True, 2), (SERVICE, True, 1)]
    assert [one.endpoint for one in now[0]] == [endpoint_id(number) for number in range(PER_CALL)]


def test_a_run_makes_so_many_calls_and_passes_the_rest_on() -> None:
    now, late = planned(connections((CALLS + 2) * PER_CALL))
    assert (len(now), len(late)) == (CALLS, 2)
    assert sum(map(len, now + late)) == (CALLS + 2) * PER_CALL


def test_a_run_takes_no_more_than_it_looks_at_and_loses_nothing() -> None:
    bells = [Bell(frozenset({endpoint_id(number)})) for number in range(LOOKS + 150)]
    taken, rest = at_once(bells)
    assert len(taken) == LOOKS
    assert len(rest) == 2
    assert {one for bell in taken + rest for one in bell.endpoints} == {one for bell in bells for one in bell.endpoints}


def test_what_several_runs_put_off_comes_together_at_the_same_moment() -> None:
    moments = {
        (START + timedelta(seconds=second + meeting(START + timedelta(seconds=second)))) for second in range(MEETING)
    }
    assert len(moments) == 1


def test_a_full_call_that_is_throttled_keeps_its_place_and_is_repeated() -> None:
    house = House()
    house.allow_list.put(SERVICE, "*", effect="allow")
    house.world.connect(endpoint_id(1), SERVICE)
    house.world.refusals[endpoint_id(1)] = [Refusal("RequestLimitExceeded", "not now")] * 2
    before = house.world.now
    report = house.approver.answer([Bell(frozenset({endpoint_id(1)}), attempt=COMPANY)])
    assert (report.throttled, house.bells.waiting()) == (False, [])
    assert house.world.acts == [(Outcome.ACCEPT, endpoint_id(1))]
    assert house.world.now - before == timedelta(seconds=2)


def test_a_small_call_that_is_throttled_rings_again() -> None:
    house = House()
    house.allow_list.put(SERVICE, "*", effect="allow")
    house.world.connect(endpoint_id(1), SERVICE)
    house.world.refusals[endpoint_id(1)] = [Refusal("RequestLimitExceeded", "not now")]
    report = house.approver.answer([Bell(frozenset({endpoint_id(1)}))])
    assert report.throttled
    assert [bell.endpoints for bell in house.bells.waiting()] == [frozenset({endpoint_id(1)})]
