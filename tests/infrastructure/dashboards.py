"""The dashboard shows what is really written, and each widget has a place of its own."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from linkgate.model import Status

from tests.infrastructure.intrinsics import PSEUDO
from tests.infrastructure.stack import Stack, named

COLUMNS = 24
SEARCH = re.compile(r"SEARCH\('\{(\w+),([\w,]+)\} MetricName=\"(\w+)\" Stack=\"([\w-]+)\"', '[\w.]+', \d+\)")
EVERYTHING = re.compile(r"SEARCH\('Namespace=\"(\w+)\" Stack=\"([\w-]+)\"', 'SampleCount', \d+\)")
KINDS = {"FunctionName": "AWS::Lambda::Function", "QueueName": "AWS::SQS::Queue", "TableName": "AWS::DynamoDB::Table"}
AWS = {
    ("AWS/Lambda", frozenset({"FunctionName"})): {"Invocations", "Duration"},
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
    if EVERYTHING.fullmatch(expression) or expression == "SUM(all) * 0 + METRIC_COUNT(all)":
        return
    match = SEARCH.fullmatch(expression)
    assert match, f"{expression} is not understood: teach this test"
    yield Shown(match[1], match[3], dict.fromkeys(match[2].split(",")) | {"Stack": match[4]})


def dark(stack: Stack, written: Iterable[Written]) -> list[str]:
    """Metrics on the dashboard that nothing writes."""
    known, problems = set(written), []
    for one in shown(stack):
        names, title = frozenset(one.dimensions), f"{one.metric} of {one.namespace} by {dict(one.dimensions)}"
        if one.namespace == "Linkgate":
            values = {"Stack": {PSEUDO["AWS::StackName"]}, "Status": {str(status) for status in Status}}
            strange = [
                name for name, value in one.dimensions.items() if value and value not in values.get(name, {None})
            ]
            if Written(one.metric, names) not in known or strange:
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
