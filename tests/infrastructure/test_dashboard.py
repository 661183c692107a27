"""The dashboard answers, row by row, what an engineer asks at night, with metrics that are really written."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from linkgate import metrics
from linkgate.model import State

from lab.cloudwatch.series import Datapoint
from tests.application import SERVICE, Application
from tests.infrastructure.intrinsics import PSEUDO
from tests.infrastructure.stack import Check, Stack, named
from tests.infrastructure.stage import Series, Stage
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

COLUMNS = 24
SEARCH = re.compile(r"SEARCH\('\{(\w+),([\w,]+)\} MetricName=\"(\w+)\" Stack=\"([\w-]+)\"', '[\w.]+', \d+\)")
QUERY = re.compile(
    r"SOURCE '\$\{(\w+)Log\}' \| filter message = '(\w+)' \| stats (max\(\w+\)(?:, max\(\w+\))*) by bin\(5m\)"
)
FREE_METRICS, SERVICES = 50, 4
"""What a free dashboard may show (Amazon CloudWatch pricing), and the services that it shows for nothing."""
KINDS = {"FunctionName": "AWS::Lambda::Function", "QueueName": "AWS::SQS::Queue", "TableName": "AWS::DynamoDB::Table"}
AWS = {
    ("AWS/Lambda", frozenset({"FunctionName"})): {"Duration"},
    ("AWS/SQS", frozenset({"QueueName"})): {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
    ("AWS/DynamoDB", frozenset({"TableName"})): {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"},
    ("AWS/DynamoDB", frozenset({"TableName", "GlobalSecondaryIndexName"})): {
        "ConsumedReadCapacityUnits",
        "ConsumedWriteCapacityUnits",
    },
}
"""What AWS writes, of what is shown (developer guides of Lambda, SQS and DynamoDB, "CloudWatch metrics")."""

Widget = Mapping[str, Any]


class Shown(NamedTuple):
    """A metric that a widget shows; a dimension that is searched over has the value None."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str | None]


class Written(NamedTuple):
    """A metric that the functions write, and the names of its dimensions."""

    metric: str
    dimensions: frozenset[str]


class Logged(NamedTuple):
    """A field in a function's log: which function, in which line, its name."""

    function: str
    message: str
    field: str


def widgets(stack: Stack) -> list[Widget]:
    """The widgets of the stack's dashboard."""
    (dashboard,) = stack.of("AWS::CloudWatch::Dashboard").values()
    found: list[Widget] = json.loads(dashboard["DashboardBody"])["widgets"]
    return found


def shown(stack: Stack) -> Iterator[Shown]:
    """Every metric that is shown. An expression that is not understood raises AssertionError."""
    for widget in widgets(stack):
        for entry in widget["properties"].get("metrics", []):
            if isinstance(entry[0], dict):
                yield from _searched(entry[0]["expression"])
                continue
            namespace, metric, *pairs = [one for one in entry if isinstance(one, str)]
            yield Shown(namespace, metric, dict(zip(pairs[::2], pairs[1::2], strict=True)))


def _searched(expression: str) -> Iterator[Shown]:
    match = SEARCH.fullmatch(expression)
    assert match, f"{expression} is not understood: teach this test"
    yield Shown(match[1], match[3], dict.fromkeys(match[2].split(",")) | {"Stack": match[4]})


def test_a_stack_that_mails_nobody_or_has_no_canary_says_so_above_everything(bare: Stack, whole: Stack) -> None:
    first, *_ = widgets(bare)
    said = bare.properties("SweepFunction")["Environment"]["Variables"]["STACK_GAPS"].split("\n")
    assert [sentence.partition(" ")[0] for sentence in said] == ["AlarmEmail", "CanarySubnetIds"]
    assert first["properties"]["markdown"].endswith(" ".join(["docs/runbook.md.", *said]))
    assert widgets(whole)[0]["properties"]["markdown"].endswith("docs/runbook.md.")
    assert whole.properties("SweepFunction")["Environment"]["Variables"]["STACK_GAPS"] == ""


def unwritten(stack: Stack, written: Iterable[Written]) -> list[str]:
    """Metrics on the dashboard that nothing writes."""
    known, problems = set(written), []
    for one in shown(stack):
        names, title = frozenset(one.dimensions), f"{one.metric} of {one.namespace} by {dict(one.dimensions)}"
        if one.namespace == "Linkgate":
            if Written(one.metric, names) not in known or one.dimensions["Stack"] != PSEUDO["AWS::StackName"]:
                problems.append(f"nothing writes {title}")
        elif one.metric not in AWS.get((one.namespace, names), ()):
            problems.append(f"AWS writes no {title}")
        else:
            problems += _homeless(stack, one, title)
    return problems


