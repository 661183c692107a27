"""An item of the ledger that cannot be read is that endpoint's trouble alone: left as it is, told, counted."""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from linkgate.errors import Contended
from linkgate.events.bell import Bell
from linkgate.ledger.breaker import FULL, cuts_name, rejects_name
from linkgate.ledger.items import stamp
from linkgate.ledger.sets import MEMBERS, block_name
from linkgate.ledger.slots import limit_name
from linkgate.ledger.table import ItemKey
from linkgate.model import RowKey, State, Status
from linkgate.sweep import expiring, lease, services, validator

from tests.application import SERVICE, Application
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

A, B, C = endpoint_id(1), endpoint_id(2), endpoint_id(3)
GONE = object()
VALUES: dict[str, list[object]] = {
    "status": ["QUARANTINED", "accepted", "", GONE],
    "state": ["levitating", "AVAILABLE", None, GONE],
    "outcome": ["maybe", None],
    "mode": ["audit", True],
    "version": [Decimal(2), Decimal(0), "1", Decimal("1.5"), None],
    "decided_at": ["yesterday", "2026-W48-1T03:00:00Z", "0001-01-01T00:00:00+23:59", Decimal(5), None],
    "open_until": ["2026-11-23T03:00:00"],
    "requested_at": ["2026-13-01T00:00:00.000000Z"],
    "answered_at": ["0"],
    "accepted_at": [["now"]],
    "verified_at": ["-"],
    "unwanted_at": ["soon"],
    "settled": ["true"],
    "claimed": [Decimal(1)],
    "final": [None],
    "tries": ["many", Decimal(-1), Decimal("1.5"), True],
    "recent": ["1x", Decimal(1)],
    "health": [
        [],
        "fine",
        {"checked_at": "today"},
        {"private_seen_at": Decimal(1)},
        {"cause": Decimal(7)},
        {"failing_since": "once"},
        {"looked_at": "once"},
    ],
    "decision": [Decimal(7)],
    "account": [None],
    "region": [Decimal(1)],
    "reason": [["allowed"]],
    "row": [None],
    "policy_hash": [Decimal(1)],
    "ticket": [{}],
    "row_owner": [{}],
    "by_whom": [None],
    "by_hand_at": ["once"],
    "contradiction": ["somehow"],
    "contradiction_told": ["true"],
    "contradicted_at": ["once"],
    "why": [Decimal(1)],
    "refusal": [False],
    "by_hand": [None],
    "tags_refused": [Decimal(1)],
    "service": [GONE],
}
DAMAGE = [(name, value) for name, some in VALUES.items() for value in some]


@pytest.fixture
def app() -> Application:
    """Two endpoints that were let in and answer."""
    made = Application()
    made.allow_list.put(SERVICE, CONSUMER, effect="allow")
    made.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="1s", max_cuts=0)
    for endpoint in (A, B):
        made.connect(endpoint)
    made.work(20)
    made.settle()
    for endpoint in (A, B):
        made.world.turn(endpoint, State.AVAILABLE)
    made.work(20)
    made.settle()
    return made


def damage(app: Application, name: str, value: object, endpoint: str = A) -> dict[str, Any]:
    """Damage an endpoint's item; the item as it is then."""
    item = app.ledger.store.items[ItemKey(endpoint)]
    if value is GONE:
        del item[name]
    else:
        item[name] = value
    return deepcopy(item)


@pytest.mark.parametrize(("name", "value"), DAMAGE)
def test_one_item_that_cannot_be_read_stops_nobody_else_and_is_left_as_it_is(
    app: Application, name: str, value: object
) -> None:
    item = damage(app, name, value)
    app.connect(C)
    app.work(20)
    assert app.known(C).status is Status.ACCEPTED
    result = app.sweeper.sweep("a sweep")
    indexed = (name, value) not in [("service", GONE), ("status", GONE)]  # the approver finds what the index has not
    assert result.failed == {}
    assert list(result.services[SERVICE].unreadable) == [A] * indexed
    assert not indexed or A not in {endpoint for bell in app.bells.waiting() for endpoint in bell.endpoints}
    assert app.ledger.store.items[ItemKey(limit_name(SERVICE, CONSUMER))][MEMBERS] == {A, B, C}
    run = app.round()
    assert run.failed == {}
    assert app.known(B).status is Status.VERIFIED
    report = app.approver.answer([Bell(frozenset({A, B}))])
    assert list(report.damaged) == [A]
    assert report.counts["Failures"] == 1
    assert (report.failed, report.given_up) == ({}, set())
    assert list(app.approver.answer([Bell(services=frozenset({SERVICE}))]).damaged) == [A]
    assert not [bell for bell in app.bells.waiting() if A in bell.endpoints and bell.attempt]
    assert app.ledger.store.items[ItemKey(A)] == item


