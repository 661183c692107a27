"""Accepted is not working: health comes from crossings alone, and only of endpoints that a canary reaches."""

import io
import json
from dataclasses import replace

import pytest
from linkgate import bell
from linkgate.bell import Bell
from linkgate.cause import CAUSES
from linkgate.errors import Unavailable
from linkgate.model import State, Status
from linkgate.patrol import Canary, Patrol, Round, Target, VerdictDict

from tests.fakes import FakeCanary
from tests.house import PROBE, SERVICE, House
from tests.unit.edges import stubbed
from tests.world import CONSUMER, OTHER, Service, endpoint_id, service_id

A, B = endpoint_id(1), endpoint_id(2)
VERIFIED, UNHEALTHY, RECOVERED = "Endpoint Verified", "Endpoint Unhealthy", "Endpoint Recovered"


@pytest.fixture
def house() -> House:
    """A house that has accepted A, which is available; nothing was probed yet."""
    made = House()
    made.allow_list.put(SERVICE, "*", effect="allow")
    made.connect(A)
    made.work(10)
    made.bus.told.clear()
    return made


def walk(house: House, rounds: str = "1", cause: str = "tcp_timeout") -> list[Round]:
    """One round a minute, good (1) or bad (0) for A."""
    seen = []
    for one in rounds:
        house.canary.causes[A] = "" if one == "1" else cause
        seen.append(house.patrol.walk())
        house.world.advance(60)
    return seen


def without_canary(house: House) -> Patrol:
    return replace(house.patrol, canary=None)


# ------------------------------------------------------------------ rounds


def test_an_endpoint_that_was_crossed_is_verified_and_told_once(house: House) -> None:
    seen = walk(house, "111")
    known = house.known(A)
    assert (known.status, known.recent) == (Status.VERIFIED, "111")
    assert house.bus.kinds(A) == [VERIFIED]
    assert [(one.probed, one.unhealthy, one.unprobed) for one in seen] == [
        ({SERVICE: 1}, {SERVICE: 0}, {SERVICE: 0})
    ] * 3


def test_the_time_from_acceptance_to_the_first_crossing_is_measured_once(house: House) -> None:
    assert [one.times_to_verified for one in walk(house, "011")] == [[], [70_000.0], []]


def test_a_connection_accepted_by_other_hands_has_no_such_time(house: House) -> None:
    house.ledger.alter(A, accepted_at="")
    assert walk(house)[0].times_to_verified == []


def test_three_bad_rounds_of_five_are_unhealthy_and_told_once(house: House) -> None:
    seen = walk(house, "101000")
    assert house.known(A).status is Status.UNHEALTHY
    assert house.bus.kinds(A) == [VERIFIED, UNHEALTHY]
    assert [one.unhealthy[SERVICE] for one in seen] == [0, 1, 0, 1, 1, 1]


def test_an_unhealthy_endpoint_is_told_in_words_that_name_the_cause_and_the_next_step(house: House) -> None:
    walk(house, "1000", cause="tcp_refused")
    _, detail = house.bus.told[-1]
    meaning, step = CAUSES["tcp_refused"]
    assert detail["summary"] == (
        f"Endpoint {A} of account {CONSUMER} on {SERVICE} is unhealthy (tcp_refused): {meaning}. Next: {step}. "
        f"Seen: {detail['url']} at 10.1.0.7: as told."
    )
    assert (detail["cause"], detail["detail"]) == ("tcp_refused", "as told")
    assert detail["phases"] == {"dns": 1.25, "tcp": 0.5, "total": 1.75}
    assert detail["url"].startswith("tcp://")


def test_an_endpoint_that_answers_again_has_recovered(house: House) -> None:
    walk(house, "1000" + "111")
    assert house.known(A).status is Status.VERIFIED
    assert house.bus.kinds(A) == [VERIFIED, UNHEALTHY, RECOVERED]
    assert house.bus.told[-1][1]["summary"] == f"Endpoint {A} of account {CONSUMER} on {SERVICE} answers again."


def test_an_endpoint_that_never_answered_is_unhealthy_and_was_never_verified(house: House) -> None:
    walk(house, "000")
    assert (house.known(A).status, house.known(A).verified_at) == (Status.UNHEALTHY, "")
    assert house.bus.kinds(A) == [UNHEALTHY]


