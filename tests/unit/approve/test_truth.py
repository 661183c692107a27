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
from linkgate.aws.errors import Refusal
from linkgate.errors import Throttled, Unavailable
from linkgate.ledger.items import BY_HAND, EndpointRecord, read, stamp
from linkgate.ledger.table import Write
from linkgate.model import Outcome, RowKey, State, Status
from linkgate.policy.decide import decide
from linkgate.policy.principals import Change
from linkgate.sweep.compare import TAGS_PER_LOOK

from tests.application import SERVICE, Application
from tests.world import CONSUMER, OTHER, START, Killed, endpoint_id, service_id

A, B, C = endpoint_id(1), endpoint_id(2), endpoint_id(3)
SECOND = service_id(2)
CUT, WOULD_CUT, TRIPPED = "Endpoint Connection Cut", "Would Cut", "Breaker Tripped"
MISCONFIGURED = "Endpoint Service Misconfigured"
SCHEDULE = 300
UNIT, ORGANIZATION = "ou-ab12-11111111", "o-a1b2c3d4e5"


def account(number: int) -> str:
    return f"{700000000000 + number}"


def settle(app: Application, times: int = 1) -> None:
    """Sweeps by the schedule, and all that they ring."""
    for _ in range(times):
        app.settle()
        app.work(SCHEDULE)


def enforced(**settings: str) -> Application:
    """An application that cuts after five seconds."""
    app = Application()
    app.allow_list.put(SERVICE, "@settings", **{"mode": "enforce", "reconcile": "enforce", "grace": "5s", **settings})
    return app


def crowd(count: int, **settings: str) -> Application:
    """So many accounts are connected, each with a row of its own."""
    app = enforced(**settings)
    for number in range(count):
        app.allow_list.put(SERVICE, account(number), effect="allow")
        app.connect(endpoint_id(number), account(number))
    app.work(10)
    settle(app, 2)
    app.bus.published.clear()
    return app


@pytest.fixture
def app() -> Application:
    """Two consumers are connected."""
    made = enforced()
    for endpoint, account in ((A, CONSUMER), (B, OTHER)):
        made.allow_list.put(SERVICE, account, effect="allow", ticket="OPS-1")
        made.connect(endpoint, account)
    made.work(10)
    settle(made, 2)
    made.bus.published.clear()
    return made


def cut(app: Application) -> list[str]:
    """Who was rejected, in order."""
    return [endpoint for outcome, endpoint in app.world.acts if outcome is Outcome.REJECT]


# ------------------------------------------------------------------ breakers


def test_no_more_requests_are_rejected_within_an_hour_than_the_breaker_lets_through() -> None:
    app = enforced(default="reject", max_rejects="2")
    for number in range(5):
        app.connect(endpoint_id(number), account(number))
    app.work(10)
    settle(app, 3)
    assert len(cut(app)) == 2
    assert app.bus.kinds().count(TRIPPED) == 1
    assert {app.known(endpoint_id(number)).reason for number in (2, 3, 4)} == {"breaker"}


def tripped_by_one(**settings: str) -> Application:
    """Ten rows of a hundred went, one after the other; the eleventh trips the breaker, and an hour passes."""
    app = crowd(100, **settings)
    for number in range(11):
        app.delete(SERVICE, account(number))
        app.work(20)
    assert len(cut(app)) <= 10
    settle(app, 15)
    return app


def test_a_trip_by_a_percentage_outlives_a_change_in_the_number_of_those_connected() -> None:
    app = tripped_by_one(max_cuts="10%")
    before = cut(app)
    for number in range(100, 120):
        app.allow_list.put(SERVICE, account(number), effect="allow")
        app.connect(endpoint_id(number), account(number))
    app.work(10)
    settle(app, 15)
    assert cut(app) == before


def test_a_trip_outlives_a_tighter_budget() -> None:
    app = crowd(8)
    for number in range(6):
        app.delete(SERVICE, account(number))
        app.work(20)
    settle(app, 15)
    assert len(cut(app)) == 5
    app.edit(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="5s", max_cuts="4")
    app.work(10)
    settle(app, 2)
    assert len(cut(app)) == 5


# ------------------------------------------------------------------ stale looks


def look_back(app: Application, endpoint: str) -> None:
    """Describe shows what was true just before the last change of an endpoint."""
    since = app.world.links[endpoint].history[-1][0]
    app.world.lag = app.world.now - since + timedelta(seconds=2)


