"""What holds of every decision, whatever stands in the table: thousands of random tables against each sentence.

HYPOTHESIS_PROFILE=prove tries 10,000 tables for each instead of 300.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations
from random import Random

import pytest
from boto3.dynamodb.types import Binary
from hypothesis import assume, given
from hypothesis import strategies as st
from linkgate.ledger.items import Judgment, line, replay
from linkgate.model import (
    OUTSIDE,
    Connection,
    Decision,
    DecisionContext,
    Effect,
    Lineage,
    MalformedRow,
    Outcome,
    Reason,
    RowKey,
    Rule,
    State,
)
from linkgate.policy.attributes import plain
from linkgate.policy.decide import Rows, decide, settings_for
from linkgate.policy.rows import Item, blocks, digest, is_unit, parse

from tests.unit import values
from tests.world import CONSUMER, OTHER, REGION, endpoint_id, service_id

SERVICE, ELSEWHERE, ENDPOINT = service_id(1), service_id(2), endpoint_id(1)
NEAR, FAR, ORGANIZATION, FOREIGN = "ou-ab12-22222222", "ou-ab12-11111111", "o-a1b2c3d4e5", "ou-ab12-33333333"
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
ASKING = Connection(SERVICE, ENDPOINT, CONSUMER, REGION, State.PENDING_ACCEPTANCE, NOW)
PLACED = Lineage((NEAR, FAR, ORGANIZATION))
ASLEEP = Lineage(unknown=Reason.UNKNOWN_ORGANIZATION, why="asleep")
NO_ROLE = Lineage(unknown=Reason.MALFORMED_ROW, why="no role")

# ------------------------------------------------------------------ random policies

times = st.sampled_from(["2026-11-23T02:59:59Z", "2026-11-23T03:00:00Z", "2026-11-23T03:00:01Z"])


def opens(row: Item) -> bool:
    """Whether the window of a row has a start before its end; another is malformed."""
    return str(row.get("starts_at", "")) < str(row.get("expires_at", "~"))


conditions = {"starts_at": times, "expires_at": times, "regions": st.sampled_from([REGION, "us-east-1"])}
allows = st.fixed_dictionaries(
    {"effect": st.just("allow")}, optional={**conditions, "limit": st.integers(0, 2)}
).filter(opens)
denies = st.fixed_dictionaries({"effect": st.just("deny")}, optional={**conditions, "cut": st.just("now")}).filter(
    opens
)
reviews = st.fixed_dictionaries({"effect": st.just("review")}, optional=conditions).filter(opens)
broken: st.SearchStrategy[Item] = st.sampled_from(
    [
        *({"effect": "permit"}, {"effect": "allow", "limit": -1}, {"effect": "deny", "expires": NOW}, {}),
        {"effect": "deny", "cut": "now", "starts_at": "2026-11-23T03:00:00Z", "expires_at": "2026-11-23T03:00:00Z"},
    ]
)
kinds: list[st.SearchStrategy[Item]] = [*[allows] * 7, reviews, denies, broken]
rules = st.sampled_from(kinds).flatmap(lambda kind: kind)
anything = st.sampled_from([*kinds, values.attributes, values.attributes]).flatmap(lambda kind: kind)
settings: st.SearchStrategy[Item] = st.fixed_dictionaries(
    {}, optional={"mode": st.just("enforce"), "default": st.sampled_from(["hold", "reject"]), "frozen_until": times}
)

MINE = (ENDPOINT, CONSUMER, NEAR, FAR, ORGANIZATION, "*")
OTHERS = (
    OTHER,
    endpoint_id(2),
    FOREIGN,
    "o-0000000000",
    "@release",
    f"@canary:{CONSUMER}",
    "ou-AB12-22222222",
    "x",
    "",
)
mine = st.builds(RowKey, st.sampled_from([SERVICE, "*"]), st.sampled_from(MINE))
others = st.builds(RowKey, st.sampled_from([SERVICE, "*"]), st.sampled_from(OTHERS)) | st.builds(
    RowKey, st.just(ELSEWHERE), st.sampled_from([*MINE, "@settings"])
)


def items(table: Mapping[RowKey, Item]) -> dict[RowKey, Item]:
    """Attributes by key as items, which have their keys among their attributes."""
    return {key: {**row, "service": key.service, "consumer": key.consumer} for key, row in table.items()}


def tables(
    keys: st.SearchStrategy[RowKey] = mine, rows: st.SearchStrategy[Item] = rules
) -> st.SearchStrategy[dict[RowKey, Item]]:
    laid = st.fixed_dictionaries({}, optional={RowKey(service, "@settings"): settings for service in (SERVICE, "*")})
    return st.builds(lambda rows, more: items(rows | more), st.dictionaries(keys, rows, min_size=1, max_size=6), laid)


connections = st.sampled_from([ASKING, ASKING, replace(ASKING, region="us-east-1"), replace(ASKING, region="")])
lineages = st.sampled_from([PLACED, PLACED, OUTSIDE, Lineage((FAR,)), ASLEEP, NO_ROLE])
unmatched = st.sampled_from(
    [(), (), (), (), (), (), (RowKey(SERVICE, "x"),), (RowKey("", f"{NEAR} "), RowKey(SERVICE, "x"))]
)
contexts = st.builds(DecisionContext, st.integers(0, 2), lineages, unmatched)


def accepts(decision: Decision) -> bool:
    return decision.outcome is Outcome.ACCEPT


def readable(rows: Rows) -> bool:
    return not isinstance(settings_for(SERVICE, rows), MalformedRow)


# ------------------------------------------------------------------ a deny


holding = {"starts_at": st.just("2026-11-23T03:00:00Z"), "expires_at": st.just("2026-11-23T03:00:01Z")}
denies_now = st.fixed_dictionaries({"effect": st.just("deny")}, optional={**holding, "cut": st.just("now")})


@given(connections, tables(), contexts, mine, denies_now)
def test_a_deny_that_applies_wins(
    connection: Connection, rows: Rows, context: DecisionContext, key: RowKey, deny: Item
) -> None:
    """Whatever else there is, but for settings that cannot be read; of an unknown OU nobody knows if it applies."""
    assume(key.consumer in (ENDPOINT, CONSUMER, "*", *context.lineage.units))
    decision = decide(connection, {**rows, **items({key: deny})}, NOW, context)
    if readable(rows):
        assert decision.says()[:2] == (Outcome.REJECT, Reason.DENIED)
    else:
        assert decision.says()[:2] == (Outcome.HOLD, Reason.MALFORMED_ROW)


@given(connections, tables(), contexts, mine | others, denies)
def test_adding_a_deny_adds_no_accept(
    connection: Connection, rows: Rows, context: DecisionContext, key: RowKey, deny: Item
) -> None:
    assume(key not in rows)
    before = decide(connection, rows, NOW, context)
    after = decide(connection, {**rows, **items({key: deny})}, NOW, context)
    assert accepts(before) or not accepts(after)


@given(connections, tables(), contexts)
def test_only_a_deny_that_applies_denies_or_cuts_at_once(
    connection: Connection, rows: Rows, context: DecisionContext
) -> None:
    decision = decide(connection, rows, NOW, context)
    denying = [key for key in decision.applied if str(rows[key].get("effect")).strip().lower() == "deny"]
    cutting = [key for key in denying if "cut" in rows[key] and key.consumer != "*"]
    assert decision.reason is not Reason.DENIED or decision.row in denying
    assert not decision.cut_now or (decision.reason is Reason.DENIED and cutting)


# ------------------------------------------------------------------ an allow


@given(connections, tables(), contexts, mine, allows)
def test_removing_an_allow_adds_no_accept_unless_that_row_itself_was_holding(
    connection: Connection, rows: Rows, context: DecisionContext, key: RowKey, allow: Item
) -> None:
    """Exactly: it decided, and held because it was full, because EC2 does not name the Region that it depends on, or
    because nobody knows whether the consumer is in its OU; then the next row may let in. One that a freeze holds takes
    no other row's place, since a freeze holds them all; one that is over or not begun decides nothing."""
    with_it = {**rows, **items({key: allow})}
    without = {other: row for other, row in with_it.items() if other != key}
    before, after = decide(connection, with_it, NOW, context), decide(connection, without, NOW, context)
    if accepts(after) and not accepts(before):
        reasons = {Reason.OVER_LIMIT, Reason.UNKNOWN_REGION} | ({context.lineage.unknown} if is_unit(key) else set())
        assert before.row == key
        assert before.reason in reasons


