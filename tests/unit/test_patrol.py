"""Accepted is not working: health comes from crossings alone, and only of endpoints that a canary reaches."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from linkgate import bell
from linkgate.bell import Bell
from linkgate.cause import CAUSES
from linkgate.errors import Throttled, Unavailable
from linkgate.model import State, Status
from linkgate.store import Place
from linkgate.tally import Round, Tally
from linkgate.targets import Probe

from tests.fakes import OWN_CANARY
from tests.simulation import PROBE, SERVICE, House
from tests.world import CONSUMER, OTHER, Service, endpoint_id, service_id

A, B = endpoint_id(1), endpoint_id(2)
VERIFIED, UNHEALTHY, RECOVERED = "Endpoint Verified", "Endpoint Unhealthy", "Endpoint Recovered"
FOREIGN = f"arn:aws:lambda:us-east-1:{OTHER}:function:linkgate-canary-payments"
PRIVATE = "api.example.com"
ZONES = ("eu-west-1a", "eu-west-1b")


@pytest.fixture
def house() -> House:
    """A house that has accepted A, which is available; nothing was probed yet."""
    made = House()
    made.allow_list.put(SERVICE, "*", effect="allow")
    made.connect(A)
    made.work(10)
    made.bus.told.clear()
    return made


def walk(house: House, rounds: str = "1", cause: str = "tcp_refused") -> list[Round]:
    """One round a minute, good (1) or bad (0) for A."""
    seen = []
    for one in rounds:
        house.canary.causes[A] = "" if one == "1" else cause
        seen.append(house.walk())
        house.world.advance(60)
    return seen


def tally(house: House) -> Tally:
    """One more round, in numbers."""
    return house.walk().services[SERVICE]


def counts(one: Tally) -> tuple[int, list[str], int]:
    return one.probed, one.unhealthy, one.unprobed


def join(house: House, endpoint: str, owner: str = CONSUMER, status: Status = Status.ACCEPTED) -> None:
    """An endpoint that was accepted a while ago."""
    house.world.connect(endpoint, SERVICE, owner, state=State.AVAILABLE)
    house.ledger.seen(house.connections.named([endpoint])[0], status, None, house.world.now)


def regional(endpoint: str = A) -> str:
    return f"{endpoint}-abcdefgh.{SERVICE}.eu-west-1.vpce.amazonaws.com"


def zonal(zone: str, endpoint: str = A) -> str:
    return regional(endpoint).replace("-abcdefgh.", f"-abcdefgh-{zone}.")


def in_zones(house: House) -> None:
    """EC2 lists zonal names of A."""
    house.world.links[A].dns_names = (regional(), *map(zonal, ZONES))


def kept(house: House) -> dict[Place, dict[str, Any]]:
    """The ledger as it is now."""
    return {place: dict(item) for place, item in house.ledger.store.items.items()}


# ------------------------------------------------------------------ rounds


def test_an_endpoint_that_was_crossed_is_verified_and_told_once(house: House) -> None:
    seen = walk(house, "111")
    known = house.known(A)
    assert (known.status, known.recent) == (Status.VERIFIED, "111")
    assert house.bus.kinds(A) == [VERIFIED]
    assert [counts(one.services[SERVICE]) for one in seen] == [(1, [], 0)] * 3


def test_the_time_from_acceptance_to_the_first_crossing_is_measured_once(house: House) -> None:
    assert [one.times_to_verified for one in walk(house, "011")] == [[], [70_000.0], []]


def test_a_connection_accepted_by_other_hands_has_no_such_time(house: House) -> None:
    house.ledger.alter(A, accepted_at="")
    assert walk(house)[0].times_to_verified == []


def test_three_bad_rounds_of_five_are_unhealthy_and_told_once(house: House) -> None:
    seen = walk(house, "1010000")
    assert house.known(A).status is Status.UNHEALTHY
    assert house.bus.kinds(A) == [VERIFIED, UNHEALTHY]
    assert [one.services[SERVICE].unhealthy for one in seen] == [[], [], [], [], [A], [A], [A]]


def test_an_unhealthy_endpoint_is_told_in_words_that_name_the_cause_and_the_next_step(house: House) -> None:
    walk(house, "1000")
    _, detail = house.bus.told[-1]
    meaning, step = CAUSES["tcp_refused"]
    assert detail["summary"].startswith(
        f"Endpoint {A} of account {CONSUMER} on {SERVICE} is unhealthy (tcp_refused): {meaning}. Next: {step}. "
        f"Seen: {detail['url']} at 10.1.0.1: "
    )
    assert (detail["cause"], detail["meaning"], detail["step"]) == ("tcp_refused", meaning, step)
    assert (detail["phase"], detail["address"], detail["zone"], detail["also"]) == ("tcp", "10.1.0.1", "", [])
    assert detail["phases"] == {"dns": 1.25, "tcp": 0.5, "total": 1.75}
    assert detail["url"] == f"tcp://{regional()}:443"
    assert detail["evidence"] in detail["summary"]


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
    assert (health["cause"], health["address"], health["phase"]) == ("http_status", "10.1.0.1", "http")
    assert health["detail"]
    assert health["checked_at"] == "2026-11-23T03:01:10+00:00"
    assert {name: str(value) for name, value in dict(health["phases"]).items()} == {  # type: ignore[call-overload]
        "dns": "1.25",
        "tcp": "0.5",
        "total": "1.75",
    }


PROBED = ("dns", "tcp", "tls", "http", "body")


@pytest.mark.parametrize("cause", [cause for cause in CAUSES if cause.startswith(PROBED)])
def test_every_cause_that_a_probe_finds_can_make_an_endpoint_unhealthy(house: House, cause: str) -> None:
    walk(house, "1000", cause=cause)
    assert house.bus.kinds(A) == [VERIFIED, UNHEALTHY]


def test_the_health_of_a_former_connection_says_nothing_of_a_new_one(house: House) -> None:
    walk(house, "00000")
    house.world.turn(A, State.REJECTED)
    house.settle()
    house.world.turn(A, State.AVAILABLE)
    house.settle()
    house.bus.told.clear()
    walk(house, "1")
    assert (house.known(A).status, house.bus.kinds(A)) == (Status.VERIFIED, [VERIFIED])


# ------------------------------------------------------------------ unprobed: never called healthy


def unknown(house: House, seen: Round) -> None:
    """Nobody knows how A is: it is unprobed, and nothing is told or counts for its health."""
    assert counts(seen.services[SERVICE]) == (0, [], 1)
    assert (house.known(A).status, house.known(A).recent, house.bus.told) == (Status.ACCEPTED, "", [])


def test_an_endpoint_of_which_the_canary_says_nothing_is_unprobed(house: House) -> None:
    house.canary.mute.add(A)
    seen = house.walk()
    unknown(house, seen)
    assert (seen.failed, seen.absent, seen.services[SERVICE].errors) == ({}, {}, 1)


@pytest.mark.parametrize("cause", ["probe_error", "quic_failed", "unexpectedly_open", "connection_rejected"])
def test_an_endpoint_with_nothing_but_causes_that_say_nothing_is_unprobed(house: House, cause: str) -> None:
    for seen in walk(house, "00000", cause):
        unknown(house, seen)
        assert seen.services[SERVICE].errors == 1
    assert (house.known(A).health["cause"], house.known(A).verified_at) == ("probe_error", "")


def test_why_an_endpoint_cannot_be_probed_is_written_once_and_forgotten_when_it_can_be(house: House) -> None:
    walk(house, "11111")
    house.canary.causes[A] = "probe_error"
    house.walk()
    assert house.known(A).health["detail"] == "as told"
    before = kept(house)
    house.world.advance(60)
    assert tally(house).said == {A: "as told"}
    assert kept(house) == before
    walk(house, "1")
    assert (house.known(A).health["cause"], house.known(A).recent) == ("", "11111")


def test_an_unhealthy_endpoint_that_nobody_can_probe_stays_unhealthy(house: House) -> None:
    walk(house, "000")
    house.bus.told.clear()
    walk(house, "000000", cause="probe_error")
    assert (house.known(A).status, house.bus.told) == (Status.UNHEALTHY, [])


@pytest.mark.parametrize("spoil", [lambda it: it.mute.add(A), lambda it: setattr(it, "error", RuntimeError("gone"))])
def test_an_alarm_is_not_ended_by_a_canary_that_does_not_look(house: House, spoil: Callable[[Any], Any]) -> None:
    walk(house, "000")
    spoil(house.canary)
    assert counts(tally(house)) == (0, [A], 1)


def test_an_unhealthy_endpoint_that_no_canary_reaches_any_more_is_unprobed_alone(house: House) -> None:
    walk(house, "000")
    house.canary.own = ""
    assert counts(tally(house)) == (0, [], 1)


def test_a_target_that_could_not_be_probed_is_counted_and_does_not_hide_the_crossings(house: House) -> None:
    in_zones(house)
    house.canary.causes[zonal("eu-west-1a")] = "probe_error"
    seen = tally(house)
    assert (counts(seen), seen.errors) == ((1, [], 0), 1)
    assert house.known(A).status is Status.VERIFIED


@pytest.mark.parametrize(
    "answer",
    [
        b'{"verdicts": []}',
        b'{"verdicts": [{"endpoint_id": "vpce-00000000000000002", "url": "tcp://x:443", "cause": ""}]}',
        json.dumps({"verdicts": [{"endpoint_id": A, "url": f"tcp://{regional()}:443", "cause": ""}]}).encode(),
        json.dumps({"verdicts": [{"endpoint_id": A, "url": f"tcp://{regional(B)}:443", "cause": ""}]}).encode(),
    ],
)
def test_a_canary_that_says_less_than_it_was_asked_makes_nobody_healthy(house: House, answer: bytes) -> None:
    house.canary.answers[OWN_CANARY] = {"Payload": BytesAgain(answer)}
    unknown(house, house.walk())


class BytesAgain:
    """A payload that can be read again and again."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self) -> bytes:
        return self.content


