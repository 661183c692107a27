"""Rows that end soon are published once for each row and date, and nothing else is."""

from datetime import timedelta
from typing import Any

import pytest
from linkgate.config import Settings
from linkgate.errors import SettingsError, Unavailable
from linkgate.sweep.expiring import ExpiringRows

from tests.application import SERVICE, Application
from tests.world import CONSUMER, OTHER, START

DAY = timedelta(days=1)


@pytest.fixture
def app() -> Application:
    return Application()


def put(app: Application, ends: timedelta, consumer: str = CONSUMER, service: str = SERVICE, **more: Any) -> None:
    attributes = {"effect": "allow", "expires_at": (START + ends).isoformat()} | more
    app.allow_list.put(service, consumer, **attributes)


def published(app: Application) -> list[dict[str, Any]]:
    """The details of what one sweep published of rows that end soon."""
    app.bus.published.clear()
    assert app.sweeper.sweep("a sweep").failed == {}
    return [dict(detail) for kind, detail in app.bus.published if kind == "Expiring Soon"]


def test_a_row_that_ends_soon_is_published_once(app: Application) -> None:
    put(app, 3 * DAY, owner="payments", ticket="NET-42")
    (detail,) = published(app)
    assert (detail["row"], detail["effect"], detail["days_left"]) == (f"{SERVICE}/{CONSUMER}", "allow", 3)
    assert (detail["owner"], detail["ticket"]) == ("payments", "NET-42")
    assert published(app) == []


@pytest.mark.parametrize(("ends", "days"), [(timedelta(seconds=1), 0), (DAY, 1), (14 * DAY, 14)])
def test_soon_is_from_now_on_until_two_weeks(app: Application, ends: timedelta, days: int) -> None:
    put(app, ends)
    assert [detail["days_left"] for detail in published(app)] == [days]


@pytest.mark.parametrize("ends", [timedelta(0), -DAY, 14 * DAY + timedelta(seconds=1)])
def test_what_has_ended_or_ends_later_is_not_published(app: Application, ends: timedelta) -> None:
    put(app, ends)
    assert published(app) == []


def test_a_date_that_moves_is_published_again_and_so_is_a_row_that_comes_back(app: Application) -> None:
    put(app, 3 * DAY)
    assert len(published(app)) == 1
    put(app, 5 * DAY)
    assert [detail["days_left"] for detail in published(app)] == [5]
    app.delete(SERVICE, CONSUMER)
    assert published(app) == []
    put(app, 5 * DAY)
    assert len(published(app)) == 1


def test_many_rows_that_end_soon_are_one_message(app: Application) -> None:
    for number in range(20):
        put(app, 3 * DAY, f"{number:012d}")
    assert [detail.get("grouped") for detail in published(app)] == [True] * 20
    assert [detail["count"] for kind, detail in app.bus.published if kind == "Events Grouped"] == [20]


def test_rows_of_every_kind_and_of_every_service_count(app: Application) -> None:
    put(app, DAY, effect="deny")
    put(app, DAY, OTHER, effect="review")
    put(app, DAY, "*", service="*")
    assert sorted(detail["row"] for detail in published(app)) == ["*/*", f"{SERVICE}/{CONSUMER}", f"{SERVICE}/{OTHER}"]


def test_what_is_no_rule_or_cannot_be_read_is_not_published(app: Application) -> None:
    put(app, DAY, effect="permit")
    app.allow_list.put(SERVICE, "@settings", mode="enforce", frozen_until=(START + DAY).isoformat())
    put(app, DAY, "ou-ab12-11111111")
    object.__setattr__(app.sweeper.validator, "organization", False)  # nobody can judge rows of OUs
    assert published(app) == []


def test_an_event_that_the_bus_did_not_take_is_published_by_the_next_sweep(app: Application) -> None:
    put(app, DAY)
    publish = app.bus.publish

    def refusing(events: Any) -> None:
        raise Unavailable("the bus refused it")

    app.bus.publish = refusing  # type: ignore[method-assign]
    assert "the rows that end soon" in app.sweeper.sweep("a sweep").failed
    app.bus.publish = publish  # type: ignore[method-assign]
    assert len(published(app)) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "new requests are held, and live connections are reported."),
        (
            {"default": "reject", "reconcile": "enforce"},
            "new requests are rejected, and live connections are cut after the grace.",
        ),
        ({"reconcile": "off"}, "live connections are left alone."),
    ],
)
def test_the_message_says_what_becomes_of_consumers(app: Application, settings: dict[str, str], words: str) -> None:
    app.allow_list.put(SERVICE, "@settings", mode="enforce", **settings)
    put(app, DAY, owner="payments")
    (detail,) = published(app)
    assert words in detail["summary"]
    assert (
        f"Row: {SERVICE}/{CONSUMER} (allow, owner payments)\nEnds: 2026-11-24T03:00:00+00:00, in a day"
        in (detail["summary"])
    )


def test_a_row_that_keeps_somebody_out_says_that_it_no_longer_will(app: Application) -> None:
    put(app, timedelta(hours=2), effect="deny")
    (detail,) = published(app)
    assert "in less than a day\nThen: it keeps nobody out any more" in detail["summary"]


def test_with_0_days_nothing_is_published(app: Application) -> None:
    put(app, DAY)
    never = ExpiringRows(app.sets, app.bus, timedelta(0), app.world.clock)
    assert never.whole(app.allow_list.whole_table()) == 0
    assert app.bus.kinds() == []


@pytest.mark.parametrize(("text", "days"), [("14", 14), ("0", 0)])
def test_the_parameter_is_a_number_of_days(text: str, days: int) -> None:
    assert Settings(expiring_soon_days=text).expiring_soon == timedelta(days=days)


@pytest.mark.parametrize("text", ["", "two", "-1", "1.5"])
def test_a_parameter_that_is_none_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match=r"EXPIRING_SOON_DAYS is .*: expected days such as 14"):
        assert Settings(expiring_soon_days=text).expiring_soon
