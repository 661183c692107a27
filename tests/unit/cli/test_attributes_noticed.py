"""Every attribute that is set, changed and unset is noticed: by the plan, by the decision, and by the ledger."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from linkgate.model import RowKey
from linkgate.policy.rows import KNOWN, Item
from linkgate_cli.planning import plan

from tests.application import SERVICE, Application
from tests.unit.cli.test_plan_holds import seen
from tests.world import CONSUMER, endpoint_id

RULE: dict[str, tuple[object, object]] = {
    "effect": ("review", "allow"),
    "limit": (Decimal(0), Decimal(2)),
    "regions": ("us-east-1", {"us-east-1", "eu-west-2"}),
    "starts_at": ("2027-01-01T00:00:00Z", Decimal(1798761600)),
    "expires_at": ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
    "cut": ("now", "NOW"),
    "owner": ("a", "b"),
    "reason": ("a", "b"),
    "ticket": ("a", "b"),
    "note": ("a", "b"),
}
SETTINGS: dict[str, tuple[object, object]] = {
    "mode": ("observe", "enforce"),
    "default": ("hold", "reject"),
    "reconcile": ("off", "enforce"),
    "grace": ("5s", "6s"),
    "max_cuts": ("5", "6"),
    "max_rejects": ("5", "10%"),
    "frozen_until": ("2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"),
    "stale_after": ("1d", "2d"),
    "sync_permissions": ("add", "exact"),
    "probe": ("tcp://:443", {"tcp://:443", "tcp://:80"}),
}


def test_every_attribute_of_a_rule_and_of_settings_is_tried() -> None:
    assert RULE.keys() | SETTINGS.keys() == KNOWN - {"endpoints", "function"}


def steps(consumer: str, name: str, values: tuple[object, object]) -> Iterator[Item | None]:
    """A row without the attribute, with it, with another value, and without it again."""
    key = {"service": SERVICE, "consumer": consumer}
    base: dict[str, object] = {**key, "mode": "observe"} if consumer == "@settings" else {**key, "effect": "review"}
    if name == "cut":
        base["effect"] = "deny"
    if name == "limit":
        base["effect"] = "allow"
    if name in ("effect", "mode"):
        yield None
    else:
        yield base
    yield {**base, name: values[0]}
    yield {**base, name: values[1]}
    yield None if name in ("effect", "mode") else base


@pytest.mark.parametrize(
    ("consumer", "name", "values"),
    [(CONSUMER, *one) for one in RULE.items()] + [("@settings", *one) for one in SETTINGS.items()],
)
def test_an_attribute_is_noticed_when_it_is_set_changed_and_unset(
    consumer: str, name: str, values: tuple[object, object]
) -> None:
    app, endpoint, key = Application(), endpoint_id(1), RowKey(SERVICE, consumer)
    app.allow_list.put(SERVICE, "@settings", mode="observe")  # so that whatever is decided, it goes on waiting
    first, *others = steps(consumer, name, values)
    _write(app, key, first)
    app.connect(endpoint)
    app.work(60)
    for row in others:
        table, before = dict(app.allow_list.table), app.ledger.lines(endpoint)
        made = plan([seen(app)], table, {key: row}, app.sweeper.comparer.contexts, app.world.now)
        assert [name in change.attributes for change in made.rows] == [True]
        _write(app, key, row)
        app.sweeper.edited({key: row}, "an edit")
        app.work(60)
        after = app.ledger.lines(endpoint)
        assert len(after) == len(before) + 1
        assert after[-1].policy_hash != before[-1].policy_hash
        assert after[-1].policy_hash == app.known(endpoint).policy_hash


def _write(app: Application, key: RowKey, row: Item | None) -> None:
    app.allow_list.table.pop(key, None)
    if row is not None:
        app.allow_list.table[key] = row
