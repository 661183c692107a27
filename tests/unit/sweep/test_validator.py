"""What cannot be read in the allow-list is told once and shuts what it may have meant, until it is mended."""

from dataclasses import replace

import pytest
from hypothesis import given
from linkgate.approve.context import ROLE_MISSING
from linkgate.errors import Unavailable
from linkgate.ledger.sets import block_name, unwritten
from linkgate.model import RowKey, State, Status
from linkgate.policy.decide import Rows
from linkgate.policy.rows import Item, blocks, key_of, parse
from linkgate.sweep.sweeper import SweepResult
from linkgate.sweep.validator import MOST_PUBLISHED, PUBLISHED, Validator

from tests import gallery
from tests.application import SERVICE, Application
from tests.unit.values import attributes, texts
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

SECOND = service_id(2)
A, B, C = endpoint_id(1), endpoint_id(2), endpoint_id(3)
INVALID = "Allow List Row Invalid"
UNIT, ORGANIZATION = "ou-ab12-11111111", "o-a1b2c3d4e5"
ITEM = 400_000
"""Bytes that an item of DynamoDB holds, roughly."""


@pytest.fixture
def app() -> Application:
    """A house with two enforced services, which let CONSUMER in."""
    made = Application()
    made.world.offer(SECOND)
    made.allow_list.put(SECOND, "@settings", mode="enforce")
    made.allow_list.put("*", CONSUMER, effect="allow")
    return made


def told(app: Application) -> list[str]:
    """The rows that were told, in order."""
    return [str(detail["row"]) for kind, detail in app.bus.told if kind == INVALID]


def swept(app: Application, times: int = 1) -> SweepResult:
    """Sweeps, a few minutes apart; the last finding."""
    finding = SweepResult()
    for _ in range(times):
        app.world.advance(300)
        finding = app.sweeper.sweep("a sweep")
        assert finding.failed == {}
    return finding


def guards(app: Application) -> dict[str, set[RowKey]]:
    """By service, the rows that shut it."""
    names = {block_name(service): service for service in (SERVICE, SECOND, "*")}
    found = app.register.read(names)
    return {names[name]: set(map(unwritten, members)) for name, members in found.items()}


# ------------------------------------------------------------------ told once


@pytest.mark.parametrize("row", gallery.malformed().values(), ids=gallery.malformed().keys())
def test_a_bad_edit_is_told_once_in_words_for_its_editor(app: Application, row: Item) -> None:
    key = key_of(row)
    app.allow_list.table[key] = row
    found = app.sweeper.edited({key: row}, "an edit")
    swept(app, 2)
    # Settings of a service that nobody tagged are a problem of its gate as well.
    (detail,) = (detail for kind, detail in app.bus.told if kind == INVALID)
    assert detail["row"] == str(key)
    assert found.malformed == {str(key): f"row {key}: {detail['problem']}"}
    assert detail["summary"] == f"The allow-list's row {key}: {detail['problem']}."
    assert detail["attribute"] in (*row, "effect", "endpoints", "function")


def test_a_bad_edit_whose_stream_was_lost_is_told_once_by_the_sweep(app: Application) -> None:
    app.allow_list.put(SERVICE, OTHER, effect="permit")
    finding = swept(app, 3)
    assert told(app) == [f"{SERVICE}/{OTHER}"] == list(finding.malformed)


def test_a_bad_row_is_told_again_after_it_changed_for_the_worse_and_not_after_a_note(app: Application) -> None:
    for effect, note in (("permit", "a"), ("permit", "b"), ("permits", "b"), ("permits", "c")):
        app.edit(SERVICE, OTHER, effect=effect, note=note)
        swept(app)
    assert told(app) == [f"{SERVICE}/{OTHER}"] * 2


