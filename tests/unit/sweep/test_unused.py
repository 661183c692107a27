"""Rows that mean nothing where they stand: an event once, a line in the log, and they hold nobody up."""

import pytest
from linkgate.errors import Unavailable
from linkgate.model import RowKey

from tests.application import SERVICE, Application
from tests.unit.sweep.scene import SECOND, A, blocking, swept, two_services
from tests.world import CONSUMER, OTHER, service_id

UNUSED = "Allow List Row Unused"
TYPO = service_id(9)


@pytest.fixture
def app() -> Application:
    return two_services()


def published(app: Application) -> list[str]:
    return [str(detail["row"]) for kind, detail in app.bus.published if kind == UNUSED]


def test_a_deny_under_a_service_id_with_a_wrong_digit_is_told_once_and_holds_nobody_up(app: Application) -> None:
    edit = app.edit(TYPO, CONSUMER, effect="deny", cut="now")
    result = swept(app, 3)
    assert edit.malformed == result.malformed == {}
    assert [str(row.key) for row in result.unused] == [f"{TYPO}/{CONSUMER}"]
    assert published(app) == [f"{TYPO}/{CONSUMER}"]
    assert blocking(app) == {}
    app.connect(A, CONSUMER)
    app.work(20)
    assert app.known(A).reason == "allowed"


def test_the_event_says_which_row_and_what_is_expected(app: Application) -> None:
    app.allow_list.put(TYPO, CONSUMER, effect="deny")
    swept(app)
    (detail,) = (detail for kind, detail in app.bus.published if kind == UNUSED)
    assert detail == {
        "version": "1",
        "row": f"{TYPO}/{CONSUMER}",
        "attribute": "service",
        "problem": f'service is "{TYPO}", which is not managed here: '
        "expected one with the tag linkgate = TagValue of this stack",
        "summary": f"The allow-list's row {TYPO}/{CONSUMER}: {detail['problem']}.",
    }


@pytest.mark.parametrize("mend", ["the service is tagged", "the row is deleted"])
def test_a_row_that_means_something_again_is_forgotten_and_told_anew_later(app: Application, mend: str) -> None:
    app.allow_list.put(TYPO, CONSUMER, effect="deny")
    swept(app)
    if mend == "the service is tagged":
        app.world.offer(TYPO)
    else:
        app.allow_list.delete(TYPO, CONSUMER)
    assert swept(app).unused == []
    app.world.services.pop(TYPO, None)
    app.allow_list.put(TYPO, CONSUMER, effect="deny")
    swept(app)
    assert published(app) == [f"{TYPO}/{CONSUMER}"] * 2


def test_every_attribute_that_means_nothing_is_told_of_its_own_row(app: Application) -> None:
    app.allow_list.put("*", "@settings", mode="enforce")
    app.allow_list.put(SECOND, "*", effect="deny", cut="now")
    app.allow_list.put(TYPO, "@release", endpoints=A)
    swept(app, 2)
    assert sorted(published(app)) == ["*/@settings", f"{SECOND}/*", f"{TYPO}/@release"]


def test_a_row_that_cannot_be_read_is_told_as_that_until_it_is_mended(app: Application) -> None:
    app.allow_list.put(TYPO, OTHER, effect="permit")
    swept(app)
    assert published(app) == []
    app.allow_list.put(TYPO, OTHER, effect="deny")
    swept(app)
    assert published(app) == [str(RowKey(TYPO, OTHER))]


def test_an_event_that_the_bus_did_not_take_is_told_by_the_next_sweep(app: Application) -> None:
    app.allow_list.put(TYPO, OTHER, effect="deny")
    app.bus.refusal = Unavailable("the bus refused it")
    assert list(app.sweeper.sweep("a sweep").failed) == ["the rows that mean nothing"]
    swept(app)
    assert published(app) == [f"{TYPO}/{OTHER}"]
    assert f"{SERVICE}/@settings" not in published(app)