@given(connections, tables(), contexts)
def test_nobody_is_accepted_but_by_a_row_that_says_allow(
    connection: Connection, rows: Rows, context: DecisionContext
) -> None:
    decision = decide(connection, rows, NOW, context)
    assert accepts(decision) == (decision.reason is Reason.ALLOWED)
    if accepts(decision):
        assert decision.row is not None
        assert str(rows[decision.row]["effect"]).strip().lower() == "allow"
        assert decision.row == decision.applied[0]
        assert decision.limit is None or context.live < decision.limit
        assert not context.unmatched


@given(connections, tables(others, anything), st.integers(0, 2), unmatched)
def test_an_unlisted_consumer_is_never_accepted(
    connection: Connection, rows: Rows, live: int, blocking: tuple[RowKey, ...]
) -> None:
    for lineage in (PLACED, OUTSIDE, ASLEEP, NO_ROLE):
        assert not accepts(decide(connection, rows, NOW, DecisionContext(live, lineage, blocking)))


# ------------------------------------------------------------------ a row that cannot be read


def no_worse(before: Decision, after: Decision) -> None:
    """Nobody more is let in, nobody more is cut."""
    assert accepts(before) or not accepts(after)
    assert before.reason.ends or not after.reason.ends
    assert before.cut_now or not after.cut_now


