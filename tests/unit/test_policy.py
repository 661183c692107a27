"""The decision, sentence by sentence of design section 5, and what must hold whatever stands in the table."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

import pytest
from boto3.dynamodb.types import Binary
from hypothesis import assume, given
from hypothesis import strategies as st
from linkgate.attribute import plain
from linkgate.model import Connection, MalformedRow, Mode, NearMiss, Outcome, Reason, RowKey, ServiceSettings, State
from linkgate.policy import Rows, decide, keys_for, settings_for
from linkgate.rows import Item

from tests.unit import values
from tests.world import CONSUMER, OTHER, REGION, endpoint_id, service_id

SERVICE, ENDPOINT = service_id(1), endpoint_id(1)
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
ASKING = Connection(SERVICE, ENDPOINT, CONSUMER, REGION, State.PENDING_ACCEPTANCE, NOW)
ABROAD = replace(ASKING, region="us-east-1")
NOWHERE = replace(ASKING, region="")
PAST, FUTURE = "2026-11-23T02:59:59Z", "2026-11-23T03:00:01Z"
ENFORCE = {f"{SERVICE} @settings": {"mode": "enforce"}}

Table = Mapping[str, Mapping[str, object]]
"""Rows by "service consumer"; `S` stands for the service."""


def rows(table: Table) -> Rows:
    found: dict[RowKey, Item] = {}
    for name, attributes in table.items():
        service, consumer = name.replace("S ", f"{SERVICE} ").split(" ")
        found[RowKey(service, consumer)] = {"service": service, "consumer": consumer, **attributes}
    return found


def settings(**attributes: object) -> ServiceSettings:
    read = settings_for(SERVICE, rows({"S @settings": attributes}))
    assert isinstance(read, ServiceSettings), read
    return read


class Case(NamedTuple):
    """What is in the table, and what comes out: outcome, reason, and the deciding row as "service consumer"."""

    table: Table
    outcome: Outcome
    reason: Reason
    row: str = ""
    connection: Connection = ASKING


Row = dict[str, object]
ALLOW: Row = {"effect": "allow"}
DENY: Row = {"effect": "deny"}
REVIEW: Row = {"effect": "review"}
BROKEN: Row = {"effect": "allow", "expires": "2027-01-01T00:00:00Z"}
HERE: Row = {"effect": "allow", "regions": {REGION}}
OVER: Row = {"effect": "allow", "expires_at": PAST}
EARLY: Row = {"effect": "allow", "starts_at": FUTURE}
REJECTING: Table = {"S @settings": {"default": "reject"}}
FROZEN: Table = {"S @settings": {"frozen_until": FUTURE}}
ACCEPT, HOLD, REJECT = Outcome.ACCEPT, Outcome.HOLD, Outcome.REJECT

SENTENCES = {
    "no row, no entry": Case({}, HOLD, Reason.NOT_LISTED),
    "an unlisted consumer gets hold by default": Case({f"S {OTHER}": ALLOW}, HOLD, Reason.NOT_LISTED),
    "or reject, where default says so": Case(REJECTING, REJECT, Reason.NOT_LISTED),
    "an endpoint may be allowed": Case({f"S {ENDPOINT}": ALLOW}, ACCEPT, Reason.ALLOWED, f"S {ENDPOINT}"),
    "an account may be allowed": Case({f"S {CONSUMER}": ALLOW}, ACCEPT, Reason.ALLOWED, f"S {CONSUMER}"),
    "everybody may be allowed": Case({"S *": ALLOW}, ACCEPT, Reason.ALLOWED, "S *"),
    "on every service": Case({f"* {CONSUMER}": ALLOW}, ACCEPT, Reason.ALLOWED, f"* {CONSUMER}"),
    "the rows of another service do not apply": Case({f"{service_id(2)} {CONSUMER}": ALLOW}, HOLD, Reason.NOT_LISTED),
    "the rows of another endpoint do not apply": Case({f"S {endpoint_id(2)}": ALLOW}, HOLD, Reason.NOT_LISTED),
    "any deny applies: reject": Case({"* *": DENY, f"S {ENDPOINT}": ALLOW}, REJECT, Reason.DENIED, "* *"),
    "a deny wins over a malformed row": Case({"* *": DENY, f"S {ENDPOINT}": BROKEN}, REJECT, Reason.DENIED, "* *"),
    "the most specific deny is named": Case(
        {"S *": DENY, f"* {CONSUMER}": DENY}, REJECT, Reason.DENIED, f"* {CONSUMER}"
    ),
    "a deny does not wait for the end of a freeze": Case({**FROZEN, "S *": DENY}, REJECT, Reason.DENIED, "S *"),
    "a deny with cut rejects too": Case(
        {f"S {CONSUMER}": DENY | {"cut": "now"}}, REJECT, Reason.DENIED, f"S {CONSUMER}"
    ),
    "a malformed row holds": Case({f"S {CONSUMER}": BROKEN}, HOLD, Reason.MALFORMED_ROW, f"S {CONSUMER}"),
    "even if a more specific row allows": Case(
        {f"S {ENDPOINT}": ALLOW, "* *": BROKEN}, HOLD, Reason.MALFORMED_ROW, "* *"
    ),
    "even if the default is reject": Case(
        {**REJECTING, f"S {CONSUMER}": BROKEN}, HOLD, Reason.MALFORMED_ROW, f"S {CONSUMER}"
    ),
    "a malformed row of somebody else holds nobody": Case(
        {f"S {OTHER}": BROKEN, "S *": ALLOW}, ACCEPT, Reason.ALLOWED, "S *"
    ),
    "a malformed row comes before an unknown Region": Case(
        {f"S {CONSUMER}": HERE, "S *": BROKEN}, HOLD, Reason.MALFORMED_ROW, "S *", NOWHERE
    ),
    "a Region unknown while a row depends on it: hold": Case(
        {f"S {CONSUMER}": HERE}, HOLD, Reason.UNKNOWN_REGION, f"S {CONSUMER}", NOWHERE
    ),
    "even if another row allows": Case(
        {f"S {ENDPOINT}": ALLOW, f"S {CONSUMER}": HERE}, HOLD, Reason.UNKNOWN_REGION, f"S {CONSUMER}", NOWHERE
    ),
    "a deny that depends on an unknown Region holds": Case(
        {"S *": ALLOW, f"S {CONSUMER}": DENY | {"regions": REGION}},
        HOLD,
        Reason.UNKNOWN_REGION,
        f"S {CONSUMER}",
        NOWHERE,
    ),
    "a deny that depends on nothing still rejects": Case(
        {f"S {CONSUMER}": HERE, "S *": DENY}, REJECT, Reason.DENIED, "S *", NOWHERE
    ),
    "an unknown Region matters to no other row": Case({"S *": ALLOW}, ACCEPT, Reason.ALLOWED, "S *", NOWHERE),
    "endpoint before account": Case(
        {f"S {ENDPOINT}": REVIEW, f"S {CONSUMER}": ALLOW}, HOLD, Reason.REVIEW, f"S {ENDPOINT}"
    ),
    "account before everybody": Case({f"S {CONSUMER}": ALLOW, "S *": REVIEW}, ACCEPT, Reason.ALLOWED, f"S {CONSUMER}"),
    "an endpoint on every service before an account on this one": Case(
        {f"* {ENDPOINT}": REVIEW, f"S {CONSUMER}": ALLOW}, HOLD, Reason.REVIEW, f"* {ENDPOINT}"
    ),
    "at equal rank the service's own row first": Case(
        {f"* {CONSUMER}": REVIEW, f"S {CONSUMER}": ALLOW}, ACCEPT, Reason.ALLOWED, f"S {CONSUMER}"
    ),
    "review holds": Case({f"S {CONSUMER}": REVIEW}, HOLD, Reason.REVIEW, f"S {CONSUMER}"),
    "review holds even if the default is reject": Case(
        {**REJECTING, f"S {CONSUMER}": REVIEW}, HOLD, Reason.REVIEW, f"S {CONSUMER}"
    ),
    "new connections are held until the end of a freeze": Case(
        {**FROZEN, f"S {CONSUMER}": ALLOW}, HOLD, Reason.FROZEN, f"S {CONSUMER}"
    ),
    "and accepted after it": Case({"S @settings": {"frozen_until": PAST}, "S *": ALLOW}, ACCEPT, Reason.ALLOWED, "S *"),
    "a freeze says nothing of the unlisted": Case(FROZEN, HOLD, Reason.NOT_LISTED),
    "a review comes before a freeze": Case({**FROZEN, "S *": REVIEW}, HOLD, Reason.REVIEW, "S *"),
    "the nearest miss is the reason: expired": Case({f"S {CONSUMER}": OVER}, HOLD, Reason.EXPIRED),
    "not_yet_valid": Case({f"S {CONSUMER}": EARLY}, HOLD, Reason.NOT_YET_VALID),
    "wrong_region": Case({f"S {CONSUMER}": HERE}, HOLD, Reason.WRONG_REGION, "", ABROAD),
    "the default rejects with that reason": Case({**REJECTING, "S *": OVER}, REJECT, Reason.EXPIRED),
    "the most specific miss is the nearest": Case({f"S {ENDPOINT}": EARLY, "S *": OVER}, HOLD, Reason.NOT_YET_VALID),
    "a row whose dates do not hold does not apply": Case(
        {f"S {ENDPOINT}": REVIEW | {"expires_at": PAST}, "S *": ALLOW}, ACCEPT, Reason.ALLOWED, "S *"
    ),
    "a deny in another Region does not apply": Case(
        {f"S {CONSUMER}": DENY | {"regions": REGION}, "S *": ALLOW}, ACCEPT, Reason.ALLOWED, "S *", ABROAD
    ),
    "a deny that is over does not apply": Case(
        {f"S {CONSUMER}": DENY | {"expires_at": PAST}, "S *": ALLOW}, ACCEPT, Reason.ALLOWED, "S *"
    ),
    "one of several Regions is enough": Case(
        {"S *": ALLOW | {"regions": "eu-west-1,us-east-1"}}, ACCEPT, Reason.ALLOWED, "S *", ABROAD
    ),
    "an unreadable @settings row holds every new connection": Case(
        {"S @settings": {"default": "accept"}, "S *": ALLOW}, HOLD, Reason.MALFORMED_ROW, "S @settings"
    ),
    "of the services that it covers": Case(
        {"* @settings": {"modes": "enforce"}, "S *": ALLOW}, HOLD, Reason.MALFORMED_ROW, "* @settings"
    ),
    "it does not reject either": Case(
        {"S @settings": {"default": "no"}, "S *": DENY}, HOLD, Reason.MALFORMED_ROW, "S @settings"
    ),
    "the settings of another service cover nobody else": Case(
        {f"{service_id(2)} @settings": {"default": "no"}, "S *": ALLOW}, ACCEPT, Reason.ALLOWED, "S *"
    ),
}


@pytest.mark.parametrize("case", SENTENCES.values(), ids=SENTENCES.keys())
def test_the_policy_says(case: Case) -> None:
    decision = decide(case.connection, rows(case.table), NOW)
    row = case.row.replace("S ", f"{SERVICE} ").replace(" ", "/")
    assert decision.says() == (case.outcome, case.reason, row)


@pytest.mark.parametrize(("seconds", "reason"), [(-1, Reason.ALLOWED), (0, Reason.EXPIRED), (1, Reason.EXPIRED)])
def test_a_row_has_expired_from_its_expires_at_on(seconds: int, reason: Reason) -> None:
    table = rows({"S *": ALLOW | {"expires_at": NOW.isoformat()}})
    assert decide(ASKING, table, NOW + timedelta(seconds=seconds)).reason is reason


@pytest.mark.parametrize(("seconds", "reason"), [(-1, Reason.NOT_YET_VALID), (0, Reason.ALLOWED), (1, Reason.ALLOWED)])
def test_a_row_is_valid_from_its_starts_at_on(seconds: int, reason: Reason) -> None:
    table = rows({"S *": ALLOW | {"starts_at": NOW.isoformat()}})
    assert decide(ASKING, table, NOW + timedelta(seconds=seconds)).reason is reason


@pytest.mark.parametrize(("seconds", "reason"), [(-1, Reason.FROZEN), (0, Reason.ALLOWED), (1, Reason.ALLOWED)])
def test_a_freeze_ends_at_its_frozen_until(seconds: int, reason: Reason) -> None:
    table = rows({"S *": ALLOW, "S @settings": {"frozen_until": NOW.isoformat()}})
    assert decide(ASKING, table, NOW + timedelta(seconds=seconds)).reason is reason


def test_settings_are_no_row_that_applies_even_if_they_decide() -> None:
    decision = decide(ASKING, rows({"S @settings": {"mode": "on"}, "S *": ALLOW}), NOW)
    assert (decision.row, decision.applied) == (RowKey(SERVICE, "@settings"), (RowKey(SERVICE, "*"),))


def test_a_decision_names_every_row_that_applied_and_every_miss_the_most_specific_first() -> None:
    table = {"* *": ALLOW, f"S {ENDPOINT}": OVER, f"* {CONSUMER}": REVIEW, f"S {CONSUMER}": ALLOW}
    decision = decide(ASKING, rows(table), NOW)
    assert decision.applied == (RowKey(SERVICE, CONSUMER), RowKey("*", CONSUMER), RowKey("*", "*"))
    assert decision.near_misses == (NearMiss(RowKey(SERVICE, ENDPOINT), Reason.EXPIRED),)


def test_a_decision_carries_what_its_row_says_for_people() -> None:
    table = rows({f"S {CONSUMER}": ALLOW | {"owner": "payments", "ticket": "NET-17"}, "S *": ALLOW | {"owner": "all"}})
    assert decide(ASKING, table, NOW).people == {"owner": "payments", "ticket": "NET-17"}


def test_a_decision_held_by_a_malformed_row_says_what_is_wrong_with_it() -> None:
    decision = decide(ASKING, rows({f"S {CONSUMER}": BROKEN}), NOW)
    assert decision.note.startswith(f"row {SERVICE}/{CONSUMER}: attribute 'expires' is not known here")


# ------------------------------------------------------------------ settings


def test_without_a_settings_row_a_service_is_only_observed() -> None:
    assert settings_for(SERVICE, {}) == ServiceSettings(Mode.OBSERVE, Outcome.HOLD, None, timedelta(days=3), ())


def test_the_mode_is_never_taken_from_the_settings_of_every_service() -> None:
    found = settings_for(SERVICE, rows({"* @settings": {"mode": "enforce", "default": "reject"}}))
    assert isinstance(found, ServiceSettings)
    assert (found.mode, found.default) == (Mode.OBSERVE, Outcome.REJECT)


def test_settings_of_the_service_win_attribute_by_attribute() -> None:
    every: Row = {"default": "reject", "stale_after": "1h", "probe": "tcp://:80"}
    found = settings_for(SERVICE, rows({"* @settings": every, "S @settings": {"mode": "enforce", "stale_after": "2h"}}))
    expected = ServiceSettings(Mode.ENFORCE, Outcome.REJECT, None, timedelta(hours=2), ("tcp://:80",))
    assert found == expected


def test_every_setting_that_is_in_force_now_is_read() -> None:
    found = settings(
        mode="enforce", default="reject", frozen_until=FUTURE, stale_after="90s", probe=["https://:443/", "tcp://:80"]
    )
    frozen = datetime(2026, 11, 23, 3, 0, 1, tzinfo=UTC)
    expected = ServiceSettings(
        Mode.ENFORCE, Outcome.REJECT, frozen, timedelta(seconds=90), ("https://:443/", "tcp://:80")
    )
    assert found == expected


def test_settings_that_cannot_be_read_are_the_malformed_row() -> None:
    found = settings_for(SERVICE, rows({"S @settings": {"mode": "on"}}))
    assert isinstance(found, MalformedRow)
    assert found.key == RowKey(SERVICE, "@settings")


@pytest.mark.parametrize("table", [{}, {"* @settings": {"mode": "enforce"}}, {"S @settings": {"mode": "observe"}}])
@pytest.mark.parametrize("effect", [ALLOW, DENY])
def test_in_observe_mode_a_decision_is_made_and_does_not_act(table: Table, effect: Row) -> None:
    decision = decide(ASKING, rows({**table, "S *": effect}), NOW)
    assert decision.outcome is not Outcome.HOLD
    assert not decision.acts


def test_a_settings_row_that_cannot_be_read_never_acts_even_where_the_mode_is_readable() -> None:
    table: Table = {"S @settings": {"mode": "enforce"}, "* @settings": {"grace": "soon"}, "S *": DENY}
    assert not decide(ASKING, rows(table), NOW).acts


@pytest.mark.parametrize(("effect", "acts"), [(ALLOW, True), (DENY, True), (REVIEW, False)])
def test_in_enforce_mode_only_a_hold_does_not_act(effect: Row, acts: bool) -> None:
    assert decide(ASKING, rows({**ENFORCE, "S *": effect}), NOW).acts is acts


# ------------------------------------------------------------------ whatever stands in the table

CONSUMERS = [ENDPOINT, CONSUMER, "*", "@settings", OTHER, endpoint_id(2)]
tables = st.dictionaries(
    st.builds(RowKey, st.sampled_from([SERVICE, "*", service_id(2)]), st.sampled_from(CONSUMERS)),
    values.attributes,
    max_size=6,
).map(lambda found: {key: {"service": key.service, "consumer": key.consumer, **row} for key, row in found.items()})
connections = st.sampled_from([ASKING, ABROAD, NOWHERE])


@given(connections, tables)
def test_a_decision_is_made_whatever_stands_in_the_table(connection: Connection, table: Rows) -> None:
    decision = decide(connection, table, NOW)
    assert set(decision.applied) <= table.keys()
    assert json.dumps(decision.says())


@given(connections, tables, st.randoms())
def test_the_order_of_rows_does_not_matter(connection: Connection, table: Rows, random: Random) -> None:
    mixed = list(table.items())
    random.shuffle(mixed)
    assert decide(connection, dict(mixed), NOW) == decide(connection, table, NOW)


@given(connections, tables, st.sampled_from([SERVICE, "*"]), st.sampled_from(CONSUMERS[:3]))
def test_a_deny_that_applies_wins(connection: Connection, table: Rows, service: str, consumer: str) -> None:
    assume(not isinstance(settings_for(SERVICE, table), MalformedRow))
    deny = {RowKey(service, consumer): {"service": service, "consumer": consumer, "effect": "deny"}}
    assert decide(connection, {**table, **deny}, NOW).says()[:2] == (Outcome.REJECT, Reason.DENIED)


@given(connections, tables, st.sampled_from([SERVICE, "*"]), st.sampled_from(CONSUMERS[:4]))
def test_a_malformed_row_that_applies_never_accepts(
    connection: Connection, table: Rows, service: str, consumer: str
) -> None:
    broken = {RowKey(service, consumer): {"service": service, "consumer": consumer, **BROKEN}}
    decision = decide(connection, {**table, **broken}, NOW)
    assert decision.outcome is not Outcome.ACCEPT
    assert decision.reason in (Reason.MALFORMED_ROW, Reason.DENIED)


@given(connections, tables)
def test_nobody_is_accepted_without_a_row_that_says_allow(connection: Connection, table: Rows) -> None:
    decision = decide(connection, table, NOW)
    allowing = [str(plain(row.get("effect"))).strip().lower() for key, row in table.items() if key == decision.row]
    assert (decision.outcome is Outcome.ACCEPT) == (decision.reason is Reason.ALLOWED)
    assert decision.outcome is not Outcome.ACCEPT or allowing == ["allow"]


@given(connections, tables)
def test_an_unlisted_consumer_is_never_accepted(connection: Connection, table: Rows) -> None:
    strangers = {
        key: row for key, row in table.items() if key.consumer in ("@settings", OTHER) or key.service == service_id(2)
    }
    assert decide(connection, strangers, NOW).outcome is not Outcome.ACCEPT


@given(connections, tables)
def test_only_the_rows_under_its_keys_matter(connection: Connection, table: Rows) -> None:
    wanted = {key: row for key, row in table.items() if key in keys_for(connection)}
    assert decide(connection, wanted, NOW) == decide(connection, table, NOW)


binary_notes = rows({"S *": ALLOW | {"note": Binary(b"why")}})


@given(connections, tables)
def test_the_same_policy_read_again_from_json_has_the_same_hash(connection: Connection, table: Rows) -> None:
    stored = {key: json.loads(json.dumps(plain(row))) for key, row in table.items()}
    assert decide(connection, stored, NOW).policy_hash == decide(connection, table, NOW).policy_hash


def test_a_decision_made_again_from_its_facts_says_the_same_even_of_binary_values() -> None:
    stored = {key: json.loads(json.dumps(plain(row))) for key, row in binary_notes.items()}
    assert decide(ASKING, stored, NOW).says() == decide(ASKING, binary_notes, NOW).says()