@pytest.mark.parametrize("mended", ["edited", "deleted"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_mended_row_is_forgotten_and_told_anew_when_it_breaks_again(
    app: Application, mended: str, stream: bool
) -> None:
    app.edit(SERVICE, OTHER, effect="permit")
    key = RowKey(SERVICE, OTHER)
    if mended == "edited":
        app.allow_list.put(*key, effect="allow")
    else:
        app.allow_list.delete(*key)
    finding = app.sweeper.edited({key: app.allow_list.table.get(key)}, "an edit") if stream else swept(app)
    assert (finding.malformed, app.register.read([PUBLISHED])) == ({}, {})
    app.edit(SERVICE, OTHER, effect="permit")
    assert told(app) == [str(key)] * 2


def test_an_edit_forgets_nothing_of_other_rows(app: Application) -> None:
    app.edit(SERVICE, OTHER, effect="permit")
    app.edit(SERVICE, CONSUMER, effect="allow")
    app.edit(SECOND, OTHER, effect="permit")
    swept(app)
    assert told(app) == [f"{SERVICE}/{OTHER}", f"{SECOND}/{OTHER}"]


def test_what_the_bus_did_not_take_is_told_by_the_next_sweep(app: Application) -> None:
    app.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    finding = app.edit(SERVICE, OTHER, effect="permit")
    assert set(finding.failed) == {"the validation of the allow-list"}
    assert told(app) == []
    swept(app, 2)
    assert told(app) == [f"{SERVICE}/{OTHER}"]


def put_bad_rows(app: Application, numbers: range) -> None:
    for number in numbers:
        app.allow_list.put(SERVICE, f"{number:012}", effect="permit")


def test_of_more_problems_than_can_be_kept_in_mind_the_rest_is_told_when_some_are_mended(app: Application) -> None:
    put_bad_rows(app, range(MOST_PUBLISHED + 50))
    assert len(swept(app, 2).malformed) == MOST_PUBLISHED + 50
    assert len(told(app)) == MOST_PUBLISHED
    for number in range(30):
        app.allow_list.delete(SERVICE, f"{number:012}")
    swept(app, 3)
    assert len(told(app)) == len(set(told(app))) == MOST_PUBLISHED + 30


def test_when_too_many_were_told_by_runs_side_by_side_no_more_are(app: Application) -> None:
    app.register.add(PUBLISHED, [f'["*", "{number}", "0"]' for number in range(MOST_PUBLISHED + 3)])
    app.sweeper.edited({key_of(row): row for row in gallery.malformed().values()}, "an edit")
    assert told(app) == []


@pytest.mark.parametrize("length", [20, 1000])
def test_what_is_kept_in_mind_fits_into_an_item_however_many_rows_are_wrong(app: Application, length: int) -> None:
    for number in range(12_000 if length < 100 else 1000):
        app.allow_list.put(SERVICE, f"{number:05}".ljust(length, "x"), effect="deny")
    swept(app)
    sets = app.register.read([PUBLISHED, block_name(SERVICE)])
    assert {name: sum(map(len, members)) < ITEM for name, members in sets.items()} == dict.fromkeys(sets, True)


@given(texts, texts, attributes)
def test_whatever_is_written_an_edit_and_a_sweep_say_the_same_and_never_fail(
    service: str, consumer: str, values: Item
) -> None:
    made = Application()
    row = {**values, "service": service, "consumer": consumer}
    key = key_of(row)
    made.allow_list.table[key] = row
    edited = made.sweeper.edited({key: row}, "an edit")
    kept = (guards(made), made.register.read([PUBLISHED]))
    assert (swept(made).malformed, edited.failed) == (edited.malformed, {})
    assert (guards(made), made.register.read([PUBLISHED])) == kept
    made.sweeper.edited({key: None}, "an edit")
    assert (guards(made), made.register.read([PUBLISHED])) == ({}, {})


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
    assert blocks(row) == service


@pytest.mark.parametrize("key", STRAYS, ids=repr)
@pytest.mark.parametrize("effect", ["allow", " Allow ", "ALLOW"])
def test_a_row_that_was_to_let_somebody_in_shuts_nothing(key: tuple[str, str], effect: str) -> None:
    assert blocks({"service": key[0], "consumer": key[1], "effect": effect, "limit": "many"}) is None


@given(texts, texts, attributes)
def test_only_what_nobody_would_ever_fetch_shuts_a_service(service: str, consumer: str, values: Item) -> None:
    row = {**values, "service": service, "consumer": consumer}
    if blocks(row):
        problem = parse(row)
        assert getattr(problem, "attribute", "") in ("service", "consumer")


WRONG = [(SERVICE, "everybody"), (f" {SERVICE}", OTHER), ("production", OTHER)]


def shut(key: tuple[str, str]) -> set[str]:
    """The services among the house's two that a row with these keys shuts."""
    meant = blocks({"service": key[0], "consumer": key[1]})
    return {SERVICE, SECOND} if meant == "*" else {meant or ""}


def ask(app: Application) -> None:
    """CONSUMER asks for an endpoint on either service."""
    app.connect(A, service=SERVICE)
    app.connect(B, service=SECOND)
    app.work(10)


def let_in(app: Application) -> set[str]:
    return {service for endpoint, service in ((A, SERVICE), (B, SECOND)) if app.state(endpoint) is State.AVAILABLE}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("key", WRONG)
def test_exactly_the_services_that_a_stray_row_may_have_meant_are_shut(
    app: Application, key: tuple[str, str], stream: bool
) -> None:
    row = app.allow_list.put(*key, effect="deny")
    if stream:
        app.sweeper.edited({row: app.allow_list.table[row]}, "an edit")
    else:
        swept(app)
    ask(app)
    assert let_in(app) == {SERVICE, SECOND} - shut(key)
    for endpoint, service in ((A, SERVICE), (B, SECOND)):
        if service in shut(key):
            known = app.known(endpoint)
            assert (known.status, known.reason, known.row) == (Status.HELD, "malformed_row", str(row))


@pytest.mark.parametrize("key", WRONG)
def test_a_stray_row_that_reads_allow_is_told_and_shuts_nothing(app: Application, key: tuple[str, str]) -> None:
    app.edit(*key, effect="allow")
    swept(app)
    ask(app)
    assert let_in(app) == {SERVICE, SECOND}
    assert told(app) == ["/".join(key)]


def test_while_shut_a_deny_still_rejects_and_who_is_live_stays(app: Application) -> None:
    app.connect(C)
    app.work(10)
    app.allow_list.put(SERVICE, OTHER, effect="deny")
    app.edit(SERVICE, "everybody", effect="deny")
    app.connect(A)
    app.connect(B, OTHER)
    app.work(10)
    swept(app)
    app.work(10)
    assert [app.state(endpoint) for endpoint in (A, B, C)] == [
        State.PENDING_ACCEPTANCE,
        State.REJECTED,
        State.AVAILABLE,
    ]


def test_every_row_that_shuts_a_service_must_be_mended(app: Application) -> None:
    for consumer in ("everybody", "nobody"):
        app.edit(SERVICE, consumer, effect="deny")
    app.edit("*", "everybody", effect="deny")
    ask(app)
    opened = []
    for key in ((SERVICE, "everybody"), ("*", "everybody"), (SERVICE, "nobody")):
        app.delete(*key)
        app.work(10)
        opened.append(let_in(app))
    assert opened == [set(), {SECOND}, {SERVICE, SECOND}]


def mend(app: Application, key: tuple[str, str], how: str) -> RowKey:
    """Somebody deletes a stray row, or makes its effect read allow."""
    return app.allow_list.delete(*key) if how == "deleted" else app.allow_list.put(*key, effect=" Allow")


@pytest.mark.parametrize("how", ["deleted", "allow"])
@pytest.mark.parametrize("key", WRONG)
def test_what_a_mended_row_had_shut_is_opened_by_the_sweep_alone(
    app: Application, key: tuple[str, str], how: str
) -> None:
    app.edit(*key, effect="deny")
    ask(app)
    mend(app, key, how)
    swept(app)
    app.work(10)
    assert let_in(app) == {SERVICE, SECOND}
    assert guards(app) == {}


@pytest.mark.parametrize("how", ["deleted", "allow"])
@pytest.mark.parametrize("key", [*WRONG, ("*", "everybody")])
def test_what_a_mended_row_had_shut_is_opened_by_the_edit(app: Application, key: tuple[str, str], how: str) -> None:
    app.edit(*key, effect="deny")
    ask(app)
    row = mend(app, key, how)
    app.sweeper.edited({row: app.allow_list.table.get(row)}, "an edit")
    app.work(10)
    assert let_in(app) == {SERVICE, SECOND}
    assert guards(app) == {}


def test_a_held_connection_is_decided_on_once_for_each_change_of_what_shuts_it(app: Application) -> None:
    app.edit(SERVICE, "everybody", effect="deny")
    app.connect(A)
    app.work(10)
    for _ in range(3):
        swept(app)
        app.work(10)
    assert [line.reason for line in app.ledger.lines(A)] == ["malformed_row"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_service_is_shut_even_if_the_bus_takes_no_event(app: Application, stream: bool) -> None:
    row = app.allow_list.put(SERVICE, "everybody", effect="deny")
    app.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    if stream:
        app.sweeper.edited({row: app.allow_list.table[row]}, "an edit")
    else:
        app.sweeper.sweep("a sweep")
    ask(app)
    assert let_in(app) == {SECOND}


def test_a_row_that_is_written_while_the_table_is_scanned_shuts_its_service_all_the_same(app: Application) -> None:
    scan = app.allow_list.whole_table

    def slowly() -> Rows:
        scanned = scan()
        app.edit(SERVICE, "everybody", effect="deny")
        return scanned

    app.allow_list.whole_table = slowly  # type: ignore[method-assign]
    app.sweeper.sweep("a sweep")
    ask(app)
    assert let_in(app) == {SECOND}


# ------------------------------------------------------------------ rows about OUs and organisations without a role


@pytest.fixture
def roleless(app: Application) -> Application:
    """The house without the parameter OrganizationsRoleArn."""
    census = replace(app.approver.census, organization=None)
    app.approver = replace(app.approver, census=census)
    app.sweeper = replace(
        app.sweeper,
        comparer=replace(app.sweeper.comparer, census=census),
        validator=replace(app.sweeper.validator, organization=False),
    )
    return app


@pytest.mark.parametrize("consumer", [UNIT, ORGANIZATION])
@pytest.mark.parametrize("stream", [True, False])
def test_without_a_role_a_row_about_an_ou_is_malformed_and_named(
    roleless: Application, consumer: str, stream: bool
) -> None:
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
    roleless: Application, consumer: str, effect: str, listed: str, unlisted: str
) -> None:
    roleless.edit(SERVICE, consumer, effect=effect)
    roleless.connect(A, CONSUMER)
    roleless.connect(B, OTHER)
    roleless.connect(C, CONSUMER, service=SECOND)
    roleless.work(10)
    assert [roleless.known(endpoint).reason for endpoint in (A, B, C)] == [listed, unlisted, "allowed"]
    assert roleless.known(B).row == f"{SERVICE}/{consumer}"
    assert roleless.bus.told[-1][0] != INVALID


def test_with_a_role_a_row_about_an_ou_is_a_row_like_any_other(app: Application) -> None:
    app.edit(SERVICE, UNIT, effect="allow")
    assert swept(app).malformed == {}
    assert told(app) == []


def test_when_the_role_is_given_the_row_is_mended(roleless: Application) -> None:
    roleless.edit(SERVICE, UNIT, effect="allow")
    validator = Validator(roleless.register, roleless.bus, True)
    assert validator.whole(roleless.allow_list.table, validator.remembered([SERVICE])) == {}
    assert roleless.register.read([PUBLISHED]) == {}
