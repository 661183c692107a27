"""Reading rows: which keys they may have, and that nothing else is ever read as permission."""

from decimal import Decimal
from random import Random

import pytest
from boto3.dynamodb.types import Binary
from hypothesis import given
from hypothesis import strategies as st
from linkgate.model import Effect, MalformedRow, RowKey, Rule
from linkgate.policy.attributes import written
from linkgate.policy.rows import CanaryRow, Item, ReleaseRow, SettingsRow, blocks, digest, is_unit, key_of, parse

from tests.unit import values
from tests.unit.policy.reading import SERVICE, problem, row, rule
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

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


@pytest.mark.parametrize("people", [{}, {"owner": "platform", "note": "for people"}])
def test_a_settings_row_without_settings_sets_nothing(people: Item) -> None:
    assert parse(row(people, "@settings")) == SettingsRow(RowKey(SERVICE, "@settings"), {})


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


@pytest.mark.parametrize("consumer", [CONSUMER, endpoint_id(1), NEAR, ORGANIZATION, "*", "@settings", "@release"])
@pytest.mark.parametrize("service", [SERVICE, "*"])
def test_a_row_whose_keys_are_of_a_known_form_blocks_nothing_however_malformed(service: str, consumer: str) -> None:
    assert blocks(row({"effect": "forbid"}, consumer, service)) is None


@pytest.mark.parametrize(
    ("service", "blocked"),
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
def test_a_row_with_other_keys_blocks_the_service_that_it_names_or_all(service: str, blocked: str) -> None:
    assert blocks(row({"effect": "deny"}, "payments", service)) == blocked


@pytest.mark.parametrize("effect", ["deny", "review", "forbid", "", None, True, ["allow"], {"allow"}, Binary(b"allow")])
def test_a_row_with_other_keys_blocks_whatever_its_effect_unless_that_reads_allow(effect: object) -> None:
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


def test_a_binary_key_is_malformed_and_does_not_raise() -> None:
    problem({"service": Binary(b"x"), "consumer": Binary(b"\x00"), "effect": "allow"})


def test_a_key_is_text_whatever_its_type() -> None:
    assert key_of({"service": Decimal(1), "consumer": None}) == RowKey("1", "null")
    assert key_of({}) == RowKey("", "")
    assert str(key_of({"service": "*", "consumer": "x"})) == "*/x"
    assert written({"b", "a"}) == '["a", "b"]'
    assert written({"b": 1, "a": 2}) == '{"a": 2, "b": 1}'


def test_a_name_of_any_length_is_named_in_80_characters() -> None:
    found = problem(row({"effect": "allow", "x" * 5000: 1}))
    assert found.attribute == "x" * 77 + "..."
    assert found.problem.startswith(f"attribute '{found.attribute}' is not known here: ")


@given(values.texts, values.texts, values.attributes)
def test_only_a_row_that_nobody_would_ever_fetch_blocks_a_service(
    service: str, consumer: str, attributes: Item
) -> None:
    item = {**attributes, "service": service, "consumer": consumer}
    if blocks(item):
        assert problem(item).attribute in ("service", "consumer")


# ------------------------------------------------------------------ what was meant


@pytest.mark.parametrize(
    ("consumer", "guess"),
    [
        ("3333 3333 3333", "333333333333"),
        ("3333-33333333", "333333333333"),
        ("arn:aws:sts::333333333333:assumed-role/admin/somebody", "333333333333"),
        ("arn:aws-cn:iam::333333333333:root", "333333333333"),
        ("arn:aws:organizations::111111111111:account/o-a1b2c3d4e5/333333333333", "333333333333"),
        ("arn:aws:organizations::111111111111:ou/o-a1b2c3d4e5/ou-ab12-22222222", "ou-ab12-22222222"),
        ("arn:aws:organizations::111111111111:organization/o-a1b2c3d4e5", "o-a1b2c3d4e5"),
        ("VPCE-0A1B2C3D4E5F60718", "vpce-0a1b2c3d4e5f60718"),
        ("@Settings", "@settings"),
        ("@canary:3333-3333-3333", "@canary:333333333333"),
        ("@canary: arn:aws:iam::333333333333:root", "@canary:333333333333"),
        (" *", "*"),
    ],
)
def test_of_a_consumer_in_another_form_it_is_asked_whether_that_was_meant(consumer: str, guess: str) -> None:
    found = problem(row({"effect": "allow"}, consumer))
    assert f"consumer is {consumer!r}, did you mean {guess}? expected" in found.problem
    assert not isinstance(parse({"service": SERVICE, "consumer": guess, **NEEDED}), MalformedRow) or "@" in guess


@pytest.mark.parametrize(
    "consumer",
    [
        *("", "payments", "33333333333", "3333-3333-33333", "vpce-svc-0123456789abcdef0", "arn:aws:s3:::333333333333"),
        "arn:aws:ec2:eu-west-1:111111111111:vpc-endpoint-service/vpce-svc-0123456789abcdef0",
        "vpce-0a1b2c3d4e5f60718,vpce-0a1b2c3d4e5f60719",
        "@release:333333333333",
    ],
)
def test_where_nobody_can_tell_what_was_meant_nothing_is_asked(consumer: str) -> None:
    assert "did you mean" not in problem(row({"effect": "allow"}, consumer)).problem


NEEDED = {"effect": "allow"}