def _homeless(stack: Stack, one: Shown, title: str) -> Iterator[str]:
    """Dimensions that name no resource of the stack."""
    for name, value in one.dimensions.items():
        if name == "GlobalSecondaryIndexName":
            table = stack.resources[named(one.dimensions["TableName"])]["Properties"]
            right = value in {index["IndexName"] for index in table["GlobalSecondaryIndexes"]}
        else:
            right = stack.kind(str(value).replace(".QueueName", "")) == KINDS[name]
        if not right:
            yield f"{title}: {name} is no resource of the stack"


def unshown(stack: Stack) -> list[str]:
    """Alarms whose state the dashboard does not show, and what it takes for one."""
    (listed,) = (one["properties"]["alarms"] for one in widgets(stack) if one["type"] == "alarm")
    alarms = {f"${{{name}.Arn}}" for name in stack.of("AWS::CloudWatch::Alarm")}
    return sorted(alarms ^ set(listed)) + [one for one in listed if listed.count(one) > 1]


def unlogged(stack: Stack, logged: Iterable[Logged]) -> list[str]:
    """Fields that the dashboard reads from a log in which they do not stand. Another query raises AssertionError."""
    known, problems = set(logged), []
    for query in (one["properties"]["query"] for one in widgets(stack) if one["type"] == "log"):
        match = QUERY.fullmatch(query)
        assert match, f"{query} is not understood: teach this test"
        fields = {Logged(match[1].lower(), match[2], field) for field in re.findall(r"max\((\w+)\)", match[3])}
        problems += [f"nothing logs {one}" for one in sorted(fields - known)]
        if stack.kind(f"${{{match[1]}Log}}") != "AWS::Logs::LogGroup":
            problems.append(f"{match[1]}Log is no log of the stack")
    return problems


def costly(stack: Stack, services: int = SERVICES) -> list[str]:
    """Why the dashboard is not free with so many services in peace; each place of a metric counts."""
    searched = {one.metric for one in shown(stack) if one.dimensions.keys() == {"Stack", "Service"}}
    problems = [f"{name} of a service is shown and not written in peace" for name in searched - metrics.SERVICE]
    if (number := metrics_shown(stack, services)) > FREE_METRICS:
        problems.append(f"{number} metrics are shown")
    return problems


def metrics_shown(stack: Stack, services: int) -> int:
    """The metrics on the dashboard with so many services in peace; each place of a metric counts."""
    kinds = [(one.dimensions.keys(), None in one.dimensions.values()) for one in shown(stack)]
    searched = [names for names, is_searched in kinds if is_searched and names == {"Stack", "Service"}]
    return sum(not is_searched for _, is_searched in kinds) + services * len(searched)


def crowded(stack: Stack) -> list[str]:
    """Widgets that lie upon each other or reach over the edge."""
    taken: dict[tuple[int, int], int] = {}
    problems = []
    for number, one in enumerate(widgets(stack)):
        if one["x"] + one["width"] > COLUMNS:
            problems.append(f"widget {number} reaches over the edge")
        cells = {(x, y) for x in range(one["x"], one["x"] + one["width"]) for y in _rows(one)}
        problems += sorted({f"widgets {taken[cell]} and {number} overlap" for cell in cells & taken.keys()})
        taken |= dict.fromkeys(cells, number)
    return problems


def _rows(widget: Widget) -> range:
    return range(widget["y"], widget["y"] + widget["height"])


def headings(stack: Stack) -> list[str]:
    """The headings of the rows, from the top."""
    texts = sorted((one["y"], one["properties"]["markdown"]) for one in widgets(stack) if one["type"] == "text")
    return [text.splitlines()[0].removeprefix("## ") for _, text in texts]


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


