"""The consumer's canary: one principal may invoke it, and it may do nothing but write its log."""

import ast
import fnmatch
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from linkgate.policy.canary import PREFIX

from tests.infrastructure.needs import LOGS, NETWORK
from tests.infrastructure.stack import ROOT, Check, Spoiled, Stack, arn, handler_of
from tests.infrastructure.stage import Stage
from tests.infrastructure.statements import role_statements
from tests.infrastructure.test_alarms import heading
from tests.infrastructure.test_functions import misinformed
from tests.infrastructure.test_interface import clashing_names, dangling
from tests.infrastructure.test_permissions import (
    OWN_CODE,
    STATEMENTS,
    foreign,
    grants,
    misplaced_trust,
    missing,
    surplus,
    wildcards,
)

PATROL = "arn:aws:iam::999999999999:role/patrol"


def invokers(stack: Stack) -> list[str]:
    """Ways to invoke the canary other than by the provider's patrol."""
    problems = []
    for name, one in stack.of("AWS::Lambda::Permission").items():
        if (one["Action"], one["Principal"]) != ("lambda:InvokeFunction", PATROL):
            problems.append(f"{name} lets {one['Principal']} do {one['Action']}")
    kinds = ("EventSourceMapping", "Url", "EventInvokeConfig", "Alias", "LayerVersionPermission")
    return problems + [f"{name} is a {kind}" for kind in kinds for name in stack.of(f"AWS::Lambda::{kind}")]


def shipped(stack: Stack) -> list[Path]:
    """The folders that a stack's functions and layers are built from."""
    layers = [str(one["Content"]["S3Key"]) for one in stack.of("AWS::Lambda::LayerVersion").values()]
    return [*(handler_of(one).parent for one in stack.functions().values()), *(ROOT / layer for layer in layers)]


def strangers(stack: Stack) -> list[str]:
    """What the shipped code takes from anywhere but the standard library and itself."""
    folders = shipped(stack)
    own = sys.stdlib_module_names | {path.stem for folder in folders for path in folder.iterdir()}
    problems = [f"{path} installs packages" for folder in folders for path in folder.glob("requirements*")]
    for path in [path for folder in folders for path in folder.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            problems += [f"{path} imports {name}" for name in names if name.split(".")[0] not in own]
    return problems


CHECKS = [invokers, missing, surplus, wildcards, foreign, misplaced_trust, misinformed, strangers]
CHECKS += [dangling, clashing_names]


@pytest.mark.parametrize("check", CHECKS)
def test_the_canary_is_what_its_consumer_was_told(canary: Stack, check: Check) -> None:
    assert check(canary) == []


def test_all_that_enters_the_consumers_account_is_a_dozen_files(canary: Stack) -> None:
    assert len([path for folder in shipped(canary) for path in folder.rglob("*.py")]) <= 12


def test_exactly_one_principal_may_invoke_it(canary: Stack) -> None:
    (permission,) = canary.of("AWS::Lambda::Permission").values()
    assert permission == {
        "FunctionName": "${CanaryFunction}",
        "Action": "lambda:InvokeFunction",
        "Principal": PATROL,
    }


def test_both_canaries_may_log_and_be_put_into_the_vpc_and_nothing_else(canary: Stack, whole: Stack) -> None:
    for stack in (canary, whole):
        found = {(grant.action, grant.resource) for grant, _ in grants(stack, "CanaryRole")}
        assert found == {*((action, arn("CanaryLog")) for action in LOGS), *((action, "*") for action in NETWORK)}


def test_both_canaries_are_one_function(canary: Stack, whole: Stack) -> None:
    theirs, ours = (stack.properties("CanaryFunction") for stack in (canary, whole))
    assert handler_of(theirs) == handler_of(ours)
    for key in ("Timeout", "MemorySize", "Handler", "Layers", "LoggingConfig"):
        assert theirs[key] == ours[key], key
    assert theirs["Environment"]["Variables"].keys() == ours["Environment"]["Variables"].keys()
    assert role_statements(canary, "CanaryRole") == role_statements(whole, "CanaryRole")


def test_what_lambda_does_with_network_interfaces_the_code_of_a_canary_may_not_do(canary: Stack) -> None:
    (denied,) = (one for one in role_statements(canary, "CanaryRole") if one["Effect"] == "Deny")
    assert (denied["Action"], denied["Resource"], denied["Condition"]) == ("ec2:*", "*", OWN_CODE)


def invoked(stack: Stack) -> set[str]:
    """What patrol may invoke."""
    found = grants(stack, "PatrolRole")
    return {grant.resource for grant, _ in found if grant.action.startswith("lambda:")}


def test_patrol_may_invoke_what_is_called_like_it_and_its_own_canary_alone(
    canary: Stack, bare: Stack, whole: Stack
) -> None:
    consumers = f"arn:aws:lambda:*:*:function:{PREFIX}*"
    assert (invoked(bare), invoked(whole)) == ({consumers}, {consumers, arn("CanaryFunction")})
    name = canary.properties("CanaryFunction")["FunctionName"]
    assert fnmatch.fnmatchcase(f"arn:aws:lambda:us-east-1:222222222222:function:{name}", consumers)


def test_its_log_is_the_one_that_lambda_writes_to(canary: Stack) -> None:
    function = canary.properties("CanaryFunction")
    assert canary.properties("CanaryLog")["LogGroupName"] == f"/aws/lambda/{function['FunctionName']}"
    assert function["LoggingConfig"] == {"LogGroup": "${CanaryLog}", "LogFormat": "JSON"}


def test_its_alarm_tells_the_consumers_topic_or_nobody_and_has_a_heading(canary: Stack) -> None:
    (alarm,) = canary.of("AWS::CloudWatch::Alarm").values()
    topic = [canary.parameters["AlarmTopicArn"]]
    actions = ("InsufficientDataActions", "AlarmActions", "OKActions")
    assert [alarm.get(action) for action in actions] == [topic, None, None]
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert heading(alarm) in headings


def test_its_alarm_rings_within_three_periods_when_nobody_sends_it_any_more(
    canary: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(canary, monkeypatch, str)
    rounds: list[Callable[[], None]] = [lambda: stage.count("CanaryFunction")]
    stage.each_minute += rounds
    for _ in range(20):
        stage.pass_minute()
    assert stage.state("HeartbeatAlarm") == "OK"
    stage.each_minute.clear()
    assert stage.until("HeartbeatAlarm", "INSUFFICIENT_DATA", 15 + 1)
    stage.each_minute += rounds
    assert stage.until("HeartbeatAlarm", "OK", 2)


SPOILED = [
    Spoiled(invokers, "PatrolMayInvoke.Principal", "*", "PatrolMayInvoke lets * do"),
    Spoiled(invokers, "PatrolMayInvoke.Action", "lambda:*", "do lambda:*"),
    Spoiled(invokers, "Open", {"Type": "AWS::Lambda::Url"}, "Open is a Url"),
    Spoiled(
        surplus,
        f"CanaryRole.{STATEMENTS}.WriteItsLog.Action.2",
        "s3:GetObject",
        "CanaryRole does not need s3:GetObject",
    ),
    Spoiled(strangers, "LAYER.Content.S3Key", "layers/common", "requirements.txt installs packages"),
    Spoiled(strangers, "LAYER.Content.S3Key", "layers/common", "metrics.py imports aws_lambda_powertools"),
]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_canary_that_others_could_use_is_named(canary: Stack, spoiled: Spoiled) -> None:
    (layer,) = canary.of("AWS::Lambda::LayerVersion")
    spoiled._replace(path=spoiled.path.replace("LAYER", layer)).assert_named(canary)