def test_a_look_older_than_a_cut_is_nobodys_act(app: Application) -> None:
    app.delete(SERVICE, CONSUMER)
    app.work(10)
    assert cut(app) == [A]
    lines = len(app.ledger.lines(A))
    look_back(app, A)
    app.send(A, origin="Reject")
    app.work()
    app.world.lag = timedelta()
    app.work(60)
    settle(app)
    assert [line.reason for line in app.ledger.lines(A)[lines:]] == []
    assert app.bus.kinds(A) == [CUT]


def test_a_look_older_than_a_cut_does_not_cut_again(app: Application) -> None:
    app.delete(SERVICE, CONSUMER)
    app.work(5)
    app.ledger.store.index_lags()
    app.work(5)
    assert cut(app) == [A]
    look_back(app, A)
    app.sweeper.sweep("a sweep")
    assert app.world.asked.count((Outcome.REJECT, A)) == 1
    assert app.bus.kinds(A) == [CUT]


# ------------------------------------------------------------------ what is not known


def test_a_live_connection_of_which_ec2_does_not_say_whose_it_is_stays(app: Application) -> None:
    app.world.links[A].account = ""
    settle(app, 3)
    assert cut(app) == []


def test_a_request_of_which_ec2_does_not_say_whose_it_is_is_held() -> None:
    app = enforced(default="reject")
    app.allow_list.put(SERVICE, CONSUMER, effect="allow")
    app.connect(A, "")
    app.work(60)
    assert app.state(A) is State.PENDING_ACCEPTANCE


# ------------------------------------------------------------------ rejected ones that are allowed again


def test_a_row_of_an_ou_lets_a_rejected_connection_in_again() -> None:
    app = enforced(default="reject")
    app.organization.tree = {CONSUMER: (UNIT, ORGANIZATION)}
    app.world.accepts_rejected = True
    app.connect(A)
    app.work(100)
    assert app.state(A) is State.REJECTED
    app.edit(SERVICE, UNIT, effect="allow")
    app.work(100)
    settle(app, 2)
    assert app.state(A) is State.AVAILABLE


def test_a_deny_of_an_ou_keeps_a_rejected_connection_out_without_a_bell_at_every_sweep() -> None:
    app = enforced()
    app.organization.tree = {CONSUMER: (UNIT, ORGANIZATION)}
    app.allow_list.put(SERVICE, CONSUMER, effect="allow")
    app.allow_list.put(SERVICE, UNIT, effect="deny")
    app.connect(A)
    app.work(100)
    settle(app, 2)
    assert app.state(A) is State.REJECTED
    assert app.sweeper.sweep("a sweep").sum(lambda found: found.requeued) == 0


@pytest.mark.parametrize("code", ["OperationInProgress", "InternalError", "UnauthorizedOperation", "Busy"])
def test_a_rejected_connection_that_ec2_cannot_accept_just_now_is_asked_for_again(code: str) -> None:
    app = enforced(default="reject")
    app.world.accepts_rejected = True
    app.connect(A)
    app.work(100)
    app.world.refusals[A] = [Refusal(code, "not now") for _ in range(3)]
    app.edit(SERVICE, CONSUMER, effect="allow")
    app.work(100)
    assert (app.known(A).final, app.state(A)) == (False, State.REJECTED)
    settle(app, 4)
    assert app.state(A) is State.AVAILABLE


def test_a_permission_that_is_missing_does_not_fill_the_ledger() -> None:
    app = enforced(default="reject")
    app.connect(A)
    app.work(100)
    app.world.forbidden.add(SERVICE)
    app.edit(SERVICE, CONSUMER, effect="allow")
    app.work(100)
    before = len(app.ledger.lines(A))
    settle(app, 12)
    assert len(app.ledger.lines(A)) == before


# ------------------------------------------------------------------ soon enough


def test_a_cut_that_ec2_throttles_is_made_soon(app: Application) -> None:
    app.world.refusals[A] = [Refusal("RequestLimitExceeded", "slow down")]
    app.delete(SERVICE, CONSUMER)
    app.work(20)
    assert cut(app) == [A]


def test_a_deny_that_says_so_cuts_at_once_whom_an_approver_is_just_accepting() -> None:
    app = enforced()
    app.allow_list.put(SERVICE, CONSUMER, effect="allow")

    def meanwhile(outcome: Outcome, _: object) -> None:
        app.world.before_act = None
        app.edit(SERVICE, CONSUMER, effect="deny", cut="now")

    app.world.before_act = meanwhile
    app.connect(A)
    app.work(10)
    assert app.state(A) is State.REJECTED


