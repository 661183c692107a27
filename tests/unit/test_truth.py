"""What is connected equals what the table says, also when looks are stale, calls fail and settings change meanwhile."""

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from linkgate.compare import TAGS_PER_LOOK
from linkgate.connections import Refusal
from linkgate.entry import BY_HAND, Current, read, stamp
from linkgate.errors import Throttled, Unavailable
from linkgate.model import Outcome, RowKey, State, Status
from linkgate.policy import decide
from linkgate.principals import Change
from linkgate.register import move
from linkgate.store import Write

from tests.simulation import SERVICE, House
from tests.world import CONSUMER, OTHER, Killed, endpoint_id, service_id

A, B, C = endpoint_id(1), endpoint_id(2), endpoint_id(3)
SECOND = service_id(2)
CUT, WOULD_CUT, TRIPPED = "Endpoint Connection Cut", "Would Cut", "Breaker Tripped"
MISCONFIGURED = "Endpoint Service Misconfigured"
SCHEDULE = 300
UNIT, ORGANIZATION = "ou-ab12-11111111", "o-a1b2c3d4e5"


def account(number: int) -> str:
    return f"{700000000000 + number}"


def settle(house: House, times: int = 1) -> None:
    """Sweeps by the schedule, and all that they ring."""
    for _ in range(times):
        house.settle()
        house.work(SCHEDULE)


def enforced(**settings: str) -> House:
    """A house that cuts after five seconds."""
    house = House()
    house.allow_list.put(SERVICE, "@settings", **{"mode": "enforce", "reconcile": "enforce", "grace": "5s", **settings})
    return house


def crowd(count: int, **settings: str) -> House:
    """So many accounts are connected, each with a row of its own."""
    house = enforced(**settings)
    for number in range(count):
        house.allow_list.put(SERVICE, account(number), effect="allow")
        house.connect(endpoint_id(number), account(number))
    house.work(10)
    settle(house, 2)
    house.bus.told.clear()
    return house


@pytest.fixture
def house() -> House:
    """Two consumers are connected."""
    made = enforced()
    for endpoint, owner in ((A, CONSUMER), (B, OTHER)):
        made.allow_list.put(SERVICE, owner, effect="allow", ticket="OPS-1")
        made.connect(endpoint, owner)
    made.work(10)
    settle(made, 2)
    made.bus.told.clear()
    return made


def cut(house: House) -> list[str]:
    """Who was rejected, in order."""
    return [endpoint for outcome, endpoint in house.world.acts if outcome is Outcome.REJECT]


# ------------------------------------------------------------------ breakers


def test_no_more_requests_are_rejected_within_an_hour_than_the_breaker_lets_through() -> None:
    house = enforced(default="reject", max_rejects="2")
    for number in range(5):
        house.connect(endpoint_id(number), account(number))
    house.work(10)
    settle(house, 3)
    assert len(cut(house)) == 2
    assert house.bus.kinds().count(TRIPPED) == 1
    assert {house.known(endpoint_id(number)).reason for number in (2, 3, 4)} == {"breaker"}


def tripped_by_one(**settings: str) -> House:
    """Ten rows of a hundred went, one after the other; the eleventh trips the breaker, and an hour passes."""
    house = crowd(100, **settings)
    for number in range(11):
        house.delete(SERVICE, account(number))
        house.work(20)
    assert len(cut(house)) <= 10
    settle(house, 15)
    return house


def test_a_trip_by_a_percentage_outlives_a_change_in_the_number_of_those_connected() -> None:
    house = tripped_by_one(max_cuts="10%")
    before = cut(house)
    for number in range(100, 120):
        house.allow_list.put(SERVICE, account(number), effect="allow")
        house.connect(endpoint_id(number), account(number))
    house.work(10)
    settle(house, 15)
    assert cut(house) == before


def test_a_trip_outlives_a_tighter_budget() -> None:
    house = crowd(8)
    for number in range(6):
        house.delete(SERVICE, account(number))
        house.work(20)
    settle(house, 15)
    assert len(cut(house)) == 5
    house.edit(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="5s", max_cuts="4")
    house.work(10)
    settle(house, 2)
    assert len(cut(house)) == 5


# ------------------------------------------------------------------ stale looks


