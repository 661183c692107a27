"""What users hold on to: parameters, outputs, names, samconfig.toml; and what CloudFormation reads of a template."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab import cloudformation
from tests.e2e.preflight import CANARY, LONGEST_FUNCTION, LONGEST_STACK
from tests.infrastructure.intrinsics import PSEUDO
from tests.infrastructure.stack import GONE, REFERENCE, ROOT, Check, Spoiled, Stack, parsed, walk

PARAMETERS = {
    "AlarmEmail",
    "CanarySecurityGroupIds",
    "CanarySubnetIds",
    "DefaultProbe",
    "LogRetentionDays",
    "PatrolRate",
    "SweepRate",
    "TagValue",
}
OUTPUTS = {
    "AllowListTable",
    "LedgerTable",
    "EventBusName",
    "BellQueueUrl",
    "ApproveFunction",
    "SweepFunction",
    "PatrolFunction",
    "ApproveRoleArn",
    "PatrolRoleArn",
    "SweepRoleArn",
    "AlarmTopic",
    "DashboardName",
    "TagValue",
}


def dangling(stack: Stack) -> list[str]:
    """References to resources that are not there, perhaps because their condition is false."""
    below = {"Outputs": stack.outputs, **stack.resources}
    return [
        f"{name} refers to {reference[0]}"
        for name, node in below.items()
        for _, value in walk(node)
        for reference in (REFERENCE.finditer(value) if isinstance(value, str) else ())
        if reference[1] not in stack.resources
    ]


def clashing_names(stack: Stack) -> list[str]:
    """Resources whose name a second stack of the same template in the same account and Region would take too."""
    problems = []
    for name, resource in stack.resources.items():
        for key in ("Name", resource["Type"].rpartition("::")[2] + "Name"):
            given = resource.get("Properties", {}).get(key)
            if given is not None and PSEUDO["AWS::StackName"] not in given:
                problems.append(f"{name} is called {given} in every stack")
    return problems


@pytest.mark.parametrize("check", [dangling, clashing_names])
def test_the_stack_can_be_deployed_as_often_as_somebody_likes(stack: Stack, check: Check) -> None:
    assert check(stack) == []


def test_outputs_are_those_of_the_contract_and_none_is_empty(bare: Stack, whole: Stack) -> None:
    assert set(bare.outputs) >= OUTPUTS
    assert set(whole.outputs) - set(bare.outputs) == {"CanaryFunction"}
    assert all(whole.outputs.values())


LONGEST_PATTERN = 2048
"""Characters of a rule's pattern (Amazon EventBridge quotas)."""
LONGEST = {
    "AWS::CloudWatch::Alarm": ("AlarmName", 255),
    "AWS::CloudWatch::Dashboard": ("DashboardName", 255),
    "AWS::Events::EventBus": ("Name", 256),
    "AWS::Lambda::Function": ("FunctionName", 64),
    "AWS::Lambda::LayerVersion": ("LayerName", 140),
    "AWS::Logs::LogGroup": ("LogGroupName", 512),
    "AWS::SNS::Topic": ("TopicName", 256),
}
"""By type, the property that names a resource, and how many characters that has (API references, CreateX or PutX)."""


def overlong_names(stack: Stack, of: int = LONGEST_STACK) -> list[str]:
    """Resources whose name would be too long in a stack whose own name has so many characters."""
    name, problems = "x" * of, []
    for one, resource in stack.resources.items():
        key, most = LONGEST.get(resource["Type"], ("", 0))
        given = resource.get("Properties", {}).get(key, "").replace(PSEUDO["AWS::StackName"], name)
        if len(given) > most:
            problems.append(f"{one} would be called {given}: {len(given)} characters")
    return problems


def test_whatever_the_stack_is_called_all_names_in_it_fit(stack: Stack) -> None:
    assert {resource["Type"] for resource in stack.resources.values()} >= LONGEST.keys()
    assert overlong_names(stack) == []


def test_whatever_the_stack_is_called_the_patterns_of_its_rules_fit(whole: Stack) -> None:
    alarms = {name: alarm["AlarmName"] for name, alarm in whole.of("AWS::CloudWatch::Alarm").items()}
    for rule in whole.of("AWS::Events::Rule").values():
        pattern = json.dumps(rule["EventPattern"])
        for name, called in alarms.items():
            pattern = pattern.replace(f"${{{name}}}", called)
        assert len(pattern.replace(PSEUDO["AWS::StackName"], "x" * LONGEST_STACK)) <= LONGEST_PATTERN