def test_it_says_which_attribute_was_read_and_what_is_expected(app: Application) -> None:
    for name, value, words in (
        ("version", Decimal(2), "version is 2: expected 1 at most: newer code wrote it"),
        ("status", "QUARANTINED", 'status is "QUARANTINED": expected a status'),
        ("decided_at", "yesterday", 'decided_at is "yesterday": expected a time in UTC'),
    ):
        before = deepcopy(app.ledger.store.items[ItemKey(A)])
        damage(app, name, value)
        assert app.ledger.current([A]).unreadable == {A: words}
        app.ledger.store.items[ItemKey(A)] = before


def test_nobody_is_let_in_or_cut_on_the_word_of_an_item_that_cannot_be_read(app: Application) -> None:
    app.connect(C, OTHER)
    app.work(20)
    for endpoint in (A, C):
        damage(app, "version", Decimal(2), endpoint)
    acts = list(app.world.acts)
    app.edit(SERVICE, CONSUMER, effect="deny", cut="now")
    app.edit(SERVICE, OTHER, effect="allow")
    app.work(60)
    app.settle()
    assert (app.state(A), app.state(B), app.state(C)) == (State.AVAILABLE, State.REJECTED, State.PENDING_ACCEPTANCE)
    assert {endpoint for _, endpoint in app.world.acts[len(acts) :]} == {B}


def test_an_endpoint_that_vanishes_while_its_item_cannot_be_read_is_not_asked_for_again(app: Application) -> None:
    damage(app, "status", "QUARANTINED")
    del app.world.links[A]
    report = app.approver.answer([Bell(frozenset({A}))])
    assert (list(report.damaged), app.bells.queue) == ([A], [])


def test_what_is_mended_is_looked_after_again(app: Application) -> None:
    before = deepcopy(app.ledger.store.items[ItemKey(A)])
    damage(app, "status", "QUARANTINED")
    app.settle()
    app.ledger.store.items[ItemKey(A)] = before
    assert app.settle().services[SERVICE].unreadable == {}
    assert A in app.ledger.currents


def test_what_newer_code_wrote_since_it_was_read_is_not_overwritten(app: Application) -> None:
    known, now = app.known(A), app.world.now
    damage(app, "version", Decimal(2))
    writes: list[Callable[[], object]] = [
        lambda: app.ledger.closed(known, now),
        lambda: app.ledger.mark_unwanted(known, now),
        lambda: app.ledger.untagged(known),
        lambda: app.ledger.probed(known, Status.UNHEALTHY, "0", {}, now),
        lambda: app.ledger.healed(known, frozenset()),
        lambda: app.ledger.refused(A, known.entry, "no", 1, now, "Waits: late."),
        lambda: app.ledger.taken_over(known, now),
        lambda: app.ledger.answered(known, known.entry, "done", Status.CUT, State.REJECTED, now, known),
    ]
    app.ledger.store.items[ItemKey(A)]["settled"] = False
    item = deepcopy(app.ledger.store.items[ItemKey(A)])
    for write in writes:
        with pytest.raises(Contended):
            write()
    assert app.ledger.store.items[ItemKey(A)] == item


def test_an_item_is_written_with_its_version_and_one_without_is_of_the_first(app: Application) -> None:
    item = app.ledger.store.items[ItemKey(A)]
    assert item.pop("version") == 1
    assert A in app.ledger.currents
    app.ledger.closed(app.known(A), app.world.now)
    assert app.known(A).status is Status.CLOSED


# ------------------------------------------------------------------ sets, counts and the lease

SETS: list[object] = ["text", Decimal(5), {"a": "b"}, [A], {Decimal(1)}, True, None, ""]


@pytest.mark.parametrize("value", SETS)
def test_slots_that_cannot_be_read_are_written_anew_from_the_endpoints(app: Application, value: object) -> None:
    name = limit_name(SERVICE, CONSUMER)
    app.edit(SERVICE, CONSUMER, effect="allow", limit=3)
    app.ledger.store.items[ItemKey(name)][MEMBERS] = value
    app.connect(C)
    app.work(1)
    assert app.state(C) is State.PENDING_ACCEPTANCE
    result = app.sweeper.sweep("a sweep")
    assert (result.failed, result.services[SERVICE].unreadable) == ({}, {name: "it holds no set of endpoints"})
    assert app.ledger.store.items[ItemKey(name)][MEMBERS] == {A, B}
    app.work(60)
    assert app.known(C).status is Status.ACCEPTED
    assert app.settle().services[SERVICE].unreadable == {}


def test_slots_that_cannot_be_read_and_that_nobody_holds_are_taken_away(app: Application) -> None:
    app.ledger.store.items[ItemKey(limit_name(SERVICE, OTHER))] = {
        "endpoint_id": limit_name(SERVICE, OTHER),
        "entry": "current",
        "service": SERVICE,
        "status": "CLAIMS",
        MEMBERS: "damaged",
    }
    assert app.settle().failed == {}
    assert MEMBERS not in app.ledger.store.items[ItemKey(limit_name(SERVICE, OTHER))]