def look_back(house: House, endpoint: str) -> None:
    """Describe shows what was true just before the last change of an endpoint."""
    since = house.world.links[endpoint].history[-1][0]
    house.world.lag = house.world.now - since + timedelta(seconds=2)


def test_a_look_older_than_a_cut_is_nobodys_act(house: House) -> None:
    house.delete(SERVICE, CONSUMER)
    house.work(10)
    assert cut(house) == [A]
    lines = len(house.ledger.lines(A))
    look_back(house, A)
    house.ring(A, cause="Reject")
    house.work()
    house.world.lag = timedelta()
    house.work(60)
    settle(house)
    assert [line.reason for line in house.ledger.lines(A)[lines:]] == []
    assert house.bus.kinds(A) == [CUT]


def test_a_look_older_than_a_cut_does_not_cut_again(house: House) -> None:
    house.delete(SERVICE, CONSUMER)
    house.work(5)
    house.ledger.store.index_lags()
    house.work(5)
    assert cut(house) == [A]
    look_back(house, A)
    house.sweeper.sweep("a sweep")
    assert house.world.asked.count((Outcome.REJECT, A)) == 1
    assert house.bus.kinds(A) == [CUT]


# ------------------------------------------------------------------ what is not known


def test_a_live_connection_of_which_ec2_does_not_say_whose_it_is_stays(house: House) -> None:
    house.world.links[A].owner = ""
    settle(house, 3)
    assert cut(house) == []


def test_a_request_of_which_ec2_does_not_say_whose_it_is_is_held() -> None:
    house = enforced(default="reject")
    house.allow_list.put(SERVICE, CONSUMER, effect="allow")
    house.connect(A, "")
    house.work(60)
    assert house.state(A) is State.PENDING_ACCEPTANCE


# ------------------------------------------------------------------ rejected ones that are allowed again


def test_a_row_of_an_ou_lets_a_rejected_connection_in_again() -> None:
    house = enforced(default="reject")
    house.organization.tree = {CONSUMER: (UNIT, ORGANIZATION)}
    house.world.accepts_rejected = True
    house.connect(A)
    house.work(100)
    assert house.state(A) is State.REJECTED
    house.edit(SERVICE, UNIT, effect="allow")
    house.work(100)
    settle(house, 2)
    assert house.state(A) is State.AVAILABLE


def test_a_deny_of_an_ou_keeps_a_rejected_connection_out_without_a_bell_at_every_sweep() -> None:
    house = enforced()
    house.organization.tree = {CONSUMER: (UNIT, ORGANIZATION)}
    house.allow_list.put(SERVICE, CONSUMER, effect="allow")
    house.allow_list.put(SERVICE, UNIT, effect="deny")
    house.connect(A)
    house.work(100)
    settle(house, 2)
    assert house.state(A) is State.REJECTED
    assert house.sweeper.sweep("a sweep").sum(lambda found: found.rung) == 0


def test_a_permission_that_is_missing_does_not_fill_the_ledger() -> None:
    house = enforced(default="reject")
    house.connect(A)
    house.work(100)
    house.world.forbidden.add(SERVICE)
    house.edit(SERVICE, CONSUMER, effect="allow")
    house.work(100)
    before = len(house.ledger.lines(A))
    settle(house, 12)
    assert len(house.ledger.lines(A)) == before


# ------------------------------------------------------------------ soon enough


def test_a_cut_that_ec2_throttles_is_made_soon(house: House) -> None:
    house.world.refusals[A] = [Refusal("RequestLimitExceeded", "slow down")]
    house.delete(SERVICE, CONSUMER)
    house.work(20)
    assert cut(house) == [A]


def test_a_deny_that_says_so_cuts_at_once_whom_an_approver_is_just_accepting() -> None:
    house = enforced()
    house.allow_list.put(SERVICE, CONSUMER, effect="allow")

    def meanwhile(outcome: Outcome, _: object) -> None:
        house.world.before_act = None
        house.edit(SERVICE, CONSUMER, effect="deny", cut="now")

    house.world.before_act = meanwhile
    house.connect(A)
    house.work(10)
    assert house.state(A) is State.REJECTED


def test_a_deny_that_says_so_cuts_at_once_whom_nobody_recorded_yet() -> None:
    house = enforced()
    house.world.connect(A, SERVICE, state=State.AVAILABLE)
    house.edit(SERVICE, CONSUMER, effect="deny", cut="now")
    house.work(10)
    assert house.state(A) is State.REJECTED