@pytest.mark.parametrize("answer", [b"", b"null", b"<html>", b'{"errorMessage": "Task timed out after 60 seconds"}'])
def test_a_canary_that_answers_nonsense_is_absent_and_its_endpoints_unprobed(house: House, answer: bytes) -> None:
    house.canary.answers[OWN_CANARY] = {"Payload": BytesAgain(answer)}
    seen = house.walk()
    unknown(house, seen)
    assert seen.absent.keys() == {OWN_CANARY}


def test_a_canary_that_does_not_come_back_says_nothing_about_health(house: House) -> None:
    walk(house)
    before = kept(house)
    house.canary.error = Unavailable("the canary failed")
    seen = house.walk()
    assert {name: str(error) for name, error in seen.absent.items()} == {OWN_CANARY: "the canary failed"}
    assert (counts(seen.services[SERVICE]), kept(house)) == ((0, [], 1), before)


def test_when_no_time_is_left_nobody_is_sent_and_everybody_is_unprobed(house: House) -> None:
    seen = house.walk(left=30)
    unknown(house, seen)
    assert house.canary.calls == []
    assert str(seen.absent[OWN_CANARY]).startswith("no time is left")


def test_what_no_time_is_left_to_keep_is_left_to_the_next_round(house: House) -> None:
    seconds = iter([100.0] + [5.0] * 9)
    seen = house.patrol.walk(lambda: next(seconds))
    assert str(seen.failed[SERVICE]) == "no time is left to keep the health of 1 endpoints"
    assert (house.known(A).recent, house.bus.told) == ("", [])


