"""Reading attributes: what each may be, and a value as it is stored and shown."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from boto3.dynamodb.types import Binary
from hypothesis import given
from linkgate.model import Budget, Effect
from linkgate.policy.attributes import is_number, plain, shortened, shown

from tests.unit import values
from tests.unit.policy.reading import problem, row, rule, setting
from tests.world import CONSUMER, OTHER


@pytest.mark.parametrize("text", ["deny", "Deny", "DENY", " deny ", "\tdeny\n"])
def test_an_effect_is_read_in_any_case_and_with_blanks_around_it(text: str) -> None:
    assert rule(effect=text).effect is Effect.DENY


NOON = datetime(2026, 12, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-12-31T12:00:00Z",
        " 2026-12-31T12:00:00Z ",
        "2026-12-31T12:00:00+00:00",
        "2026-12-31 13:00:00+01:00",
        "2026-12-31T07:30:00-04:30",
        Decimal(int(NOON.timestamp())),
        str(int(NOON.timestamp())),
        f" {int(NOON.timestamp())} ",
        Decimal(int(NOON.timestamp())).scaleb(0),
    ],
)
def test_a_time_is_iso_8601_with_a_zone_or_epoch_seconds_also_as_text(value: object) -> None:
    for moment in (rule(starts_at=value).starts_at, rule(expires_at=value).expires_at):
        assert moment is not None
        assert (moment, moment.tzinfo) == (NOON, UTC)


def test_times_are_read_from_the_first_second_of_2015_to_the_last_of_2099() -> None:
    assert rule(starts_at="2015-01-01T00:00:00Z", expires_at="2099-12-31T23:59:59Z").starts_at is not None


@pytest.mark.parametrize(
    "value",
    [
        "2026-12-31",
        "2026-12-31T25:00:00Z",
        "31.12.2026",
        "",
        "now",
        True,
        None,
        Decimal("1E+20"),
        "1" * 400,
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        Binary(b"2026-12-31T12:00:00Z"),
    ],
)
def test_any_other_time_cannot_be_read(value: object) -> None:
    assert problem(row({"effect": "allow", "expires_at": value})).attribute == "expires_at"


@pytest.mark.parametrize(
    "value",
    [
        {"eu-west-1", "us-gov-west-1", "eusc-de-east-1"},
        ["eu-west-1", "us-gov-west-1", "eusc-de-east-1"],
        "eu-west-1,us-gov-west-1,eusc-de-east-1",
        " eu-west-1 , us-gov-west-1, eusc-de-east-1 ",
    ],
)
def test_regions_are_a_set_a_list_or_comma_separated_text(value: object) -> None:
    assert rule(regions=value).regions == {"eu-west-1", "us-gov-west-1", "eusc-de-east-1"}


def test_words_for_people_are_kept_and_numbers_among_them_are_text() -> None:
    read = rule(owner=" payments ", reason="pilot", ticket=Decimal(17), note="")
    assert read.people == {"owner": "payments", "reason": "pilot", "ticket": "17", "note": ""}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("mode", "Enforce", "enforce"),
        ("default", " reject", "reject"),
        ("reconcile", "off", "off"),
        ("sync_permissions", "exact", "exact"),
        ("grace", "90s", timedelta(seconds=90)),
        ("grace", Decimal(90), timedelta(seconds=90)),
        ("stale_after", "5m", timedelta(minutes=5)),
        ("stale_after", "2h", timedelta(hours=2)),
        ("stale_after", " 3d ", timedelta(days=3)),
        ("max_cuts", Decimal(5), Budget(5)),
        ("max_cuts", " 10% ", Budget(10, percent=True)),
        ("max_cuts", "100%", Budget(100, percent=True)),
        ("max_cuts", "0%", Budget(0, percent=True)),
        ("max_rejects", "0", Budget(0)),
        ("max_rejects", "999999999", Budget(999_999_999)),
        ("grace", "0", timedelta()),
        ("stale_after", "3653d", timedelta(days=3653)),
        ("stale_after", "315619200s", timedelta(days=3653)),
        ("frozen_until", "2026-12-31T12:00:00Z", NOON),
        ("probe", "tcp://:443", ("tcp://:443",)),
        ("probe", {"https://:443/healthz?deep=1", "http://:80"}, ("http://:80", "https://:443/healthz?deep=1")),
        ("probe", ["tls://:8443"], ("tls://:8443",)),
    ],
)
def test_each_setting_is_read_in_its_form(name: str, value: object, expected: object) -> None:
    assert setting(name, value) == expected


@pytest.mark.parametrize("value", ["315619201s", "3654d", "87673h", "-1", "1.5", "5 m", "5w", "", "s", None, True, []])
def test_any_other_duration_cannot_be_read(value: object) -> None:
    assert problem(row({"grace": value}, "@settings")).attribute == "grace"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(Decimal(2), 2), ("2", 2), (" 007 ", 7), ("0", 0), (Decimal("2.0"), 2), ("999999999", 999_999_999)],
)
def test_a_limit_is_a_whole_number_also_as_text(value: object, expected: int) -> None:
    assert rule(limit=value).limit == expected
    assert rule().limit is None


def test_a_deny_may_say_cut_now_in_any_case() -> None:
    assert [rule(effect="deny", **cut).cut for cut in ({}, {"cut": "now"}, {"cut": " NOW "})] == [False, True, True]


@pytest.mark.parametrize(
    "function",
    [
        f"arn:aws:lambda:eu-west-1:{OTHER}:function:",
        f"arn:aws:lambda:eu-west-1:{OTHER}:function:{'c' * 65}",
        f"arn:aws:lambda:eu-west-1:{OTHER}:function:canary:",
        f"arn:aws:lambda:eu-west-1:{OTHER}:function:canary:live:1",
        "arn:aws:lambda:eu-west-1:222:function:canary",
        f"arn:aws:sqs:eu-west-1:{OTHER}:canary",
        f"x arn:aws:lambda:eu-west-1:{OTHER}:function:canary",
        "",
        None,
        Decimal(1),
    ],
)
def test_anything_else_is_no_function(function: object) -> None:
    assert problem(row({"function": function}, f"@canary:{CONSUMER}")).attribute == "function"


@given(values.values)
def test_a_plain_value_is_json_and_stays_what_it_is(value: object) -> None:
    assert plain(plain(value)) == plain(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("1.50"), "1.50"),
        (Decimal("1.4"), "1.4"),
        (Decimal("-0.2"), "-0.2"),
        (Decimal("2.0"), 2),
        (Binary(b"why"), {"base64": "d2h5"}),
        ({Decimal(2), Decimal(1)}, [1, 2]),
        ([None, True, {"a": {"b"}}], [None, True, {"a": ["b"]}]),
    ],
)
def test_a_plain_value_reads_as_it_was_written(value: object, expected: object) -> None:
    assert plain(value) == expected


def deep(wrap: Callable[[object], object], levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap",
    [lambda inner: [inner], lambda inner: (inner,), lambda inner: {"x": inner}, lambda inner: frozenset({inner})],
)
def test_nothing_deeper_than_any_item_of_dynamodb_is_looked_at(wrap: Callable[[object], object]) -> None:
    assert str(plain(deep(wrap, 40))).count("…") == 0
    for levels in (41, 50, 1000):
        found = str(plain(deep(wrap, levels)))
        assert (found.count("[") + found.count("{"), found.count("…")) == (41, 1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (10**125, 10**125),
        (-(10**125), -(10**125)),
        (10**126, hex(10**126)),
        (-(10**126), hex(-(10**126))),
        (10**600, hex(10**600)),
        (Decimal("1E+125"), 10**125),
        (Decimal("1E+126"), "1E+126"),
        (Decimal("NaN"), "NaN"),
        (Decimal("Infinity"), "Infinity"),
        (True, True),
        (0.5, 0.5),
        ({None: 1, b"k": 2}, {"None": 1, "{'base64': 'aw=='}": 2}),
        (bytearray(b"why"), {"base64": "d2h5"}),
        (1j, "1j"),
    ],
)
def test_a_number_that_no_item_can_hold_and_a_thing_that_is_none_of_its_values_is_text(
    value: object, expected: object
) -> None:
    assert plain(value) == expected


def test_a_message_shows_a_value_of_80_characters_and_cuts_a_longer_one_to_80() -> None:
    assert shortened("x" * 80) == "x" * 80
    assert shortened("x" * 81) == "x" * 77 + "..."
    assert shown({"b": 1, "a": {2, 1}}) == '{"a": [1, 2], "b": 1}'


def test_text_for_people_has_2000_characters_at_most_its_blanks_not_counted() -> None:
    assert rule(note=" " + "x" * 2000 + " ").people == {"note": "x" * 2000}
    assert problem(row({"effect": "allow", "note": "x" * 2001})).attribute == "note"


@pytest.mark.parametrize("port", ["1", "65535", "00443"])
def test_a_probe_has_a_port_from_1_to_65535(port: str) -> None:
    assert setting("probe", f"https://:{port}/x:99999") == (f"https://:{port}/x:99999",)
    for other in ("0", "65536", "65537", "99999", "", "x", "123456"):
        for url in (f"tcp://:{other}", f"http://:{other}/"):
            assert problem(row({"probe": url}, "@settings")).attribute == "probe"


def test_a_service_has_ten_probes_at_most() -> None:
    ten = [f"tcp://:{port}" for port in range(8000, 8010)]
    assert setting("probe", ten) == tuple(ten)
    assert problem(row({"probe": [*ten, "tcp://:8010"]}, "@settings")).attribute == "probe"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((0, True), (Decimal(5), True), (Decimal("5.0"), True), (999_999_999, True)),
        *((-1, False), (Decimal(-1), False), (Decimal("1.5"), False), (10**9, False), (True, False), (False, False)),
        *(("5", False), (None, False), ([5], False), (5.0, False), ("", False)),
    ],
)
def test_a_number_is_whole_and_not_negative_and_no_text(value: object, expected: bool) -> None:
    assert is_number(value) is expected