def test_however_long_the_grace_the_looks_do_not_multiply(house: House) -> None:
    house.edit(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="2d")
    house.delete(SERVICE, CONSUMER)
    settle(house, 48)
    assert len(house.looks.queue) <= 3


def test_a_throttle_while_tagging_does_not_delay_a_cut(house: House) -> None:
    def throttled(connection_id: str, tags: Mapping[str, str]) -> str:
        raise Throttled("RequestLimitExceeded")

    house.world.links[B].tags.clear()
    house.connections.tag = throttled  # type: ignore[method-assign]
    house.delete(SERVICE, CONSUMER)
    house.work(20)
    assert cut(house) == [A]


# ------------------------------------------------------------------ tags


def untaggable(house: House, *endpoints: str) -> list[str]:
    """EC2 refuses to tag these; the connections that it was asked to tag."""
    asked, tag = list[str](), house.connections.tag

    def refusing(connection_id: str, tags: Mapping[str, str]) -> str:
        asked.append(connection_id)
        if connection_id.replace("vpce-con-", "vpce-") in endpoints:
            return "UnauthorizedOperation: You are not authorized to perform this operation."
        return tag(connection_id, tags)

    house.connections.tag = refusing  # type: ignore[method-assign]
    return asked


def test_tags_that_ec2_refuses_are_not_tried_again_for_the_same_decision(house: House) -> None:
    house.world.links[A].tags.clear()
    asked = untaggable(house, A)
    settle(house, 5)
    assert len(asked) == 1


def test_tags_that_ec2_refuses_do_not_keep_others_from_theirs() -> None:
    house = crowd(TAGS_PER_LOOK + 1)
    for link in house.world.links.values():
        link.tags.clear()
    untaggable(house, *map(endpoint_id, range(TAGS_PER_LOOK)))
    settle(house, 5)
    assert house.world.links[endpoint_id(TAGS_PER_LOOK)].tags != {}


# ------------------------------------------------------------------ gates


def two(house: House, **settings: str) -> None:
    house.world.offer(SECOND)
    for service in (SERVICE, SECOND):
        house.allow_list.put(service, "@settings", **{"mode": "enforce", **settings})


def test_a_gate_that_ec2_does_not_describe_keeps_no_other_from_being_looked_after(house: House) -> None:
    two(house, sync_permissions="add")
    principals = house.gates.principals

    def forbidden(service: str) -> frozenset[str]:
        if service == SERVICE:
            raise ClientError(
                {"Error": {"Code": "InvalidVpcEndpointServiceId.NotFound", "Message": "gone"}},
                "DescribeVpcEndpointServicePermissions",
            )
        return principals(service)

    house.gates.principals = forbidden  # type: ignore[method-assign]
    house.allow_list.put(SECOND, CONSUMER, effect="allow")
    settle(house)
    assert house.world.services[SECOND].principals == {f"arn:aws:iam::{CONSUMER}:root"}


def test_a_gate_that_could_not_be_looked_at_is_not_told_to_be_mended(house: House) -> None:
    house.allow_list.put(SERVICE, "@settings", mode="enforce", default="reject")
    house.world.services[SERVICE].principals = {"*"}
    settle(house)
    assert house.bus.kinds() == [MISCONFIGURED]
    principals = house.gates.principals

    def silent(service: str) -> frozenset[str]:
        raise Unavailable("EC2: no answer")

    house.gates.principals = silent  # type: ignore[method-assign]
    settle(house)
    house.gates.principals = principals  # type: ignore[method-assign]
    settle(house)
    assert house.bus.kinds() == [MISCONFIGURED]


def test_a_refusal_that_ec2_words_anew_each_time_is_told_once(house: House) -> None:
    house.allow_list.put(SERVICE, "@settings", mode="enforce", sync_permissions="add")
    words = iter(range(99))

    def refuse(service: str, change: Change) -> str:
        return f"UnauthorizedOperation: no. Encoded authorization failure message: {next(words)}"

    house.gates.permit = refuse  # type: ignore[method-assign]
    settle(house, 4)
    assert house.bus.kinds() == [MISCONFIGURED]


