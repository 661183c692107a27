"""Reading rows: what each attribute may be, and that nothing else is ever read as permission."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from boto3.dynamodb.types import Binary
from hypothesis import given
from hypothesis import strategies as st
from linkgate.attribute import plain
from linkgate.model import Effect, MalformedRow, RowKey, Rule
from linkgate.rows import Item, SettingsRow, digest, key_of, parse

from tests import gallery
from tests.unit import values
from tests.world import CONSUMER, endpoint_id, service_id

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


PROBLEMS = {
    "service": ("service", "service is 'vpce-svc-orders': expected vpce-svc-… or *"),
    "consumer": ("consumer", "consumer is '22222222222': expected vpce-…, a 12-digit account id"),
    "consumer-reserved": ("consumer", "consumer is '@setting'"),
    "release-unsupported": ("consumer", "'@release' is reserved and not supported by this version"),
    "canary-unsupported": ("consumer", "'@canary:222222222222' is reserved and not supported by this version"),
    "unit": ("consumer", "'ou-ab12-11111111' needs the parameter OrganizationsRoleArn"),
    "organization": ("consumer", "'o-a1b2c3d4e5' needs the parameter OrganizationsRoleArn"),
    "attribute": ("expires", "attribute 'expires' is not known here: expected one of cut, effect, expires_at"),
    "effect-missing": ("effect", "effect is missing: expected allow, deny or review"),
    "effect-word": ("effect", 'effect is "permit": expected allow or deny or review'),
    "effect-type": ("effect", "effect is true: expected allow or deny or review"),
    "cut-on-allow": ("cut", "cut is set on a row with effect allow: expected it on deny only"),
    "cut-word": ("cut", 'cut is "later": expected now'),
    "limit-on-deny": ("limit", "limit is set on a row with effect deny: expected allow only"),
    "limit-on-review": ("limit", "limit is set on a row with effect review: expected allow only"),
    "limit-unsupported": ("limit", "limits are not supported by this version"),
    "limit-type": ("limit", 'limit is "two": expected a number'),
    "starts_at-zone": ("starts_at", 'starts_at is "2026-12-31T23:00:00": expected an ISO 8601 time with a zone'),
    "starts_at-early": ("starts_at", "starts_at is 1420070399: expected"),
    "expires_at-impossible": ("expires_at", 'expires_at is "2026-02-30T00:00:00Z": expected'),
    "expires_at-milliseconds": ("expires_at", "expires_at is 1795402800000: expected"),
    "expires_at-late": ("expires_at", 'expires_at is "2100-01-01T00:00:00Z": expected'),
    "expires_at-type": ("expires_at", 'expires_at is ["2026-12-31T23:00:00Z"]: expected'),
    "regions-name": ("regions", 'regions is ["Ireland"]: expected Region names such as eu-west-1'),
    "regions-empty": ("regions", 'regions is "eu-west-1,": expected no empty entry'),
    "regions-type": ("regions", "regions is [1]: expected a string set, a list of strings"),
    "regions-none": ("regions", "regions is []: expected a string set, a list of strings"),
    "people-type": ("owner", 'owner is {"team": "payments"}: expected text of at most 2000 characters'),
    "people-long": ("note", "expected text of at most 2000 characters"),
    "settings-attribute": ("modes", "attribute 'modes' is not known here: expected one of default, frozen_until"),
    "settings-mode": ("mode", 'mode is "on": expected enforce or observe'),
    "settings-default": ("default", 'default is "accept": expected hold or reject'),
    "settings-reconcile": ("reconcile", 'reconcile is "true": expected off or report or enforce'),
    "settings-grace": ("grace", 'grace is "one minute": expected a duration such as 90s, 5m, 2h or 3d'),
    "settings-max_cuts": ("max_cuts", 'max_cuts is "101%": expected a whole number, or a percentage'),
    "settings-max_rejects": ("max_rejects", "max_rejects is -1: expected a whole number, or a percentage"),
    "settings-frozen_until": ("frozen_until", 'frozen_until is "tomorrow": expected an ISO 8601 time with a zone'),
    "settings-stale_after": ("stale_after", 'stale_after is "3w": expected a duration'),
    "settings-stale_after-long": (
        "stale_after",
        'stale_after is "3654d": expected a duration such as 90s, 5m, 2h or 3d, ten',
    ),
    "settings-sync_permissions": ("sync_permissions", "sync_permissions is true: expected off or add or exact"),
    "settings-probe-host": ("probe", 'probe is ["tcp://10.0.0.1:443"]: expected probe URLs without a host'),
    "settings-probe-port": ("probe", 'probe is ["tcp://:65536"]: expected probe URLs without a host'),
    "settings-probe-type": ("probe", "probe is 443: expected a string set"),
    "settings-people-type": ("ticket", "ticket is null: expected text"),
}
"""For each malformed row of the gallery the attribute at fault, and words of the sentence for its editor."""


def test_every_malformed_row_of_the_gallery_has_its_sentence_here() -> None:
    assert gallery.malformed().keys() == PROBLEMS.keys()


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_malformed_row_says_which_attribute_cannot_be_read_and_what_is_expected(name: str) -> None:
    item = gallery.malformed()[name]
    attribute, words = PROBLEMS[name]
    found = problem(item)
    assert found.attribute == attribute
    assert words in found.problem
    assert found.key == key_of(item)
    assert str(found) == f"row {found.key}: {found.problem}"


@pytest.mark.parametrize("service", [SERVICE, "vpce-svc-0a1b2c3d", "*"])
@pytest.mark.parametrize("consumer", [endpoint_id(1), "vpce-0a1b2c3d", CONSUMER, "000000000001", "*"])
def test_a_rule_may_name_a_service_or_all_and_an_endpoint_an_account_or_all(service: str, consumer: str) -> None:
    assert parse(row({"effect": "allow"}, consumer, service)) == Rule(RowKey(service, consumer), Effect.ALLOW)


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
        ("max_cuts", Decimal(5), "5"),
        ("max_cuts", "10%", "10%"),
        ("max_rejects", "0", "0"),
        ("frozen_until", "2026-12-31T12:00:00Z", NOON),
        ("probe", "tcp://:443", ("tcp://:443",)),
        ("probe", {"https://:443/healthz?deep=1", "http://:80"}, ("http://:80", "https://:443/healthz?deep=1")),
        ("probe", ["tls://:8443"], ("tls://:8443",)),
        ("owner", "platform", "platform"),
    ],
)
def test_each_setting_is_read_in_its_form(name: str, value: object, expected: object) -> None:
    assert setting(name, value) == expected


def test_a_settings_row_without_attributes_sets_nothing() -> None:
    assert parse(row({}, "@settings")) == SettingsRow(RowKey(SERVICE, "@settings"), {})


@pytest.mark.parametrize(("service", "consumer"), [(SERVICE, f"{CONSUMER} "), (f" {SERVICE}", CONSUMER)])
def test_a_key_with_blanks_would_never_be_fetched_and_is_malformed(service: str, consumer: str) -> None:
    problem(row({"effect": "deny"}, consumer, service))


def test_an_account_in_other_digits_would_never_be_fetched_and_is_malformed() -> None:
    problem(row({"effect": "deny"}, "٢٢٢٢٢٢٢٢٢٢٢٢"))


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