@given(connections, tables(), contexts, mine | others, broken | values.anything)
def test_a_row_that_cannot_be_read_adds_no_accept_and_no_cut_be_it_new_or_an_edit(
    connection: Connection, rows: Rows, context: DecisionContext, key: RowKey, bad: Item
) -> None:
    item = items({key: bad})
    assume(isinstance(parse(item[key]), MalformedRow))
    no_worse(decide(connection, rows, NOW, context), decide(connection, {**rows, **item}, NOW, context))


@given(connections, tables(), contexts, st.sampled_from([SERVICE, "*"]), values.anything | values.sensible)
def test_settings_that_cannot_be_read_hold_and_act_on_nobody(
    connection: Connection, rows: Rows, context: DecisionContext, service: str, bad: Item
) -> None:
    item = items({RowKey(service, "@settings"): bad})
    assume(isinstance(parse(next(iter(item.values()))), MalformedRow))
    decision = decide(connection, {**rows, **item}, NOW, context)
    assert decision.says()[:2] == (Outcome.HOLD, Reason.MALFORMED_ROW)
    assert not decision.acts
    no_worse(decide(connection, rows, NOW, context), decision)


@given(connections, tables(), contexts)
def test_a_row_whose_keys_cannot_be_read_adds_no_accept_and_no_cut(
    connection: Connection, rows: Rows, context: DecisionContext
) -> None:
    blocked = replace(context, unmatched=(*context.unmatched, RowKey(SERVICE, "payments")))
    after = decide(connection, rows, NOW, blocked)
    no_worse(decide(connection, rows, NOW, context), after)
    assert not accepts(after)


# ------------------------------------------------------------------ what does not matter


@given(connections, tables(mine | others, anything), contexts, st.randoms())
def test_the_order_of_rows_does_not_matter(
    connection: Connection, rows: Rows, context: DecisionContext, random: Random
) -> None:
    mixed = list(rows.items())
    random.shuffle(mixed)
    assert decide(connection, dict(mixed), NOW, context) == decide(connection, rows, NOW, context)


@given(connections, tables(), contexts, st.dictionaries(others, anything | settings, max_size=4))
def test_rows_of_other_services_and_consumers_change_nothing(
    connection: Connection, rows: Rows, context: DecisionContext, more: Mapping[RowKey, Item]
) -> None:
    """Not even the hash of what was read. While nobody knows the consumer's place, no OU is somebody else's."""
    known = context.lineage.unknown is None
    strange = {key: row for key, row in more.items() if known or key.service == ELSEWHERE or not is_unit(key)}
    after = decide(connection, {**rows, **items(strange)}, NOW, context)
    assert after == decide(connection, rows, NOW, context)


