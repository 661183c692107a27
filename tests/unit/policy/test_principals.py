"""Permission sync: the principals that rows want, and what that changes of those that are there."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkgate.model import Outcome, RowKey, ServiceSettings, Sync
from linkgate.policy.principals import Change, Wanted, plan, problems, wanted
from linkgate.policy.rows import Item, key_of

from tests.unit import values
from tests.world import endpoint_id, service_id

SERVICE, OTHER = service_id(1), service_id(2)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAST, FUTURE = "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"
ACCOUNT, SECOND = "222222222222", "033333333333"
UNIT = "ou-ab12-11111111"
MALFORMED = {"effect": "allow", "expires": FUTURE}
OU_PRINCIPAL = f"arn:aws:organizations::999999999999:ou/o-a1b2c3d4e5/{UNIT}"


def row(consumer: str = ACCOUNT, service: str = SERVICE, **attributes: Any) -> Item:
    return {"service": service, "consumer": consumer, **(attributes or {"effect": "allow"})}


def root(account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:root"


def said(*rows: Item) -> Wanted:
    return wanted(SERVICE, {key_of(item): item for item in rows}, NOW, "aws")


def change(sync: Sync, present: set[str], *rows: Item) -> Change:
    return plan(sync, frozenset(present), said(*rows))


# ------------------------------------------------------------------ what rows want


@pytest.mark.parametrize("service", [SERVICE, "*"])
def test_an_allow_row_of_an_account_wants_its_root(service: str) -> None:
    assert said(row(service=service)) == Wanted(principals=frozenset({root()}))


def test_the_partition_is_that_of_the_stack() -> None:
    rows = {key_of(row()): row()}
    assert wanted(SERVICE, rows, NOW, "aws-cn").principals == {f"arn:aws-cn:iam::{ACCOUNT}:root"}


def test_rows_of_other_services_want_nothing() -> None:
    assert said(row(service=OTHER), row(UNIT, OTHER), row(SECOND, OTHER, **MALFORMED)) == Wanted()


@pytest.mark.parametrize(
    "dates",
    [
        {"expires_at": FUTURE},
        {"starts_at": PAST},
        {"expires_at": Decimal(NOW.timestamp() + 1)},
        {"regions": "us-east-1"},
    ],
)
def test_a_row_in_force_wants_its_account_whatever_its_regions(dates: dict[str, Any]) -> None:
    assert said(row(effect="allow", **dates)).principals == {root()}


@pytest.mark.parametrize("moment", [PAST, Decimal(NOW.timestamp())])
def test_an_expired_row_wants_nothing(moment: object) -> None:
    assert said(row(effect="allow", expires_at=moment)) == Wanted()


@pytest.mark.parametrize("service", [SERVICE, "*"])
@pytest.mark.parametrize("denying", [SERVICE, "*"])
def test_a_deny_of_the_account_wins_on_the_service_and_on_every_service(service: str, denying: str) -> None:
    denied = row(SECOND, denying, effect="deny")
    assert said(row(service=service), denied, row(SECOND, OTHER)).principals == {root()}
    if service != denying:
        assert said(row(service=service), row(service=denying, effect="deny")) == Wanted()


@pytest.mark.parametrize("held", [{"expires_at": PAST}, {"starts_at": FUTURE}, {"regions": "us-east-1"}])
def test_a_deny_that_is_not_in_force_or_leaves_other_regions_keeps_nobody_out(held: dict[str, Any]) -> None:
    assert said(row(), row(service="*", effect="deny", **held)).principals == {root()}


def test_a_deny_of_somebody_else_keeps_nobody_out() -> None:
    assert said(row(), row(SECOND, effect="deny"), row("*", effect="deny")).principals == {root()}


@pytest.mark.parametrize("lets", [MALFORMED, {"effect": "review"}, {"effect": "allow", "starts_at": FUTURE}])
def test_an_account_that_may_come_in_once_people_or_a_date_say_so_is_left_as_it_is(lets: dict[str, Any]) -> None:
    assert said(row(**lets)) == Wanted(doubtful=frozenset({root()}))


@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_an_account_with_a_row_that_cannot_be_read_is_doubtful_whatever_else_there_is(effect: str) -> None:
    assert said(row(**MALFORMED), row(service="*", effect=effect)) == Wanted(doubtful=frozenset({root()}))


def test_an_allow_in_force_outweighs_a_review_and_a_deny_outweighs_both() -> None:
    assert said(row(), row(service="*", effect="review")).principals == {root()}
    assert said(row(effect="review"), row(service="*", effect="deny")) == Wanted()


@pytest.mark.parametrize("consumer", ["*", UNIT, "o-a1b2c3d4e5", endpoint_id(1)])
@pytest.mark.parametrize(
    "lets", [{"effect": "allow"}, {"effect": "review"}, {"effect": "allow", "starts_at": FUTURE}, MALFORMED]
)
def test_a_row_that_may_let_in_somebody_else_than_an_account_is_inexpressible(
    consumer: str, lets: dict[str, Any]
) -> None:
    assert said(row(consumer, **lets)) == Wanted(inexpressible=(RowKey(SERVICE, consumer),))


@pytest.mark.parametrize("closed", [{"effect": "deny"}, {"effect": "allow", "expires_at": PAST}])
def test_a_row_that_lets_nobody_in_is_not_inexpressible(closed: dict[str, Any]) -> None:
    assert said(row("*", **closed), row(UNIT, "*", **closed)) == Wanted()


def test_a_row_whose_consumer_is_of_no_known_form_is_inexpressible() -> None:
    assert said(row(" 222222222222 ")).inexpressible == (RowKey(SERVICE, " 222222222222 "),)


def test_rows_with_reserved_keys_speak_of_nobody() -> None:
    canary = row(f"@canary:{ACCOUNT}", function="arn:aws:lambda:eu-west-1:222222222222:function:canary")
    assert said(row("@settings", mode="nonsense"), row("@release", endpoints=endpoint_id(1)), canary) == Wanted()


def test_inexpressible_rows_are_named_in_the_order_of_their_keys() -> None:
    assert said(row(UNIT), row("*"), row("*", "*")).inexpressible == (("*", "*"), (SERVICE, "*"), (SERVICE, UNIT))


# ------------------------------------------------------------------ what that changes


def test_off_changes_nothing() -> None:
    assert change(Sync.OFF, {root(SECOND)}, row(), row("*")) == Change()


def test_add_adds_what_is_missing_and_removes_nothing() -> None:
    changed = change(Sync.ADD, {root(SECOND), "*"}, row())
    assert changed == Change(add=frozenset({root()}))


OTHERS = {root(SECOND), "*", OU_PRINCIPAL, f"arn:aws:iam::{ACCOUNT}:role/R", "cloudwatch.amazonaws.com"}


def test_exact_removes_whoever_no_row_wants() -> None:
    assert change(Sync.EXACT, OTHERS, row()) == Change(frozenset({root()}), frozenset(OTHERS))


def test_exact_without_rows_removes_everybody() -> None:
    assert change(Sync.EXACT, {root(), "*"}) == Change(remove=frozenset({root(), "*"}))


def test_exact_leaves_every_principal_of_a_doubtful_account_and_adds_none() -> None:
    mine = {f"arn:aws:iam::{ACCOUNT}:role/R", f"arn:aws:iam::{ACCOUNT}:user/U"}
    changed = change(Sync.EXACT, {*mine, root(SECOND), "*"}, row(**MALFORMED))
    assert changed == Change(remove=frozenset({root(SECOND), "*"}))


@pytest.mark.parametrize("consumer", ["*", UNIT, "o-a1b2c3d4e5", endpoint_id(1)])
def test_exact_removes_nobody_while_a_row_is_inexpressible_and_says_so(consumer: str) -> None:
    changed = change(Sync.EXACT, OTHERS, row(), row(consumer))
    assert changed.add == {root()}
    assert changed.remove == frozenset()
    why = "sync_permissions knows accounts alone and removes no principal while there are rows such as"
    assert changed.short == f"{why} {SERVICE}/{consumer}"


def test_add_says_for_which_rows_it_adds_nobody() -> None:
    rows = [row(f"ou-ab12-1111111{number}") for number in range(8)]
    short = change(Sync.ADD, set(), *rows).short
    assert "adds none for them" in short
    assert short.endswith(f"{SERVICE}/ou-ab12-11111114 and 3 more")


accounts = st.sampled_from([f"{number:012d}" for number in range(6)])
principals = st.frozensets(st.one_of(accounts.map(root), st.sampled_from(sorted(OTHERS))))
moments = st.sampled_from([PAST, FUTURE])
readable = st.fixed_dictionaries(
    {"service": st.sampled_from([SERVICE, "*"]), "consumer": accounts, "effect": st.sampled_from(["allow", "deny"])},
    optional={"expires_at": moments, "regions": st.just("eu-west-1")},
)
anything = st.builds(
    lambda attributes, service, consumer: {**attributes, "service": service, "consumer": consumer},
    values.attributes,
    st.sampled_from([SERVICE, "*", OTHER]),
    st.one_of(accounts, st.sampled_from(["*", UNIT, "@settings", "1234"]), values.texts),
)
rows_of_anything = st.lists(anything | readable, max_size=12)


@given(rows=st.lists(readable, max_size=12), present=principals)
def test_with_rows_of_accounts_alone_exact_makes_what_is_there_what_is_wanted(
    rows: list[Item], present: frozenset[str]
) -> None:
    asked = said(*rows)
    changed = plan(Sync.EXACT, present, asked)
    assert (present | changed.add) - changed.remove == asked.principals


@given(rows=rows_of_anything, present=principals, sync=st.sampled_from(Sync))
def test_a_second_plan_changes_nothing(rows: list[Item], present: frozenset[str], sync: Sync) -> None:
    asked = said(*rows)
    changed = plan(sync, present, asked)
    assert not changed.add & changed.remove
    again = plan(sync, (present | changed.add) - changed.remove, asked)
    assert again == Change(short=changed.short)


@given(rows=st.lists(anything | readable, min_size=1), present=principals, spoilt=st.integers(0))
def test_a_row_that_comes_to_be_unreadable_removes_nobody_of_its_own_and_adds_nobody(
    rows: list[Item], present: frozenset[str], spoilt: int
) -> None:
    broken = {**rows[spoilt % len(rows)], "effect": "allow", "expires": FUTURE}
    before = plan(Sync.EXACT, present, said(*rows))
    after = plan(Sync.EXACT, present, said(*rows, broken))
    assert after.add <= before.add
    assert after.remove <= before.remove


@given(rows=rows_of_anything, present=principals)
def test_exact_removes_no_principal_of_an_account_that_is_wanted_or_doubtful(
    rows: list[Item], present: frozenset[str]
) -> None:
    asked = said(*rows)
    assert not plan(Sync.EXACT, present, asked).remove & (asked.principals | asked.doubtful)
    assert not asked.principals & asked.doubtful


# ------------------------------------------------------------------ the service


def test_everybody_among_the_principals_with_a_default_of_reject_is_a_problem() -> None:
    (problem,) = problems({"*", root()}, ServiceSettings(default=Outcome.REJECT))
    assert "everybody (*) may ask" in problem


@pytest.mark.parametrize(
    ("present", "settings"),
    [
        ({"*"}, ServiceSettings()),
        ({root()}, ServiceSettings(default=Outcome.REJECT)),
        (set(), ServiceSettings(default=Outcome.REJECT)),
    ],
)
def test_other_principals_and_other_defaults_are_no_problem(present: set[str], settings: ServiceSettings) -> None:
    assert problems(present, settings) == ()