def test_a_deny_that_says_so_cuts_at_once_whom_nobody_recorded_yet() -> None:
    app = enforced()
    app.world.connect(A, SERVICE, state=State.AVAILABLE)
    app.edit(SERVICE, CONSUMER, effect="deny", cut="now")
    app.work(10)
    assert app.state(A) is State.REJECTED


def test_however_long_the_grace_the_looks_do_not_multiply(app: Application) -> None:
    app.edit(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="2d")
    app.delete(SERVICE, CONSUMER)
    settle(app, 48)
    assert len(app.looks.queue) <= 3


def test_a_throttle_while_tagging_does_not_delay_a_cut(app: Application) -> None:
    def throttled(connection_id: str, tags: Mapping[str, str]) -> str:
        raise Throttled("RequestLimitExceeded")

    app.world.links[B].tags.clear()
    app.connections.tag = throttled  # type: ignore[method-assign]
    app.delete(SERVICE, CONSUMER)
    app.work(20)
    assert cut(app) == [A]


# ------------------------------------------------------------------ tags


def untaggable(app: Application, *endpoints: str) -> list[str]:
    """EC2 refuses to tag these; the connections that it was asked to tag."""
    asked, tag = list[str](), app.connections.tag

    def refusing(connection_id: str, tags: Mapping[str, str]) -> str:
        asked.append(connection_id)
        if connection_id.replace("vpce-con-", "vpce-") in endpoints:
            return "UnauthorizedOperation: You are not authorized to perform this operation."
        return tag(connection_id, tags)

    app.connections.tag = refusing  # type: ignore[method-assign]
    return asked


def test_tags_that_ec2_refuses_are_not_tried_again_for_the_same_decision(app: Application) -> None:
    app.world.links[A].tags.clear()
    asked = untaggable(app, A)
    settle(app, 5)
    assert len(asked) == 1


def test_tags_that_ec2_refuses_do_not_keep_others_from_theirs() -> None:
    app = crowd(TAGS_PER_LOOK + 1)
    for link in app.world.links.values():
        link.tags.clear()
    untaggable(app, *map(endpoint_id, range(TAGS_PER_LOOK)))
    settle(app, 5)
    assert app.world.links[endpoint_id(TAGS_PER_LOOK)].tags != {}


# ------------------------------------------------------------------ gates


def two(app: Application, **settings: str) -> None:
    app.world.offer(SECOND)
    for service in (SERVICE, SECOND):
        app.allow_list.put(service, "@settings", **{"mode": "enforce", **settings})


def test_a_gate_that_ec2_does_not_describe_keeps_no_other_from_being_looked_after(app: Application) -> None:
    two(app, sync_permissions="add")
    principals = app.services.principals

    def forbidden(service: str) -> frozenset[str]:
        if service == SERVICE:
            raise ClientError(
                {"Error": {"Code": "InvalidVpcEndpointServiceId.NotFound", "Message": "gone"}},
                "DescribeVpcEndpointServicePermissions",
            )
        return principals(service)

    app.services.principals = forbidden  # type: ignore[method-assign]
    app.allow_list.put(SECOND, CONSUMER, effect="allow")
    settle(app)
    assert app.world.services[SECOND].principals == {f"arn:aws:iam::{CONSUMER}:root"}


def test_a_gate_that_could_not_be_looked_at_is_not_told_to_be_mended(app: Application) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", default="reject")
    app.world.services[SERVICE].principals = {"*"}
    settle(app)
    assert app.bus.kinds() == [MISCONFIGURED]
    principals = app.services.principals

    def silent(service: str) -> frozenset[str]:
        raise Unavailable("EC2: no answer")

    app.services.principals = silent  # type: ignore[method-assign]
    settle(app)
    app.services.principals = principals  # type: ignore[method-assign]
    settle(app)
    assert app.bus.kinds() == [MISCONFIGURED]


def test_a_refusal_that_ec2_words_anew_each_time_is_told_once(app: Application) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", sync_permissions="add")
    words = iter(range(99))

    def refuse(service: str, change: Change) -> dict[str, Refusal]:
        message = f"no. Encoded authorization failure message: {next(words)}"
        return dict.fromkeys(sorted(change.add), Refusal("UnauthorizedOperation", message))

    app.services.permit = refuse  # type: ignore[method-assign]
    settle(app, 4)
    ((kind, detail),) = app.bus.published
    problem = "EC2 refuses to change its principals: UnauthorizedOperation"
    assert (kind, detail["problems"]) == (MISCONFIGURED, [problem])


