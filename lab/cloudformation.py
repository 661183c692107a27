"""What CloudFormation refuses, or may refuse, where ministack does it; and `Fn::Join` in conditions.

A table under deletion protection is not deleted, and none is created where there is one of the name: DynamoDB refuses
both (API reference, DeleteTable and CreateTable), and CloudFormation calls it like anybody else. Where AWS's documents
leave it open whether a form works, it is refused, so that templates use the other one.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ministack.services import dynamodb  # type: ignore[import-untyped]
from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks  # type: ignore[import-untyped]

Template = Mapping[str, Any]
Values = Mapping[str, Mapping[str, Any]]
"""A template's parameters: their names, and under "Value" what was given for them, a list as one text."""


def install() -> None:
    """Seams: the checks that need the template alone, Fn::Select, the evaluation of conditions, and tables."""
    check_rules, evaluate = engine._check_rules_section, engine._evaluate_conditions

    def check(template: Template) -> None:
        check_rules(template)
        require_single_values(template)

    def conditions(template: Template, values: Values) -> Any:
        return evaluate({**template, "Conditions": with_joins(template.get("Conditions", {}), values)}, values)

    _guard_tables()
    engine._check_rules_section, engine._select = check, select
    for module in (changesets, engine, handlers, provisioners, stacks):
        if hasattr(module, "_evaluate_conditions"):
            module._evaluate_conditions = conditions


def _guard_tables() -> None:
    handler = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create, delete = handler["create"], handler["delete"]

    def created(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        if (name := properties.get("TableName")) in dynamodb._tables:
            raise ValueError(f"{name} already exists")
        return create(logical_id, properties, stack)

    def deleted(name: str, properties: Mapping[str, Any]) -> None:
        # A parameter of a template makes the property the text "false".
        if str(dynamodb._tables.get(name, {}).get("DeletionProtectionEnabled")).lower() == "true":
            raise ValueError("Resource cannot be deleted as it is currently protected against deletion.")
        delete(name, properties)

    handler.update(create=created, delete=deleted)


def require_single_values(template: Template) -> None:
    """ValueError if a rule refers to a parameter that is a list.

    CloudFormation guide, "Rules": Fn::Contains takes a list of strings, and Ref is allowed in it; no example shows a
    Ref whose value is a list. Unconfirmed: whether AWS takes it, and the words.
    """
    declared = template.get("Parameters") or {}
    lists = {name for name, one in declared.items() if "List" in str(one.get("Type"))}
    if found := sorted(lists & set(_references(template.get("Rules") or {}))):
        raise ValueError(f"Template error: a rule refers to the list {', '.join(found)}; it takes single values")


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("Ref"), str):
            yield node["Ref"]
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _references(part)


def select(index: int, items: Sequence[Any]) -> Any:
    """Fn::Select; ValueError outside the list, and for a list parameter that is empty.

    The guide says only that Fn::Select does not check for an index out of bounds. Unconfirmed: whether an empty list
    parameter has one empty value; here it has none.
    """
    if not 0 <= index < len([] if list(items) == [""] else items):
        raise ValueError(f"Template error: Fn::Select cannot select nonexistent value at index {index}")
    return items[index]


def with_joins(node: Any, values: Values) -> Any:
    """Conditions with each `Fn::Join` of parameters and texts replaced by its text; ministack compares it unread."""
    if isinstance(node, list):
        return [with_joins(part, values) for part in node]
    if not isinstance(node, Mapping):
        return node
    if set(node) == {"Fn::Join"}:
        delimiter, parts = node["Fn::Join"]
        return delimiter.join(_texts(parts, values))
    return {key: with_joins(part, values) for key, part in node.items()}


def _texts(node: Any, values: Values) -> list[str]:
    if isinstance(node, list):
        return [text for part in node for text in _texts(part, values)]
    if not isinstance(node, Mapping):
        return [str(node)]
    return [text.strip() for text in str(values[node["Ref"]]["Value"]).split(",")]
