"""EMF lines: what becomes a metric, and that nothing else does or fails."""

import json
from typing import Any

import pytest

from lab.cloudwatch.emf import Measurement, extract

NOW = 1_700_000_000.0
DIRECTIVE: dict[str, Any] = {
    "Namespace": "Linkgate",
    "Dimensions": [["Service"]],
    "Metrics": [{"Name": "ProbedEndpoints", "Unit": "Count"}],
}


def metadata(*directives: object, **members: object) -> dict[str, Any]:
    return {"Timestamp": int(NOW * 1000), "CloudWatchMetrics": list(directives), **members}


def line(*directives: object, **members: object) -> str:
    return json.dumps({"_aws": metadata(*directives), "Service": "s", "ProbedEndpoints": 3, **members})


def values(message: object) -> list[tuple[float, ...]]:
    return [measurement.values for measurement in extract(message, NOW)]


def test_a_line_becomes_one_measurement_with_all_its_parts() -> None:
    found = extract(line(DIRECTIVE), NOW + 5)
    assert found == [Measurement("Linkgate", "ProbedEndpoints", {"Service": "s"}, "Count", NOW, (3.0,))]


def test_each_directive_gives_its_own_metrics() -> None:
    other = {"Namespace": "Other", "Dimensions": [[]], "Metrics": [{"Name": "Age"}]}
    found = extract(line(DIRECTIVE, other, Age=1.5), NOW)
    assert [(it.namespace, it.name, it.dimensions, it.unit) for it in found] == [
        ("Linkgate", "ProbedEndpoints", {"Service": "s"}, "Count"),
        ("Other", "Age", {}, "None"),
    ]


def test_each_dimension_set_is_another_metric_and_an_empty_one_has_no_dimensions() -> None:
    sets = {**DIRECTIVE, "Dimensions": [[], ["Service"], ["Service", "Zone"]]}
    found = [it.dimensions for it in extract(line(sets, Zone="a"), NOW)]
    assert found == [{}, {"Service": "s"}, {"Service": "s", "Zone": "a"}]


def test_no_dimension_set_at_all_is_no_metric() -> None:
    assert values(line({**DIRECTIVE, "Dimensions": []})) == []


def test_a_metric_may_have_several_values() -> None:
    assert values(line(DIRECTIVE, ProbedEndpoints=[1, 2.5, 0])) == [(1.0, 2.5, 0.0)]


def test_the_storage_resolution_changes_nothing() -> None:
    precise = {**DIRECTIVE, "Metrics": [{"Name": "ProbedEndpoints", "Unit": "Count", "StorageResolution": 1}]}
    assert extract(line(precise), NOW) == extract(line(DIRECTIVE), NOW)


def test_a_metric_without_a_value_is_skipped_and_the_others_are_kept() -> None:
    both = {**DIRECTIVE, "Metrics": [{"Name": "Absent"}, {"Name": "ProbedEndpoints"}]}
    assert [it.name for it in extract(line(both), NOW)] == ["ProbedEndpoints"]


@pytest.mark.parametrize("value", [None, 7, "", ["s"], {"a": "s"}])
def test_a_dimension_without_a_text_is_skipped_and_the_other_sets_are_kept(value: object) -> None:
    sets = {**DIRECTIVE, "Dimensions": [["Service", "Zone"], ["Service"]]}
    assert [it.dimensions for it in extract(line(sets, Zone=value), NOW)] == [{"Service": "s"}]
    absent = json.dumps({"_aws": metadata(sets), "Service": "s", "ProbedEndpoints": 3})
    assert [it.dimensions for it in extract(absent, NOW)] == [{"Service": "s"}]


@pytest.mark.parametrize("value", [None, "3", True, {}, [], ["3", None], 1e300, 10**400])
def test_what_is_no_number_for_cloudwatch_is_skipped(value: object) -> None:
    assert values(line(DIRECTIVE, ProbedEndpoints=value)) == []


def test_among_several_values_only_the_numbers_are_kept() -> None:
    message = line(DIRECTIVE, ProbedEndpoints=[1, "x", None, True, 2]).replace('"x"', "1e999")
    assert values(message) == [(1.0, 2.0)]


def test_a_line_with_nan_anywhere_is_not_json() -> None:
    assert values(line(DIRECTIVE, Remark=float("nan"))) == []


def test_a_unit_that_cloudwatch_does_not_know_is_skipped() -> None:
    assert values(line({**DIRECTIVE, "Metrics": [{"Name": "ProbedEndpoints", "Unit": "ms"}]})) == []
    assert values(line({**DIRECTIVE, "Metrics": [{"Name": "ProbedEndpoints", "Unit": "Megabytes/Second"}]})) == [(3.0,)]


def test_a_line_without_a_timestamp_counts_as_of_now() -> None:
    message = json.dumps({"_aws": {"CloudWatchMetrics": [DIRECTIVE]}, "Service": "s", "ProbedEndpoints": 3})
    assert [it.time for it in extract(message, NOW)] == [NOW]


@pytest.mark.parametrize("stamp", [NOW, (NOW - 15 * 86400) * 1000, (NOW + 3 * 3600) * 1000, "now", None, True, 10**400])
def test_a_timestamp_that_cloudwatch_refuses_gives_no_metric(stamp: object) -> None:
    message = json.dumps({"_aws": metadata(DIRECTIVE, Timestamp=stamp), "Service": "s", "ProbedEndpoints": 3})
    assert values(message) == []


def test_the_limits_of_the_format_hold() -> None:
    names = [f"d{n}" for n in range(31)]
    wide = {**DIRECTIVE, "Dimensions": [names]}
    assert values(line(wide, **dict.fromkeys(names, "v"))) == []
    many = {**DIRECTIVE, "Metrics": [{"Name": "ProbedEndpoints"}] * 101}
    assert values(line(many)) == []
    assert values(line(DIRECTIVE, ProbedEndpoints=[1] * 101)) == []
    assert values(line(DIRECTIVE, ProbedEndpoints=[1] * 100)) == [(1.0,) * 100]


@pytest.mark.parametrize(
    "message",
    [
        None,
        7,
        "",
        "CloudWatchMetrics",
        "START RequestId: 1 Version: $LATEST",
        '{"_aws": {"CloudWatchMetrics": [',
        '["_aws", "CloudWatchMetrics"]',
        '{"_aws": "CloudWatchMetrics"}',
        '{"_aws": {"CloudWatchMetrics": {}}}',
        '{"_aws": {"CloudWatchMetrics": [null, 7, [], "x", {}]}}',
        '{"CloudWatchMetrics": ' + "[" * 100_000,
        line({**DIRECTIVE, "Namespace": 7}),
        line({**DIRECTIVE, "Namespace": ""}),
        line({**DIRECTIVE, "Dimensions": "Service"}),
        line({**DIRECTIVE, "Dimensions": ["Service"]}),
        line({**DIRECTIVE, "Dimensions": [[["Service"]]]}),
        line({**DIRECTIVE, "Metrics": {"Name": "ProbedEndpoints"}}),
        line({**DIRECTIVE, "Metrics": [None, 7, "ProbedEndpoints", {}, {"Name": 7}, {"Name": ["ProbedEndpoints"]}]}),
        line({**DIRECTIVE, "Metrics": [{"Name": "ProbedEndpoints", "Unit": ["Count"]}]}),
        line(DIRECTIVE) + " trailing text",
    ],
)
def test_what_is_no_emf_is_ignored(message: object) -> None:
    assert extract(message, NOW) == []
