"""What a decision carries beside its answer, the settings in force, and which rows are read. The answers themselves are
tests/policy/, and what holds of all of them test_properties."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from linkgate.model import (
    Budget,
    Connection,
    DecisionContext,
    Lineage,
    MalformedRow,
    Mode,
    NearMiss,
    Outcome,
    Reason,
    Reconcile,
    RowKey,
    ServiceSettings,
    State,
    Sync,
)
from linkgate.policy.decide import Covering, Rows, decide, keys_for, read_for, settings_for, settings_keys, unit_rows
from linkgate.policy.rows import Item

from tests.world import CONSUMER, OTHER, REGION, endpoint_id, service_id

SERVICE, ENDPOINT = service_id(1), endpoint_id(1)
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
ASKING = Connection(SERVICE, ENDPOINT, CONSUMER, REGION, State.PENDING_ACCEPTANCE, NOW)
NEAR, FAR, ORGANIZATION, FOREIGN = "ou-ab12-22222222", "ou-ab12-11111111", "o-a1b2c3d4e5", "ou-ab12-33333333"
PLACED = Lineage((NEAR, FAR, ORGANIZATION))
ASLEEP = Lineage(unknown=Reason.UNKNOWN_ORGANIZATION, why="Organizations is asleep")

Row = dict[str, object]
Table = Mapping[str, Row]
"""Rows by "service consumer"; `S` stands for the service."""

ALLOW: Row = {"effect": "allow"}
DENY: Row = {"effect": "deny"}
REVIEW: Row = {"effect": "review"}
BROKEN: Row = {"effect": "allow", "expires": "2027-01-01T00:00:00Z"}
OVER: Row = {"effect": "allow", "expires_at": "2026-11-23T02:59:59Z"}


def key(name: str) -> RowKey:
    service, consumer = name.split(" ")
    return RowKey(service.replace("S", SERVICE), consumer)


def rows(table: Table) -> Rows:
    found: dict[RowKey, Item] = {}
    for name, attributes in table.items():
        found[key(name)] = {"service": key(name).service, "consumer": key(name).consumer, **attributes}
    return found


# ------------------------------------------------------------------ what a decision carries


def test_a_decision_names_every_row_that_applied_and_every_miss_the_most_specific_first() -> None:
    table = {
        "* *": ALLOW,
        f"S {ENDPOINT}": OVER,
        f"* {FAR}": ALLOW,
        f"S {NEAR}": OVER,
        f"S {ORGANIZATION}": ALLOW,
        f"* {CONSUMER}": REVIEW,
        f"S {CONSUMER}": ALLOW,
        f"S {FOREIGN}": ALLOW,
    }
    decision = decide(ASKING, rows(table), NOW, DecisionContext(lineage=PLACED))
    applied = [f"S {CONSUMER}", f"* {CONSUMER}", f"* {FAR}", f"S {ORGANIZATION}", "* *"]
    assert decision.applied == tuple(map(key, applied))
    assert decision.near_misses == (
        NearMiss(key(f"S {ENDPOINT}"), Reason.EXPIRED),
        NearMiss(key(f"S {NEAR}"), Reason.EXPIRED),
    )


def test_a_row_that_cannot_be_read_is_among_those_that_applied() -> None:
    decision = decide(ASKING, rows({f"S {CONSUMER}": BROKEN, "S *": ALLOW}), NOW)
    assert decision.applied == (key(f"S {CONSUMER}"), key("S *"))


def test_neither_settings_nor_rows_with_other_keys_are_rows_that_apply_even_if_they_decide() -> None:
    table = rows({"S @settings": {"mode": "on"}, "S *": ALLOW})
    decision = decide(ASKING, table, NOW)
    assert (decision.row, decision.applied) == (key("S @settings"), (key("S *"),))
    blocked = decide(ASKING, rows({"S *": ALLOW}), NOW, DecisionContext(unmatched=(RowKey(SERVICE, "payments"),)))
    assert (blocked.row, blocked.applied) == (RowKey(SERVICE, "payments"), (key("S *"),))


def test_what_may_be_somebody_elses_row_is_not_among_those_that_applied_but_may_be_named() -> None:
    table = rows({f"S {FOREIGN}": DENY, f"S {NEAR}": OVER, "S *": ALLOW | {"owner": "all"}})
    decision = decide(ASKING, table, NOW, DecisionContext(lineage=ASLEEP))
    assert (decision.row, decision.applied, decision.near_misses) == (key(f"S {FOREIGN}"), (key("S *"),), ())
    assert decision.note == "Organizations is asleep"


def test_a_decision_carries_what_its_row_says_for_people_and_its_limit() -> None:
    mine = ALLOW | {"owner": "payments", "ticket": "NET-17", "limit": "2"}
    decision = decide(ASKING, rows({f"S {CONSUMER}": mine, "S *": ALLOW | {"owner": "all", "limit": "9"}}), NOW)
    assert (decision.people, decision.limit) == ({"owner": "payments", "ticket": "NET-17"}, 2)


def test_a_decision_without_a_row_or_by_one_that_cannot_be_read_carries_neither() -> None:
    for table in ({}, {f"S {CONSUMER}": BROKEN | {"owner": "payments"}}):
        decision = decide(ASKING, rows(table), NOW)
        assert (decision.people, decision.limit, decision.cut_now) == ({}, None, False)


def test_a_decision_held_by_a_malformed_row_says_what_is_wrong_with_it_and_no_other_says_anything() -> None:
    decision = decide(ASKING, rows({f"S {CONSUMER}": BROKEN}), NOW)
    assert decision.note.startswith(f"row {SERVICE}/{CONSUMER}: attribute 'expires' is not known here")
    assert decide(ASKING, rows({f"S {CONSUMER}": BROKEN, "S *": DENY}), NOW).note == ""


def test_a_decision_held_by_a_row_with_other_keys_says_so() -> None:
    decision = decide(ASKING, {}, NOW, DecisionContext(unmatched=(RowKey("orders", "*"),)))
    assert decision.note == (
        "row orders/*: its keys are of no known form, and its effect does not read allow: "
        "it may have been meant to keep out"
    )


def test_what_a_decision_says_is_outcome_reason_and_row_as_text() -> None:
    assert decide(ASKING, rows({"S *": ALLOW}), NOW).says() == ("accept", "allowed", f"{SERVICE}/*")
    assert decide(ASKING, {}, NOW).says() == ("hold", "not_listed", "")


def test_the_hash_is_that_of_what_was_read_rows_settings_and_unmatched_keys() -> None:
    table: dict[str, Row] = {f"S {CONSUMER}": ALLOW, "S @settings": {"mode": "enforce"}}
    seen = {
        decide(ASKING, rows(read), NOW, context).policy_hash
        for read in ({}, table, table | {"S @settings": {"mode": "observe"}}, table | {"* *": ALLOW})
        for context in (DecisionContext(), DecisionContext(unmatched=(RowKey("x", "y"),)))
    }
    assert len(seen) == 8
    again = decide(replace(ASKING, region=""), rows(table), NOW + timedelta(days=1), DecisionContext(live=7))
    assert again.policy_hash == decide(ASKING, rows(table), NOW).policy_hash


# ------------------------------------------------------------------ whether it acts


@pytest.mark.parametrize("table", [{}, {"* @settings": {"mode": "enforce"}}, {"S @settings": {"mode": "observe"}}])
@pytest.mark.parametrize("effect", [ALLOW, DENY])
def test_in_observe_mode_a_decision_is_made_and_does_not_act(table: Table, effect: Row) -> None:
    decision = decide(ASKING, rows({**table, "S *": effect}), NOW)
    assert decision.outcome is not Outcome.HOLD
    assert not decision.acts


@pytest.mark.parametrize(("effect", "acts"), [(ALLOW, True), (DENY, True), (REVIEW, False)])
def test_in_enforce_mode_only_a_hold_does_not_act(effect: Row, acts: bool) -> None:
    assert decide(ASKING, rows({"S @settings": {"mode": "enforce"}, "S *": effect}), NOW).acts is acts


def test_a_settings_row_that_cannot_be_read_never_acts_even_where_the_mode_is_readable() -> None:
    table: Table = {"S @settings": {"mode": "enforce"}, "* @settings": {"grace": "soon"}, "S *": DENY}
    assert not decide(ASKING, rows(table), NOW).acts


# ------------------------------------------------------------------ settings


def test_without_a_settings_row_a_service_is_only_observed_and_every_setting_has_its_default() -> None:
    assert settings_for(SERVICE, {}) == ServiceSettings(
        mode=Mode.OBSERVE,
        default=Outcome.HOLD,
        reconcile=Reconcile.REPORT,
        grace=timedelta(seconds=60),
        max_cuts=Budget(5),
        max_rejects=Budget(100),
        frozen_until=None,
        stale_after=timedelta(days=3),
        sync_permissions=Sync.OFF,
        probe=(),
    )


def test_settings_of_the_service_win_attribute_by_attribute_but_for_mode() -> None:
    every: Row = {"mode": "enforce", "default": "reject", "stale_after": "1h", "probe": "tcp://:80", "owner": "all"}
    mine: Row = {"stale_after": "2h", "max_cuts": "10%", "note": "ours", "frozen_until": "2026-11-23T03:00:01Z"}
    assert settings_for(SERVICE, rows({"S @settings": mine, "* @settings": every})) == ServiceSettings(
        default=Outcome.REJECT,
        max_cuts=Budget(10, percent=True),
        frozen_until=NOW + timedelta(seconds=1),
        stale_after=timedelta(hours=2),
        probe=("tcp://:80",),
    )


def test_settings_that_cannot_be_read_are_the_malformed_row() -> None:
    for name in ("S @settings", "* @settings"):
        found = settings_for(SERVICE, rows({"S @settings": {}, "* @settings": {}, name: {"mode": "on"}}))
        assert isinstance(found, MalformedRow)
        assert found.key == key(name)


# ------------------------------------------------------------------ which rows are read


def test_the_keys_of_a_connection_are_its_endpoint_account_and_everybody_here_and_everywhere_and_settings() -> None:
    names = [f"S {ENDPOINT}", f"* {ENDPOINT}", f"S {CONSUMER}", f"* {CONSUMER}", "S *", "* *"]
    assert keys_for(ASKING) == tuple(map(key, [*names, "S @settings", "* @settings"]))
    assert settings_keys(SERVICE) == (key("S @settings"), key("* @settings"))


UNITS = rows(
    {f"S {NEAR}": ALLOW, f"* {ORGANIZATION}": ALLOW, f"S {FOREIGN}": DENY}
    | {f"{service_id(2)} {FAR}": DENY, "S ou-AB12-22222222": ALLOW, f"S {OTHER}": ALLOW, "S *": ALLOW}
)


def test_the_rows_about_organisations_are_those_of_the_service_and_of_every_service_with_keys_of_their_form() -> None:
    assert unit_rows(SERVICE, UNITS).keys() == {key(f"S {NEAR}"), key(f"* {ORGANIZATION}"), key(f"S {FOREIGN}")}


@pytest.mark.parametrize(
    ("lineage", "read"),
    [
        (PLACED, [f"S {NEAR}", f"* {ORGANIZATION}", "S *"]),
        (Lineage(), ["S *"]),
        (ASLEEP, [f"* {ORGANIZATION}", f"S {NEAR}", f"S {FOREIGN}", "S *"]),
    ],
)
def test_of_the_rows_about_organisations_those_of_the_accounts_place_are_read_or_all_if_nobody_knows_it(
    lineage: Lineage, read: list[str]
) -> None:
    assert list(read_for(ASKING, UNITS, lineage)) == list(map(key, read))
    assert dict(read_for(ASKING, UNITS, lineage)) == {key(name): UNITS[key(name)] for name in read}


def test_the_hash_of_a_decision_is_that_of_what_it_read_of_its_place() -> None:
    known = [decide(ASKING, UNITS, NOW, DecisionContext(lineage=place)) for place in (PLACED, Lineage(), ASLEEP)]
    assert len({decision.policy_hash for decision in known}) == 3


# ------------------------------------------------------------------ many rows


def test_of_all_rows_that_cover_a_service_few_matter_for_a_connection() -> None:
    wanted = [f"S {CONSUMER}", f"* {CONSUMER}", "S @settings", "* @release", f"S {FAR}"]
    table = rows({name: {} for name in (*wanted, f"S {OTHER}", f"S {endpoint_id(9)}")})
    covering = Covering(SERVICE, table, unit_rows(SERVICE, table))
    assert covering.of(ASKING) == {key(name): table[key(name)] for name in wanted}
    assert covering.common.keys() == set(map(key, wanted[2:]))


@pytest.mark.parametrize("unknown", [None, Reason.UNKNOWN_ORGANIZATION])
def test_a_decision_is_certain_unless_nobody_can_tell_where_the_consumer_stands(unknown: Reason | None) -> None:
    decision = decide(ASKING, {}, NOW, DecisionContext(lineage=Lineage(unknown=unknown)))
    assert decision.certain is (unknown is None)