def test_a_call_of_our_own_that_ec2_refused_does_not_ask_for_the_next_sweep() -> None:
    template = (Path(__file__).parents[3] / "template.yaml").read_text()
    rule = template[template.index("  ServiceTrailRule:") :].partition("Targets:")[0]
    assert "errorCode" in rule


# ------------------------------------------------------------------ the ledger


def dying_after(app: Application, writes: int) -> None:
    """The run ends after so many writes to the ledger."""
    store, write, left = app.ledger.store, app.ledger.store.write, [writes]

    def die(*changes: Write) -> None:
        write(*changes)
        left[0] -= 1
        if not left[0]:
            store.write = write  # type: ignore[method-assign]
            raise Killed

    store.write = die  # type: ignore[method-assign]


def test_who_is_wanted_again_is_noted_although_the_run_that_found_it_died(app: Application) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="report")
    app.delete(SERVICE, CONSUMER)
    settle(app)
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", ticket="OPS-1")
    dying_after(app, 2)  # its lease, and that A is wanted again
    with pytest.raises(Killed):
        app.sweeper.sweep("a sweep")
    settle(app, 2)
    assert [line.answer for line in app.ledger.lines(A)][-1] == "it stays"


def test_a_live_connection_is_found_although_the_run_that_saw_other_hands_accept_it_died() -> None:
    app = Application()
    app.allow_list.put(SERVICE, "@settings", mode="observe")
    app.allow_list.put(SERVICE, CONSUMER, effect="allow")
    for state in (State.PENDING_ACCEPTANCE, State.AVAILABLE):
        if state is State.AVAILABLE:
            app.world.turn(A, state)
        else:
            app.world.connect(A, SERVICE)
        dying_after(app, 1)
        app.send(A)
        with pytest.raises(Killed):
            app.work()
        app.world.advance(61)
    settle(app, 2)
    assert app.known(A).status is Status.ACCEPTED


def test_nothing_that_is_written_of_an_endpoint_is_lost_when_it_is_read() -> None:
    kinds = {"status": "HELD", "state": "available", "settled": False, "claimed": True, "final": True, "tries": 7}
    kinds |= {
        "outcome": "accept",
        "mode": "enforce",
        "recent": "110",
        "contradiction": "live_not_allowed",
        "contradiction_told": True,
    }
    kinds |= {"health": {"cause": "tcp_timeout"}}
    renamed = {"endpoint": "endpoint_id", "entry": "decision", "unwanted_since": "unwanted_at"}
    names = {one.name: renamed.get(one.name, one.name) for one in fields(EndpointRecord)}
    times = [name for name in names if name.endswith(("_at", "_until", "_since"))]
    kinds |= {name: stamp(START + timedelta(seconds=second)) for second, name in enumerate(times)}
    item = {stored: kinds.get(name, name) for name, stored in names.items()}
    known = read(item)
    found = {name: getattr(known, name) for name in names}
    found |= {name: stamp(found[name]) for name in times}
    assert found == {name: item[stored] for name, stored in names.items()}


def test_where_everything_is_as_it_should_be_sweeps_write_and_tell_nothing(app: Application) -> None:
    app.allow_list.put(SERVICE, account(1), effect="deny")
    app.allow_list.put(SERVICE, account(2), effect="review")
    app.allow_list.put(SERVICE, account(3), effect="allow", limit=0)
    app.allow_list.put(SERVICE, account(4), effect="permit")
    for number in range(6):
        app.connect(endpoint_id(10 + number), account(number))
    app.work(60)
    settle(app, 2)
    told, lines = len(app.bus.published), len(app.ledger.store.items)
    settle(app, 12)
    assert (len(app.bus.published), len(app.ledger.store.items)) == (told, lines)
    assert (app.bells.queue, app.looks.queue) == ([], [])


# ------------------------------------------------------------------ all of it together


