"""Metrics are lines on stdout in CloudWatch's embedded format: one namespace, one unit a name, Stack always."""

import json
from typing import Any

import pytest
from linkgate.metrics import NAMESPACE, UNITS, emit, spread

from lab.cloudwatch.emf import extract


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_metric_of_the_stack_has_the_stack_as_its_only_dimension(capsys: pytest.CaptureFixture[str]) -> None:
    emit("linkgate", {"Failures": 2})
    (line,) = lines(capsys)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == NAMESPACE == "Linkgate"
    assert directive["Dimensions"] == [["Stack"]]
    assert [(metric["Name"], metric["Unit"]) for metric in directive["Metrics"]] == [("Failures", "Count")]
    assert (line["Stack"], line["Failures"]) == ("linkgate", [2.0])


def test_a_metric_of_a_service_has_the_service_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    emit("linkgate", {"ProbedEndpoints": 0, "UnhealthyEndpoints": 1}, "vpce-svc-1")
    (line,) = lines(capsys)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert [sorted(names) for names in directive["Dimensions"]] == [["Service", "Stack"]]
    assert (line["Service"], line["ProbedEndpoints"], line["UnhealthyEndpoints"]) == ("vpce-svc-1", [0.0], [1.0])


def test_what_is_finer_than_a_service_has_its_own_dimension_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    emit("linkgate", {"UnhealthyAddresses": 2}, "vpce-svc-1", Zone="eu-west-1a")
    (line,) = lines(capsys)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert [sorted(names) for names in directive["Dimensions"]] == [["Service", "Stack", "Zone"]]
    assert (line["Zone"], line["UnhealthyAddresses"]) == ("eu-west-1a", [2.0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [1, 99, 100, 101, 250])
def test_raw_values_count_for_the_stack_once_and_those_of_a_service_for_it_as_well(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {"DnsTime": [0.5], "TotalTime": [float(number) for number in range(count)]}
    spread("linkgate", wanted, "vpce-svc-1")
    found: dict[tuple[str, bool], list[float]] = {}
    for line in lines(capsys):
        now = line["_aws"]["Timestamp"] / 1000
        for it in extract(json.dumps(line), now):
            assert it.unit == "Milliseconds"
            assert it.dimensions in ({"Stack": "linkgate"}, {"Stack": "linkgate", "Service": "vpce-svc-1"})
            found.setdefault((it.name, "Service" in it.dimensions), []).extend(it.values)
    assert found == {(name, False): values for name, values in wanted.items()} | {
        ("TotalTime", True): wanted["TotalTime"]
    }


@pytest.mark.filterwarnings("error")
def test_no_raw_values_are_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    spread("linkgate", {"TotalTime": []}, "vpce-svc-1")
    assert lines(capsys) == []


def test_nothing_to_say_is_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    emit("linkgate", {})
    assert lines(capsys) == []


def test_one_emission_does_not_leak_into_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    emit("linkgate", {"Failures": 1}, "vpce-svc-1")
    emit("linkgate", {"Decisions": 1})
    last = lines(capsys)[-1]
    assert "Failures" not in last
    assert "Service" not in last


@pytest.mark.parametrize("name", UNITS)
def test_every_metric_can_be_emitted(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    emit("linkgate", {name: 1.5})
    assert lines(capsys)[0][name] == [1.5]


def test_a_metric_that_nobody_has_named_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        emit("linkgate", {"Surprises": 1})
