"""A breaker's message: again when more is withheld, not when less is, and with a row that lets exactly these go."""

import json
from typing import Any

from linkgate.policy.rows import ReleaseRow, parse

from tests import gallery
from tests.application import SERVICE, Application
from tests.messages import live, sweeps
from tests.world import CONSUMER, endpoint_id

TRIPPED = "Breaker Tripped"


def account(number: int) -> str:
    return f"3333333333{number:02}"


def tripped(app: Application) -> list[dict[str, Any]]:
    return [detail for kind, detail in app.bus.published if kind == TRIPPED]


def test_a_message_comes_again_when_more_cuts_are_withheld_and_not_when_fewer_are() -> None:
    app = live(3, reconcile="enforce", max_cuts=1, grace="0s")
    app.allow_list.put(SERVICE, endpoint_id(3), effect="allow")
    app.delete(SERVICE, CONSUMER)
    sweeps(app)
    assert [one["count"] for one in tripped(app)] == [2]
    app.delete(SERVICE, endpoint_id(3))
    sweeps(app)
    assert [one["count"] for one in tripped(app)] == [2, 3]
    app.edit(SERVICE, endpoint_id(1), effect="allow")
    sweeps(app)
    assert [one["count"] for one in tripped(app)] == [2, 3]


def test_its_row_can_be_read_and_releases_exactly_who_is_named() -> None:
    app = live(2, reconcile="enforce", max_cuts=1, grace="0s")
    app.edit(SERVICE, CONSUMER, effect="deny", owner="payments", ticket="OPS-9")
    sweeps(app)
    (message,) = tripped(app)
    command = next(line for line in message["summary"].splitlines() if "put-item" in line)
    assert f"--table-name {app.allow_list.name} " in command
    row = parse(gallery.item(json.loads(command.partition("--item '")[2].removesuffix("'"))))
    assert isinstance(row, ReleaseRow)
    assert row.endpoints == {endpoint_id(1), endpoint_id(2)}
    named = f"{endpoint_id(1)} of account {CONSUMER}: denied, {SERVICE}/{CONSUMER} (owner payments, ticket OPS-9)"
    assert named in message["summary"]


def test_rejections_are_told_again_whenever_twice_as_many_are_withheld() -> None:
    app = live(max_rejects=0)
    app.edit(SERVICE, "*", effect="deny")
    for number in range(2, 11):
        app.connect(endpoint_id(number), account(number))
        app.work(60)
    assert [one["count"] for one in tripped(app)] == [1, 2, 4, 8]
    assert f"{endpoint_id(9)} of account {account(9)}: row {SERVICE}/*" in tripped(app)[-1]["summary"]


def test_a_row_that_has_ended_is_named_with_whose_it_is() -> None:
    app = live(2, reconcile="enforce", max_cuts=1, grace="0s")
    app.edit(SERVICE, CONSUMER, effect="allow", expires_at="2020-01-01T00:00:00Z", owner="payments", ticket="OPS-7")
    sweeps(app)
    assert f"expired, {SERVICE}/{CONSUMER} (owner payments, ticket OPS-7)" in tripped(app)[-1]["summary"]


def test_who_is_let_in_meanwhile_or_gone_is_in_no_later_row_of_rejections() -> None:
    app = live(max_rejects=0)
    app.edit(SERVICE, "*", effect="deny")
    for number in range(2, 5):
        app.connect(endpoint_id(number), account(number))
        app.work(60)
    app.world.forget(endpoint_id(2))
    app.send(endpoint_id(2), origin="Delete")
    app.work(600)
    app.connect(endpoint_id(5), account(5))
    app.work(60)
    assert tripped(app)[-1]["endpoints"] == [endpoint_id(3), endpoint_id(4), endpoint_id(5)]


def test_a_message_about_thousands_names_a_few_and_shows_a_row_that_dynamodb_takes() -> None:
    app = live(1200, reconcile="enforce", max_cuts=1, grace="0s")
    app.delete(SERVICE, CONSUMER)
    sweeps(app, 1)
    (message,) = tripped(app)
    assert "\n  and 1180 more\n" in message["summary"]
    assert len(message["summary"]) < 50_000
    assert (message["count"], len(message["endpoints"])) == (1200, 100)