def test_a_call_of_our_own_that_ec2_refused_does_not_ask_for_the_next_sweep() -> None:
    template = (Path(__file__).parents[2] / "template.yaml").read_text()
    rule = template[template.index("  ServiceTrailRule:") :].partition("Targets:")[0]
    assert "errorCode" in rule


# ------------------------------------------------------------------ the ledger


def dying_after(house: House, writes: int) -> None:
    """The run ends after so many writes to the ledger."""
    store, write, left = house.ledger.store, house.ledger.store.write, [writes]

    def die(*changes: Write) -> None:
        write(*changes)
        left[0] -= 1
        if not left[0]:
            store.write = write  # type: ignore[method-assign]
            raise Killed

    store.write = die  # type: ignore[method-assign]


def test_who_is_wanted_again_is_noted_although_the_run_that_found_it_died(house: House) -> None:
    house.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="report")
    house.delete(SERVICE, CONSUMER)
    settle(house)
    house.allow_list.put(SERVICE, CONSUMER, effect="allow", ticket="OPS-1")
    dying_after(house, 2)  # its lease, and that A is wanted again
    with pytest.raises(Killed):
        house.sweeper.sweep("a sweep")
    settle(house, 2)
    assert [line.answer for line in house.ledger.lines(A)][-1] == "it stays"


def test_a_live_connection_is_found_although_the_run_that_saw_other_hands_accept_it_died() -> None:
    house = House()
    house.allow_list.put(SERVICE, "@settings", mode="observe")
    house.allow_list.put(SERVICE, CONSUMER, effect="allow")
    for state in (State.PENDING_ACCEPTANCE, State.AVAILABLE):
        if state is State.AVAILABLE:
            house.world.turn(A, state)
        else:
            house.world.connect(A, SERVICE)
        dying_after(house, 1)
        house.ring(A)
        with pytest.raises(Killed):
            house.work()
        house.world.advance(61)
    settle(house, 2)
    assert house.known(A).status is Status.ACCEPTED


def test_a_place_in_the_queue_that_says_another_time_is_healed() -> None:
    house = enforced()
    house.allow_list.put(SERVICE, CONSUMER, effect="allow", limit=0)
    house.connect(A)
    house.work(10)
    current = house.known(A)
    old = current.slots._replace(waiting=frozenset({f"{stamp(house.world.now)} {A}"}))
    house.ledger.store.write(*move(SERVICE, CONSUMER, leave=current.slots))
    house.ledger.store.write(*move(SERVICE, CONSUMER, take=old))
    assert house.sweeper.sweep("a sweep").failed == {}


def test_nothing_that_is_written_of_an_endpoint_is_lost_when_it_is_read() -> None:
    kinds = {"status": "HELD", "state": "available", "settled": False, "claimed": True, "final": True, "tries": 7}
    renamed = {"endpoint": "endpoint_id", "entry": "decision"}
    names = {one.name: renamed.get(one.name, one.name) for one in fields(Current)}
    item = {stored: kinds.get(name, name) for name, stored in names.items()}
    known = read(item)
    assert {name: getattr(known, name) for name in names} == {name: item[stored] for name, stored in names.items()}


def test_where_everything_is_as_it_should_be_sweeps_write_and_tell_nothing(house: House) -> None:
    house.allow_list.put(SERVICE, account(1), effect="deny")
    house.allow_list.put(SERVICE, account(2), effect="review")
    house.allow_list.put(SERVICE, account(3), effect="allow", limit=0)
    house.allow_list.put(SERVICE, account(4), effect="permit")
    for number in range(6):
        house.connect(endpoint_id(10 + number), account(number))
    house.work(60)
    settle(house, 2)
    told, lines = len(house.bus.told), len(house.ledger.store.items)
    settle(house, 12)
    assert (len(house.bus.told), len(house.ledger.store.items)) == (told, lines)
    assert (house.bells.queue, house.looks.queue) == ([], [])


# ------------------------------------------------------------------ all of it together


