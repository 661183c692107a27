"""Rows of the allow-list that cannot be read: an event is published once, until they are mended."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from linkgate.approve.context import ROLE_MISSING
from linkgate.errors import Unavailable
from linkgate.ledger.sets import block_name
from linkgate.model import RowKey
from linkgate.policy.attributes import CANARY_EXAMPLE
from linkgate.policy.rows import Item, key_of
from linkgate.sweep.once import MOST_PUBLISHED
from linkgate.sweep.validator import PUBLISHED, Validator

from tests import gallery
from tests.application import SERVICE, Application
from tests.unit.sweep.scene import INVALID, SECOND, A, B, C, blocking, published, seen, swept, two_services
from tests.unit.values import attributes, texts
from tests.world import CONSUMER, OTHER


@pytest.fixture
def app() -> Application:
    return two_services()


UNIT, ORGANIZATION = "ou-ab12-11111111", "o-a1b2c3d4e5"
ITEM = 400_000
"""Bytes that an item of DynamoDB holds, roughly."""


@pytest.mark.parametrize("row", gallery.malformed().values(), ids=gallery.malformed().keys())
def test_a_bad_edit_is_published_once_in_words_for_its_editor(app: Application, row: Item) -> None:
    key = key_of(row)
    app.allow_list.table[key] = row
    found = app.sweeper.edited({key: row}, "an edit")
    swept(app, 2)
    # Settings of a service that nobody tagged are a problem of the service as well.
    (detail,) = (detail for kind, detail in app.bus.published if kind == INVALID)
    assert detail["row"] == str(key)
    assert found.malformed == {str(key): f"row {key}: {detail['problem']}"}
    assert detail["summary"].startswith(f"INVALID ROW: {key} cannot be read\n\nWhat: {detail['problem']}\n")
    assert detail["attribute"] in (*row, "effect", "endpoints", "function")


def test_a_bad_edit_whose_stream_was_lost_is_published_once_by_the_sweep(app: Application) -> None:
    app.allow_list.put(SERVICE, OTHER, effect="permit")
    finding = swept(app, 3)
    assert published(app) == [f"{SERVICE}/{OTHER}"] == list(finding.malformed)


def test_a_bad_row_is_published_again_after_it_changed_for_the_worse_and_not_after_a_note(app: Application) -> None:
    for effect, note in (("permit", "a"), ("permit", "b"), ("permits", "b"), ("permits", "c")):
        app.edit(SERVICE, OTHER, effect=effect, note=note)
        swept(app)
    assert published(app) == [f"{SERVICE}/{OTHER}"] * 2


@pytest.mark.parametrize("mended", ["edited", "deleted"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_mended_row_is_forgotten_and_published_anew_when_it_breaks_again(
    app: Application, mended: str, stream: bool
) -> None:
    app.edit(SERVICE, OTHER, effect="permit")
    key = RowKey(SERVICE, OTHER)
    if mended == "edited":
        app.allow_list.put(*key, effect="allow")
    else:
        app.allow_list.delete(*key)
    finding = seen(app, key, stream)
    assert (finding.malformed, app.sets.read([PUBLISHED])) == ({}, {})
    app.edit(SERVICE, OTHER, effect="permit")
    assert published(app) == [str(key)] * 2


def test_an_edit_forgets_nothing_of_other_rows(app: Application) -> None:
    app.edit(SERVICE, OTHER, effect="permit")
    app.edit(SERVICE, CONSUMER, effect="allow")
    app.edit(SECOND, OTHER, effect="permit")
    swept(app)
    assert published(app) == [f"{SERVICE}/{OTHER}", f"{SECOND}/{OTHER}"]


def test_what_the_bus_did_not_take_is_published_by_the_next_sweep(app: Application) -> None:
    app.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    finding = app.edit(SERVICE, OTHER, effect="permit")
    assert set(finding.failed) == {"the validation of the allow-list"}
    assert published(app) == []
    swept(app, 2)
    assert published(app) == [f"{SERVICE}/{OTHER}"]


def put_bad_rows(app: Application, numbers: range) -> None:
    for number in numbers:
        app.allow_list.put(SERVICE, f"{number:012}", effect="permit")


def test_of_more_problems_than_can_be_remembered_the_rest_is_published_when_some_are_mended(app: Application) -> None:
    put_bad_rows(app, range(MOST_PUBLISHED + 50))
    assert len(swept(app, 2).malformed) == MOST_PUBLISHED + 50
    assert len(published(app)) == MOST_PUBLISHED
    for number in range(30):
        app.allow_list.delete(SERVICE, f"{number:012}")
    swept(app, 3)
    assert len(published(app)) == len(set(published(app))) == MOST_PUBLISHED + 30


def test_when_too_many_were_published_by_runs_side_by_side_no_more_are(app: Application) -> None:
    app.sets.add(PUBLISHED, [f'["*", "{number}", "0"]' for number in range(MOST_PUBLISHED + 3)])
    app.sweeper.edited({key_of(row): row for row in gallery.malformed().values()}, "an edit")
    assert published(app) == []


@pytest.mark.parametrize("length", [20, 1000])
def test_what_is_remembered_fits_into_an_item_however_many_rows_are_wrong(app: Application, length: int) -> None:
    for number in range(12_000 if length < 100 else 1000):
        app.allow_list.put(SERVICE, f"{number:05}".ljust(length, "x"), effect="deny")
    swept(app)
    sets = app.sets.read([PUBLISHED, block_name(SERVICE)])
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
    kept = (blocking(made), made.sets.read([PUBLISHED]))
    assert (swept(made).malformed, edited.failed) == (edited.malformed, {})
    assert (blocking(made), made.sets.read([PUBLISHED])) == kept
    made.sweeper.edited({key: None}, "an edit")
    assert (blocking(made), made.sets.read([PUBLISHED])) == ({}, {})


@pytest.fixture
def roleless(app: Application) -> Application:
    """The application without the parameter OrganizationsRoleArn."""
    contexts = replace(app.approver.contexts, organization=None)
    app.approver = replace(app.approver, contexts=contexts)
    app.sweeper = replace(
        app.sweeper,
        comparer=replace(app.sweeper.comparer, contexts=contexts),
        validator=replace(app.sweeper.validator, organization=False),
    )
    return app


@pytest.mark.parametrize("consumer", [UNIT, ORGANIZATION])
@pytest.mark.parametrize("stream", [True, False])
def test_without_a_role_a_row_about_an_ou_is_malformed_and_named(
    roleless: Application, consumer: str, stream: bool
) -> None:
    row = roleless.allow_list.put(SERVICE, consumer, effect="allow")
    finding = seen(roleless, row, stream)
    assert finding.malformed == {str(row): f"row {row}: consumer is {consumer!r}: {ROLE_MISSING}"}
    swept(roleless, 2)
    assert published(roleless) == [str(row)]


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
    assert roleless.bus.published[-1][0] != INVALID


def test_when_the_role_is_given_the_row_is_mended(roleless: Application) -> None:
    roleless.edit(SERVICE, UNIT, effect="allow")
    validator = Validator(roleless.sets, roleless.bus, True)
    assert validator.whole(roleless.allow_list.table, validator.remembered([SERVICE])) == {}
    assert roleless.sets.read([PUBLISHED]) == {}


def test_a_canary_row_whose_function_patrol_may_not_invoke_is_named_at_once(app: Application) -> None:
    payroll = f"arn:aws:lambda:eu-west-1:{CONSUMER}:function:payroll"
    result = app.edit(SERVICE, f"@canary:{CONSUMER}", function=payroll)
    row = f"{SERVICE}/@canary:{CONSUMER}"
    (problem,) = result.malformed.values()
    assert problem == (
        f'row {row}: function is "{payroll}": expected a function whose name begins with linkgate-canary, such as '
        f"{CANARY_EXAMPLE}, or the stack's own canary: patrol may invoke no others"
    )
    assert [detail["row"] for kind, detail in app.bus.published if kind == "Allow List Row Invalid"] == [row]
    assert app.edit(SERVICE, f"@canary:{CONSUMER}", function=CANARY_EXAMPLE).malformed == {}


def test_a_canary_row_may_name_the_stacks_own_canary(app: Application) -> None:
    app.sweeper = replace(
        app.sweeper, validator=replace(app.sweeper.validator, own_canary="gatehouse-CanaryFunction-1A")
    )
    for name, wrong in (("gatehouse-CanaryFunction-1A", 0), ("gatehouse-CanaryFunction-1B", 1)):
        arn = f"arn:aws:lambda:eu-west-1:{CONSUMER}:function:{name}"
        assert len(app.edit(SERVICE, f"@canary:{CONSUMER}", function=arn).malformed) == wrong


def test_a_row_with_an_owner_of_many_kilobytes_is_named_in_an_event_that_the_bus_takes(app: Application) -> None:
    row = app.allow_list.put(SERVICE, CONSUMER, effect="allow", owner="x" * 300_000, ticket="OPS-7")
    app.sweeper.edited({row: app.allow_list.table[row]}, "an edit")
    ((_, detail),) = app.bus.published
    assert (detail["row"], detail["attribute"], detail["ticket"]) == (str(row), "owner", "OPS-7")
    assert len(json.dumps(detail)) < 5000
