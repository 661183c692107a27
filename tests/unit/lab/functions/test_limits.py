"""Functions that Lambda does not make: their names and their environment."""

import json

import pytest

from lab.functions.limits import LARGEST_ENVIRONMENT, RESERVED, objection


def refused(**variables: str) -> str:
    """The words about a function with this environment, "" if it is made."""
    _, words = objection({"FunctionName": "f", "Environment": {"Variables": variables}}) or ("", "")
    return words


def test_a_name_has_up_to_64_characters_without_what_stands_before_it_in_an_arn() -> None:
    arn = "arn:aws:lambda:eu-west-1:111111111111:function:"
    for name in ("x" * 64, arn + "x" * 64):
        assert objection({"FunctionName": name}) is None
    for name in ("x" * 65, arn + "x" * 65):
        assert objection({"FunctionName": name})


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_names_that_lambda_sets_itself_are_refused(name: str) -> None:
    assert refused(**{name: "x"}).endswith(f"Reserved keys used in this request: {name}")


@pytest.mark.parametrize("name", ["_MINE", "1", "A", "A-B", "", "\u00c4B"])
def test_what_is_no_name_of_a_variable_is_refused(name: str) -> None:
    assert "validation error" in refused(**{name: "x"})


def test_names_that_only_look_reserved_are_taken() -> None:
    assert refused(AWS_LAMBDA_EXEC_WRAPPER="/opt/x", AWS_MINE="x", TZ="UTC") == ""


def test_an_environment_has_four_kilobytes_of_json() -> None:
    room = LARGEST_ENVIRONMENT - len(json.dumps({"AB": ""}, separators=(",", ":")))
    assert refused(AB="x" * room) == ""
    assert "exceeded the 4KB limit" in refused(AB="x" * (room + 1))
    assert "exceeded the 4KB limit" in refused(AB="\n" * (room // 2 + 1))
