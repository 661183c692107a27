"""What `allow` and `deny` make of the row that is there: who was to be let in is, and who was to be kept out."""

from datetime import UTC, datetime

import pytest
from linkgate.model import Effect, RowKey
from linkgate.policy.rows import Item
from linkgate_cli import asking
from linkgate_cli.failures import Failure
from linkgate_cli.one_row import row

NOW = datetime(2026, 11, 28, tzinfo=UTC)
KEY = RowKey("vpce-svc-0123456789abcdef0", "222222222222")
DENY = {**KEY._asdict(), "effect": "deny"}
ALLOW = {**KEY._asdict(), "effect": "allow"}


@pytest.mark.parametrize(
    "condition",
    [
        {"expires_at": "2026-01-01T00:00:00Z"},
        {"starts_at": "2027-01-01T00:00:00Z"},
        {"regions": {"us-east-1"}},
        {"cut": "now"},
    ],
)
def test_no_condition_of_an_earlier_deny_narrows_the_new_one(condition: Item) -> None:
    before = {**DENY, **condition, "owner": "security", "ticket": "SEC-1"}
    assert row(KEY, before, Effect.DENY, {"ticket": "SEC-2"}, NOW) == {**DENY, "owner": "security", "ticket": "SEC-2"}


def test_what_an_allow_says_already_stays_but_for_an_end_that_is_over() -> None:
    before = {**ALLOW, "limit": 2, "regions": {"eu-west-1"}, "expires_at": "2026-12-31T00:00:00Z"}
    assert row(KEY, before, Effect.ALLOW, {"limit": 3}, NOW) == {**before, "limit": 3}
    ended = {**before, "expires_at": "2026-10-01T00:00:00Z"}
    with pytest.raises(Failure, match="ended at 2026-10-01T00:00:00Z: give --until or --for, or linkgate remove it"):
        row(KEY, ended, Effect.ALLOW, {"limit": 3}, NOW)
    later = {"expires_at": "2027-01-01T00:00:00Z"}
    assert row(KEY, ended, Effect.ALLOW, later, NOW) == {**before, **later}


def test_a_row_of_another_effect_is_replaced() -> None:
    assert row(KEY, {**DENY, "expires_at": "2026-01-01T00:00:00Z"}, Effect.ALLOW, {}, NOW) == ALLOW


def test_a_wrong_confirm_says_what_was_expected() -> None:
    with pytest.raises(Failure, match="--confirm is 'vpce-1': expected 'vpce-2'; nothing was written"):
        asking.typed("cut?", "vpce-2", "vpce-1")
