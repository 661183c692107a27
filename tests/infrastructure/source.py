"""The source of the handlers and of the package linkgate, as far as it can be read without running it."""

import ast
import functools
from pathlib import Path

from tests.infrastructure.stack import ROOT

PACKAGE = ROOT / "layers" / "common" / "linkgate"
PATHS = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
"""Every module of the package by its dotted name below it."""


class Module:
    """The functions, classes, constants and imports of one module of the package, or of a handler."""

    def __init__(self, path: Path) -> None:
        self.tree = ast.parse(path.read_text())
        self.functions = {one.name: one for one in self.tree.body if isinstance(one, ast.FunctionDef)}
        self.classes = {one.name: one for one in self.tree.body if isinstance(one, ast.ClassDef)}
        self.imports: dict[str, tuple[str, str]] = {}
        """Of the package: local name -> (module, name in it), or (module, "") for a module itself."""
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "linkgate":
                home = (node.module or "").partition(".")[2]
                for one in node.names:
                    module = f"{home}.{one.name}".removeprefix(".")
                    self.imports[one.asname or one.name] = (module, "") if module in PATHS else (home, one.name)

    def constant(self, name: str) -> ast.expr | None:
        """What a name at the top of the module is bound to."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and any(ast.unparse(target) == name for target in node.targets):
                return node.value
        return None

    def text(self, node: ast.expr) -> str:
        """The text of a literal, or of a constant of the module; "" of anything else."""
        if isinstance(node, ast.Name) and (value := self.constant(node.id)):
            return self.text(value)
        return str(node.value) if isinstance(node, ast.Constant) else ""


@functools.cache
def modules() -> dict[str, Module]:
    """Every module of the package, by name."""
    return {name: Module(path) for name, path in PATHS.items()}


@functools.cache
def classes() -> dict[str, str]:
    """The module of every class of the package."""
    return {name: module for module, one in modules().items() for name in one.classes}


@functools.cache
def methods(name: str) -> dict[str, ast.FunctionDef]:
    """The methods of a class of the package, properties too."""
    body = modules()[classes()[name]].classes[name].body
    return {one.name: one for one in body if isinstance(one, ast.FunctionDef)}


def annotated(node: ast.AST | None) -> str:
    """The class of the package that an annotation names, or ""."""
    found = (one.id for one in ast.walk(node) if isinstance(one, ast.Name)) if node else iter(())
    return next((name for name in found if name in classes()), "")


def parameters(function: ast.FunctionDef) -> dict[str, str]:
    """The classes of a function's parameters, as far as annotations tell."""
    return {one.arg: annotated(one.annotation) for one in (*function.args.args, *function.args.kwonlyargs)}


@functools.cache
def fields(name: str) -> dict[str, str]:
    """The classes of a class's own attributes, as far as annotations tell."""
    found = {}
    for node in modules()[classes()[name]].classes[name].body:
        if isinstance(node, ast.AnnAssign):
            found[ast.unparse(node.target)] = annotated(node.annotation)
    if init := methods(name).get("__init__"):
        given = parameters(init)
        for line in ast.walk(init):
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Attribute):
                found[line.targets[0].attr] = given.get(ast.unparse(line.value), "")
    return found


def imported(handler: Module) -> set[str]:
    """The modules of the package that a handler imports, and those that they import."""
    found: set[str] = set()
    rest = [home for home, _ in handler.imports.values()]
    while rest:
        if (name := rest.pop()) not in found:
            found.add(name)
            rest += [home for home, _ in modules()[name].imports.values()]
    return found
