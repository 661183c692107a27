"""An alarm that should ring rings (alarms.py says what is checked)."""

import json
import re
from collections.abc import Callable

import pytest
from linkgate import metrics

from tests.infrastructure.alarms import STACK, Record, blinking, deaf, heading, mute
from tests.infrastructure.stack import ROOT, Properties, Stack

RUNBOOK = ROOT / "docs" / "runbook.md"


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Record:
    """The EMF line in which every metric of the whole stack is written."""
    capsys.readouterr()
    metrics.emit(STACK, dict.fromkeys(metrics.UNITS, 1))
    line: Record = json.loads(capsys.readouterr().out)
    return line


def test_every_alarm_reads_what_is_written(stack: Stack, written: Record) -> None:
    assert deaf(stack, written) == []


def test_no_alarm_goes_back_to_ok_between_two_rounds(stack: Stack) -> None:
    assert blinking(stack) == []


def test_every_alarm_rings_both_ways_and_names_its_heading_of_the_runbook(stack: Stack) -> None:
    assert mute(stack) == []


def test_the_runbook_has_a_heading_for_every_alarm(whole: Stack) -> None:
    headings = set(re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE))
    assert {heading(alarm) for alarm in whole.of("AWS::CloudWatch::Alarm").values()} - headings == set()


def test_every_alarm_exists_without_a_canary_too_since_rows_may_name_others(bare: Stack, whole: Stack) -> None:
    assert set(whole.of("AWS::CloudWatch::Alarm")) == set(bare.of("AWS::CloudWatch::Alarm"))


ALARM = "UnhealthyAlarm"
SPOILED: list[tuple[Callable[[Stack, Record], list[str]], Callable[[Properties], object], str]] = [
    (deaf, lambda it: it.update(Namespace="linkgate"), "reads namespace linkgate"),
    (deaf, lambda it: it.update(MetricName="Unhealthy"), "which metrics.UNITS does not know"),
    (deaf, lambda it: it.update(Unit="Seconds"), "reads unit Seconds"),
    (deaf, lambda it: it.pop("Unit"), "reads unit None"),
    (deaf, lambda it: it["Dimensions"].append({"Name": "Service", "Value": "x"}), "reads dimensions"),
    (deaf, lambda it: it["Dimensions"][0].update(Value="another"), "reads dimensions"),
    (deaf, lambda it: it["Dimensions"][0].update(Name="StackName"), "reads dimensions"),
    (lambda stack, _: blinking(stack), lambda it: it.update(Period=20), f"{ALARM} looks back 40 s"),
    (lambda stack, _: mute(stack), lambda it: it.pop("OKActions"), "both ways"),
    (lambda stack, _: mute(stack), lambda it: it.update(AlarmActions=["${NotificationTopic.Arn}"]), "both ways"),
    (lambda stack, _: mute(stack), lambda it: it.update(ActionsEnabled=False), "switched off"),
    (lambda stack, _: mute(stack), lambda it: it.update(AlarmDescription="Bad."), "names no heading"),
    (lambda stack, _: mute(stack), lambda it: it.update(TreatMissingData="breaching"), "treats missing data"),
    (lambda stack, _: mute(stack), lambda it: it.update(AlarmName=f"{STACK}-other"), "its heading endpoint-unhealthy"),
]


@pytest.mark.parametrize(("check", "spoil", "problem"), SPOILED)
def test_an_alarm_that_would_not_ring_is_named(
    draft: Stack,
    written: Record,
    check: Callable[[Stack, Record], list[str]],
    spoil: Callable[[Properties], object],
    problem: str,
) -> None:
    spoil(draft.properties(ALARM))
    assert any(problem in found for found in check(draft, written)), check(draft, written)


def test_a_metric_that_no_function_emits_is_named(draft: Stack, written: Record) -> None:
    del draft.resources["PatrolFunction"]
    assert any("UnhealthyEndpoints, which no function emits" in found for found in deaf(draft, written))
