"""Every alarm reads a metric that is really written, in the shape it is written in, and says what to do."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from linkgate import metrics

from tests.infrastructure.intrinsics import PSEUDO
from tests.infrastructure.stack import Properties, Stack, door, schedules

STACK = PSEUDO["AWS::StackName"]
SILENT = ("patrol-silent", "sweep-silent")

Record = Mapping[str, Any]


def alarms(stack: Stack) -> Iterator[tuple[str, Properties]]:
    """The alarms on our own metrics."""
    for name, alarm in stack.of("AWS::CloudWatch::Alarm").items():
        if not alarm["Namespace"].startswith("AWS/"):
            yield name, alarm


def emitted(path: Path) -> set[str]:
    """The metrics that a door's code names as keys of what it emits."""
    keys = (key for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Dict) for key in node.keys)
    return {str(key.value) for key in keys if isinstance(key, ast.Constant)} & metrics.UNITS.keys()


def deaf(stack: Stack, line: Record) -> list[str]:
    """Alarms on a metric, a unit or dimensions that nothing writes."""
    directive = line["_aws"]["CloudWatchMetrics"][0]
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    dimensions = [{name: line[name] for name in names} for names in directive["Dimensions"]]
    doors = set().union(*(emitted(door(function)) for function in stack.functions().values()))
    problems = []
    for name, alarm in alarms(stack):
        if alarm["Namespace"] != directive["Namespace"]:
            problems.append(f"{name} reads namespace {alarm['Namespace']}")
        if alarm["MetricName"] not in units:
            problems.append(f"{name} reads {alarm['MetricName']}, which metrics.UNITS does not know")
        if alarm["MetricName"] not in doors:
            problems.append(f"{name} reads {alarm['MetricName']}, which no function emits")
        if alarm.get("Unit") != units.get(alarm["MetricName"]):
            problems.append(f"{name} reads unit {alarm.get('Unit')}")
        if {one["Name"]: one["Value"] for one in alarm["Dimensions"]} not in dimensions:
            problems.append(f"{name} reads dimensions {alarm['Dimensions']}, written are {dimensions}")
    return problems


def blinking(stack: Stack) -> list[str]:
    """Alarms on a gauge that look less far back than it is written: they go back to OK between two rounds."""
    rates: dict[str, int] = {}
    for name, rate in schedules(stack).items():
        rates |= dict.fromkeys(emitted(door(stack.properties(name))), rate)
    problems = []
    for name, alarm in alarms(stack):
        window = alarm["Period"] * alarm["EvaluationPeriods"]
        needed = rates.get(alarm["MetricName"], 0) * (alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"])
        if alarm["TreatMissingData"] == "breaching" and not alarm.get("DatapointsToAlarm"):
            needed = rates[alarm["MetricName"]]  # rings only if every period is silent
        if alarm["Statistic"] != "Sum" and window < needed:
            problems.append(f"{name} looks back {window} s for what takes {needed} s to be written")
    return problems


def mute(stack: Stack) -> list[str]:
    """Alarms that ring nobody, say nothing, or take silence for the wrong thing."""
    problems = []
    topic = [stack.outputs["AlarmTopic"]]
    for name, alarm in stack.of("AWS::CloudWatch::Alarm").items():
        if (alarm.get("AlarmActions"), alarm.get("OKActions")) != (topic, topic):
            problems.append(f"{name} does not ring {topic[0]} both ways")
        if not alarm.get("ActionsEnabled", True):
            problems.append(f"{name} has its actions switched off")
        if not re.search(r"docs/runbook\.md#[a-z0-9-]+$", alarm.get("AlarmDescription", "")):
            problems.append(f"{name} names no heading of docs/runbook.md")
        elif heading(alarm) != alarm["AlarmName"].removeprefix(f"{STACK}-"):
            problems.append(f"{name} is called {alarm['AlarmName']} and its heading {heading(alarm)}")
        missing = "breaching" if heading(alarm) in SILENT else "notBreaching"
        if alarm.get("TreatMissingData") != missing:
            problems.append(f"{name} treats missing data as {alarm.get('TreatMissingData')}, not {missing}")
    return problems


def heading(alarm: Properties) -> str:
    """The heading of the runbook that an alarm names."""
    return str(alarm.get("AlarmDescription", "")).rpartition("#")[2]