# ------------------------------------------------------------------ an unknown place in the organisation

PLACES = [
    Lineage((*units, *above))
    for size in range(3)
    for units in permutations((NEAR, FAR), size)
    for above in ((), (ORGANIZATION,))
]


@given(connections, tables(), contexts, st.sampled_from([ASLEEP, NO_ROLE]))
def test_an_unknown_place_adds_no_accept_and_no_cut_to_any_place_that_it_may_be(
    connection: Connection, rows: Rows, context: DecisionContext, unknown: Lineage
) -> None:
    decision = decide(connection, rows, NOW, replace(context, lineage=unknown))
    known = [decide(connection, rows, NOW, replace(context, lineage=place)) for place in PLACES]
    for other in known:
        no_worse(other, decision)
        assert not accepts(decision) or decision.limit == other.limit
    waits = decision.outcome is Outcome.HOLD and not decision.reason.ends
    says = {(other.outcome, other.reason.ends) for other in known}
    assert waits or says == {(decision.outcome, decision.reason.ends)}


@given(connections, tables(), contexts, st.sampled_from([ASLEEP, NO_ROLE]))
def test_an_unknown_place_changes_nothing_for_whom_no_row_of_a_unit_could_keep_out(
    connection: Connection, rows: Rows, context: DecisionContext, unknown: Lineage
) -> None:
    """A row of the endpoint or account applies, and the units' rows are allow and review in any Region."""
    units = [parse(row) for key, row in rows.items() if is_unit(key)]
    assume(all(isinstance(row, Rule) and row.effect is not Effect.DENY and not row.regions for row in units))
    decision = decide(connection, rows, NOW, replace(context, lineage=unknown))
    if not units or any(key.consumer in (ENDPOINT, CONSUMER) for key in decision.applied):
        known = {decide(connection, rows, NOW, replace(context, lineage=place)).says() for place in PLACES}
        assert known == {decision.says()}


# ------------------------------------------------------------------ total, and made again the same


def nested(depth: int, wrap: str) -> object:
    value: object = "allow"
    for _ in range(depth):
        value = [value] if wrap == "list" else {"M": value} if wrap == "map" else frozenset({value})
    return value


NASTY = [
    *(nested(1000, "list"), nested(1000, "map"), nested(1000, "set"), (), [], {}, set(), frozenset()),
    *(10**5000, -(10**5000), float("nan"), float("inf"), -0.0, 1e308, True, False, None),
    *(Decimal("1E+999999"), Decimal("1E-999999"), Decimal("0E+999999"), Decimal("NaN"), Decimal("sNaN")),
    *(Decimal("-Infinity"), Decimal("1" * 5000), Decimal("1." + "0" * 5000)),
    *(
        b"",
        b"\xff" * 10,
        bytearray(b"allow"),
        Binary(b"\xff"),
        "",
        " ",
        "\x00",
        "\ud800",
        "\udfff" * 3,
        "٣",
        "\u200ballow",
    ),
    *({None: None}, {1: {2: {3}}}, {(): ()}, {b"x": 1}, frozenset({frozenset({1, "a"}), None}), {"allow", b"allow", 1}),
    *(datetime(2026, 1, 1), NOW, object(), Exception, 1j, range(3), "x" * 500_000, ["eu-west-1"] * 5000),
]
nasty = st.sampled_from(NASTY) | values.values | st.floats() | st.integers() | st.decimals() | st.text()
names = st.sampled_from([*values.NAMES, "function", "endpoints", None, 1, "\ud800", ("a",), b"effect", "x" * 5000])
texts = st.sampled_from([*MINE, *OTHERS, SERVICE, "@settings", "\ud800", "*" * 3000]) | st.text(max_size=20)


