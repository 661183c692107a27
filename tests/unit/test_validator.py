"""What cannot be read in the allow-list is told once and shuts what it may have meant, until it is mended."""

from dataclasses import replace

import pytest
from hypothesis import given
from linkgate.errors import Unavailable
from linkgate.model import RowKey, State, Status
from linkgate.policy import Rows
from linkgate.register import guard_name, unwritten
from linkgate.rows import Item, key_of, parse, shut_by
from linkgate.standing import ROLE_MISSING
from linkgate.sweep import Finding
from linkgate.validator import MOST_TOLD, TOLD, Validator

from tests import gallery
from tests.simulation import SERVICE, House
from tests.unit.values import attributes, texts
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

SECOND = service_id(2)
A, B, C = endpoint_id(1), endpoint_id(2), endpoint_id(3)
INVALID = "Allow List Row Invalid"
UNIT, ORGANIZATION = "ou-ab12-11111111", "o-a1b2c3d4e5"
ITEM = 400_000
"""Bytes that an item of DynamoDB holds, roughly."""


@pytest.fixture
def house() -> House:
    """A house with two enforced services, which let CONSUMER in."""
    made = House()
    made.world.offer(SECOND)
    made.allow_list.put(SECOND, "@settings", mode="enforce")
    made.allow_list.put("*", CONSUMER, effect="allow")
    return made


def told(house: House) -> list[str]:
    """The rows that were told, in order."""
    return [str(detail["row"]) for kind, detail in house.bus.told if kind == INVALID]


def swept(house: House, times: int = 1) -> Finding:
    """Sweeps, a few minutes apart; the last finding."""
    finding = Finding()
    for _ in range(times):
        house.world.advance(300)
        finding = house.sweeper.sweep("a sweep")
        assert finding.failed == {}
    return finding


def guards(house: House) -> dict[str, set[RowKey]]:
    """By service, the rows that shut it."""
    names = {guard_name(service): service for service in (SERVICE, SECOND, "*")}
    found = house.register.read(names)
    return {names[name]: set(map(unwritten, members)) for name, members in found.items()}


# ------------------------------------------------------------------ told once


@pytest.mark.parametrize("row", gallery.malformed().values(), ids=gallery.malformed().keys())
def test_a_bad_edit_is_told_once_in_words_for_its_editor(house: House, row: Item) -> None:
    key = key_of(row)
    house.allow_list.table[key] = row
    found = house.sweeper.edited({key: row}, "an edit")
    swept(house, 2)
    # Settings of a service that nobody tagged are a problem of its gate as well.
    (detail,) = (detail for kind, detail in house.bus.told if kind == INVALID)
    assert detail["row"] == str(key)
    assert found.malformed == {str(key): f"row {key}: {detail['problem']}"}
    assert detail["summary"] == f"The allow-list's row {key}: {detail['problem']}."
    assert detail["attribute"] in (*row, "effect", "endpoints", "function")


def test_a_bad_edit_whose_stream_was_lost_is_told_once_by_the_sweep(house: House) -> None:
    house.allow_list.put(SERVICE, OTHER, effect="permit")
    finding = swept(house, 3)
    assert told(house) == [f"{SERVICE}/{OTHER}"] == list(finding.malformed)


def test_a_bad_row_is_told_again_after_it_changed_for_the_worse_and_not_after_a_note(house: House) -> None:
    for effect, note in (("permit", "a"), ("permit", "b"), ("permits", "b"), ("permits", "c")):
        house.edit(SERVICE, OTHER, effect=effect, note=note)
        swept(house)
    assert told(house) == [f"{SERVICE}/{OTHER}"] * 2


