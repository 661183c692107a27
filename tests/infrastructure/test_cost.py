"""docs/cost.md says what bench/cost.py makes of bench/cost.toml, and what is counted there is so."""

from collections.abc import Mapping
from typing import Any

import pytest

from bench.cost import Cost, page, table
from tests.application import SERVICE, Application
from tests.infrastructure.stack import ROOT, Stack, schedules
from tests.infrastructure.stage import Stage
from tests.world import CONSUMER, endpoint_id


def test_the_page_is_what_the_script_prints() -> None:
    assert (ROOT / "docs" / "cost.md").read_text() == page(table()), "python -m bench.cost > docs/cost.md"


def healthy(app: Application) -> None:
    """Ten endpoints in two zones, all of them well."""
    app.allow_list.put(SERVICE, CONSUMER, effect="allow")
    app.canary.extra = {
        "phases": dict.fromkeys(("dns", "tcp", "tls", "first_byte", "total"), 1.5),
        "tls_days_left": 90.0,
    }
    for endpoint in map(endpoint_id, range(1, 11)):
        app.connect(endpoint)
        app.world.links[endpoint].dns_names += tuple(
            f"{endpoint}-abcdefgh-eu-west-1{zone}.{SERVICE}.eu-west-1.vpce.amazonaws.com" for zone in "ab"
        )


def test_what_is_counted_is_so(
    whole: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    stage = Stage(whole, monkeypatch, lambda: capsys.readouterr().out)
    healthy(stage.app)
    for _ in range(12):
        stage.pass_minute()
    written = {series for series in stage.points if series.namespace == "Linkgate"}
    before = len(written)
    stage.asleep |= {"sweep"}
    stage.points.clear()
    for _ in range(3):
        stage.pass_minute()
    health = {series for series in stage.points if series.namespace == "Linkgate"}
    functions, rates = whole.functions(), schedules(whole)
    assert rates["PatrolFunction"] == 60
    assert {name: one["value"] for name, one in table()["counted"].items()} == {
        "metrics": before,
        "health_metrics": len(health),
        "alarms": len(stage.alarms),
        "health_alarms": sum(one.metric in {series.name for series in health} for one in stage.alarms.values()),
        "canary_mb": functions["CanaryFunction"]["MemorySize"],
        "patrol_mb": functions["PatrolFunction"]["MemorySize"],
        "sweep_mb": functions["SweepFunction"]["MemorySize"],
        "sweep_minutes": rates["SweepFunction"] / 60,
    }


@pytest.mark.parametrize("name", [name for part in table().values() for name in part])
def test_every_figure_counts(name: str) -> None:
    changed = {
        part: {key: {**one, **_doubled(one)} if key == name else one for key, one in figures.items()}
        for part, figures in table().items()
    }
    before, after = (Cost.of(one) for one in (table(), changed))
    assert _bill(before) != _bill(after)


def _bill(cost: Cost) -> list[float]:
    parts = (*cost.probing(100).values(), *cost.gate(100).values())
    return [cost.synthetics(100), cost.plain(100), cost.unused_name, *parts]


def _doubled(figure: Mapping[str, Any]) -> dict[str, float]:
    return {key: 2 * figure[key] for key in ("dollars", "value") if key in figure}


def test_what_patrol_writes_does_not_grow_with_healthy_endpoints() -> None:
    cost = Cost.of(table())
    metrics = {cost.probing(n)["metrics of health"] for n in (1, 1000)}
    assert len(metrics) == 1


def test_a_thousand_endpoints_cost_less_each_than_one() -> None:
    cost = Cost.of(table())
    each = [cost.whole(n) / n for n in (1, 10, 100, 1000)]
    assert each == sorted(each, reverse=True)
