"""Rows that can be read and mean nothing where they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkgate.model import MalformedRow
from linkgate.policy.rows import Item, key_of, parse
from linkgate.policy.unused import unused

from tests.unit import values
from tests.unit.policy.reading import SERVICE, row
from tests.world import CONSUMER, endpoint_id, service_id

ELSEWHERE = service_id(2)
FUNCTION = f"arn:aws:lambda:eu-west-1:{CONSUMER}:function:linkgate-canary"


def found(*items: Item) -> list[tuple[str, str, str]]:
    """The row, the attribute and the sentence of what means nothing while SERVICE alone is managed."""
    some = list(unused({key_of(item): item for item in items}, {SERVICE}))
    assert [str(one) for one in some] == [f"row {one.key}: {one.problem}" for one in some]
    return [(str(one.key), one.attribute, one.problem) for one in some]


@pytest.mark.parametrize(
    ("consumer", "attributes"),
    [
        (CONSUMER, {"effect": "allow"}),
        (CONSUMER, {"effect": "deny", "cut": "now"}),
        (endpoint_id(1), {"effect": "review"}),
        ("ou-ab12-11111111", {"effect": "deny"}),
        ("*", {"effect": "allow"}),
        ("@settings", {"mode": "enforce"}),
        ("@release", {"endpoints": endpoint_id(1)}),
        (f"@canary:{CONSUMER}", {"function": FUNCTION}),
    ],
)
def test_a_row_of_whatever_kind_is_unused_where_its_service_is_not_managed(consumer: str, attributes: Item) -> None:
    expected = "expected one with the tag linkgate = TagValue of this stack"
    sentence = f'service is "{ELSEWHERE}", which is not managed here: {expected}'
    assert found(row(attributes, consumer, ELSEWHERE)) == [(f"{ELSEWHERE}/{consumer}", "service", sentence)]
    assert found(row(attributes, consumer), row({**attributes, "note": "x"}, consumer)) == []


def test_a_row_for_every_service_is_used_even_if_none_is_managed() -> None:
    item = row({"effect": "deny"}, CONSUMER, "*")
    assert list(unused({key_of(item): item}, ())) == []


def test_a_deny_of_everybody_cuts_nobody_at_once() -> None:
    sentence = 'cut is "now", and consumer is *, so it cuts nobody at once: expected one consumer'
    for service in (SERVICE, "*"):
        assert found(row({"effect": "deny", "cut": "now"}, "*", service)) == [(f"{service}/*", "cut", sentence)]
    assert found(row({"effect": "deny"}, "*")) == []


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_the_settings_of_all_services_set_no_mode(mode: str) -> None:
    sentence = f'mode is "{mode}", and service is *, which sets no mode: expected it on one service'
    assert found(row({"mode": mode}, "@settings", "*")) == [("*/@settings", "mode", sentence)]
    assert found(row({"default": "reject"}, "@settings", "*"), row({"mode": mode}, "@settings")) == []


@pytest.mark.parametrize(
    "item", [row({"effect": "permit"}), row({"effect": "deny"}, "payments"), row({}, "x", "orders")]
)
def test_what_cannot_be_read_is_told_as_that_alone(item: Item) -> None:
    assert found({**item, "service": ELSEWHERE}) == found(item) == []


@given(
    values.attributes,
    values.texts | st.sampled_from([CONSUMER, "*", "@settings"]),
    st.sampled_from([ELSEWHERE, "*", ""]),
)
def test_no_row_is_both_malformed_and_unused(attributes: Item, consumer: str, service: str) -> None:
    item = row(attributes, consumer, service)
    assert not (isinstance(parse(item), MalformedRow) and found(item))