def test_a_consumers_canary_has_a_stack_of_at_most_48_characters(canary: Stack) -> None:
    most = LONGEST_FUNCTION - len(CANARY)
    assert overlong_names(canary, most) == []
    assert len(overlong_names(canary, most + 1)) == 1
    assert f"a stack's has {most}." in (ROOT / "stacks" / "consumer-canary.yaml").read_text()


@pytest.mark.parametrize("name", ["template.yaml", "stacks/consumer-canary.yaml"])
def test_a_parameter_that_is_held_to_a_form_says_which_in_words(name: str) -> None:
    parameters = parsed(ROOT / name)["Parameters"]
    held = {key: one.get("ConstraintDescription", "") for key, one in parameters.items() if "AllowedPattern" in one}
    assert {key: words for key, words in held.items() if not words.startswith("must be ")} == {}


@pytest.mark.parametrize("name", ["template.yaml", "stacks/consumer-canary.yaml", "stacks/demo.yaml"])
def test_rules_refer_to_single_values_alone(name: str) -> None:
    cloudformation.require_single_values(parsed(ROOT / name))


def test_every_parameter_has_a_default_and_a_description(document: dict[str, Any]) -> None:
    assert set(document["Parameters"]) >= PARAMETERS
    assert [name for name, one in document["Parameters"].items() if not {"Default", "Description"} <= one.keys()] == []


def test_every_parameter_is_used(document: dict[str, Any]) -> None:
    text = str([document[part] for part in ("Conditions", "Globals", "Resources")])
    used = {name for name in document["Parameters"] if f"'Ref': '{name}'" in text or f"${{{name}}}" in text}
    assert set(document["Parameters"]) - used == set()


SPOILED = [
    Spoiled(dangling, "CanaryFunction", GONE, "PatrolFunction refers to ${CanaryFunction}"),
    Spoiled(dangling, "CanaryFunction", GONE, "Outputs refers to ${CanaryFunction}"),
    Spoiled(overlong_names, "StaleAlarm.AlarmName", "y" * 256, "StaleAlarm would be called "),
    Spoiled(clashing_names, "ApproveLog.LogGroupName", "linkgate", "ApproveLog is called linkgate in every stack"),
    Spoiled(clashing_names, "EventBus.Name", "linkgate", "EventBus is called linkgate in every stack"),
    Spoiled(clashing_names, "StaleAlarm.AlarmName", "linkgate", "StaleAlarm is called linkgate in every stack"),
]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_stack_that_could_not_be_deployed_is_named(whole: Stack, spoiled: Spoiled) -> None:
    spoiled.assert_named(whole)


def anchors(text: str) -> Iterator[str]:
    """YAML anchors and aliases, which CloudFormation does not take: `sam build` resolves them."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if anchor := getattr(event, "anchor", None):
            yield str(anchor)


def test_templates_with_anchors_are_built_before_they_are_deployed() -> None:
    for path in (ROOT / "template.yaml", *(ROOT / "stacks").glob("*.yaml")):
        text = path.read_text()
        assert "AWS::Serverless" in text or not list(anchors(text)), f"{path.name} is deployed as it stands"
    assert list(anchors((ROOT / "template.yaml").read_text()))


def unspoken(config: dict[str, Any]) -> list[str]:
    """What environments of samconfig.toml leave out: they inherit nothing from `default`."""
    environments = {name: one for name, one in config.items() if isinstance(one, dict)}
    return [
        f"{name}.{command} does not say {key}"
        for name, environment in environments.items()
        for command, said in environments["default"].items()
        for key in said["parameters"]
        if key not in environment.get(command, {}).get("parameters", {})
    ]


def test_every_environment_of_samconfig_spells_out_what_default_says() -> None:
    assert unspoken(tomllib.loads((ROOT / "samconfig.toml").read_text())) == []


def test_an_environment_that_relies_on_inheritance_is_named() -> None:
    config = {"default": {"build": {"parameters": {"cached": True}}}, "prod": {"build": {"parameters": {}}}, "dev": {}}
    assert unspoken(config) == ["prod.build does not say cached", "dev.build does not say cached"]