def test_with_settings_that_cannot_be_read_nobody_knows_how_to_probe(house: House) -> None:
    house.allow_list.put(SERVICE, "@settings", probe="https://example.com/")
    unknown(house, house.walk())
    assert house.canary.targets == []


def test_an_endpoint_without_a_name_is_unprobed(house: House) -> None:
    house.world.links[A].dns_names = ()
    unknown(house, house.walk())


def test_without_a_canary_everything_is_unprobed_and_nothing_is_healthy(house: House) -> None:
    house.canary.own = ""
    unknown(house, house.walk())
    assert house.canary.calls == []


def test_endpoints_of_other_accounts_are_unprobed_and_never_called_healthy(house: House) -> None:
    join(house, B, OTHER)
    assert counts(tally(house)) == (1, [], 1)
    assert {target["endpoint_id"] for target in house.canary.targets} == {A}
    assert (house.known(B).status, house.bus.kinds(B)) == (Status.ACCEPTED, [])


# ------------------------------------------------------------------ whose canary


def test_an_endpoint_of_another_account_is_probed_by_the_canary_that_its_row_names(house: House) -> None:
    join(house, B, OTHER)
    house.allow_list.put(SERVICE, f"@canary:{OTHER}", function=FOREIGN)
    assert counts(tally(house)) == (2, [], 0)
    assert {(name, target["endpoint_id"]) for name, targets in house.canary.calls for target in targets} == {
        (OWN_CANARY, A),
        (FOREIGN, B),
    }
    assert set(house.canary.regions) == {"", "us-east-1"}
    assert house.known(B).status is Status.VERIFIED


def test_an_endpoint_with_a_malformed_canary_row_is_unprobed(house: House) -> None:
    house.allow_list.put(SERVICE, f"@canary:{A}", function="linkgate-canary")
    unknown(house, house.walk())


def test_one_canarys_failure_is_not_anothers(house: House) -> None:
    join(house, B, OTHER)
    house.allow_list.put("*", f"@canary:{OTHER}", function=FOREIGN)
    house.canary.errors[FOREIGN] = RuntimeError("gone")
    seen = house.walk()
    assert seen.absent.keys() == {FOREIGN}
    assert counts(seen.services[SERVICE]) == (1, [], 1)
    assert [house.known(one).status for one in (A, B)] == [Status.VERIFIED, Status.ACCEPTED]


# ------------------------------------------------------------------ what is probed


@pytest.mark.parametrize("service", [SERVICE, "*"])
def test_settings_say_what_is_probed_and_every_probe_must_be_good(house: House, service: str) -> None:
    house.allow_list.put(service, "@settings", probe={"https://:443/healthz#status=204", "tcp://:80"})
    walk(house)
    assert sorted((target["url"], target.get("expect_status")) for target in house.canary.targets) == [
        (f"https://{regional()}:443/healthz", 204),
        (f"tcp://{regional()}:80", None),
    ]