def test_the_ledger_keeps_the_last_round(house: House) -> None:
    walk(house, "10", cause="http_status")
    health = house.known(A).health
    assert (health["cause"], health["detail"], health["address"]) == ("http_status", "as told", "10.1.0.7")
    assert health["checked_at"] == "2026-11-23T03:01:10+00:00"
    assert {name: str(value) for name, value in dict(health["phases"]).items()} == {  # type: ignore[call-overload]
        "dns": "1.25",
        "tcp": "0.5",
        "total": "1.75",
    }


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_can_make_an_endpoint_unhealthy(house: House, cause: str) -> None:
    walk(house, "1000", cause=cause)
    assert house.bus.kinds(A) == [VERIFIED, UNHEALTHY]


def test_an_endpoint_of_which_the_canary_says_nothing_is_not_verified(house: House) -> None:
    house.canary.mute.add(A)
    (seen,) = walk(house, "1")
    assert seen.failed == {}
    assert house.known(A).status is Status.ACCEPTED


def test_an_endpoint_with_a_cause_of_a_newer_canary_is_not_told_as_verified(house: House) -> None:
    walk(house, "1")
    house.bus.told.clear()
    walk(house, "000", cause="quic_failed")
    assert house.known(A).status is Status.UNHEALTHY
    assert VERIFIED not in house.bus.kinds(A)


def test_the_health_of_a_former_connection_says_nothing_of_a_new_one(house: House) -> None:
    walk(house, "00000")
    house.world.turn(A, State.REJECTED)
    house.settle()
    house.world.turn(A, State.AVAILABLE)
    house.settle()
    house.bus.told.clear()
    walk(house, "1")
    assert (house.known(A).status, house.bus.kinds(A)) == (Status.VERIFIED, [VERIFIED])


# ------------------------------------------------------------------ what is probed


def test_the_regional_name_is_probed_as_the_parameter_says(house: House) -> None:
    walk(house)
    (target,) = house.canary.targets
    name = f"{A}-abcdefgh.{SERVICE}.eu-west-1.vpce.amazonaws.com"
    assert target == {
        "endpoint_id": A,
        "service_id": SERVICE,
        "name": name,
        "url": f"tcp://{name}:443",
        "expect": "open",
        "timeout_seconds": 3,
    }


@pytest.mark.parametrize("service", [SERVICE, "*"])
def test_settings_say_what_is_probed_and_every_probe_must_be_good(house: House, service: str) -> None:
    house.allow_list.put(service, "@settings", probe={"https://:443/healthz", "tcp://:80"})
    walk(house)
    name = house.world.links[A].dns_names[0]
    assert sorted(target["url"] for target in house.canary.targets) == [
        f"https://{name}:443/healthz",
        f"tcp://{name}:80",
    ]


def test_one_bad_probe_of_several_is_a_bad_round(house: House) -> None:
    class HalfBad(FakeCanary):
        def _verdict(self, target: Target) -> VerdictDict:
            verdict = super()._verdict(target)
            return {**verdict, "cause": "tcp_refused"} if target["url"].endswith(":80") else verdict

    house.allow_list.put(SERVICE, "@settings", probe="tcp://:443,tcp://:80")
    patrol = replace(house.patrol, canary=HalfBad())
    assert patrol.walk().unhealthy == {SERVICE: 1}
    assert house.known(A).recent == "0"


def test_with_settings_that_cannot_be_read_nobody_knows_how_to_probe(house: House) -> None:
    house.allow_list.put(SERVICE, "@settings", probe="https://example.com/")
    (seen,) = walk(house)
    assert (seen.probed, seen.unprobed, house.canary.targets) == ({SERVICE: 0}, {SERVICE: 1}, [])
    assert (house.known(A).status, house.known(A).recent) == (Status.ACCEPTED, "")


def test_without_settings_the_parameter_says_what_is_probed(house: House) -> None:
    house.allow_list.delete(SERVICE, "@settings")
    walk(house)
    assert [target["url"].rpartition(":")[2] for target in house.canary.targets] == [PROBE.rpartition(":")[2]]


def test_endpoints_of_other_accounts_are_unprobed_and_never_called_healthy(house: House) -> None:
    house.connect(B, OTHER)
    house.work(10)
    house.bus.told.clear()
    (seen,) = walk(house)
    assert (seen.probed, seen.unhealthy, seen.unprobed) == ({SERVICE: 1}, {SERVICE: 0}, {SERVICE: 1})
    assert {target["endpoint_id"] for target in house.canary.targets} == {A}
    assert (house.known(B).status, house.bus.kinds(B)) == (Status.ACCEPTED, [])


