"""A template as CloudFormation would see it: SAM transformed offline, conditions evaluated, parameters filled in."""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from tests.infrastructure.intrinsics import Resolver

ROOT = Path(__file__).parents[2]
BUCKET = "s3://packaged/"
UNITS = {"minute": 60, "hour": 3600, "day": 86400}
REFERENCE = re.compile(r"\$\{(\w+)(?:\.(\w+))?\}")

Properties = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stack:
    """Resources, outputs and parameter values; the resources whose condition is false are not there."""

    resources: dict[str, dict[str, Any]]
    outputs: dict[str, Any]
    parameters: dict[str, Any]

    def of(self, kind: str) -> dict[str, Properties]:
        """The properties of every resource of a type, by logical id."""
        return {name: self.properties(name) for name, one in self.resources.items() if one["Type"] == kind}

    def properties(self, name: str) -> Properties:
        """The properties of one resource; what is changed there changes the stack."""
        properties: Properties = self.resources[name].setdefault("Properties", {})
        return properties

    def kind(self, reference: object) -> str:
        """The type of the resource that `${Name}` or `${Name.Attribute}` refers to; "" if it is none of the stack's."""
        return str(self.resources.get(named(reference), {}).get("Type", ""))

    def functions(self) -> dict[str, Properties]:
        return self.of("AWS::Lambda::Function")


Check = Callable[[Stack], list[str]]
"""What is wrong with a stack, a sentence each."""
GONE = object()
"""In place of a value: there is none."""


class Spoiled(NamedTuple):
    """A change of a stack that a check must name, so that the check is known to see something.

    `path` leads from a logical id to a property: "BellQueue.RedrivePolicy.maxReceiveCount". In a list a number is an
    index, the one behind the last adds to it, and anything else the Sid of a statement.
    """

    check: Check
    path: str
    value: object
    problem: str

    def assert_named(self, stack: Stack) -> None:
        """The stack is left as it is."""
        draft = copy.deepcopy(stack)
        name, *keys = self.path.split(".")
        if keys and keys[0] not in draft.resources[name]:
            keys.insert(0, "Properties")
        node: Any = draft.resources
        *way, last = (name, *keys)
        for key in way:
            node = node[_position(node, key)]
        if self.value is GONE:
            del node[_position(node, last)]
        elif isinstance(node, list):
            node[(index := int(_position(node, last))) : index + 1] = [self.value]
        else:
            node[last] = self.value
        found = self.check(draft)
        assert any(self.problem in one for one in found), found


def _position(node: Any, key: str) -> Any:
    if not isinstance(node, list):
        return key
    return int(key) if key.isdigit() else [one.get("Sid") for one in node].index(key)


def named(reference: object) -> str:
    """The logical id in `${Name}` or `${Name.Attribute}`; "" if it is not such a reference and nothing else."""
    match = REFERENCE.fullmatch(str(reference))
    return match[1] if match else ""


def arn(name: str) -> str:
    """The symbolic ARN of a resource."""
    return f"${{{name}.Arn}}"


def handler_of(function: Properties) -> Path:
    """The source of a function: what its CodeUri said before it was packaged."""
    return ROOT / str(function["Code"]["S3Key"]) / "app.py"


def listed(value: Any) -> list[Any]:
    """What CloudFormation takes as one or as a list, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def schedules(stack: Stack) -> dict[str, int]:
    """How often each function runs by a schedule, in seconds, by its logical id."""
    found = {}
    for one in stack.of("AWS::Scheduler::Schedule").values():
        match = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", one["ScheduleExpression"])
        assert match, f"{one['ScheduleExpression']} is not a rate"
        found[named(one["Target"]["Arn"])] = int(match[1]) * UNITS[match[2]]
    return found


def walk(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value below a node, with the keys that lead to it; entries of lists have their list's path."""
    yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from walk(value, (*path, str(key)))
    elif isinstance(node, list):
        for value in node:
            yield from walk(value, path)


def parsed(path: Path) -> dict[str, Any]:
    """A template as it is written, its intrinsics in their long form."""
    document: dict[str, Any] = yaml_parse(path.read_text())
    return document


def transformed(document: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """A SAM template as plain CloudFormation. Needs a Region in the environment, as the SAM translator does."""
    packaged = copy.deepcopy(dict(document))
    for resource in packaged["Resources"].values():
        for key in ("CodeUri", "ContentUri"):
            if key in resource.get("Properties", {}):
                # Read from the checkout's root, wherever the template lies.
                resource["Properties"][key] = BUCKET + resource["Properties"][key].removeprefix("../")
    plain: dict[str, Any] = Translator({}, Parser()).translate(packaged, dict(values))
    return plain


def resolved(template: Mapping[str, Any], values: Mapping[str, str]) -> Stack:
    """A plain template with these parameter values."""
    resolver = Resolver(template, values)
    resources = {
        name: resolver.resolve({key: value for key, value in resource.items() if key != "Condition"})
        for name, resource in template["Resources"].items()
        if resolver.holds(resource.get("Condition"))
    }
    outputs = {
        name: resolver.resolve(output["Value"])
        for name, output in template.get("Outputs", {}).items()
        if resolver.holds(output.get("Condition"))
    }
    return Stack(resources, outputs, resolver.values)