def test_without_settings_the_parameter_says_what_is_probed(house: House) -> None:
    house.allow_list.delete(SERVICE, "@settings")
    walk(house)
    assert [target["url"].rpartition(":")[2] for target in house.canary.targets] == [PROBE.rpartition(":")[2]]


def test_every_name_is_probed_and_one_dead_zone_is_a_bad_round(house: House) -> None:
    in_zones(house)
    house.canary.causes[zonal("eu-west-1a")] = "tcp_timeout"
    assert counts(tally(house)) == (1, [], 0)
    assert house.known(A).recent == "0"
    assert {target["name"] for target in house.canary.targets} == {regional(), *map(zonal, ZONES)}
    assert house.known(A).health["zone"] == "eu-west-1a"


@pytest.mark.parametrize("state", [state for state in State if state is not State.AVAILABLE])
def test_only_available_connections_are_probed(house: House, state: State) -> None:
    house.world.turn(A, state)
    assert tally(house).probed == 0
    assert house.canary.targets == []


def test_a_service_without_connections_is_counted_with_none(house: House) -> None:
    house.world.offer(service_id(2))
    house.world.offer(service_id(3), managed=False)
    (seen,) = walk(house)
    assert {service: one.probed for service, one in seen.services.items()} == {SERVICE: 1, service_id(2): 0}


def test_what_fails_at_one_service_does_not_stop_the_others(house: House) -> None:
    first = service_id(0)
    house.world.services = {first: Service(), **house.world.services, service_id(2): Service()}
    house.world.hidden = dict.fromkeys((first, service_id(2)), RuntimeError("nobody thought of it"))
    (seen,) = walk(house)
    assert (set(seen.failed), set(seen.services)) == ({first, service_id(2)}, {SERVICE})
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
    walk(house, "1000")
    assert (house.known(A).status, house.bus.told) == (status, [])


def test_an_endpoint_whose_names_lead_out_of_the_canarys_vpc_is_unprobed(house: House) -> None:
    """EC2 tells no VPC, so an endpoint of the stack's own account may be anywhere."""
    seen = walk(house, "000", "dns_unexpected_address")
    assert [counts(one.services[SERVICE]) for one in seen] == [(0, [], 1)] * 3
    assert (house.known(A).status, house.known(A).recent) == (Status.ACCEPTED, "")


def test_an_endpoint_that_was_crossed_once_and_whose_names_lead_away_is_unhealthy(house: House) -> None:
    walk(house, "1000", "dns_unexpected_address")
    assert (house.known(A).status, house.known(A).cause) == (Status.UNHEALTHY, "dns_unexpected_address")


# ------------------------------------------------------------------ the connection's state


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (State.REJECTED, "connection_rejected"),
        (State.DELETED, "endpoint_deleted"),
        (State.DELETING, "endpoint_deleted"),
        (State.FAILED, "endpoint_deleted"),
        (State.PENDING_ACCEPTANCE, "connection_pending"),
    ],
)
def test_a_connection_that_is_live_in_the_ledger_alone_is_diagnosed_by_its_state(
    house: House, state: State, cause: str
) -> None:
    walk(house)
    house.world.turn(A, state)
    assert counts(tally(house)) == (0, [], 0)
    assert house.canary.calls == house.canary.calls[:1]
    assert house.known(A).health["cause"] == cause
    assert house.known(A).recent == "10"


def test_a_connection_that_was_just_accepted_may_be_pending_for_a_while(house: House) -> None:
    house.world.turn(A, State.PENDING)
    assert counts(tally(house)) == (0, [], 0)
    house.world.advance(600)
    assert house.known(A).health == {}
    assert counts(tally(house)) == (0, [], 0)
    assert (house.known(A).recent, house.known(A).health["cause"]) == ("0", "connection_pending")


def test_a_connection_of_which_nobody_knows_when_it_was_accepted_may_be_pending_for_long(house: House) -> None:
    house.ledger.alter(A, accepted_at="")
    house.world.turn(A, State.PENDING)
    house.world.advance(6000)
    assert counts(tally(house)) == (0, [], 0)


@pytest.mark.parametrize("state", [State.PARTIAL, State.UNKNOWN])
def test_a_state_that_says_nothing_is_unprobed(house: House, state: State) -> None:
    house.world.turn(A, state)
    unknown(house, house.walk())


@pytest.mark.parametrize("cause", ["tcp_timeout", "dns_not_found"])
@pytest.mark.parametrize(
    ("state", "found"), [(State.REJECTED, "connection_rejected"), (State.DELETED, "endpoint_deleted")]
)
def test_a_connection_that_ends_during_the_probes_is_not_blamed_on_a_security_group(
    house: House, cause: str, state: State, found: str
) -> None:
    house.canary.during = lambda: house.world.turn(A, state)
    walk(house, "0", cause)
    assert house.known(A).health["cause"] == found


