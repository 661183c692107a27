"""Reading rows: what each attribute may be, and that nothing else is ever read as permission."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from boto3.dynamodb.types import Binary
from hypothesis import given
from hypothesis import strategies as st
from linkgate.model import Budget, Effect, MalformedRow, RowKey, Rule
from linkgate.policy.attributes import plain, shortened, shown, written
from linkgate.policy.rows import CanaryRow, Item, ReleaseRow, SettingsRow, blocks, digest, is_unit, key_of, parse

from tests.unit import values
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

SERVICE = service_id(1)


def row(attributes: Item, consumer: str = CONSUMER, service: str = SERVICE) -> Item:
    return {"service": service, "consumer": consumer, **attributes}


def rule(**attributes: object) -> Rule:
    read = parse(row({"effect": "allow"} | attributes))
    assert isinstance(read, Rule), read
    return read


def setting(name: str, value: object) -> object:
    read = parse(row({name: value}, "@settings"))
    assert isinstance(read, SettingsRow), read
    return read.values[name]


def problem(item: Item) -> MalformedRow:
    read = parse(item)
    assert isinstance(read, MalformedRow), read
    return read


NEAR, ORGANIZATION = "ou-ab12-22222222", "o-a1b2c3d4e5"
LONG = f"ou-{'r' * 32}-{'u' * 32}"


@pytest.mark.parametrize("service", [SERVICE, "vpce-svc-0a1b2c3d", "*"])
@pytest.mark.parametrize(
    "consumer",
    [endpoint_id(1), "vpce-0a1b2c3d", CONSUMER, "000000000001", NEAR, LONG, ORGANIZATION, "o-" + "z" * 32, "*"],
)
def test_a_rule_may_name_a_service_or_all_and_an_endpoint_an_account_an_organisation_or_a_part_of_it_or_all(
    service: str, consumer: str
) -> None:
    assert parse(row({"effect": "allow"}, consumer, service)) == Rule(RowKey(service, consumer), Effect.ALLOW)


@pytest.mark.parametrize(
    ("consumer", "unit"),
    [
        *((NEAR, True), (LONG, True), (ORGANIZATION, True), (CONSUMER, False), ("*", False), ("@settings", False)),
        *(("ou-AB12-22222222", False), ("o-1", False), ("other", False), (f"{ORGANIZATION} ", False)),
    ],
)
def test_the_rows_of_organisations_are_known_by_their_keys(consumer: str, unit: bool) -> None:
    assert is_unit(RowKey(SERVICE, consumer)) is unit


KEYS = [
    *("", " ", "**", "22222222222", "2222222222222", f"{CONSUMER} ", f" {CONSUMER}", f"{CONSUMER}\n", "222222222222x"),
    *("vpce-", "vpce-0a1b2c3", "vpce-0a1b2c3d4", "vpce-0123456789abcde", "vpce-0123456789abcdef01", "VPCE-0A1B2C3D"),
    *("vpce-svc-0a1b2c3d", "ou-ab1-11111111", "ou-ab12-1111111", "ou-ab12", f"{LONG}u", "ou-AB12-11111111"),
    *(
        "o-a1b2c3d4e",
        "o-" + "z" * 33,
        "o-A1B2C3D4E5",
        "r-ab12",
        "@",
        "@setting",
        "@settings ",
        "@Settings",
        "@release:x",
    ),
    *("@canary", "@canary:", "@canary:*", "@canary:payments", f"@canary:{NEAR}", f"@canary:{CONSUMER}0"),
    *("@canary:vpce-0a1b2c3d4", "22222222222\u0662"),
]


@pytest.mark.parametrize("consumer", KEYS)
def test_any_other_consumer_would_never_be_fetched_and_is_malformed(consumer: str) -> None:
    for item in (row({"effect": "allow"}, consumer), row({}, consumer), row({"endpoints": endpoint_id(1)}, consumer)):
        assert problem(item).attribute == "consumer"


@pytest.mark.parametrize(
    "service",
    ["", " ", "**", "orders", f"{SERVICE} ", f"{SERVICE}\n", SERVICE.upper(), f"{SERVICE}0", SERVICE[:-1], "vpce-svc-"],
)
def test_any_other_service_would_never_be_fetched_and_is_malformed(service: str) -> None:
    for consumer in (CONSUMER, "@settings", "@release", f"@canary:{CONSUMER}", "nobody"):
        assert problem(row({}, consumer, service)).attribute == "service"


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
    read = rule(starts_at=value, expires_at=value)
    assert (read.starts_at, read.expires_at) == (NOON, NOON)


def test_a_time_in_any_zone_is_kept_in_utc() -> None:
    read = rule(starts_at="2026-12-31T07:30:00-04:30", expires_at=str(int(NOON.timestamp())))
    assert read.starts_at is not None
    assert read.expires_at is not None
    assert (read.starts_at.tzinfo, read.expires_at.tzinfo) == (UTC, UTC)


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
        {"eu-west-1", "us-gov-west-1"},
        ["eu-west-1", "us-gov-west-1"],
        "eu-west-1,us-gov-west-1",
        " eu-west-1 , us-gov-west-1 ",
    ],
)
def test_regions_are_a_set_a_list_or_comma_separated_text(value: object) -> None:
    assert rule(regions=value).regions == {"eu-west-1", "us-gov-west-1"}


def test_the_region_of_the_european_sovereign_cloud_is_a_region() -> None:
    assert rule(regions="eusc-de-east-1").regions == {"eusc-de-east-1"}


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


@pytest.mark.parametrize("people", [{}, {"owner": "platform", "note": "for people"}])
def test_a_settings_row_without_settings_sets_nothing(people: Item) -> None:
    assert parse(row(people, "@settings")) == SettingsRow(RowKey(SERVICE, "@settings"), {})


@pytest.mark.parametrize(
    ("value", "expected"),
    [(Decimal(2), 2), ("2", 2), (" 007 ", 7), ("0", 0), (Decimal("2.0"), 2), ("999999999", 999_999_999)],
)
def test_a_limit_is_a_whole_number_also_as_text(value: object, expected: int) -> None:
    assert rule(limit=value).limit == expected
    assert rule().limit is None


def test_a_deny_may_say_cut_now_in_any_case() -> None:
    assert [rule(effect="deny", **cut).cut for cut in ({}, {"cut": "now"}, {"cut": " NOW "})] == [False, True, True]


def test_a_row_without_conditions_has_none() -> None:
    assert rule() == Rule(RowKey(SERVICE, CONSUMER), Effect.ALLOW, None, False, None, None, frozenset(), {})


RELEASED = {endpoint_id(1), "vpce-0a1b2c3d"}
NAMED = sorted(RELEASED)


@pytest.mark.parametrize("value", [RELEASED, NAMED, ",".join(NAMED), f" {' , '.join(NAMED)} ", tuple(NAMED)])
def test_a_release_names_endpoints(value: object) -> None:
    found = parse(row({"endpoints": value, "reason": "moved"}, "@release"))
    assert found == ReleaseRow(RowKey(SERVICE, "@release"), frozenset(RELEASED))


@pytest.mark.parametrize("consumer", [CONSUMER, endpoint_id(1), "vpce-0a1b2c3d"])
@pytest.mark.parametrize(
    "function",
    [
        f"arn:aws:lambda:eu-west-1:{OTHER}:function:canary",
        f"arn:aws-us-gov:lambda:us-gov-west-1:{OTHER}:function:My_canary-2",
        f"arn:aws:lambda:eu-west-1:{OTHER}:function:canary:live",
        f"arn:aws:lambda:eu-west-1:{OTHER}:function:canary:$LATEST",
        f"arn:aws:lambda:eu-west-1:{OTHER}:function:{'c' * 64}",
    ],
)
def test_a_canary_row_says_which_function_reaches_an_account_or_an_endpoint(consumer: str, function: str) -> None:
    found = parse(row({"function": f" {function} ", "owner": "net"}, f"@canary:{consumer}"))
    assert found == CanaryRow(RowKey(SERVICE, f"@canary:{consumer}"), function)


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


# ------------------------------------------------------------------ rows that nobody would fetch


@pytest.mark.parametrize("consumer", [CONSUMER, endpoint_id(1), NEAR, ORGANIZATION, "*", "@settings", "@release"])
@pytest.mark.parametrize("service", [SERVICE, "*"])
def test_a_row_whose_keys_are_of_a_known_form_shuts_nothing_however_malformed(service: str, consumer: str) -> None:
    assert blocks(row({"effect": "forbid"}, consumer, service)) is None


@pytest.mark.parametrize(
    ("service", "shut"),
    [
        (SERVICE, SERVICE),
        ("*", "*"),
        ("", "*"),
        ("orders", "*"),
        (f" {SERVICE} ", SERVICE),
        (SERVICE.upper(), SERVICE),
        (f"com.amazonaws.vpce.eu-west-1.{SERVICE}", SERVICE),
        (f"arn:aws:ec2:eu-west-1:{OTHER}:vpc-endpoint-service/{SERVICE}", SERVICE),
        (f"{SERVICE},{SERVICE}", SERVICE),
        (f"{SERVICE},{service_id(2)}", "*"),
        (SERVICE[:-1], "*"),
        (f"{SERVICE}0", "*"),
        (f"{SERVICE}x", "*"),
        (f"x{SERVICE}", "*"),
        (f"-{SERVICE}", "*"),
        ("vpce-svc-0a1b2c3d", "vpce-svc-0a1b2c3d"),
    ],
)
def test_a_row_with_other_keys_shuts_the_service_that_it_names_or_all(service: str, shut: str) -> None:
    assert blocks(row({"effect": "deny"}, "payments", service)) == shut


@pytest.mark.parametrize("effect", ["deny", "review", "forbid", "", None, True, ["allow"], {"allow"}, Binary(b"allow")])
def test_a_row_with_other_keys_shuts_whatever_its_effect_unless_that_reads_allow(effect: object) -> None:
    assert blocks(row({"effect": effect}, "payments")) == SERVICE
    assert blocks(row({}, "payments")) == SERVICE
    assert [blocks(row({"effect": word}, "payments")) for word in ("allow", " Allow ")] == [None, None]


@given(values.attributes, values.texts | st.sampled_from([CONSUMER, "*", "@settings"]), values.texts | st.just(SERVICE))
def test_reading_never_raises_and_names_the_key(attributes: Item, consumer: str, service: str) -> None:
    assert parse({**attributes, "service": service, "consumer": consumer}).key == RowKey(service, consumer)


@given(st.dictionaries(values.texts, values.values, max_size=4))
def test_reading_never_raises_whatever_the_item_lacks_or_its_keys_are(item: Item) -> None:
    assert isinstance(parse(item), MalformedRow)


@given(values.values)
def test_a_row_is_read_with_the_effect_that_it_spells_or_not_at_all(value: object) -> None:
    read = parse(row({"effect": value}))
    assert isinstance(read, MalformedRow) or (isinstance(read, Rule) and str(value).strip().lower() == read.effect)


@given(st.lists(values.attributes, max_size=4), st.randoms())
def test_the_digest_of_a_policy_does_not_depend_on_the_order_of_its_rows(found: list[Item], random: Random) -> None:
    rows = [row(item, str(number)) for number, item in enumerate(found)]
    mixed = list(rows)
    random.shuffle(mixed)
    assert digest(mixed) == digest(rows)


@pytest.mark.parametrize(
    "other",
    [
        [],
        [row({"effect": "deny"})],
        [row({"effect": "allow", "note": ""})],
        [row({"effect": "allow"}, "*")],
        [row({"effect": "allow"}), row({"effect": "allow"}, "*")],
    ],
)
def test_another_policy_has_another_digest(other: list[Item]) -> None:
    assert digest(other) != digest([row({"effect": "allow"})])


def test_the_same_row_has_the_same_digest_however_its_attributes_are_ordered() -> None:
    one = dict(row({"effect": "allow", "note": {"b": "x", "a": "y"}}))
    assert digest([dict(reversed(one.items())) | {"note": {"a": "y", "b": "x"}}]) == digest([one])


def test_a_digest_is_sha_256_in_hexadecimal() -> None:
    assert digest([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


def test_the_same_set_has_the_same_digest_however_it_is_ordered() -> None:
    names = [f"eu-west-{number}" for number in range(9)]
    assert digest([row({"regions": set(names)})]) == digest([row({"regions": set(reversed(names))})])


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


def test_a_binary_key_is_malformed_and_does_not_raise() -> None:
    problem({"service": Binary(b"x"), "consumer": Binary(b"\x00"), "effect": "allow"})


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
        told = str(plain(deep(wrap, levels)))
        assert (told.count("[") + told.count("{"), told.count("…")) == (41, 1)


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


def test_a_key_is_text_whatever_its_type() -> None:
    assert key_of({"service": Decimal(1), "consumer": None}) == RowKey("1", "null")
    assert key_of({}) == RowKey("", "")
    assert str(key_of({"service": "*", "consumer": "x"})) == "*/x"
    assert written({"b", "a"}) == '["a", "b"]'
    assert written({"b": 1, "a": 2}) == '{"a": 2, "b": 1}'


def test_a_message_shows_a_value_of_80_characters_and_cuts_a_longer_one_to_80() -> None:
    assert shortened("x" * 80) == "x" * 80
    assert shortened("x" * 81) == "x" * 77 + "..."
    assert shown({"b": 1, "a": {2, 1}}) == '{"a": [1, 2], "b": 1}'


def test_a_name_of_any_length_is_told_in_80_characters() -> None:
    found = problem(row({"effect": "allow", "x" * 5000: 1}))
    assert found.attribute == "x" * 77 + "..."
    assert found.problem.startswith(f"attribute '{found.attribute}' is not known here: ")


def test_text_for_people_has_2000_characters_at_most_its_blanks_not_counted() -> None:
    assert rule(note=" " + "x" * 2000 + " ").people == {"note": "x" * 2000}
    assert problem(row({"effect": "allow", "note": "x" * 2001})).attribute == "note"


@pytest.mark.parametrize("port", ["1", "65535", "00443"])
def test_a_probe_has_a_port_from_1_to_65535(port: str) -> None:
    assert setting("probe", f"https://:{port}/x:99999") == (f"https://:{port}/x:99999",)
    for other in ("0", "65536", "65537", "99999", "", "x", "123456"):
        for url in (f"tcp://:{other}", f"http://:{other}/"):
            assert problem(row({"probe": url}, "@settings")).attribute == "probe"