@pytest.mark.parametrize("value", SETS)
@pytest.mark.parametrize("name", [validator.PUBLISHED, validator.UNUSED, expiring.PUBLISHED, services.LOST])
def test_what_was_published_and_cannot_be_read_is_written_anew(app: Application, name: str, value: object) -> None:
    soon = stamp(app.world.now + timedelta(days=3))
    app.allow_list.put(SERVICE, OTHER, effect="permit")
    app.allow_list.put(SERVICE, "*", effect="deny", expires_at=soon)
    app.allow_list.put("vpce-svc-00000000000000009", "@settings", default="hold")
    app.settle()
    app.ledger.store.items[ItemKey(name)] = {"endpoint_id": name, "entry": "current", MEMBERS: value}
    assert app.settle().failed == {}
    app.bus.published.clear()
    assert app.settle().failed == {}
    assert app.bus.published == []


@pytest.mark.parametrize("value", ["text", Decimal(5), [A], {Decimal(1)}, {"not JSON"}, {"[1]"}, {'{"a": 1, "b": 2}'}])
def test_rows_that_block_and_cannot_be_read_block_until_the_table_was_read(app: Application, value: object) -> None:
    name = block_name(SERVICE)
    app.ledger.store.items[ItemKey(name)] = {"endpoint_id": name, "entry": "current", MEMBERS: value}
    app.connect(C)
    app.work(5)
    assert app.known(C).reason == "malformed_row"
    app.settle()
    app.work(60)
    app.settle()
    assert app.known(C).reason == "allowed"


@pytest.mark.parametrize(
    "value", ["{", "[1]", "7", '{"x": 1}', '{"29": "1"}', '{"29": -1.5}', Decimal(5), ["a"], '{"1_0": 1}']
)
@pytest.mark.parametrize("name", [cuts_name(SERVICE), rejects_name(SERVICE)])
def test_a_count_that_cannot_be_read_counts_as_full_for_an_hour(app: Application, name: str, value: object) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="1s", default="reject")
    app.ledger.store.items[ItemKey(name)] = {"endpoint_id": name, "entry": "current", "spent": value}
    assert app.breaker.read([name])[name].spent.within_the_hour(app.world.now) == FULL
    app.connect(C, OTHER)
    app.work(20)
    assert app.state(C) is (State.PENDING_ACCEPTANCE if name == rejects_name(SERVICE) else State.REJECTED)
    app.delete(SERVICE, CONSUMER)
    app.work(60)
    assert app.settle().failed == {}
    assert app.state(A) is (State.AVAILABLE if name == cuts_name(SERVICE) else State.REJECTED)
    app.world.advance(3700)
    app.settle()
    app.work(60)
    assert app.sweeper.sweep("a sweep").services[SERVICE].unreadable == {}
    assert app.breaker.read([name])[name].spent.within_the_hour(app.world.now) < 10


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("kept", "text"),
        ("kept", Decimal(1)),
        ("kept", {Decimal(1)}),
        ("budget", "x"),
        ("budget", None),
        ("percent", "yes"),
    ],
)
def test_what_a_breaker_keeps_and_cannot_be_read_is_found_out_anew(
    app: Application, attribute: str, value: object
) -> None:
    name = cuts_name(SERVICE)
    app.delete(SERVICE, CONSUMER)
    app.work(60)
    app.ledger.store.items[ItemKey(name)][attribute] = value
    assert app.settle().failed == {}
    assert (app.state(A), app.state(B)) == (State.AVAILABLE, State.AVAILABLE)
    assert app.breaker.read([name])[name].tripped.endpoints == {A, B}


@pytest.mark.parametrize("value", [Decimal(5), "zzz", "9999-12-31T00:00:00.000000Z", None, ["x"], True, {"x"}])
def test_a_lease_whose_end_nobody_wrote_keeps_no_sweep_from_running(app: Application, value: object) -> None:
    app.ledger.store.items[ItemKey(lease.NAME)] |= {"until": value, "holder": "nobody"}
    assert not app.sweeper.sweep("a sweep").postponed
    assert app.ledger.store.items[ItemKey(lease.NAME)]["until"] == ""


def test_a_lease_that_another_sweep_holds_is_left_to_it(app: Application) -> None:
    assert app.sweeper.lease.take("another")
    assert app.sweeper.sweep("a sweep").postponed


def test_rows_whose_keys_are_damaged_block_by_their_text(app: Application) -> None:
    app.ledger.store.items[ItemKey(block_name("*"))] = {
        "endpoint_id": block_name("*"),
        "entry": "current",
        MEMBERS: "damaged",
    }
    assert app.sweeper.comparer.contexts.states([SERVICE])[SERVICE].unmatched == (RowKey("", '"damaged"'),)


def test_a_time_that_cannot_be_read_of_one_service_keeps_no_other_from_being_told(app: Application) -> None:
    app.world.offer(service_id(2))
    app.world.services[SERVICE].acceptance_required = False
    app.settle()
    app.ledger.store.items[ItemKey(services.problems_name(SERVICE))]["since"] = "once"
    app.world.services[service_id(2)].acceptance_required = False
    app.world.services[SERVICE].state = "Deleting"
    app.bus.published.clear()
    assert app.settle().failed == {}
    told = [detail["service_id"] for kind, detail in app.bus.published if kind == "Endpoint Service Misconfigured"]
    assert told == [SERVICE, service_id(2)]