def test_a_connection_that_is_gone_after_the_probes_was_deleted(house: House) -> None:
    house.canary.during = lambda: house.world.forget(A)
    walk(house, "0", "dns_not_found")
    assert house.known(A).health["cause"] == "endpoint_deleted"


def test_where_ec2_does_not_answer_again_what_it_showed_first_stands(house: House) -> None:
    def silence() -> None:
        house.world.silence = Throttled("RequestLimitExceeded")

    house.canary.during = silence
    walk(house, "0", "tcp_timeout")
    assert house.known(A).health["cause"] == "tcp_timeout"


def test_ec2_is_asked_once_more_about_all_that_look_dead_together_and_about_nobody_else(house: House) -> None:
    for number in range(2, 150):
        join(house, endpoint_id(number))
    house.world.described = 0
    house.walk()
    assert house.world.described == 1
    house.canary.causes.update({endpoint_id(number): "tcp_timeout" for number in range(1, 150)})
    house.world.described = 0
    house.walk()
    assert house.world.described == 2


# ------------------------------------------------------------------ under our feet


def test_a_status_that_changed_during_the_round_wins_and_nothing_is_told(house: House) -> None:
    house.canary.during = lambda: house.ledger.alter(A, status=Status.CLOSED)
    (seen,) = walk(house)
    assert (house.known(A).status, house.known(A).recent) == (Status.CLOSED, "")
    assert (seen.failed, seen.times_to_verified, house.bus.told) == ({}, [], [])


def test_an_endpoint_that_was_decided_on_again_meanwhile_is_not_told_of(house: House) -> None:
    walk(house, "100")
    house.bus.told.clear()
    house.canary.during = lambda: house.ledger.alter(A, decision="2026-11-23T04:00:00.000000Z#0123456789abcdef")
    walk(house, "0")
    assert (house.known(A).status, house.bus.told) == (Status.VERIFIED, [])


def test_a_round_that_another_round_overtook_is_not_kept(house: House) -> None:
    walk(house)

    def rival() -> None:
        house.ledger.alter(A, recent="00000")

    house.ledger.store.rival = rival
    walk(house)
    assert house.known(A).recent == "00000"


def test_what_could_not_be_told_is_not_kept_and_told_by_the_next_round(house: House) -> None:
    join(house, B)
    house.ledger.alter(B, status=Status.VERIFIED)
    house.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    (seen,) = walk(house)
    assert (set(seen.failed), house.known(A).status, house.known(A).recent) == ({SERVICE}, Status.ACCEPTED, "")
    assert house.known(B).recent == "1"
    walk(house)
    assert (house.known(A).status, house.bus.kinds(A)) == (Status.VERIFIED, [VERIFIED])


def test_a_round_that_ends_early_has_told_few_that_it_did_not_keep(house: House) -> None:
    for number in range(2, 26):
        join(house, endpoint_id(number))
    seconds = iter([100.0] * 15)
    house.patrol.walk(lambda: next(seconds, 5.0))
    verified = [one for one in house.ledger.currents.values() if one.status is Status.VERIFIED]
    assert 0 < len(verified) < len(house.bus.told) < len(verified) + 10
    house.walk()
    assert len(house.bus.told) < 25 + 10
    assert all(one.status is Status.VERIFIED for one in house.ledger.currents.values())


# ------------------------------------------------------------------ cost


def test_a_healthy_endpoint_is_written_only_every_ten_minutes_or_so(house: House) -> None:
    walk(house, "11111")
    changes, before = 0, kept(house)
    for _ in range(60):
        walk(house)
        changes += kept(house) != before
        before = kept(house)
    assert 4 <= changes <= 6


def test_an_endpoint_that_stays_unhealthy_for_the_same_cause_is_not_written_each_round(house: House) -> None:
    walk(house, "00000")
    before = kept(house)
    walk(house, "000")
    assert kept(house) == before
    walk(house, "0", "http_status")
    assert house.known(A).health["cause"] == "http_status"


def test_thousands_of_endpoints_take_few_calls(house: House) -> None:
    """EC2: one description of the service. Lambda: a hundred targets a call. The ledger: nothing once all is well."""
    for number in range(2, 3001):
        house.world.connect(endpoint_id(number), SERVICE, state=State.AVAILABLE)
    health = {"cause": "", "checked_at": house.world.now.isoformat(), "private_seen_at": ""}
    for connection in house.connections.of(SERVICE):
        if connection.endpoint != A:
            house.ledger.seen(connection, Status.ACCEPTED, None, house.world.now)
        house.ledger.alter(connection.endpoint, status=Status.VERIFIED, recent="11111", health=health)
    before, house.world.described = kept(house), 0
    seen = tally(house)
    assert counts(seen) == (3000, [], 0)
    assert (house.world.described, len(house.canary.calls), kept(house)) == (1, 30, before)