class Weather:
    """People, consumers, EC2 and dying functions, as a seed has it; `wrong` is what was done against the table."""

    def __init__(self, seed: int) -> None:
        self.chance, self.house = random.Random(seed), enforced(max_cuts="1000", max_rejects="1000")
        self.wrong: list[tuple[str, str]] = []
        self.calm, self.tell, self.write = False, self.house.world.tell, self.house.ledger.store.write
        self.lifetime = 0
        self.house.world.tell = self.told  # type: ignore[method-assign]
        self.house.ledger.store.write = self.written  # type: ignore[method-assign]

    def told(self, service: str, outcome: Outcome, endpoint: str) -> Refusal | None:
        """EC2 now and then refuses; what it is told must be what the table says at that moment."""
        world = self.house.world
        (now,) = (one for one in replace(world, lag=timedelta()).shown() if one.endpoint == endpoint)
        decision = decide(now, self.house.allow_list.table, world.now)
        cut = outcome is Outcome.REJECT and now.state.live
        wanted = decision.reason.ends if cut else decision.outcome is outcome
        if not wanted and (cut or now.waits):
            self.wrong.append((outcome, endpoint))
        if not self.calm and self.chance.random() < 0.05:
            return Refusal(self.chance.choice(["RequestLimitExceeded", "Strange", "UnauthorizedOperation"]), "no")
        return self.tell(service, outcome, endpoint)

    def written(self, *writes: Write) -> None:
        self.lifetime -= 1
        if self.lifetime == 0 and not self.calm:
            if self.chance.random() < 0.5:
                self.write(*writes)
            raise Killed
        self.write(*writes)

    def blow(self) -> None:
        """Something happens, and the function that hears of it may die."""
        house, chance = self.house, self.chance
        self.lifetime = chance.randint(1, 8) if chance.random() < 0.2 else -1
        house.world.lag = timedelta(seconds=chance.choice([0, 0, 1, 3]))
        with suppress(Killed):
            chance.choice([self.edit, self.edit, self.delete, self.connect, self.hand, self.settings, self.wait])()
            house.settle()

    def account(self) -> str:
        return account(self.chance.randrange(4))

    def edit(self) -> None:
        effects: list[Mapping[str, object]] = [
            *({"effect": effect} for effect in ("allow", "allow", "deny", "review", "permit")),
            *({"effect": "deny", "cut": "now"}, {"effect": "allow", "limit": 1}),
        ]
        self.house.edit(SERVICE, self.account(), **self.chance.choice(effects))

    def delete(self) -> None:
        if RowKey(SERVICE, owner := self.account()) in self.house.allow_list.table:
            self.house.delete(SERVICE, owner)

    def connect(self) -> None:
        self.house.connect(endpoint_id(len(self.house.world.links)), self.account())

    def hand(self) -> None:
        for endpoint in self.chance.sample(sorted(self.house.world.links), min(1, len(self.house.world.links))):
            state = self.house.state(endpoint)
            after = [State.REJECTED, State.DELETED]
            if state is State.PENDING_ACCEPTANCE:
                after.append(State.AVAILABLE)
            if state is State.PENDING_ACCEPTANCE or (state and state.live):
                self.house.world.turn(endpoint, self.chance.choice(after))

    def settings(self) -> None:
        values = self.chance.choice([{}, {"reconcile": "report"}, {"mode": "observe"}, {"grace": "soon"}])
        row = {"mode": "enforce", "reconcile": "enforce", "grace": "5s", "max_cuts": "1000"} | values
        self.house.edit(SERVICE, "@settings", **row)

    def wait(self) -> None:
        self.house.work(self.chance.choice([1, 5, 20, 70]))

    def clear(self) -> None:
        """Nothing happens for a long while."""
        self.calm, self.house.world.lag = True, timedelta()
        self.house.edit(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="5s", max_cuts="1000")
        settle(self.house, 30)


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_whatever_happens_nobody_is_acted_on_against_the_table_and_in_the_end_everything_agrees(seed: int) -> None:
    weather = Weather(seed)
    for _ in range(60):
        weather.blow()
    weather.clear()
    house = weather.house
    assert weather.wrong == []
    # What was gone before anybody saw it is not in the ledger.
    for one in (one for one in house.world.shown() if one.endpoint in house.ledger.currents):
        known, decision = house.known(one.endpoint), decide(one, house.allow_list.table, house.world.now)
        assert (one.state.live, one.state.live and decision.reason.ends) == (known.status.live, False)
        assert all(line.answer for line in house.ledger.lines(one.endpoint) if line.reason != BY_HAND)
    kept = len(house.ledger.store.items), len(house.bus.told)
    settle(house, 3)
    assert (len(house.ledger.store.items), len(house.bus.told)) == kept
