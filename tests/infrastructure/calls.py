"""Which AWS operations a function can call, read from its code.

From everything in its handler, along the calls that the annotated types of fields, parameters and constructors tell
apart. Where they do not, every method of that name is taken to be called: too much is found rather than too little.
"""

import ast
import functools
from pathlib import Path
from typing import NamedTuple

import botocore.session
from botocore import xform_name

from tests.infrastructure.source import (
    Module,
    annotated,
    class_of,
    classes_of,
    fields,
    imported,
    methods,
    modules,
    parameters,
)

TRANSACTIONAL = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
"""What each part of a TransactWriteItems needs (DynamoDB developer guide, "IAM with transactions")."""
RENAMED = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
}
"""Operations that IAM knows by another name (Service Authorization Reference)."""


class Call(NamedTuple):
    """An IAM action such as `dynamodb:Query`, the class that needs it, and the index that it reads, or ""."""

    action: str
    owner: str
    by: str = ""


class ItemKey(NamedTuple):
    """A function or method: its module ("" is the handler), its class such as `store:Store` or "", its name."""

    module: str
    owner: str
    name: str


@functools.cache
def operations(service: str) -> dict[str, str]:
    """The operations of an AWS service by the name that boto3 gives them: send_message -> SendMessage."""
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): name for name in model.operation_names}


@functools.cache
def calls(path: Path) -> frozenset[Call]:
    """The AWS calls that a handler can make."""
    reach = CanaryRouting(Module(path))
    found = set()
    for service in reach.services:
        for asked in reach.asked:
            if operation := operations(service).get(asked.action):
                action = RENAMED.get(f"{service}:{operation}", f"{service}:{operation}")
                parts = reach.transactional if operation == "TransactWriteItems" else {Call(action, *asked[1:])}
                found |= {part for part in parts if part.owner == asked.owner}
    return frozenset(found)


class CanaryRouting:
    """A walk over the package: what the code behind one handler asks of things that are not of it."""

    def __init__(self, handler: Module) -> None:
        self.handler = handler
        self.services: set[str] = set()
        """Names that clients are made with."""
        self.asked: set[Call] = set()
        """Every attribute asked for, in the place of an action."""
        self.transactional: set[Call] = set()
        self._seen: set[ItemKey] = set()
        self._known = [name for module in sorted(imported(handler)) for name in classes_of(module)]
        self._follow(ItemKey("", "", ""), handler.tree, {})

    def _module(self, name: str) -> Module:
        return modules()[name] if name else self.handler

    def _visit(self, place: ItemKey) -> None:
        if place not in self._seen:
            self._seen.add(place)
            where = methods(place.owner) if place.owner else self._module(place.module).functions
            self._follow(place, where[place.name], parameters(self._module(place.module), where[place.name]))

    def _follow(self, place: ItemKey, body: ast.AST, types: dict[str, str]) -> None:
        nodes = list(ast.walk(body))
        for node in nodes:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                types = types | {node.targets[0].id: self._type(node.value, place, types)}
        module = self._module(place.module)
        indexes = [one.value for one in nodes if isinstance(one, ast.keyword) and one.arg == "IndexName"]
        index = module.text(indexes[0]) if indexes else ""
        for node in nodes:
            if isinstance(node, ast.Name):
                self._name(node.id, place.module)
            elif isinstance(node, ast.Attribute):
                self._attribute(node, place, types, index)
            elif isinstance(node, ast.Call):
                self._call(node, place, index)
            elif isinstance(node, ast.Dict):
                keys = {one.value for one in node.keys if isinstance(one, ast.Constant)} & TRANSACTIONAL.keys()
                self.transactional |= {Call(f"dynamodb:{TRANSACTIONAL[str(key)]}", place.owner) for key in keys}

    def _type(self, node: ast.expr, place: ItemKey, types: dict[str, str]) -> str:
        """The class of the package that an expression is an instance of, or ""."""
        if isinstance(node, ast.Name):
            return place.owner if node.id == "self" else types.get(node.id, "")
        if isinstance(node, ast.Attribute):
            owner = self._type(node.value, place, types)
            return fields(owner).get(node.attr, "") if owner else ""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return annotated(self._module(place.module), node.func)
        return ""

    def _name(self, name: str, home: str) -> None:
        if name in self._module(home).imports:
            home, name = self._module(home).imports[name]
        if name in self._module(home).functions:
            self._visit(ItemKey(home, "", name))
        elif (owner := class_of(self._module(home), name)) and "__init__" in methods(owner):
            self._visit(ItemKey(owner.partition(":")[0], owner, "__init__"))

    def _attribute(self, node: ast.Attribute, place: ItemKey, types: dict[str, str], index: str) -> None:
        module = self._module(place.module)
        home, name = module.imports.get(ast.unparse(node.value), ("", ""))
        if home and not name:
            self._name(node.attr, home)
            return
        owner = self._type(node.value, place, types) or class_of(module, ast.unparse(node.value))
        if not owner and not name:
            self.asked.add(Call(node.attr, place.owner, index))
        for one in [owner] if owner else [] if name else self._known:
            if node.attr in methods(one):
                self._visit(ItemKey(one.partition(":")[0], one, node.attr))

    def _call(self, node: ast.Call, place: ItemKey, index: str) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        texts = {one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)}
        if called in ("client", "resource"):
            self.services |= texts
        elif called in ("get_paginator", "get_waiter"):
            self.asked |= {Call(text, place.owner, index) for text in texts}
