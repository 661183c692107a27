"""Every alarm reads a metric that is really written, in the shape it is written in, and says what to do."""

import ast
import contextlib
import functools
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from linkgate import metrics

from tests.infrastructure.intrinsics import PSEUDO
from tests.infrastructure.source import Module, modules
from tests.infrastructure.stack import GONE, ROOT, Properties, Spoiled, Stack, handler_of, schedules

STACK = PSEUDO["AWS::StackName"]
SILENT = ("patrol-silent", "sweep-silent")


def alarms(stack: Stack) -> Iterator[tuple[str, Properties]]:
    """The alarms on our own metrics."""
    for name, alarm in stack.of("AWS::CloudWatch::Alarm").items():
        if not alarm["Namespace"].startswith("AWS/"):
            yield name, alarm


def emitted(path: Path) -> set[str]:
    """The metrics that a handler, and the report that it imports, name as keys of a dict."""
    handler = Module(path)
    reports = [modules()[home].tree for home, _ in handler.imports.values() if home.endswith(".report")]
    nodes = (node for tree in (handler.tree, *reports) for node in ast.walk(tree))
    keys = (key for node in nodes if isinstance(node, ast.Dict) for key in node.keys)
    return {str(key.value) for key in keys if isinstance(key, ast.Constant)} & metrics.UNITS.keys()


@functools.cache
def written() -> Mapping[str, Any]:
    """The EMF line in which every metric of the whole stack is written."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        metrics.emit(STACK, dict.fromkeys(metrics.UNITS, 1))
    line: Mapping[str, Any] = json.loads(out.getvalue())
    return line


def unwritten(stack: Stack) -> list[str]:
    """Alarms on a metric, a unit or dimensions that nothing writes."""
    line = written()
    directive = line["_aws"]["CloudWatchMetrics"][0]
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    dimensions = [{name: line[name] for name in names} for names in directive["Dimensions"]]
    handlers = set().union(*(emitted(handler_of(function)) for function in stack.functions().values()))
    problems = []
    for name, alarm in alarms(stack):
        if alarm["Namespace"] != directive["Namespace"]:
            problems.append(f"{name} reads namespace {alarm['Namespace']}")
        if alarm["MetricName"] not in units:
            problems.append(f"{name} reads {alarm['MetricName']}, which metrics.UNITS does not know")
        if alarm["MetricName"] not in handlers:
            problems.append(f"{name} reads {alarm['MetricName']}, which no function emits")
        if alarm.get("Unit") != units.get(alarm["MetricName"]):
            problems.append(f"{name} reads unit {alarm.get('Unit')}")
        if {one["Name"]: one["Value"] for one in alarm["Dimensions"]} not in dimensions:
            problems.append(f"{name} reads dimensions {alarm['Dimensions']}, written are {dimensions}")
    return problems


def flapping(stack: Stack) -> list[str]:
    """Alarms on a gauge that look less far back than it is written: they go back to OK between two rounds."""
    rates: dict[str, int] = {}
    for name, rate in schedules(stack).items():
        rates |= dict.fromkeys(emitted(handler_of(stack.properties(name))), rate)
    problems = []
    for name, alarm in alarms(stack):
        window = alarm["Period"] * alarm["EvaluationPeriods"]
        needed = rates.get(alarm["MetricName"], 0) * (alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"])
        if alarm["TreatMissingData"] == "missing":
            needed = rates[alarm["MetricName"]]  # goes off only if every period is silent
        if alarm["Statistic"] != "Sum" and window < needed:
            problems.append(f"{name} looks back {window} s for what takes {needed} s to be written")
    return problems


def unsent(stack: Stack) -> list[str]:
    """Alarms that go to nobody, say nothing, or take silence for the wrong thing."""
    problems = []
    topic = [stack.outputs["AlarmTopic"]]
    actions = ("AlarmActions", "InsufficientDataActions", "OKActions")
    for name, alarm in stack.of("AWS::CloudWatch::Alarm").items():
        silent = heading(alarm) in SILENT
        # Where missing data is no trouble, an alarm has no data only while it is new.
        if [alarm.get(action) for action in actions] != [topic, topic if silent else None, None]:
            problems.append(f"{name} does not go to {topic[0]} when it rings, and only then")
        if not alarm.get("ActionsEnabled", True):
            problems.append(f"{name} has its actions switched off")
        if not re.search(r"docs/runbook\.md#[a-z0-9-]+$", alarm.get("AlarmDescription", "")):
            problems.append(f"{name} names no heading of docs/runbook.md")
        elif heading(alarm) != alarm["AlarmName"].removeprefix(f"{STACK}-"):
            problems.append(f"{name} is called {alarm['AlarmName']} and its heading {heading(alarm)}")
        missing = "missing" if silent else "notBreaching"
        if alarm.get("TreatMissingData") != missing:
            problems.append(f"{name} treats missing data as {alarm.get('TreatMissingData')}, not {missing}")
    return problems


def heading(alarm: Properties) -> str:
    """The heading of the runbook that an alarm names."""
    return str(alarm.get("AlarmDescription", "")).rpartition("#")[2]


def test_every_alarm_reads_what_is_written(stack: Stack) -> None:
    assert unwritten(stack) == []


def test_no_alarm_goes_back_to_ok_between_two_rounds(stack: Stack) -> None:
    assert flapping(stack) == []


def test_every_alarm_tells_when_it_rings_and_names_its_heading_of_the_runbook(stack: Stack) -> None:
    assert unsent(stack) == []


def test_the_runbook_has_a_heading_for_every_alarm(whole: Stack) -> None:
    headings = set(re.findall(r"^## (.+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE))
    assert {heading(alarm) for alarm in whole.of("AWS::CloudWatch::Alarm").values()} - headings == set()


def test_every_alarm_exists_without_a_canary_too_since_rows_may_name_others(bare: Stack, whole: Stack) -> None:
    assert set(whole.of("AWS::CloudWatch::Alarm")) == set(bare.of("AWS::CloudWatch::Alarm"))


SPOILED = [
    Spoiled(unwritten, "PatrolFunction", GONE, "UnhealthyEndpoints, which no function emits"),
    *(
        Spoiled(check, f"UnhealthyAlarm.{path}", value, problem)
        for check, path, value, problem in (
            (unwritten, "Namespace", "linkgate", "reads namespace linkgate"),
            (unwritten, "MetricName", "Unhealthy", "which metrics.UNITS does not know"),
            (unwritten, "Unit", "Seconds", "reads unit Seconds"),
            (unwritten, "Unit", GONE, "reads unit None"),
            (unwritten, "Dimensions.1", {"Name": "Service", "Value": "x"}, "reads dimensions"),
            (unwritten, "Dimensions.0.Value", "another", "reads dimensions"),
            (unwritten, "Dimensions.0.Name", "StackName", "reads dimensions"),
            (flapping, "Period", 20, "UnhealthyAlarm looks back 40 s"),
            (unsent, "OKActions", ["${AlarmTopic}"], "and only then"),
            (unsent, "InsufficientDataActions", ["${AlarmTopic}"], "and only then"),
            (unsent, "AlarmActions", ["${NotificationTopic.Arn}"], "and only then"),
            (unsent, "ActionsEnabled", False, "switched off"),
            (unsent, "AlarmDescription", "Bad.", "names no heading"),
            (unsent, "TreatMissingData", "breaching", "treats missing data"),
            (unsent, "AlarmName", f"{STACK}-other", "its heading endpoint-unhealthy"),
        )
    ),
]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_an_alarm_that_nobody_would_hear_of_is_named(whole: Stack, spoiled: Spoiled) -> None:
    spoiled.assert_named(whole)
