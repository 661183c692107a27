"""The file of rows: what DynamoDB has comes back exactly, and what cannot be read names its line."""

from decimal import Context, Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import Binary
from hypothesis import given
from hypothesis import strategies as st
from linkgate.model import RowKey
from linkgate.policy.decide import Rows
from linkgate_cli.rowsfile import FileError, exported, read, same

WIDE = Context(prec=60)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    ["effect", "limit"]
)
DIGITS = st.integers(-(10**38) + 1, 10**38 - 1)
NUMBERS = st.builds(lambda digits, exponent: Decimal(digits).scaleb(exponent, WIDE), DIGITS, st.integers(-90, 80))
BYTES = st.binary(max_size=8).map(Binary)
WORDS = st.sampled_from(["true", "null", "007", "12", "1e5", "~", "", " x ", "2026-12-31T00:00:00Z", "a: b", "#"])
SETS = (
    st.sets(TEXTS | WORDS, min_size=1, max_size=3)
    | st.sets(NUMBERS, min_size=1, max_size=3)
    | st.sets(BYTES, min_size=1, max_size=3)
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | WORDS | BYTES | SETS
VALUES = st.recursive(
    SCALARS, lambda one: st.lists(one, max_size=3) | st.dictionaries(NAMES, one, max_size=3), max_leaves=6
)

KEYS = st.tuples(NAMES, NAMES | st.sampled_from(["222222222222", "012345678901", "*", "@settings"]))


@st.composite
def tables(draw: st.DrawFn) -> Rows:
    found = {}
    for service, consumer in draw(st.lists(KEYS, max_size=4, unique=True)):
        values = draw(st.dictionaries(NAMES, VALUES, max_size=4))
        item: dict[str, object] = {name: value for name, value in values.items() if name not in ("service", "consumer")}
        found[RowKey(service, consumer)] = {**item, "service": service, "consumer": consumer}
    return found


@given(tables())
def test_an_exported_table_comes_back_exactly(rows: Rows) -> None:
    text = exported(rows)
    again = read("rows.yaml", text).rows
    assert again.keys() == rows.keys()
    assert all(again[key] == rows[key] and same(again[key], rows[key]) for key in rows)
    assert exported(again) == exported(dict(reversed(list(rows.items())))) == text


def test_the_longest_key_and_name_that_dynamodb_has_come_back() -> None:
    key = RowKey("*", '"' * 1024)
    rows: Rows = {key: {"service": "*", "consumer": key.consumer, "x" * 60_000: "y", "m": {"z" * 2000: "1"}}}
    assert same(read("f", exported(rows)).rows[key], rows[key])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, Decimal(1)),
        ("1", Decimal(1)),
        ({"a"}, ["a"]),
        ("a", {"a"}),
        (None, "null"),
        (b"a", "a"),
        ([], {}),
        (1, "1"),
    ],
)
def test_values_of_two_types_are_never_the_same(one: object, other: object) -> None:
    assert not same({"service": "*", "v": one}, {"service": "*", "v": other})


def test_numbers_are_the_same_as_dynamodb_keeps_them() -> None:
    nines = Decimal("9" * 38)
    assert not same({"v": nines}, {"v": Decimal("9" * 37 + "8")})
    assert same({"v": Decimal("1.50")}, {"v": Decimal("1.5")})
    assert same({"v": Decimal("1E+2")}, {"v": 100})


FILE = """# payments
services:
  vpce-svc-0123456789abcdef0:
    "@settings": {mode: enforce, grace: 60s}
    012345678901:   # an account
      effect: allow
      limit: 2
      ticket: 007
      expires_at: 2026-12-31T00:00:00Z
      regions: !set [eu-west-1, us-east-1]
  '*':
tests: []
"""


def test_people_write_plain_yaml_and_get_the_types_that_they_mean() -> None:
    file = read("rows.yaml", FILE)
    service, account = "vpce-svc-0123456789abcdef0", "012345678901"
    assert file.services == {service, "*"}
    assert file.rows[RowKey(service, account)] == {
        "service": service,
        "consumer": account,
        "effect": "allow",
        "limit": Decimal(2),
        "ticket": "007",
        "expires_at": "2026-12-31T00:00:00Z",
        "regions": {"eu-west-1", "us-east-1"},
    }
    key = RowKey(service, account)
    assert [file.line(key), file.line(key, "limit"), file.line(key, "cut"), file.line(None)] == [5, 7, 5, None]


ROW = "services:\n  vpce-svc-0123456789abcdef0:\n    222222222222: {}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ROW.format("{effect: }"), "line 3: effect has no value"),
        (ROW.format("{effect: allow, effect: deny}"), "line 3: effect stands there twice, first in line 3"),
        (ROW.format("allow"), "line 3: expected attributes of vpce-svc-0123456789abcdef0/222222222222: a map"),
        (ROW.format("{consumer: x}"), "line 3: consumer is the row's key"),
        (ROW.format("{effect: *x}"), "line 3: effect has an anchor or an alias"),
        (
            ROW.format("{effect: !word allow}"),
            "line 3: effect has the tag !word: expected !set",
        ),
        (ROW.format("{regions: !set [a, 1]}"), "line 3: regions is no set"),
        (ROW.format("{regions: !set [a, a]}"), "line 3: regions is no set"),
        (ROW.format("{note: !binary x}"), "line 3: note is no base64"),
        (ROW.format("{limit: 1" + "2" * 38 + "}"), "line 3: limit is 12222222222"),
        (ROW.format("{effect: allow"), "line 4: did not find expected ',' or '}'"),
        (ROW.format("{a: {? [b] : c}}"), "line 3: expected a key, which is text"),
        ("rows: {}", "line 1: 'rows' is not known here: expected services or tests"),
        ("services: {}\n---\nservices: {}", "line 2: a second document begins: expected one"),
        ("services:\n\ta: b", "line 2: found character that cannot start any token"),
        ("services: \x00", "unacceptable character #x0000: control characters are not allowed"),
        ("services: {a: {b: {c: " + "[" * 5000, ""),
    ],
)
def test_what_cannot_be_read_names_its_line(text: str, problem: str) -> None:
    with pytest.raises(FileError) as error:
        read("rows.yaml", text)
    assert str(error.value).startswith("rows.yaml")
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", "services:\n", "services: {}\n"])
def test_a_file_without_rows_has_none(text: str) -> None:
    assert read("rows.yaml", text).rows == {}


def test_an_empty_table_is_a_file_too() -> None:
    nothing: dict[RowKey, Any] = {}
    assert exported(nothing) == "services: {}\n"
