"""The alarm evaluator on a virtual clock: the tables of the CloudWatch User Guide, and what they leave to say."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lab.cloudwatch.alarms import Alarm, UnsupportedAlarm
from lab.cloudwatch.evaluation import Evaluation, evaluate
from lab.cloudwatch.series import Datapoint, value_of

MIDNIGHT = 1_700_006_400.0
"""A whole minute, hour and day, in epoch seconds."""
RECORD: dict[str, Any] = {
    "Namespace": "Linkgate",
    "MetricName": "UnhealthyEndpoints",
    "Dimensions": [{"Name": "Stack", "Value": "a"}],
    "Statistic": "Maximum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 3,
    "Threshold": 0.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "missing",
}


def alarm(**members: Any) -> Alarm:
    return Alarm.parse({**RECORD, **members})


def point(time: float, value: float, unit: str = "Count", dimensions: Mapping[str, str] | None = None) -> Datapoint:
    return Datapoint.of(time, value, {"Stack": "a"} if dimensions is None else dimensions, unit)


def minutes(pattern: str) -> list[Datapoint]:
    """One datapoint a minute, the last in the minute before midnight: X breaches, 0 does not, - is missing."""
    marks = pattern.split()
    start = MIDNIGHT - 60 * len(marks)
    return [point(start + 60 * n + 20, float(mark == "X")) for n, mark in enumerate(marks) if mark != "-"]


def verdict_of(watched: Alarm, points: list[Datapoint], now: float = MIDNIGHT) -> Evaluation:
    evaluation = evaluate(watched, points, now)
    assert evaluation is not None
    return evaluation


def state_of(watched: Alarm, points: list[Datapoint], now: float = MIDNIGHT) -> str | None:
    evaluation = evaluate(watched, points, now)
    return evaluation.state if evaluation else None


TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
INSUFFICIENT = "INSUFFICIENT_DATA"


@pytest.mark.parametrize(
    ("pattern", "states"),
    [
        ("0 - X - X", ("OK", "OK", "OK", "OK")),
        ("0 - - - -", ("OK", "OK", "OK", "OK")),
        ("- - - - -", (INSUFFICIENT, None, "ALARM", "OK")),
        ("0 X X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("- - X - -", ("ALARM", None, "ALARM", "OK")),
    ],
)
def test_three_of_three_is_as_in_the_guides_first_table(pattern: str, states: tuple[str | None, ...]) -> None:
    found = tuple(state_of(alarm(TreatMissingData=treatment), minutes(pattern)) for treatment in TREATMENTS)
    assert found == states


@pytest.mark.parametrize(
    ("pattern", "states"),
    [
        ("0 - X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("0 0 X 0 X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("0 - X - -", ("OK", "OK", "ALARM", "OK")),
        ("- - - - 0", ("OK", "OK", "ALARM", "OK")),
        ("- - - X -", ("ALARM", None, "ALARM", "OK")),
    ],
)
def test_two_of_three_is_as_in_the_guides_second_table(pattern: str, states: tuple[str | None, ...]) -> None:
    two = alarm(DatapointsToAlarm=2)
    found = tuple(state_of(replace(two, missing=treatment), minutes(pattern)) for treatment in TREATMENTS)
    assert found == states


@pytest.mark.parametrize(
    ("pattern", "state"),
    [
        ("- - - - X", INSUFFICIENT),
        ("- - - X -", INSUFFICIENT),
        ("- - - X X", INSUFFICIENT),
        ("- - X - X", "ALARM"),
        ("X - - - -", "ALARM"),
        ("0 - X - -", "OK"),
    ],
)
def test_a_lone_breach_fires_early_once_it_is_as_old_as_the_datapoints_to_alarm(pattern: str, state: str) -> None:
    assert state_of(alarm(), minutes(pattern)) == state


def test_three_of_five_fires_at_the_third_breach_and_recovers_when_too_few_are_left() -> None:
    three_of_five = alarm(EvaluationPeriods=5, DatapointsToAlarm=3)
    points = minutes("0 0 0 0 0 X 0 X X 0 0 0 0")
    start = MIDNIGHT - 13 * 60
    states = [state_of(three_of_five, points, start + 60 * minute) for minute in range(5, 14)]
    assert states == ["OK", "OK", "OK", "OK", "ALARM", "ALARM", "OK", "OK", "OK"]


def test_without_datapoints_to_alarm_every_evaluated_period_must_breach() -> None:
    record = {name: value for name, value in RECORD.items() if name != "DatapointsToAlarm"}
    assert state_of(Alarm.parse(record), minutes("0 X X")) == "OK"
    assert state_of(Alarm.parse(record), minutes("X X X")) == "ALARM"


def test_the_running_minute_is_not_looked_at_until_it_is_over() -> None:
    one = alarm(EvaluationPeriods=1, DatapointsToAlarm=1, TreatMissingData="notBreaching")
    points = [point(MIDNIGHT + 1, 1.0)]
    assert state_of(one, points, MIDNIGHT + 59.9) == "OK"
    assert state_of(one, points, MIDNIGHT + 60) == "ALARM"


def test_a_window_of_five_minutes_slides_by_the_minute() -> None:
    one = alarm(Period=300, EvaluationPeriods=1, DatapointsToAlarm=1, Statistic="Sum", Threshold=1.0)
    points = [point(MIDNIGHT - 230, 1.0), point(MIDNIGHT + 50, 1.0)]
    states = [state_of(one, points, MIDNIGHT + 60 * minute) for minute in range(3)]
    # Both are in the window from 23:56 to 00:01, one in that before and in that after.
    assert states == ["OK", "ALARM", "OK"]


def test_a_window_of_ten_seconds_slides_by_ten_seconds() -> None:
    one = alarm(Period=10, EvaluationPeriods=1, DatapointsToAlarm=1, TreatMissingData="notBreaching")
    states = [state_of(one, [point(MIDNIGHT + 1, 1.0)], MIDNIGHT + seconds) for seconds in (9.9, 10, 39.9, 40)]
    assert states == ["OK", "ALARM", "ALARM", "OK"]


def test_a_speed_of_twelve_makes_a_minute_five_seconds() -> None:
    one = alarm(EvaluationPeriods=1, DatapointsToAlarm=1, TreatMissingData="notBreaching")
    points = [point(MIDNIGHT + 1, 1.0)]
    states = [evaluate(one, points, MIDNIGHT + seconds, speed=12) for seconds in (4.9, 5, 19.9, 20)]
    assert [evaluation and evaluation.state for evaluation in states] == ["OK", "ALARM", "ALARM", "OK"]


@pytest.mark.parametrize("speed", [1, 7, 12, 13.7, 60])
def test_a_point_stamped_with_the_start_of_a_period_belongs_to_it_at_every_speed(speed: float) -> None:
    one = alarm(EvaluationPeriods=1, DatapointsToAlarm=1, Statistic="SampleCount", Threshold=1.0)
    length = 60 / speed
    first = int(MIDNIGHT / length)
    for minute in range(first, first + 50):
        # Two in a period would breach.
        points = [point((minute - ago) * length, 1.0) for ago in range(5)]
        evaluation = evaluate(one, points, (minute + 1) * length + 0.001, speed)
        assert evaluation is not None
        assert evaluation.data["recentDatapoints"] == [1.0]


def test_a_datapoint_of_another_dimension_value_changes_nothing() -> None:
    points = [replace(found, dimensions={"Stack": "b"}) for found in minutes("X X X X X")]
    assert state_of(alarm(), points) == INSUFFICIENT


@pytest.mark.parametrize("dimensions", [{}, {"Stack": "a", "Service": "s"}])
def test_fewer_or_more_dimensions_are_another_metric(dimensions: dict[str, str]) -> None:
    points = [replace(found, dimensions=dimensions) for found in minutes("X X X X X")]
    assert state_of(alarm(), points) == INSUFFICIENT
    same = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    assert state_of(alarm(Dimensions=same), points) == "ALARM"


def test_a_wrong_unit_does_not_match_and_no_unit_matches_every_one() -> None:
    points = minutes("X X X")
    assert state_of(alarm(Unit="Seconds"), points) == INSUFFICIENT
    assert state_of(alarm(Unit="Count"), points) == "ALARM"
    assert state_of(alarm(), points) == "ALARM"


def test_data_that_arrives_late_counts_in_the_minute_of_its_timestamp() -> None:
    in_time, late = minutes("0 0 0 - -"), minutes("- - - X X")
    assert state_of(alarm(DatapointsToAlarm=2), in_time) == "OK"
    # In the order of arrival, not of time.
    assert state_of(alarm(DatapointsToAlarm=2), [*reversed(late), *in_time]) == "ALARM"


def test_a_burst_within_one_minute_is_one_datapoint() -> None:
    burst = [point(MIDNIGHT - 30 + n, 1.0) for n in range(20)]
    assert state_of(alarm(DatapointsToAlarm=2), [*minutes("0 0 0 0 -"), *burst]) == "OK"


@pytest.mark.parametrize(
    ("comparison", "states"),
    [
        ("GreaterThanThreshold", ["OK", "OK", "ALARM"]),
        ("GreaterThanOrEqualToThreshold", ["OK", "ALARM", "ALARM"]),
        ("LessThanThreshold", ["ALARM", "OK", "OK"]),
        ("LessThanOrEqualToThreshold", ["ALARM", "ALARM", "OK"]),
    ],
)
def test_each_comparison_is_of_the_value_with_the_threshold(comparison: str, states: list[str]) -> None:
    one = alarm(EvaluationPeriods=1, DatapointsToAlarm=1, Threshold=2.0, ComparisonOperator=comparison)
    assert [state_of(one, [point(MIDNIGHT - 5, value)]) for value in (1.0, 2.0, 3.0)] == states


@pytest.mark.parametrize(
    ("statistic", "value"),
    [("SampleCount", 4), ("Sum", 10), ("Average", 2.5), ("Minimum", 1), ("Maximum", 4), ("p50", 2.5), ("p100", 4)],
)
def test_each_statistic_is_over_all_values_of_the_period(statistic: str, value: float) -> None:
    points = [point(MIDNIGHT, number) for number in (4.0, 1.0, 3.0, 2.0)]
    assert value_of(statistic, points) == value


def test_a_value_seen_often_weighs_as_much_in_a_percentile() -> None:
    often = Datapoint.of(MIDNIGHT, 1.0, {}, "None", count=99)
    once = Datapoint.of(MIDNIGHT, 100.0, {}, "None")
    assert value_of("p90", [once, often]) == 1.0
    assert value_of("Average", [once, often]) == 1.99


def test_no_percentile_is_told_of_negative_values_or_of_a_statistic_set() -> None:
    assert value_of("p90", [point(MIDNIGHT, -1.0)]) is None
    assert value_of("p90", [Datapoint(MIDNIGHT, {}, "None", 2, 3, 1, 2)]) is None


def test_the_extended_statistic_is_taken_before_the_default_one() -> None:
    assert alarm(ExtendedStatistic="p99.9", Statistic="Average").statistic == "p99.9"


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"MetricName": None, "Namespace": None}, "metric math"),
        ({"ComparisonOperator": "LessThanLowerThreshold"}, "LessThanLowerThreshold"),
        ({"ExtendedStatistic": "tm99"}, "tm99"),
        ({"ExtendedStatistic": "p101"}, "p101"),
        ({"TreatMissingData": "Breaching"}, "Breaching"),
        ({"Period": 0}, "positive"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_by_name(members: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UnsupportedAlarm, match=complaint):
        alarm(**members)


def test_the_reason_of_an_alarm_names_the_breaching_datapoints_newest_first() -> None:
    evaluation = verdict_of(alarm(DatapointsToAlarm=2), minutes("0 0 X 0 X"))
    assert evaluation.reason == (
        "Threshold Crossed: 2 out of the last 3 datapoints [1.0 (14/11/23 23:59:00), 1.0 (14/11/23 23:57:00)] "
        "were greater than the threshold (0.0) (minimum 2 datapoints for OK -> ALARM transition)."
    )


def test_the_reason_of_ok_names_the_datapoints_within_the_threshold() -> None:
    evaluation = verdict_of(alarm(EvaluationPeriods=5, DatapointsToAlarm=3), minutes("X 0 X - - 0 0"))
    assert evaluation.reason == (
        "Threshold Crossed: 3 out of the last 5 datapoints [0.0 (14/11/23 23:59:00), 0.0 (14/11/23 23:58:00), "
        "0.0 (14/11/23 23:54:00)] were not greater than the threshold (0.0) "
        "(minimum 3 datapoints for ALARM -> OK transition)."
    )


def test_the_reason_of_one_of_five_says_that_all_must_be_within_the_threshold() -> None:
    evaluation = verdict_of(alarm(EvaluationPeriods=5, DatapointsToAlarm=1), minutes("0 0 0 0 0"))
    assert "(minimum 5 datapoints for ALARM -> OK transition)" in evaluation.reason


@pytest.mark.parametrize(
    ("treatment", "reason"),
    [
        ("missing", "Insufficient Data: 3 datapoints were unknown."),
        (
            "breaching",
            "Threshold Crossed: no datapoints were received for 3 periods "
            "and 3 missing datapoints were treated as [Breaching].",
        ),
        (
            "notBreaching",
            "Threshold Crossed: no datapoints were received for 3 periods "
            "and 3 missing datapoints were treated as [NonBreaching].",
        ),
    ],
)
def test_the_reason_says_how_missing_data_was_treated(treatment: str, reason: str) -> None:
    assert verdict_of(alarm(TreatMissingData=treatment), []).reason == reason


def test_the_reason_data_holds_what_was_evaluated() -> None:
    points = [*minutes("X X - X"), point(MIDNIGHT - 30, 2.0)]
    evaluation = verdict_of(alarm(Unit="Count"), points, MIDNIGHT + 6.384)
    assert evaluation.data == {
        "version": "1.0",
        "queryDate": "2023-11-15T00:00:06.384+0000",
        "startDate": "2023-11-14T23:56:00.000+0000",
        "unit": "Count",
        "statistic": "Maximum",
        "period": 60,
        "recentDatapoints": [1.0, 1.0, 2.0],
        "threshold": 0.0,
        "evaluatedDatapoints": [
            {"timestamp": "2023-11-14T23:59:00.000+0000", "sampleCount": 2.0, "value": 2.0},
            {"timestamp": "2023-11-14T23:57:00.000+0000", "sampleCount": 1.0, "value": 1.0},
            {"timestamp": "2023-11-14T23:56:00.000+0000", "sampleCount": 1.0, "value": 1.0},
        ],
    }


def test_the_reason_data_lists_missing_datapoints_without_a_value() -> None:
    evaluation = verdict_of(alarm(TreatMissingData="breaching"), [])
    assert "startDate" not in evaluation.data
    assert evaluation.data["evaluatedDatapoints"][0] == {"timestamp": "2023-11-14T23:59:00.000+0000"}
