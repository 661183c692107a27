"""What hypothesis puts into rows: any value that a DynamoDB item can hold, and rows that may or may not be read."""

import string
from decimal import Decimal

from boto3.dynamodb.types import Binary
from hypothesis import strategies as st
from linkgate.policy.rows import PEOPLE, Item

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
digits = st.integers(-(10**37), 10**37)
numbers = st.one_of(
    digits.map(Decimal),
    st.builds(lambda whole, exponent: Decimal(whole).scaleb(exponent), st.integers(-999, 999), st.integers(-125, 120)),
)
"""DynamoDB's numbers: up to 38 digits, exponents from -130 to 125."""
binaries = st.binary(min_size=1, max_size=8).map(Binary)
scalars = st.one_of(texts, numbers, binaries, st.booleans(), st.none())
sets = st.one_of(*(st.frozensets(kind, min_size=1, max_size=4).map(set) for kind in (texts, numbers, binaries)))
values = st.recursive(
    scalars | sets,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
"""Any nested value of an item, as the client of boto3 gives it."""

words = st.sampled_from(["allow", "deny", "review", " Allow ", "DENY", "permit", ""])
moments = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    st.sampled_from(["2026-01-01T00:00:00Z", "2027-01-01T00:00:00+14:00", "0001-01-01T00:00:00+23:59"]),
    st.integers(-(10**14), 10**14).map(Decimal),
)
regions = st.sampled_from(["eu-west-1", "us-east-1", "eu-west-1,us-east-1", ""]) | st.just({"eu-west-1"})


sensible: st.SearchStrategy[Item] = st.fixed_dictionaries(
    {"effect": words},
    optional={"starts_at": moments, "expires_at": moments, "regions": regions, "note": texts},
)
NAMES = (
    *("effect", "limit", "regions", "starts_at", "expires_at", "cut", *PEOPLE),
    *("mode", "default", "reconcile", "grace", "max_cuts", "max_rejects", "frozen_until", "stale_after"),
    *("sync_permissions", "probe", "expires", string.punctuation),
)
anything: st.SearchStrategy[Item] = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)
attributes: st.SearchStrategy[Item] = st.one_of(sensible, anything)
"""The attributes of one row without its keys: those that a rule has, or anything."""
