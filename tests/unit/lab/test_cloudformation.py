"""Templates that the lab's CloudFormation refuses, and what its conditions understand."""

from typing import Any

import pytest
from ministack.services.cloudformation import engine  # type: ignore[import-untyped]

from lab import cloudformation

LIST = {"Subnets": {"Type": "CommaDelimitedList", "Default": ""}, "Zone": {"Type": "String"}}


@pytest.mark.parametrize("kind", ["CommaDelimitedList", "List<AWS::EC2::Subnet::Id>"])
def test_no_rule_refers_to_a_list(kind: str) -> None:
    condition = {"Fn::Not": [{"Fn::Contains": [{"Ref": "Subnets"}, ""]}]}
    rules = {"Any": {"Assertions": [{"Assert": condition}]}}
    with pytest.raises(ValueError, match="the list Subnets"):
        cloudformation.require_single_values({"Parameters": {"Subnets": {"Type": kind}}, "Rules": rules})


def test_a_rule_may_look_for_a_single_value_in_a_list_that_it_spells_out() -> None:
    rules = {"Any": {"Assertions": [{"Assert": {"Fn::Contains": [["a", "b"], {"Ref": "Zone"}]}}]}}
    cloudformation.require_single_values({"Parameters": LIST, "Rules": rules})
    cloudformation.require_single_values({"Parameters": LIST})


@pytest.mark.parametrize(("index", "items"), [(0, []), (0, [""]), (1, ["a"]), (-1, ["a"])])
def test_nothing_is_selected_out_of_bounds_or_from_an_empty_parameter(index: int, items: list[str]) -> None:
    with pytest.raises(ValueError, match=f"nonexistent value at index {index}"):
        cloudformation.select(index, items)
    assert cloudformation.select(1, ["", "b"]) == "b"


@pytest.mark.parametrize(("given", "expected"), [("", False), ("subnet-1, subnet-2", True)])
def test_a_condition_may_ask_whether_a_joined_list_is_empty(given: str, expected: bool) -> None:
    joined: dict[str, Any] = {"Fn::Join": ["", {"Ref": "Subnets"}]}
    conditions = {"Has": {"Fn::Not": [{"Fn::Equals": [joined, ""]}]}}
    values = {"Subnets": {"Value": given}}
    assert engine._evaluate_conditions({"Conditions": cloudformation.with_joins(conditions, values)}, values) == {
        "Has": expected
    }


def test_texts_and_parameters_are_joined_in_their_order() -> None:
    values = {"A": {"Value": "1,2"}}
    assert cloudformation.with_joins({"Fn::Join": ["-", ["x", {"Ref": "A"}]]}, values) == "x-1-2"