def test_an_endpoint_without_a_name_is_unprobed(house: House) -> None:
    house.world.links[A].dns_names = ()
    (seen,) = walk(house)
    assert (seen.probed, seen.unprobed, house.canary.targets) == ({SERVICE: 0}, {SERVICE: 1}, [])


def test_without_a_canary_everything_is_unprobed_and_nothing_is_healthy(house: House) -> None:
    seen = without_canary(house).walk()
    assert (seen.probed, seen.unhealthy, seen.unprobed) == ({SERVICE: 0}, {SERVICE: 0}, {SERVICE: 1})
    assert house.known(A).status is Status.ACCEPTED


@pytest.mark.parametrize("state", [state for state in State if state is not State.AVAILABLE])
def test_only_available_connections_are_probed_or_counted(house: House, state: State) -> None:
    house.world.turn(A, state)
    (seen,) = walk(house)
    assert (seen.probed, seen.unprobed, house.canary.targets) == ({SERVICE: 0}, {SERVICE: 0}, [])


def test_a_service_without_connections_is_counted_with_none(house: House) -> None:
    house.world.offer(service_id(2))
    house.world.offer(service_id(3), managed=False)
    (seen,) = walk(house)
    assert seen.probed == {SERVICE: 1, service_id(2): 0}


def test_a_canary_that_does_not_come_back_says_nothing_about_health(house: House) -> None:
    walk(house)
    before = house.known(A)
    house.canary.error = Unavailable("the canary failed")
    seen = house.patrol.walk()
    assert {name: str(error) for name, error in seen.failed.items()} == {SERVICE: "the canary failed"}
    assert house.known(A) == before


def test_what_fails_at_one_service_does_not_stop_the_others(house: House) -> None:
    first = service_id(0)
    house.world.services = {first: Service(), **house.world.services, service_id(2): Service()}
    house.world.hidden = dict.fromkeys((first, service_id(2)), RuntimeError("nobody thought of it"))
    (seen,) = walk(house)
    assert (set(seen.failed), seen.probed) == ({first, service_id(2)}, {SERVICE: 1})
    assert house.known(A).status is Status.VERIFIED


def test_a_connection_that_the_ledger_does_not_know_yet_is_left_to_the_next_round(house: House) -> None:
    house.world.connect(B, SERVICE, state=State.AVAILABLE)
    walk(house)
    assert B not in house.ledger.currents
    house.settle()
    walk(house)
    assert house.known(B).status is Status.VERIFIED


@pytest.mark.parametrize("status", [Status.HELD, Status.REJECTED, Status.CUT, Status.CLOSED])
def test_the_status_of_a_connection_that_is_not_live_stays_as_it_is(house: House, status: Status) -> None:
    house.ledger.alter(A, status=status)
    walk(house)
    assert (house.known(A).status, house.bus.told) == (status, [])


def test_a_status_that_changed_during_the_round_wins(house: House) -> None:
    def rival() -> None:
        house.ledger.alter(A, status=Status.CLOSED)

    house.ledger.store.rival = rival
    (seen,) = walk(house)
    assert (house.known(A).status, house.known(A).recent) == (Status.CLOSED, "")
    assert (seen.failed, seen.times_to_verified) == ({}, [])


def test_a_round_that_another_round_overtook_is_not_kept(house: House) -> None:
    def rival() -> None:
        house.ledger.alter(A, recent="0")

    house.ledger.store.rival = rival
    walk(house)
    assert (house.known(A).status, house.known(A).recent) == (Status.ACCEPTED, "0")


def test_what_could_not_be_told_is_not_kept_and_told_by_the_next_round(house: House) -> None:
    house.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    (seen,) = walk(house)
    assert (set(seen.failed), house.known(A).status, house.known(A).recent) == ({SERVICE}, Status.ACCEPTED, "")
    walk(house)
    assert (house.known(A).status, house.bus.kinds(A)) == (Status.VERIFIED, [VERIFIED])


# ------------------------------------------------------------------ visits


def visit(house: House, *endpoints: str, attempt: int = 0) -> Round:
    return house.patrol.visit([Bell(frozenset(endpoints), frozenset(), "Accepted", attempt)])


def accepted_again(house: House) -> None:
    """B is accepted, and still pending."""
    house.connect(B)
    house.work()
    house.bus.told.clear()


def test_an_accepted_event_is_a_visit_of_its_endpoint() -> None:
    house = House()
    house.allow_list.put(SERVICE, CONSUMER, effect="allow")
    house.connect(A)
    house.work(10)
    ((kind, detail),) = house.bus.told
    seen = house.patrol.visit([bell.parse(json.dumps({"detail-type": kind, "detail": detail}))])
    assert seen.times_to_verified == [10_000.0]
    assert house.known(A).status is Status.VERIFIED


