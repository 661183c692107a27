"""Rows with keys of no known form block the services that they may have meant, until they are mended."""

import pytest
from linkgate.errors import Unavailable
from linkgate.model import RowKey, State, Status
from linkgate.policy.decide import Rows
from linkgate.policy.rows import blocks

from tests.application import SERVICE, Application
from tests.unit.sweep.scene import SECOND, A, B, C, blocking, published, seen, swept, two_services
from tests.world import OTHER


@pytest.fixture
def app() -> Application:
    return two_services()


WRONG = [(SERVICE, "everybody"), (f" {SERVICE}", OTHER), ("production", OTHER)]


def blocked(key: tuple[str, str]) -> set[str]:
    """The services, of the two, that a row with these keys blocks."""
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
def test_exactly_the_services_that_a_row_with_other_keys_may_have_meant_are_blocked(
    app: Application, key: tuple[str, str], stream: bool
) -> None:
    row = app.allow_list.put(*key, effect="deny")
    seen(app, row, stream)
    ask(app)
    assert let_in(app) == {SERVICE, SECOND} - blocked(key)
    for endpoint, service in ((A, SERVICE), (B, SECOND)):
        if service in blocked(key):
            known = app.known(endpoint)
            assert (known.status, known.reason, known.row) == (Status.HELD, "malformed_row", str(row))


@pytest.mark.parametrize("key", WRONG)
def test_a_row_with_other_keys_that_reads_allow_is_invalid_and_blocks_nothing(
    app: Application, key: tuple[str, str]
) -> None:
    app.edit(*key, effect="allow")
    swept(app)
    ask(app)
    assert let_in(app) == {SERVICE, SECOND}
    assert published(app) == ["/".join(key)]


def test_while_blocked_a_deny_still_rejects_and_who_is_live_stays(app: Application) -> None:
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


def test_every_row_that_blocks_a_service_must_be_mended(app: Application) -> None:
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
    """Somebody deletes a row with other keys, or makes its effect read allow."""
    return app.allow_list.delete(*key) if how == "deleted" else app.allow_list.put(*key, effect=" Allow")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("how", ["deleted", "allow"])
@pytest.mark.parametrize("key", [*WRONG, ("*", "everybody")])
def test_what_a_mended_row_had_blocked_is_open_again_after_the_edit_or_the_sweep(
    app: Application, key: tuple[str, str], how: str, stream: bool
) -> None:
    app.edit(*key, effect="deny")
    ask(app)
    row = mend(app, key, how)
    seen(app, row, stream)
    app.work(10)
    assert let_in(app) == {SERVICE, SECOND}
    assert blocking(app) == {}


def test_a_held_connection_is_decided_on_once_for_each_change_of_what_blocks_it(app: Application) -> None:
    app.edit(SERVICE, "everybody", effect="deny")
    app.connect(A)
    app.work(10)
    for _ in range(3):
        swept(app)
        app.work(10)
    assert [line.reason for line in app.ledger.lines(A)] == ["malformed_row"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_service_is_blocked_even_if_the_bus_takes_no_event(app: Application, stream: bool) -> None:
    row = app.allow_list.put(SERVICE, "everybody", effect="deny")
    app.bus.refusal = Unavailable("the bus refused 1 of 1 events")
    if stream:
        app.sweeper.edited({row: app.allow_list.table[row]}, "an edit")
    else:
        app.sweeper.sweep("a sweep")
    ask(app)
    assert let_in(app) == {SECOND}


def test_a_row_that_is_written_while_the_table_is_scanned_blocks_its_service_all_the_same(app: Application) -> None:
    scan = app.allow_list.whole_table

    def slowly() -> Rows:
        scanned = scan()
        app.edit(SERVICE, "everybody", effect="deny")
        return scanned

    app.allow_list.whole_table = slowly  # type: ignore[method-assign]
    app.sweeper.sweep("a sweep")
    ask(app)
    assert let_in(app) == {SECOND}