@given(
    st.dictionaries(st.builds(RowKey, texts, texts), st.dictionaries(names, nasty, max_size=4), max_size=5),
    st.builds(replace, st.just(ASKING), service=texts, endpoint=texts, account=texts, region=texts),
    st.builds(DecisionContext, st.integers(), st.builds(Lineage, st.lists(texts).map(tuple)) | lineages, unmatched),
    st.datetimes(timezones=st.just(UTC)),
)
def test_a_decision_is_made_of_anything(
    table: Mapping[RowKey, Item], connection: Connection, context: DecisionContext, now: datetime
) -> None:
    rows = items(table)
    decision = decide(connection, rows, now, context)
    assert json.loads(json.dumps([decision.says(), decision.note, dict(decision.people)]))
    assert set(decision.applied) <= rows.keys()
    assert {blocks(item) for item in rows.values()} <= {None, "*", *(key.service.strip().lower() for key in rows)}


@pytest.mark.parametrize("value", NASTY, ids=lambda value: type(value).__name__)
def test_no_value_of_any_attribute_and_no_key_is_too_much(value: object) -> None:
    for consumer in (CONSUMER, "@settings", "@release", f"@canary:{CONSUMER}"):
        for name in (*values.NAMES, "function", "endpoints"):
            good: Item = {"effect": "deny"} if consumer == CONSUMER and name != "effect" else {}
            row = {"service": SERVICE, "consumer": consumer, **good, name: value}
            decision = decide(ASKING, {RowKey(SERVICE, consumer): row}, NOW)
            assert not accepts(decision)
    for keys in ({"service": value, "consumer": CONSUMER}, {"service": SERVICE, "consumer": value}, {}):
        assert isinstance(parse({**keys, "effect": "allow"}), MalformedRow)
        assert blocks({**keys, "effect": "allow"}) is None
        assert blocks({**keys, "effect": "deny"}) in (SERVICE, "*")


@given(connections, tables(mine | others, anything), contexts)
def test_a_decision_made_again_from_what_was_stored_is_the_same(
    connection: Connection, rows: Rows, context: DecisionContext
) -> None:
    stored = {key: json.loads(json.dumps(plain(row))) for key, row in rows.items()}
    assert decide(connection, stored, NOW, context) == decide(connection, rows, NOW, context)


@given(connections, tables(mine | others, anything), contexts)
def test_a_decision_made_again_from_its_line_of_the_ledger_is_the_same(
    connection: Connection, rows: Rows, context: DecisionContext
) -> None:
    decision = decide(connection, rows, NOW, context)
    assert replay(line(Judgment(connection, None, decision, rows, context), "bell", NOW)["facts"]) == decision


def spelt(rows: Iterable[Item]) -> str:
    """A policy as JSON, whatever the order of its rows."""
    return json.dumps(sorted(json.dumps(plain(row), sort_keys=True) for row in rows))


@given(tables(mine | others, anything), st.data())
def test_two_policies_have_one_hash_exactly_if_they_are_the_same(rows: Rows, data: st.DataObject) -> None:
    """And if they have, they are read the same, to the word of what is wrong with them."""
    keys = list(rows)
    same: st.SearchStrategy[Rows] = st.sampled_from([rows, {key: rows[key] for key in reversed(keys)}])
    edits: st.SearchStrategy[Rows] = st.sampled_from(
        [{key: rows[key] for key in keys[1:]}, {key: {**rows[key], "note": "x"} for key in keys}]
    )
    other = data.draw(st.one_of(same, edits, tables(mine | others, anything)))
    found = digest(rows.values()) == digest(other.values())
    assert found == (spelt(rows.values()) == spelt(other.values()))
    if found:
        assert {key: parse(row) for key, row in rows.items()} == {key: parse(row) for key, row in other.items()}


@given(tables(), unmatched, unmatched)
def test_the_hash_covers_the_rows_whose_keys_cannot_be_read(
    rows: Rows, some: tuple[RowKey, ...], others: tuple[RowKey, ...]
) -> None:
    one, another = digest(rows.values(), some), digest(rows.values(), others)
    assert (one == another) == (set(some) == set(others))
    assert digest(rows.values(), reversed(some)) == one