def test_a_visit_waits_until_the_connection_is_available_and_probes_at_once(house: House) -> None:
    accepted_again(house)
    visit(house, B)
    assert (house.known(B).status, house.canary.targets) == (Status.ACCEPTED, [])
    for _ in range(10):
        house.world.advance(1)
        house.patrol.visit(house.visits.take())
    assert (house.known(B).status, house.bus.kinds(B)) == (Status.VERIFIED, [VERIFIED])
    assert house.visits.queue == []


def test_a_visit_that_fails_says_nothing_about_health_and_is_repeated(house: House) -> None:
    house.canary.causes[A] = "tcp_timeout"
    visit(house, A)
    assert (house.known(A).status, house.known(A).recent, house.bus.told) == (Status.ACCEPTED, "", [])
    assert house.visits.waiting() == [Bell(frozenset({A}), frozenset(), "Accepted", 1)]


def test_a_visit_of_an_endpoint_that_ec2_does_not_show_is_repeated(house: House) -> None:
    visit(house, B)
    assert [bell.endpoints for bell in house.visits.waiting()] == [{B}]


def test_a_canary_that_says_nothing_about_a_visit_is_asked_again(house: House) -> None:
    house.canary.mute.add(A)
    visit(house, A)
    assert house.known(A).status is Status.ACCEPTED
    assert len(house.visits.queue) == 1


def test_visits_end_after_a_while(house: House) -> None:
    house.canary.causes[A] = "tcp_timeout"
    visit(house, A, attempt=9)
    assert house.visits.queue == []


@pytest.mark.parametrize("state", [State.REJECTED, State.DELETED, State.PENDING_ACCEPTANCE])
def test_a_connection_that_is_not_on_its_way_is_not_visited(house: House, state: State) -> None:
    house.world.turn(A, state)
    visit(house, A)
    assert (house.canary.targets, house.visits.queue) == ([], [])


def test_an_endpoint_that_no_canary_reaches_is_not_visited(house: House) -> None:
    house.connect(B, OTHER)
    house.work(10)
    visit(house, B)
    without_canary(house).visit([Bell(frozenset({A}))])
    assert (house.canary.targets, house.visits.queue) == ([], [])


def test_endpoints_of_several_services_are_visited_together(house: House) -> None:
    second = service_id(2)
    house.world.offer(second)
    house.world.connect(B, second, state=State.AVAILABLE)
    house.ledger.seen(house.connections.named([B])[0], Status.ACCEPTED, None, house.world.now)
    visit(house, A, B)
    assert [house.known(endpoint).status for endpoint in (A, B)] == [Status.VERIFIED] * 2
    assert sorted((target["service_id"], target["endpoint_id"]) for target in house.canary.targets) == [
        (SERVICE, A),
        (second, B),
    ]


def test_a_visit_without_an_endpoint_is_nothing(house: House) -> None:
    visit(house)
    assert (house.canary.targets, house.visits.queue) == ([], [])


# ------------------------------------------------------------------ the canary's edge


def payload(body: object) -> io.BytesIO:
    return io.BytesIO(json.dumps(body).encode())


def test_targets_are_sent_a_hundred_a_call_and_verdicts_come_back_in_one_list() -> None:
    targets = [{"endpoint_id": endpoint_id(number)} for number in range(101)]
    with stubbed("lambda") as (client, stubber):
        for some in (targets[:100], targets[100:]):
            asked = {"FunctionName": "canary", "Payload": json.dumps({"targets": some})}
            stubber.add_response("invoke", {"Payload": payload({"verdicts": some})}, asked)
        assert Canary(client, "canary").probe(targets) == targets


def test_no_targets_invoke_nothing() -> None:
    with stubbed("lambda") as (client, _):
        assert Canary(client, "canary").probe([]) == []


def test_a_canary_that_failed_is_unavailable_in_its_own_words() -> None:
    with stubbed("lambda") as (client, stubber):
        answer = {"FunctionError": "Unhandled", "Payload": payload({"errorMessage": "CANARY_PORTS is missing"})}
        stubber.add_response("invoke", answer)
        with pytest.raises(Unavailable, match=r"the canary canary failed: .*CANARY_PORTS is missing"):
            Canary(client, "canary").probe([{"endpoint_id": A}])