# ------------------------------------------------------------------ the private name


@pytest.fixture
def private(house: House) -> House:
    """The service has a private name, which A does not use: it does not exist in the canary's VPC."""
    house.world.services[SERVICE] = Service(private_dns_name=PRIVATE, private_dns_state="verified")
    house.canary.nowhere.add(PRIVATE)
    return house


def test_a_private_name_that_an_endpoint_does_not_use_is_not_missed(private: House) -> None:
    assert counts(tally(private)) == (1, [], 0)
    assert private.known(A).status is Status.VERIFIED
    assert PRIVATE in {target["name"] for target in private.canary.targets}


def test_a_private_name_that_vanishes_is_missed_for_a_day_and_then_forgotten(private: House) -> None:
    private.canary.nowhere.clear()
    walk(private, "11111")
    assert private.known(A).health["private_seen_at"]
    private.canary.nowhere.add(PRIVATE)
    walk(private, "111")
    assert private.known(A).status is Status.UNHEALTHY
    assert private.known(A).health["cause"] == "private_name_missing"
    assert private.bus.told[-1][1]["phase"] == "dns"
    private.world.advance(86400)
    walk(private, "111")
    assert private.known(A).status is Status.VERIFIED
    assert private.bus.kinds(A) == [VERIFIED, UNHEALTHY, RECOVERED]


def test_a_private_name_that_comes_back_is_well_again(private: House) -> None:
    private.canary.nowhere.clear()
    walk(private, "1")
    private.canary.nowhere.add(PRIVATE)
    walk(private, "1")
    private.canary.nowhere.clear()
    assert counts(tally(private)) == (1, [], 0)


def test_a_private_name_that_leads_to_another_endpoint_of_the_vpc_is_not_this_ones(private: House) -> None:
    join(private, B)
    private.canary.nowhere.clear()
    private.canary.during = None
    answered = private.canary._verdict

    def to_b(target: dict[str, Any]) -> dict[str, Any]:
        found = answered(target)
        return found | {"address": "10.1.0.2"} if target["name"] == PRIVATE else found

    private.canary._verdict = to_b  # type: ignore[method-assign]
    walk(private, "11111")
    assert not private.known(A).health["private_seen_at"]
    assert private.known(B).health["private_seen_at"]
    private.canary.nowhere.add(PRIVATE)
    walk(private)
    assert (private.known(A).recent, private.known(B).recent) == ("11111", "11110")


def test_a_private_name_that_ec2_lists_counts_from_the_first_round_on(private: House) -> None:
    private.world.links[A].dns_names = (regional(), PRIVATE)
    assert counts(tally(private)) == (1, [], 0)
    assert (private.known(A).recent, private.known(A).health["cause"]) == ("0", "private_name_missing")


def test_an_unverified_private_name_is_told_from_a_missing_one(private: House) -> None:
    private.world.links[A].dns_names = (regional(), PRIVATE)
    private.world.services[SERVICE].private_dns_state = "pendingVerification"
    walk(private)
    assert private.known(A).health["cause"] == "private_name_unverified"


def test_what_a_canary_may_not_probe_of_an_unused_private_name_is_no_error(private: House) -> None:
    private.canary.nowhere.clear()
    private.canary.causes[PRIVATE] = "probe_error"
    assert tally(private).errors == 0


# ------------------------------------------------------------------ who must stay out


@pytest.fixture
def shut(house: House) -> House:
    """A was cut a while ago, and is out: nothing answers."""
    walk(house)
    house.world.turn(A, State.REJECTED)
    house.ledger.alter(A, status=Status.CUT, state=State.REJECTED)
    house.world.advance(120)
    house.bus.told.clear()
    house.canary.calls.clear()
    house.canary.causes[A] = "tcp_timeout"
    return house


def look(house: House, open_: bool) -> Tally:
    house.canary.causes[A] = "" if open_ else "tcp_timeout"
    house.world.advance(60)
    return tally(house)


def test_an_endpoint_that_stays_out_is_looked_at_and_nothing_is_counted_written_or_told(shut: House) -> None:
    before = kept(shut)
    seen = look(shut, open_=False)
    assert (counts(seen), seen.open, seen.errors, dict(seen.phases)) == ((0, [], 0), 0, 0, {})
    (target,) = shut.canary.targets
    assert (target["expect"], target["url"], target["timeout_seconds"]) == ("closed", f"tcp://{regional()}:443", 1)
    assert (kept(shut), shut.bus.told) == (before, [])


