"""Event source mappings of queues that Lambda refuses."""

import pytest

from lab.functions.mappings import objection, with_numbers


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"BatchSize": 11}, "greater than 0 if maximum batch size is greater than 10"),
        ({"BatchSize": 10_001, "MaximumBatchingWindowInSeconds": 1}, "BatchSize"),
        ({"BatchSize": -1}, "BatchSize"),
        ({"MaximumBatchingWindowInSeconds": 301}, "MaximumBatchingWindowInSeconds"),
    ],
)
def test_a_mapping_out_of_bounds_is_refused(mapping: dict[str, int], words: str) -> None:
    assert words in objection(mapping, visibility=60, timeout=60)


def test_messages_stay_hidden_as_long_as_the_function_may_run() -> None:
    assert "Queue visibility timeout: 59 seconds" in objection({}, visibility=59, timeout=60)


@pytest.mark.parametrize(
    "mapping", [{}, {"BatchSize": "10"}, {"BatchSize": 10_000, "MaximumBatchingWindowInSeconds": 300}]
)
def test_what_lambda_takes_is_taken(mapping: dict[str, object]) -> None:
    assert objection(mapping, visibility=60, timeout=60) == ""


def test_the_text_of_a_parameter_is_a_number_to_the_poller() -> None:
    given = {"BatchSize": 10, "ScalingConfig": {"MaximumConcurrency": "2"}}
    assert with_numbers(given) == {"BatchSize": 10, "ScalingConfig": {"MaximumConcurrency": 2}}
    assert with_numbers({"BatchSize": 10}) == {"BatchSize": 10}