@pytest.mark.parametrize("mended", ["edited", "deleted"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_mended_row_is_forgotten_and_told_anew_when_it_breaks_again(house: House, mended: str, stream: bool) -> None:
    house.edit(SERVICE, OTHER, effect="permit")
    key = RowKey(SERVICE, OTHER)
    if mended == "edited":
        house.allow_list.put(*key, effect="allow")
    else:
        house.allow_list.delete(*key)
    finding = house.sweeper.edited({key: house.allow_list.table.get(key)}, "an edit") if stream else swept(house)
    assert (finding.malformed, house.register.read([TOLD])) == ({}, {})
    house.edit(SERVICE, OTHER, effect="permit")
    assert told(house) == [str(key)] * 2


def test_an_edit_forgets_nothing_of_other_rows(house: House) -> None:
    house.edit(SERVICE, OTHER, effect="permit")
    house.edit(SERVICE, CONSUMER, effect="allow")
    house.edit(SECOND, OTHER, effect="permit")
    swept(house)
    assert told(house) == [f"{SERVICE}/{OTHER}", f"{SECOND}/{OTHER}"]


def test_what_the_bus_did_not_take_is_told_by_the_next_sweep(house: House) -> None:
    house.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    finding = house.edit(SERVICE, OTHER, effect="permit")
    assert set(finding.failed) == {"the validation of the allow-list"}
    assert told(house) == []
    swept(house, 2)
    assert told(house) == [f"{SERVICE}/{OTHER}"]


def put_bad_rows(house: House, numbers: range) -> None:
    for number in numbers:
        house.allow_list.put(SERVICE, f"{number:012}", effect="permit")


def test_of_more_problems_than_can_be_kept_in_mind_the_rest_is_told_when_some_are_mended(house: House) -> None:
    put_bad_rows(house, range(MOST_TOLD + 50))
    assert len(swept(house, 2).malformed) == MOST_TOLD + 50
    assert len(told(house)) == MOST_TOLD
    for number in range(30):
        house.allow_list.delete(SERVICE, f"{number:012}")
    swept(house, 3)
    assert len(told(house)) == len(set(told(house))) == MOST_TOLD + 30


def test_when_too_many_were_told_by_runs_side_by_side_no_more_are(house: House) -> None:
    house.register.add(TOLD, [f'["*", "{number}", "0"]' for number in range(MOST_TOLD + 3)])
    house.sweeper.edited({key_of(row): row for row in gallery.malformed().values()}, "an edit")
    assert told(house) == []


@pytest.mark.parametrize("length", [20, 1000])
def test_what_is_kept_in_mind_fits_into_an_item_however_many_rows_are_wrong(house: House, length: int) -> None:
    for number in range(12_000 if length < 100 else 1000):
        house.allow_list.put(SERVICE, f"{number:05}".ljust(length, "x"), effect="deny")
    swept(house)
    sets = house.register.read([TOLD, guard_name(SERVICE)])
    assert {name: sum(map(len, members)) < ITEM for name, members in sets.items()} == dict.fromkeys(sets, True)


@given(texts, texts, attributes)
def test_whatever_is_written_an_edit_and_a_sweep_say_the_same_and_never_fail(
    service: str, consumer: str, values: Item
) -> None:
    made = House()
    row = {**values, "service": service, "consumer": consumer}
    key = key_of(row)
    made.allow_list.table[key] = row
    edited = made.sweeper.edited({key: row}, "an edit")
    kept = (guards(made), made.register.read([TOLD]))
    assert (swept(made).malformed, edited.failed) == (edited.malformed, {})
    assert (guards(made), made.register.read([TOLD])) == kept
    made.sweeper.edited({key: None}, "an edit")
    assert (guards(made), made.register.read([TOLD])) == ({}, {})


# ------------------------------------------------------------------ whom a row with wrong keys shuts


PASTED = f"com.amazonaws.vpce.eu-west-1.{SERVICE}"
STRAYS: dict[tuple[str, str], str | None] = {
    (SERVICE, CONSUMER): None,
    ("*", "*"): None,
    (SERVICE, "@release"): None,
    (SERVICE, f"{CONSUMER} "): SERVICE,
    (SERVICE, " "): SERVICE,
    (SERVICE, "@setings"): SERVICE,
    (SERVICE, "22222222222"): SERVICE,
    (SERVICE, "VPCE-00000000000000001"): SERVICE,
    (SERVICE, "arn:aws:iam::222222222222:root"): SERVICE,
    (f" {SERVICE}", CONSUMER): SERVICE,
    (f"{SERVICE}\t", CONSUMER): SERVICE,
    (SERVICE.upper(), CONSUMER): SERVICE,
    (PASTED, CONSUMER): SERVICE,
    (f"{PASTED}, {SERVICE}", CONSUMER): SERVICE,
    (f"{SERVICE},{SECOND}", CONSUMER): "*",
    (SERVICE[:-1], CONSUMER): "*",
    (f"{SERVICE}0", CONSUMER): "*",
    ("*", "everybody"): "*",
    (" *", CONSUMER): "*",
    ("* ", "*"): "*",
    ("production", CONSUMER): "*",
    ("", ""): "*",
    (CONSUMER, SERVICE): "*",
}


@pytest.mark.parametrize(("key", "service"), STRAYS.items(), ids=repr)
@pytest.mark.parametrize(
    "effect", [{"effect": "deny"}, {"effect": "review"}, {"effect": "alow"}, {"effect": {"allow"}}, {}]
)
def test_a_row_with_wrong_keys_may_have_meant_the_service_that_it_names_or_else_every_one(
    key: tuple[str, str], service: str | None, effect: Item
) -> None:
    row = {"service": key[0], "consumer": key[1], **effect}
    assert shut_by(row) == service


@pytest.mark.parametrize("key", STRAYS, ids=repr)
@pytest.mark.parametrize("effect", ["allow", " Allow ", "ALLOW"])
def test_a_row_that_was_to_let_somebody_in_shuts_nothing(key: tuple[str, str], effect: str) -> None:
    assert shut_by({"service": key[0], "consumer": key[1], "effect": effect, "limit": "many"}) is None


@given(texts, texts, attributes)
def test_only_what_nobody_would_ever_fetch_shuts_a_service(service: str, consumer: str, values: Item) -> None:
    row = {**values, "service": service, "consumer": consumer}
    if shut_by(row):
        problem = parse(row)
        assert getattr(problem, "attribute", "") in ("service", "consumer")


WRONG = [(SERVICE, "everybody"), (f" {SERVICE}", OTHER), ("production", OTHER)]


def shut(key: tuple[str, str]) -> set[str]:
    """The services among the house's two that a row with these keys shuts."""
    meant = shut_by({"service": key[0], "consumer": key[1]})
    return {SERVICE, SECOND} if meant == "*" else {meant or ""}


def ask(house: House) -> None:
    """CONSUMER asks for an endpoint on either service."""
    house.connect(A, service=SERVICE)
    house.connect(B, service=SECOND)
    house.work(10)


def let_in(house: House) -> set[str]:
    return {service for endpoint, service in ((A, SERVICE), (B, SECOND)) if house.state(endpoint) is State.AVAILABLE}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("key", WRONG)
def test_exactly_the_services_that_a_stray_row_may_have_meant_are_shut(
    house: House, key: tuple[str, str], stream: bool
) -> None:
    row = house.allow_list.put(*key, effect="deny")
    if stream:
        house.sweeper.edited({row: house.allow_list.table[row]}, "an edit")
    else:
        swept(house)
    ask(house)
    assert let_in(house) == {SERVICE, SECOND} - shut(key)
    for endpoint, service in ((A, SERVICE), (B, SECOND)):
        if service in shut(key):
            known = house.known(endpoint)
            assert (known.status, known.reason, known.row) == (Status.HELD, "malformed_row", str(row))


@pytest.mark.parametrize("key", WRONG)
def test_a_stray_row_that_reads_allow_is_told_and_shuts_nothing(house: House, key: tuple[str, str]) -> None:
    house.edit(*key, effect="allow")
    swept(house)
    ask(house)
    assert let_in(house) == {SERVICE, SECOND}
    assert told(house) == ["/".join(key)]


def test_while_shut_a_deny_still_rejects_and_who_is_live_stays(house: House) -> None:
    house.connect(C)
    house.work(10)
    house.allow_list.put(SERVICE, OTHER, effect="deny")
    house.edit(SERVICE, "everybody", effect="deny")
    house.connect(A)
    house.connect(B, OTHER)
    house.work(10)
    swept(house)
    house.work(10)
    assert [house.state(endpoint) for endpoint in (A, B, C)] == [
        State.PENDING_ACCEPTANCE,
        State.REJECTED,
        State.AVAILABLE,
    ]


def test_every_row_that_shuts_a_service_must_be_mended(house: House) -> None:
    for consumer in ("everybody", "nobody"):
        house.edit(SERVICE, consumer, effect="deny")
    house.edit("*", "everybody", effect="deny")
    ask(house)
    opened = []
    for key in ((SERVICE, "everybody"), ("*", "everybody"), (SERVICE, "nobody")):
        house.delete(*key)
        house.work(10)
        opened.append(let_in(house))
    assert opened == [set(), {SECOND}, {SERVICE, SECOND}]


def mend(house: House, key: tuple[str, str], how: str) -> RowKey:
    """Somebody deletes a stray row, or makes its effect read allow."""
    return house.allow_list.delete(*key) if how == "deleted" else house.allow_list.put(*key, effect=" Allow")


@pytest.mark.parametrize("how", ["deleted", "allow"])
@pytest.mark.parametrize("key", WRONG)
def test_what_a_mended_row_had_shut_is_opened_by_the_sweep_alone(house: House, key: tuple[str, str], how: str) -> None:
    house.edit(*key, effect="deny")
    ask(house)
    mend(house, key, how)
    swept(house)
    house.work(10)
    assert let_in(house) == {SERVICE, SECOND}
    assert guards(house) == {}


@pytest.mark.parametrize("how", ["deleted", "allow"])
@pytest.mark.parametrize("key", [*WRONG, ("*", "everybody")])
def test_what_a_mended_row_had_shut_is_opened_by_the_edit(house: House, key: tuple[str, str], how: str) -> None:
    house.edit(*key, effect="deny")
    ask(house)
    row = mend(house, key, how)
    house.sweeper.edited({row: house.allow_list.table.get(row)}, "an edit")
    house.work(10)
    assert let_in(house) == {SERVICE, SECOND}
    assert guards(house) == {}


def test_a_held_connection_is_decided_on_once_for_each_change_of_what_shuts_it(house: House) -> None:
    house.edit(SERVICE, "everybody", effect="deny")
    house.connect(A)
    house.work(10)
    for _ in range(3):
        swept(house)
        house.work(10)
    assert [line.reason for line in house.ledger.lines(A)] == ["malformed_row"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_service_is_shut_even_if_the_bus_takes_no_event(house: House, stream: bool) -> None:
    row = house.allow_list.put(SERVICE, "everybody", effect="deny")
    house.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    if stream:
        house.sweeper.edited({row: house.allow_list.table[row]}, "an edit")
    else:
        house.sweeper.sweep("a sweep")
    ask(house)
    assert let_in(house) == {SECOND}


def test_a_row_that_is_written_while_the_table_is_scanned_shuts_its_service_all_the_same(house: House) -> None:
    scan = house.allow_list.whole_table

    def slowly() -> Rows:
        scanned = scan()
        house.edit(SERVICE, "everybody", effect="deny")
        return scanned

    house.allow_list.whole_table = slowly  # type: ignore[method-assign]
    house.sweeper.sweep("a sweep")
    ask(house)
    assert let_in(house) == {SECOND}


# ------------------------------------------------------------------ rows about OUs and organisations without a role


@pytest.fixture
def roleless(house: House) -> House:
    """The house without the parameter OrganizationsRoleArn."""
    census = replace(house.approver.census, organization=None)
    house.approver = replace(house.approver, census=census)
    house.sweeper = replace(
        house.sweeper,
        comparer=replace(house.sweeper.comparer, census=census),
        validator=replace(house.sweeper.validator, organization=False),
    )
    return house


@pytest.mark.parametrize("consumer", [UNIT, ORGANIZATION])
@pytest.mark.parametrize("stream", [True, False])
def test_without_a_role_a_row_about_an_ou_is_malformed_and_named(roleless: House, consumer: str, stream: bool) -> None:
    row = roleless.allow_list.put(SERVICE, consumer, effect="allow")
    finding = roleless.sweeper.edited({row: roleless.allow_list.table[row]}, "an edit") if stream else swept(roleless)
    assert finding.malformed == {str(row): f"row {row}: consumer is {consumer!r}: {ROLE_MISSING}"}
    swept(roleless, 2)
    assert told(roleless) == [str(row)]


@pytest.mark.parametrize(
    ("consumer", "effect", "listed", "unlisted"),
    [
        (UNIT, "allow", "allowed", "malformed_row"),
        (UNIT, "review", "allowed", "malformed_row"),
        (ORGANIZATION, "deny", "malformed_row", "malformed_row"),
    ],
)
def test_without_a_role_a_row_about_an_ou_holds_whom_it_could_change(
    roleless: House, consumer: str, effect: str, listed: str, unlisted: str
) -> None:
    roleless.edit(SERVICE, consumer, effect=effect)
    roleless.connect(A, CONSUMER)
    roleless.connect(B, OTHER)
    roleless.connect(C, CONSUMER, service=SECOND)
    roleless.work(10)
    assert [roleless.known(endpoint).reason for endpoint in (A, B, C)] == [listed, unlisted, "allowed"]
    assert roleless.known(B).row == f"{SERVICE}/{consumer}"
    assert roleless.bus.told[-1][0] != INVALID


def test_with_a_role_a_row_about_an_ou_is_a_row_like_any_other(house: House) -> None:
    house.edit(SERVICE, UNIT, effect="allow")
    assert swept(house).malformed == {}
    assert told(house) == []


def test_when_the_role_is_given_the_row_is_mended(roleless: House) -> None:
    roleless.edit(SERVICE, UNIT, effect="allow")
    validator = Validator(roleless.register, roleless.bus, True)
    assert validator.whole(roleless.allow_list.table, validator.remembered([SERVICE])) == {}
    assert roleless.register.read([TOLD]) == {}