def happen(app: Application) -> None:
    """One endpoint that answers and one that does not, in two zones; one to be cut; a service that fails."""
    second = service_id(2)
    app.world.offer(second)
    app.world.broken[second] = RuntimeError("nobody thought of it")
    app.connect(BROKEN, service=second)
    app.allow_list.put(SERVICE, "@settings", mode="enforce", reconcile="enforce", grace="0s")
    app.allow_list.put(second, "@settings", mode="enforce")
    app.allow_list.put("*", CONSUMER, effect="allow")
    app.allow_list.put(SERVICE, OTHER, effect="deny", cut="now")
    for endpoint in (GOOD, BAD):
        app.connect(endpoint)
        app.world.links[endpoint].dns_names += tuple(
            f"{endpoint}-abcdefgh-eu-west-1{zone}.{SERVICE}.eu-west-1.vpce.amazonaws.com" for zone in "ab"
        )
    app.world.connect(CUT, SERVICE, OTHER, state=State.AVAILABLE)
    app.canary.causes[BAD] = "tcp_timeout"
    app.canary.extra = {
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
    happen(stage.app)
    stage.each_minute.append(lambda: stage.app.bells.queue.append((stage.app.world.now, "}{")))
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


def test_what_is_written_of_a_service_costs_at_most_four_metrics(written: set[Written]) -> None:
    of_a_service = {one.metric for one in written if one.dimensions == {"Stack", "Service"}}
    assert of_a_service == metrics.SERVICE
    assert len(metrics.SERVICE) <= 4


def test_the_dashboard_is_free(whole: Stack) -> None:
    assert costly(whole) == []


def test_a_dashboard_that_costs_is_named(draft: Stack) -> None:
    assert costly(draft, services=SERVICES + 1) == ["53 metrics are shown"]
    spoil(draft, 'MetricName=\\"TotalTime\\"', 'MetricName=\\"ProbedEndpoints\\"')
    assert costly(draft) == ["ProbedEndpoints of a service is shown and not written in peace"]


@pytest.fixture
def logged(points: object, caplog: pytest.LogCaptureFixture) -> set[Logged]:
    """What stands in the logs of the same minutes."""
    return {Logged(one.name, one.getMessage(), field) for one in caplog.records for field in vars(one)}


def test_the_dashboard_reads_fields_that_are_logged(stack: Stack, logged: set[Logged]) -> None:
    assert unlogged(stack, logged) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("max(HELD)", "max(WAITING)", "nothing logs Logged(function='sweep', message='connections', field='WAITING')"),
        ("message = 'round'", "message = 'rounds'", "message='rounds'"),
        ("${SweepLog}", "${SwiftLog}", "SwiftLog is no log of the stack"),
    ],
)
def test_a_query_that_finds_nothing_is_named(
    draft: Stack, logged: set[Logged], old: str, new: str, problem: str
) -> None:
    spoil(draft, old, new)
    assert any(problem in found for found in unlogged(draft, logged)), unlogged(draft, logged)


def test_the_dashboard_shows_what_is_written(stack: Stack, written: set[Written]) -> None:
    assert unwritten(stack, written) == []


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
    ('"Decisions"', '"Verdicts"', "nothing writes Verdicts of Linkgate by {'Stack': 'provider'}"),
    ("UnhealthyAddresses", "UnhealthyZones", "nothing writes UnhealthyZones"),
    ("Stack,Service,Zone}", "Stack,Zone}", "nothing writes UnhealthyAddresses of Linkgate by {'Stack': 'provider'"),
    ('"Stack", "provider"', '"Stack", "another"', "nothing writes"),
    ('"ConsumedReadCapacityUnits"', '"ConsumedReads"', "AWS writes no ConsumedReads of AWS/DynamoDB"),
    ("${BellQueue.QueueName}", "${Bells.QueueName}", "QueueName is no resource of the stack"),
]


@pytest.mark.parametrize(("old", "new", "problem"), SPOILED)
def test_a_dashboard_that_stays_empty_is_named(
    draft: Stack, written: set[Written], old: str, new: str, problem: str
) -> None:
    spoil(draft, old, new)
    assert any(problem in found for found in unwritten(draft, written)), unwritten(draft, written)


PLACES: list[tuple[Check, Callable[[dict[str, Any]], object], str]] = [
    (crowded, lambda it: it["widgets"][2].update(y=3), "widgets 1 and 2 overlap"),
    (crowded, lambda it: it["widgets"][2].update(x=1), "widget 2 reaches over the edge"),
    (unshown, lambda it: it["widgets"][1]["properties"]["alarms"].pop(), "Alarm.Arn"),
]


@pytest.mark.parametrize(("check", "change", "problem"), PLACES)
def test_a_widget_out_of_place_is_named(
    draft: Stack, check: Check, change: Callable[[dict[str, Any]], object], problem: str
) -> None:
    dashboard = draft.properties("Dashboard")
    body = json.loads(dashboard["DashboardBody"])
    change(body)
    dashboard["DashboardBody"] = json.dumps(body)
    assert any(problem in found for found in check(draft))