@pytest.mark.parametrize("status", [Status.CUT, Status.REJECTED])
def test_an_endpoint_that_gets_in_although_it_must_stay_out_is_told_once(shut: House, status: Status) -> None:
    shut.ledger.alter(A, status=status)
    assert [look(shut, open_=True).open for _ in range(8)] == [0, 1, 1, 1, 1, 1, 1, 1]
    ((kind, detail),) = shut.bus.told
    assert (kind, detail["cause"]) == (UNHEALTHY, "unexpectedly_open")
    before = kept(shut)
    look(shut, open_=True)
    assert kept(shut) == before
    assert f"Endpoint {A} of account {CONSUMER} on {SERVICE} gets in although it must stay out" in detail["summary"]
    assert (shut.known(A).status, shut.known(A).health["cause"]) == (status, "unexpectedly_open")


def test_bad_rounds_of_its_life_do_not_count_for_one_that_was_cut(shut: House) -> None:
    shut.ledger.alter(A, recent="00000", health={"cause": "tcp_timeout", "checked_at": shut.world.now.isoformat()})
    assert [look(shut, open_=True).open for _ in range(3)] == [0, 1, 1]
    assert shut.bus.kinds(A) == [UNHEALTHY]


def test_an_endpoint_that_stays_out_again_has_recovered(shut: House) -> None:
    for open_ in (True, True, False, False):
        seen = look(shut, open_)
    assert (seen.open, shut.known(A).health["cause"]) == (0, "")
    assert shut.bus.kinds(A) == [UNHEALTHY, RECOVERED]
    assert shut.bus.told[-1][1]["summary"].endswith("stays out again.")


def test_a_door_that_was_open_for_one_look_is_not_told(shut: House) -> None:
    for open_ in (True, False, True, False):
        assert look(shut, open_).open == 0
    assert shut.bus.told == []


@pytest.mark.parametrize("cause", ["probe_error", "dns_timeout"])
def test_a_look_that_finds_nothing_out_changes_nothing(shut: House, cause: str) -> None:
    look(shut, open_=True)
    look(shut, open_=True)
    shut.canary.causes[A] = cause
    assert tally(shut).open == 1
    shut.canary.error = RuntimeError("gone")
    assert tally(shut).open == 1
    assert shut.bus.kinds(A) == [UNHEALTHY]


def test_an_endpoint_that_is_let_in_during_the_look_is_not_open(shut: House) -> None:
    shut.canary.during = lambda: shut.world.turn(A, State.AVAILABLE)
    for _ in range(3):
        shut.world.turn(A, State.REJECTED)
        assert look(shut, open_=True).open == 0
    assert shut.bus.told == []


def test_an_endpoint_that_was_rejected_this_minute_is_not_looked_at_yet(shut: House) -> None:
    shut.ledger.alter(A, settled=True, answered_at="2026-11-23T03:03:30.000000Z")
    look(shut, open_=True)
    assert shut.canary.calls == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda it: it.world.turn(A, State.DELETED),
        lambda it: it.world.turn(A, State.PENDING_ACCEPTANCE),
        lambda it: it.ledger.alter(A, status=Status.HELD),
        lambda it: it.ledger.alter(A, status=Status.CLOSED),
        lambda it: it.allow_list.put(SERVICE, "@settings", probe="nonsense"),
        lambda it: setattr(it.canary, "own", ""),
    ],
)
def test_whoever_need_not_or_cannot_be_kept_out_is_not_looked_at(shut: House, spoil: Callable[[House], Any]) -> None:
    spoil(shut)
    assert (look(shut, open_=True).open, shut.canary.calls) == (0, [])


def test_of_many_that_must_stay_out_a_few_are_looked_at_each_round_and_all_in_time(shut: House) -> None:
    everybody = {endpoint_id(number) for number in range(1, 101)}
    for endpoint in everybody - {A}:
        shut.world.connect(endpoint, SERVICE, state=State.REJECTED)
        shut.ledger.seen(shut.connections.named([endpoint])[0], Status.REJECTED, None, shut.world.now)
    shut.canary.causes = dict.fromkeys(everybody, "tcp_timeout")
    looked: set[str] = set()
    for _ in range(60):
        shut.canary.calls.clear()
        shut.world.advance(60)
        shut.walk()
        assert len(shut.canary.targets) == 20
        looked |= {target["endpoint_id"] for target in shut.canary.targets}
    assert looked == everybody


def test_one_that_got_in_is_looked_at_each_round_until_it_stays_out(shut: House) -> None:
    for number in range(2, 101):
        shut.world.connect(endpoint_id(number), SERVICE, state=State.REJECTED)
        known = shut.connections.named([endpoint_id(number)])[0]
        shut.ledger.seen(known, Status.REJECTED, None, shut.world.now)
        shut.canary.causes[endpoint_id(number)] = "tcp_timeout"
    shut.ledger.alter(A, health={"cause": "unexpectedly_open", "checked_at": shut.world.now.isoformat()}, recent="00")
    for _ in range(5):
        shut.canary.calls.clear()
        assert look(shut, open_=True).open == 1
        assert len(shut.canary.targets) == 21
        assert A in {target["endpoint_id"] for target in shut.canary.targets}


