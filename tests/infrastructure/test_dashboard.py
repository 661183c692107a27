"""The dashboard answers, row by row, what an engineer asks at night, with metrics that exist (dashboards.py)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from linkgate import metrics
from linkgate.model import State

from lab.cloudwatch.series import Datapoint
from tests.house import SERVICE, House
from tests.infrastructure.dashboards import Written, crowded, dark, headings, unshown
from tests.infrastructure.monitor import Series
from tests.infrastructure.stack import Stack
from tests.infrastructure.stage import Stage
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

GOOD, BAD, CUT, BROKEN = map(endpoint_id, range(1, 5))
ROWS = [
    "Is anything wrong?",
    "Connections",
    "Decisions",
    "Health by service and zone",
    "Phase times, in milliseconds",
    "Queues",
    "Cost",
]


def happen(house: House) -> None:
    """One endpoint that answers and one that does not, in two zones; one to be cut; a service that fails."""
    second = service_id(2)
    house.world.offer(second)
    house.world.broken[second] = RuntimeError("nobody thought of it")
    house.connect(BROKEN, service=second)
    house.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="0s")
    house.allow_list.put(second, "@settings", mode="enforce")
    house.allow_list.put("*", CONSUMER, effect="allow")
    house.allow_list.put(SERVICE, OTHER, effect="deny", cut="now")
    for endpoint in (GOOD, BAD):
        house.connect(endpoint)
        house.world.links[endpoint].dns_names += tuple(
            f"{endpoint}-abcdefgh-eu-west-1{zone}.{SERVICE}.eu-west-1.vpce.amazonaws.com" for zone in "ab"
        )
    house.world.connect(CUT, SERVICE, OTHER, state=State.AVAILABLE)
    house.canary.causes[BAD] = "tcp_timeout"
    house.canary.extra = {
        "phases": dict.fromkeys(("dns", "tcp", "tls", "first_byte", "total"), 1.5),
        "tls_days_left": 30.0,
    }


@pytest.fixture
def points(
    whole: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[Series, list[Datapoint]]:
    """What the functions write in a few eventful minutes."""
    capsys.readouterr()
    stage = Stage(whole, monkeypatch, lambda: capsys.readouterr().out)
    happen(stage.house)
    stage.each_minute.append(lambda: stage.house.bells.queue.append((stage.house.world.now, "}{")))
    for _ in range(12):
        stage.pass_minute()
    return {series: found for series, found in stage.points.items() if series.namespace == metrics.NAMESPACE}


@pytest.fixture
def written(points: dict[Series, list[Datapoint]]) -> set[Written]:
    return {Written(series.name, frozenset(name for name, _ in series.dimensions)) for series in points}


def test_each_metric_has_the_unit_of_what_it_counts(points: dict[Series, list[Datapoint]]) -> None:
    def unit(name: str) -> str:
        return "Milliseconds" if "Time" in name else "None" if "Days" in name else "Count"

    assert {(series.name, point.unit) for series, found in points.items() for point in found} == {
        (series.name, unit(series.name)) for series in points
    }


def test_every_metric_that_has_a_name_is_written_by_some_function(written: set[Written]) -> None:
    assert {one.metric for one in written} == set(metrics.UNITS)


def test_the_dashboard_shows_what_is_written(stack: Stack, written: set[Written]) -> None:
    assert dark(stack, written) == []


def test_it_shows_the_state_of_every_alarm(stack: Stack) -> None:
    assert unshown(stack) == []


def test_each_widget_has_a_place_of_its_own(stack: Stack) -> None:
    assert crowded(stack) == []


def test_its_rows_are_those_of_the_contract(stack: Stack) -> None:
    assert headings(stack) == ROWS


def spoil(stack: Stack, old: str, new: str) -> None:
    dashboard = stack.properties("Dashboard")
    assert old in dashboard["DashboardBody"]
    dashboard["DashboardBody"] = dashboard["DashboardBody"].replace(old, new)
    json.loads(dashboard["DashboardBody"])


SPOILED: list[tuple[str, str, str]] = [
    ('"Decisions"', '"Verdicts"', "nothing writes Verdicts of Linkgate by {'Stack': 'gatehouse'}"),
    ("UnhealthyAddresses", "UnhealthyZones", "nothing writes UnhealthyZones"),
    ("Stack,Service,Zone}", "Stack,Zone}", "nothing writes UnhealthyAddresses of Linkgate by {'Stack': 'gatehouse'"),
    ('"Status", "HELD"', '"Status", "Held"', "nothing writes Connections"),
    ('"Stack", "gatehouse"', '"Stack", "another"', "nothing writes"),
    ('"ConsumedReadCapacityUnits"', '"ConsumedReads"', "AWS writes no ConsumedReads of AWS/DynamoDB"),
    ("${BellQueue.QueueName}", "${Bells.QueueName}", "QueueName is no resource of the stack"),
    ("by_service", "by_status", "GlobalSecondaryIndexName is no resource of the stack"),
]


@pytest.mark.parametrize(("old", "new", "problem"), SPOILED)
def test_a_dashboard_that_stays_empty_is_named(
    draft: Stack, written: set[Written], old: str, new: str, problem: str
) -> None:
    spoil(draft, old, new)
    assert any(problem in found for found in dark(draft, written)), dark(draft, written)


PLACES: list[tuple[Callable[[Stack], list[str]], Callable[[dict[str, Any]], object], str]] = [
    (crowded, lambda it: it["widgets"][2].update(y=3), "widgets 1 and 2 overlap"),
    (crowded, lambda it: it["widgets"][2].update(x=1), "widget 2 reaches over the edge"),
    (unshown, lambda it: it["widgets"][1]["properties"]["alarms"].pop(), "Alarm.Arn"),
]


@pytest.mark.parametrize(("check", "change", "problem"), PLACES)
def test_a_widget_out_of_place_is_named(
    draft: Stack, check: Callable[[Stack], list[str]], change: Callable[[dict[str, Any]], object], problem: str
) -> None:
    dashboard = draft.properties("Dashboard")
    body = json.loads(dashboard["DashboardBody"])
    change(body)
    dashboard["DashboardBody"] = json.dumps(body)
    assert any(problem in found for found in check(draft))
