"""The template tells each function what its door demands, and the times in code and template fit together."""

import ast
from collections.abc import Callable
from typing import Any

import pytest
from linkgate import clients, entry
from linkgate.canary import LONGEST_CALL
from linkgate.settings import Settings
from prober.scope import VARIABLES

from tests.infrastructure.house import Module
from tests.infrastructure.stack import Properties, Stack, door, listed, named


def demanded(function: Properties) -> set[str]:
    """The variables that a door demands: the second argument of its Settings.from_env, or those of the scope."""
    module = Module(door(function))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Settings.from_env":
            given = node.args[1]
            names = module.constant(given.id) if isinstance(given, ast.Name) else given
            return {str(name).upper() for name in ast.literal_eval(names or given)}
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Scope.from_env":
            return set(VARIABLES)
    raise AssertionError(f"{door(function)} reads no settings")


def misinformed(stack: Stack) -> list[str]:
    """Functions whose door demands what the template does not give, or which are given what nobody reads."""
    settings = {name.upper() for name in Settings.__slots__}
    problems = []
    for name, function in stack.functions().items():
        given, needed = function["Environment"]["Variables"], demanded(function)
        known = needed if needed == set(VARIABLES) else settings
        problems += [f"{name} is not given {one}" for one in sorted(needed) if not given.get(one)]
        problems += [f"{name} is given {one}, which it does not read" for one in sorted(given.keys() - known)]
    return problems


def odd_ones_out(stack: Stack) -> list[str]:
    """Functions with another runtime, layer or handler than they ought to have, and aliases.

    A change of the layer alone publishes no new version, so behind an alias it would be deployed and never run.
    """
    layers = stack.of("AWS::Lambda::LayerVersion")
    runtime = stack.parameters["PythonRuntime"]
    problems = []
    for name, function in stack.functions().items():
        seen = (function["Runtime"], [named(layer) for layer in function.get("Layers", ())], function["Handler"])
        kind = "ProberLayer" if name == "CanaryFunction" else "CommonLayer"
        if seen != (wanted := (runtime, [layer for layer in layers if layer.startswith(kind)], "app.handler")):
            problems.append(f"{name} has {seen}, not {wanted}")
        if not door(function).exists():
            problems.append(f"{name} has no code at {door(function)}")
        if "FunctionName" in function:
            problems.append(f"{name} has a name that its replacement could not take")
    kinds = ("AWS::Lambda::Alias", "AWS::Lambda::Version")
    return problems + [f"{name} is a {kind}" for kind in kinds for name in stack.of(kind)]


def mistimed(stack: Stack) -> list[str]:
    """Timeouts that contradict those in the code."""
    functions = stack.functions()
    canary = functions.get("CanaryFunction", {"Timeout": 0})["Timeout"]
    waits: float = clients.PATIENT.read_timeout  # type: ignore[attr-defined]
    fits = {
        f"patrol waits {waits} s for the canary, which may take {canary} s": canary < waits,
        f"patrol's {functions['PatrolFunction']['Timeout']} s end before a wait for the canary": waits
        < functions["PatrolFunction"]["Timeout"],
        f"patrol begins no call in its {functions['PatrolFunction']['Timeout']} s": waits
        < LONGEST_CALL
        < functions["PatrolFunction"]["Timeout"],
        f"a decision's lease of {entry.LEASE} ends before the approver": functions["ApproveFunction"]["Timeout"]
        <= entry.LEASE.total_seconds(),
    }
    return [problem for problem, holds in fits.items() if not holds]


CHECKS = [misinformed, odd_ones_out, mistimed]


@pytest.mark.parametrize("check", CHECKS)
def test_every_function_is_what_its_code_expects(stack: Stack, check: Callable[[Stack], list[str]]) -> None:
    assert check(stack) == []


def test_every_door_is_deployed(whole: Stack, document: dict[str, Any]) -> None:
    doors = {door(function) for function in whole.functions().values()}
    folder = next(iter(doors)).parents[1]
    assert doors == set(folder.glob("*/app.py"))


def _variables(stack: Stack) -> dict[str, str]:
    variables: dict[str, str] = stack.properties("ApproveFunction")["Environment"]["Variables"]
    return variables


SPOILED: list[tuple[Callable[[Stack], list[str]], Callable[[Stack], object], str]] = [
    (misinformed, lambda it: _variables(it).pop("LEDGER_TABLE"), "ApproveFunction is not given LEDGER_TABLE"),
    (misinformed, lambda it: _variables(it).update(STACK=""), "ApproveFunction is not given STACK"),
    (misinformed, lambda it: _variables(it).update(LEDGER="x"), "is given LEDGER, which it does not read"),
    (
        misinformed,
        lambda it: it.properties("CanaryFunction")["Environment"]["Variables"].pop("CANARY_CIDRS"),
        "CanaryFunction is not given CANARY_CIDRS",
    ),
    (odd_ones_out, lambda it: it.properties("SweepFunction").update(Runtime="python3.13"), "SweepFunction has"),
    (odd_ones_out, lambda it: it.properties("SweepFunction").pop("Layers"), "SweepFunction has"),
    (
        odd_ones_out,
        lambda it: listed(it.properties("CanaryFunction")["Layers"]).extend(it.properties("SweepFunction")["Layers"]),
        "CanaryFunction has",
    ),
    (odd_ones_out, lambda it: it.properties("SweepFunction")["Code"].update(S3Key="functions/x"), "has no code"),
    (odd_ones_out, lambda it: it.resources.update(Live={"Type": "AWS::Lambda::Alias"}), "Live is a AWS::Lambda::Alias"),
    (mistimed, lambda it: it.properties("CanaryFunction").update(Timeout=70), "the canary, which may take 70 s"),
    (mistimed, lambda it: it.properties("PatrolFunction").update(Timeout=60), "patrol's 60 s end before"),
    (mistimed, lambda it: it.properties("PatrolFunction").update(Timeout=75), "patrol begins no call in its 75 s"),
    (mistimed, lambda it: it.properties("ApproveFunction").update(Timeout=90), "ends before the approver"),
]


@pytest.mark.parametrize(("check", "spoil", "problem"), SPOILED)
def test_a_function_that_would_fail_at_its_first_event_is_named(
    draft: Stack, check: Callable[[Stack], list[str]], spoil: Callable[[Stack], object], problem: str
) -> None:
    spoil(draft)
    assert any(problem in found for found in check(draft)), check(draft)