# ------------------------------------------------------------------ numbers


def test_phase_times_are_those_of_the_slowest_good_crossing_of_each_endpoint(house: House) -> None:
    in_zones(house)
    house.canary.causes[zonal("eu-west-1a")] = "tcp_timeout"
    seen = tally(house)
    assert dict(seen.phases) == {"dns": [1.25], "tcp": [0.5], "total": [1.75]}


def test_unhealthy_addresses_are_counted_by_zone_the_healthy_zones_with_none(house: House) -> None:
    in_zones(house)
    house.canary.causes[zonal("eu-west-1a")] = "dns_not_found"
    assert dict(tally(house).addresses) == {"eu-west-1a": 1, "eu-west-1b": 0}


def test_the_certificate_that_expires_first_is_told(house: House) -> None:
    join(house, B)
    days = iter([30.5, 12.25])
    answered = house.canary._verdict
    house.canary._verdict = lambda target: answered(target) | {"tls_days_left": next(days)}  # type: ignore[method-assign]
    assert tally(house).days_left == 12.25


def test_without_tls_no_days_are_told(house: House) -> None:
    assert tally(house).days_left is None


# ------------------------------------------------------------------ visits


def visit(house: House, *endpoints: str, attempt: int = 0) -> Round:
    return house.visit(Bell(frozenset(endpoints), frozenset(), "Accepted", attempt))


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
    seen = house.visit(bell.parse(json.dumps({"detail-type": kind, "detail": detail})))
    assert seen.times_to_verified == [10_000.0]
    assert house.known(A).status is Status.VERIFIED


def test_a_visit_waits_until_the_connection_is_available_and_probes_at_once(house: House) -> None:
    accepted_again(house)
    visit(house, B)
    assert (house.known(B).status, house.canary.targets) == (Status.ACCEPTED, [])
    for _ in range(10):
        house.world.advance(1)
        house.visit(*house.visits.take())
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


@pytest.mark.parametrize(
    "spoil",
    [
        lambda it: it.canary.mute.add(A),
        lambda it: setattr(it.canary, "error", RuntimeError("gone")),
        lambda it: it.canary.causes.update({A: "probe_error"}),
        lambda it: it.ledger.alter(A, status=Status.HELD),
    ],
)
def test_a_visit_that_did_not_verify_is_repeated(house: House, spoil: Callable[[House], Any]) -> None:
    spoil(house)
    before = house.known(A).status
    visit(house, A)
    assert (house.known(A).status, len(house.visits.queue), house.bus.told) == (before, 1, [])


def test_a_canary_that_fails_on_a_visit_is_told(house: House) -> None:
    house.canary.error = RuntimeError("gone")
    assert visit(house, A).absent.keys() == {OWN_CANARY}


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
    join(house, B, OTHER)
    visit(house, B)
    house.canary.own = ""
    visit(house, A)
    assert (house.canary.targets, house.visits.queue) == ([], [])


def test_an_endpoint_of_a_service_that_is_no_longer_managed_is_not_visited(house: House) -> None:
    house.world.services[SERVICE].managed = False
    visit(house, A)
    assert (house.canary.targets, house.visits.queue) == ([], [])


def test_endpoints_of_several_services_and_bells_are_visited_together(house: House) -> None:
    second = service_id(2)
    house.world.offer(second)
    house.world.connect(B, second, state=State.AVAILABLE)
    house.ledger.seen(house.connections.named([B])[0], Status.ACCEPTED, None, house.world.now)
    house.world.described = 0
    house.visit(Bell(frozenset({A})), Bell(frozenset({B})))
    assert [house.known(endpoint).status for endpoint in (A, B)] == [Status.VERIFIED] * 2
    assert (house.world.described, len(house.canary.calls)) == (1, 1)
    assert sorted((target["service_id"], target["endpoint_id"]) for target in house.canary.targets) == [
        (SERVICE, A),
        (second, B),
    ]


def test_a_visit_is_told_by_what_becomes_of_each_bell(house: House) -> None:
    accepted_again(house)
    house.visit(Bell(frozenset({A})), Bell(frozenset({B}), attempt=3))
    assert house.visits.waiting() == [Bell(frozenset({B}), attempt=4)]


def test_a_visit_without_an_endpoint_is_nothing(house: House) -> None:
    visit(house)
    assert (house.canary.targets, house.visits.queue) == ([], [])


def test_the_private_name_is_asked_for_on_the_first_visit(house: House) -> None:
    house.world.services[SERVICE] = Service(private_dns_name=PRIVATE, private_dns_state="verified")
    patrol = replace(house.patrol, default_probe=(Probe.parse("https://:443/"),))
    patrol.visit([Bell(frozenset({A}))], lambda: 900)
    assert {target["server_name"] for target in house.canary.targets} == {PRIVATE}
