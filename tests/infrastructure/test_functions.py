"""The template tells each function what its handler demands, and the times in code and template fit together."""

import ast
from typing import Any

import pytest
from linkgate.aws import clients
from linkgate.config import Settings
from linkgate.ledger import items
from linkgate.patrol.canaries import LONGEST_CALL
from prober.scope import OPTIONAL, VARIABLES

from lab.functions.limits import objection
from tests.infrastructure.source import Module
from tests.infrastructure.stack import GONE, ROOT, Check, Properties, Spoiled, Stack, handler_of, named, parsed


def demanded(function: Properties) -> set[str]:
    """The variables that a handler demands: the second argument of its Settings.from_env, or those of the scope."""
    module = Module(handler_of(function))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Settings.from_env":
            given = node.args[1]
            names = module.constant(given.id) if isinstance(given, ast.Name) else given
            return {str(name).upper() for name in ast.literal_eval(names or given)}
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Scope.from_env":
            return set(VARIABLES)
    raise AssertionError(f"{handler_of(function)} reads no settings")


def misinformed(stack: Stack) -> list[str]:
    """Functions whose handler demands what the template does not give, or which are given what nobody reads."""
    settings = {name.upper() for name in Settings.__slots__}
    problems = []
    for name, function in stack.functions().items():
        given, needed = function["Environment"]["Variables"], demanded(function)
        known = needed | set(OPTIONAL) if needed == set(VARIABLES) else settings
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
        if not handler_of(function).exists():
            problems.append(f"{name} has no code at {handler_of(function)}")
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
        f"a decision's lease of {items.LEASE} ends before the approver": functions["ApproveFunction"]["Timeout"]
        <= items.LEASE.total_seconds(),
    }
    return [problem for problem, holds in fits.items() if not holds]


@pytest.mark.parametrize("name", ["template.yaml", "stacks/consumer-canary.yaml"])
def test_whatever_python_is_there_builds_every_function_and_layer(name: str) -> None:
    template = ROOT / name
    built = [one for one in parsed(template)["Resources"].values() if one["Type"].startswith("AWS::Serverless::")]
    assert len(built) >= 2
    for one in built:
        assert one["Metadata"]["BuildMethod"] == "makefile"  # SAM's own wants the runtime's very version on the PATH
        assert (template.parent / one["Metadata"]["ContextPath"] / "Makefile").exists()


CHECKS = [misinformed, odd_ones_out, mistimed]


@pytest.mark.parametrize("check", CHECKS)
def test_every_function_is_what_its_code_expects(stack: Stack, check: Check) -> None:
    assert check(stack) == []


def test_every_handler_is_deployed(whole: Stack, document: dict[str, Any]) -> None:
    handlers = {handler_of(function) for function in whole.functions().values()}
    folder = next(iter(handlers)).parents[1]
    assert handlers == set(folder.glob("*/app.py"))


@pytest.mark.parametrize("name", ["template.yaml", "stacks/consumer-canary.yaml"])
def test_the_environment_of_a_canary_fits_into_4_kb_whatever_its_parameters_say(name: str) -> None:
    """A certificate in PEM has a line break after each 64 characters, which JSON writes as two."""
    template = parsed(ROOT / name)
    given = template["Resources"]["CanaryFunction"]["Properties"]["Environment"]["Variables"]
    parameters = {variable: template["Parameters"][one["Ref"]] for variable, one in given.items()}
    longest = {variable: most(one) * "x" for variable, one in parameters.items()}
    longest["CANARY_AUTHORITIES"] = ("x" * 64 + "\n") * (len(longest["CANARY_AUTHORITIES"]) // 65)
    assert objection({"Environment": {"Variables": longest}}) is None
    assert objection({"Environment": {"Variables": {**longest, "MORE": "x" * 100}}})


def most(parameter: Properties) -> int:
    """How long a parameter's value may be."""
    return max(map(len, parameter["AllowedValues"])) if "AllowedValues" in parameter else int(parameter["MaxLength"])


SPOILED = [
    Spoiled(misinformed, "ApproveFunction.Environment.Variables.LEDGER_TABLE", GONE, "is not given LEDGER_TABLE"),
    Spoiled(misinformed, "ApproveFunction.Environment.Variables.STACK", "", "ApproveFunction is not given STACK"),
    Spoiled(misinformed, "ApproveFunction.Environment.Variables.LEDGER", "x", "LEDGER, which it does not read"),
    Spoiled(misinformed, "CanaryFunction.Environment.Variables.CANARY_NAMES", GONE, "is not given CANARY_NAMES"),
    Spoiled(odd_ones_out, "SweepFunction.Runtime", "python3.13", "SweepFunction has"),
    Spoiled(odd_ones_out, "SweepFunction.Layers", GONE, "SweepFunction has"),
    Spoiled(odd_ones_out, "CanaryFunction.Layers", [], "CanaryFunction has"),
    Spoiled(odd_ones_out, "SweepFunction.Code.S3Key", "functions/x", "has no code"),
    Spoiled(odd_ones_out, "Live", {"Type": "AWS::Lambda::Alias"}, "Live is a AWS::Lambda::Alias"),
    Spoiled(mistimed, "CanaryFunction.Timeout", 70, "the canary, which may take 70 s"),
    Spoiled(mistimed, "PatrolFunction.Timeout", 60, "patrol's 60 s end before"),
    Spoiled(mistimed, "PatrolFunction.Timeout", 75, "patrol begins no call in its 75 s"),
    Spoiled(mistimed, "ApproveFunction.Timeout", 90, "ends before the approver"),
]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_function_that_would_fail_at_its_first_event_is_named(whole: Stack, spoiled: Spoiled) -> None:
    spoiled.assert_named(whole)