class Weather:
    """People, consumers, EC2 and dying functions, as a seed has it; `wrong` is what was done against the table."""

    def __init__(self, seed: int) -> None:
        self.chance, self.app = random.Random(seed), enforced(max_cuts="1000", max_rejects="1000")
        self.wrong: list[tuple[str, str]] = []
        self.calm, self.act, self.write = False, self.app.world.act, self.app.ledger.store.write
        self.lifetime = 0
        self.app.world.act = self.acting  # type: ignore[method-assign]
        self.app.ledger.store.write = self.written  # type: ignore[method-assign]

    def acting(self, service: str, outcome: Outcome, endpoint: str) -> Refusal | None:
        """EC2 now and then refuses; what it is told must be what the table says at that moment."""
        world = self.app.world
        (now,) = (one for one in replace(world, lag=timedelta()).shown() if one.endpoint == endpoint)
        decision = decide(now, self.app.allow_list.table, world.now)
        cut = outcome is Outcome.REJECT and now.state.live
        wanted = decision.reason.ends if cut else decision.outcome is outcome
        if not wanted and (cut or now.waits):
            self.wrong.append((outcome, endpoint))
        if not self.calm and self.chance.random() < 0.05:
            return Refusal(self.chance.choice(["RequestLimitExceeded", "Strange", "UnauthorizedOperation"]), "no")
        return self.act(service, outcome, endpoint)

    def written(self, *writes: Write) -> None:
        self.lifetime -= 1
        if self.lifetime == 0 and not self.calm:
            if self.chance.random() < 0.5:
                self.write(*writes)
            raise Killed
        self.write(*writes)

    def blow(self) -> None:
        """Something happens, and the function that hears of it may die."""
        app, chance = self.app, self.chance
        self.lifetime = chance.randint(1, 8) if chance.random() < 0.2 else -1
        app.world.lag = timedelta(seconds=chance.choice([0, 0, 1, 3]))
        with suppress(Killed):
            chance.choice([self.edit, self.edit, self.delete, self.connect, self.hand, self.settings, self.wait])()
            app.settle()

    def account(self) -> str:
        return account(self.chance.randrange(4))

    def edit(self) -> None:
        effects: list[Mapping[str, object]] = [
            *({"effect": effect} for effect in ("allow", "allow", "deny", "review", "permit")),
            *({"effect": "deny", "cut": "now"}, {"effect": "allow", "limit": 1}),
        ]
        self.app.edit(SERVICE, self.account(), **self.chance.choice(effects))

    def delete(self) -> None:
        if RowKey(SERVICE, account := self.account()) in self.app.allow_list.table:
            self.app.delete(SERVICE, account)

    def connect(self) -> None:
        self.app.connect(endpoint_id(len(self.app.world.links)), self.account())

    def hand(self) -> None:
        for endpoint in self.chance.sample(sorted(self.app.world.links), min(1, len(self.app.world.links))):
            state = self.app.state(endpoint)
            after = [State.REJECTED, State.DELETED]
            if state is State.PENDING_ACCEPTANCE:
                after.append(State.AVAILABLE)
            if state is State.PENDING_ACCEPTANCE or (state and state.live):
                self.app.world.turn(endpoint, self.chance.choice(after))

    def settings(self) -> None:
        values = self.chance.choice([{}, {"reconcile": "report"}, {"mode": "observe"}, {"grace": "soon"}])
        row = {"mode": "enforce", "reconcile": "enforce", "grace": "5s", "max_cuts": "1000"} | values
        self.app.edit(SERVICE, "@settings", **row)

    def wait(self) -> None:
        self.app.work(self.chance.choice([1, 5, 20, 70]))

    def clear(self) -> None:
        """Nothing happens for a long while."""
        self.calm, self.app.world.lag = True, timedelta()
        self.app.edit(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="5s", max_cuts="1000")
        settle(self.app, 30)


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_whatever_happens_nobody_is_acted_on_against_the_table_and_in_the_end_everything_agrees(seed: int) -> None:
    weather = Weather(seed)
    for _ in range(60):
        weather.blow()
    weather.clear()
    app = weather.app
    assert weather.wrong == []
    # What was gone before anybody saw it is not in the ledger.
    for one in (one for one in app.world.shown() if one.endpoint in app.ledger.currents):
        known, decision = app.known(one.endpoint), decide(one, app.allow_list.table, app.world.now)
        assert (one.state.live, one.state.live and decision.reason.ends) == (known.status.live, False)
        assert all(line.answer for line in app.ledger.lines(one.endpoint) if line.reason != BY_HAND)
    kept = len(app.ledger.store.items), len(app.bus.published)
    settle(app, 3)
    assert (len(app.ledger.store.items), len(app.bus.published)) == kept
