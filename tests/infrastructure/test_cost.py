"""docs/cost.md says what bench/cost.py makes of bench/cost.toml, and what is counted there is so."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from bench.cost import Cost, page, table
from tests.application import SERVICE, Application
from tests.infrastructure.stack import ROOT, Stack, parsed, resolved, schedules
from tests.infrastructure.stage import Series, Stage
from tests.world import CONSUMER, endpoint_id, service_id


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


@pytest.fixture
def stage(whole: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Stage:
    capsys.readouterr()
    return Stage(whole, monkeypatch, lambda: capsys.readouterr().out)


def written(stage: Stage, minutes: int, asleep: Iterable[str] = ()) -> set[Series]:
    """The metrics of ours that are written in some minutes."""
    stage.asleep |= set(asleep)
    stage.points.clear()
    for _ in range(minutes):
        stage.pass_minute()
    return {series for series in stage.points if series.namespace == "Linkgate"}


def test_what_is_counted_in_the_templates_is_so(whole: Stack) -> None:
    functions, rates = whole.functions(), schedules(whole)
    demo = resolved(parsed(ROOT / "stacks" / "demo.yaml"), {})
    mappings = whole.of("AWS::Lambda::EventSourceMapping").values()
    polled = [one for one in mappings if whole.kind(one["EventSourceArn"]) == "AWS::SQS::Queue"]
    (zones,) = [one["SubnetIds"] for one in demo.of("AWS::EC2::VPCEndpoint").values()]
    assert rates["PatrolFunction"] == 60
    assert counted() == counted() | {
        "alarms": len(whole.of("AWS::CloudWatch::Alarm")),
        "canary_mb": functions["CanaryFunction"]["MemorySize"],
        "patrol_mb": functions["PatrolFunction"]["MemorySize"],
        "sweep_mb": functions["SweepFunction"]["MemorySize"],
        "sweep_minutes": rates["SweepFunction"] / 60,
        "queues": len(polled) + len(whole.of("AWS::Pipes::Pipe")),
        "keys": len(whole.of("AWS::KMS::Key")),
        "demo_instances": len(demo.of("AWS::EC2::Instance")),
        "demo_balancers": len(demo.of("AWS::ElasticLoadBalancingV2::LoadBalancer")),
        "demo_zones": len(zones),
    }


def test_what_is_counted_of_the_metrics_is_so(stage: Stage) -> None:
    offered = dict(stage.app.world.services)
    stage.app.world.services.clear()
    idle = written(stage, 6)
    stage.app.world.services.update(offered)
    healthy(stage.app)
    written(stage, 6)  # decisions, and what is written once
    every = written(stage, 6)
    health = written(stage, 3, asleep={"sweep"})
    second = service_id(2)
    stage.app.world.offer(second)
    stage.app.allow_list.put(second, "@settings", mode="enforce")
    stage.app.allow_list.put(second, CONSUMER, effect="allow")
    stage.app.connect(endpoint_id(11), service=second)
    written(stage, 6)
    assert counted() == counted() | {
        "metrics": len(every),
        "health_metrics": len(health),
        "idle_health_metrics": len(idle & health),
        "service_metrics": len(written(stage, 3) - health),
        "health_alarms": sum(one.metric in {series.name for series in health} for one in stage.alarms.values()),
    }
    assert len(idle) == len(every) - len(health - idle), "the sweep writes the same without a service"


def counted() -> dict[str, float]:
    return {name: one["value"] for name, one in table()["counted"].items()}


def test_a_stack_at_rest_and_a_further_service_cost_little() -> None:
    cost = Cost.of(table())
    assert cost.whole(0) <= 8
    assert cost.service <= 1.20


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
    return [cost.synthetics(100), cost.plain(100), cost.unused_name, cost.whole(0), cost.service, cost.demo, *parts]


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
