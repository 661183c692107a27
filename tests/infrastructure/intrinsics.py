"""CloudFormation's intrinsic functions, offline: parameters filled in, conditions evaluated.

What exists only once it is deployed stays symbolic: `${BellQueue}` is a resource's Ref, `${BellQueue.Arn}` its ARN.
The Ref of a topic is its ARN and is written so. An intrinsic that no template uses is not known here, and says so.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

PSEUDO = {
    "AWS::StackName": "provider",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "111111111111",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}
NOTHING = object()
"""AWS::NoValue: the property, or the entry of the list, is not there."""


class Resolver:
    """Resolves parts of one template for one set of parameter values; those not given take their defaults."""

    def __init__(self, template: Mapping[str, Any], values: Mapping[str, str]) -> None:
        self._kinds = {name: resource["Type"] for name, resource in template["Resources"].items()}
        self._conditions = template.get("Conditions", {})
        declared: Mapping[str, Any] = template.get("Parameters", {})
        self.values: dict[str, Any] = {name: values.get(name, one.get("Default")) for name, one in declared.items()}
        for name, one in declared.items():
            if one["Type"] == "CommaDelimitedList" or one["Type"].startswith("List<"):
                self.values[name] = str(self.values[name]).split(",") if self.values[name] else []
        self._known: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::If": lambda it: self.resolve(it[1] if self.holds(it[0]) else it[2]),
            "Fn::Join": lambda it: it[0].join(map(str, self.resolve(it[1]))),
            "Fn::Split": lambda it: str(self.resolve(it[1])).split(it[0]),
            "Fn::Select": lambda it: self.resolve(it[1])[int(it[0])],
            "Fn::GetAZs": lambda _: [f"{PSEUDO['AWS::Region']}{zone}" for zone in "abc"],
            "Fn::Base64": self.resolve,
            "Fn::Equals": lambda it: self.resolve(it[0]) == self.resolve(it[1]),
            "Fn::Not": lambda it: not self.resolve(it[0]),
            "Condition": self.holds,
        }

    def holds(self, condition: str | None) -> bool:
        """Whether a named condition is true; none always is."""
        return condition is None or bool(self.resolve(self._conditions[condition]))

    def resolve(self, node: Any) -> Any:
        """The node with every intrinsic replaced by its value."""
        if isinstance(node, list):
            return [value for value in map(self.resolve, node) if value is not NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1 and (intrinsic := next(iter(node))) in self._known:
            argument = node[intrinsic]
            if intrinsic != "Condition" or isinstance(argument, str):
                return self._known[intrinsic](argument)
        if unknown := [key for key in node if str(key).startswith("Fn::")]:
            raise NotImplementedError(f"{unknown[0]} is not known to the tests' resolver: teach it")
        resolved = {key: self.resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not NOTHING}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NOTHING
        if name in PSEUDO or name in self.values:
            return PSEUDO.get(name) or self.values[name]
        return self._get_att([name, "Arn"]) if self._kinds.get(name) == "AWS::SNS::Topic" else f"${{{name}}}"

    def _get_att(self, path: list[str] | str) -> str:
        name, _, attribute = path.partition(".") if isinstance(path, str) else (path[0], "", path[1])
        return f"${{{name}.{'Arn' if attribute == 'TopicArn' else attribute}}}"

    def _sub(self, given: str | list[Any]) -> str:
        text, names = (given, {}) if isinstance(given, str) else (given[0], given[1])

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name in names:
                return str(self.resolve(names[name]))
            return self._get_att(name) if "." in name else str(self._ref(name))

        return re.sub(r"\$\{([^!}][^}]*)\}", value, text).replace("${!", "${")
