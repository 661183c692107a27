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

    def __init__(self, path: Path, name: str = "") -> None:
        self.name = name
        """Its dotted name below the package; "" is a handler."""
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
    return {name: Module(path, name) for name, path in PATHS.items()}


def class_of(module: Module, name: str) -> str:
    """The class of the package that a name means in a module, such as `store:Store`, or ""."""
    if name in module.classes and module.name:
        return f"{module.name}:{name}"
    home, original = module.imports.get(name, ("", ""))
    return class_of(modules()[home], original) if home in modules() and original else ""


def classes_of(module: str) -> list[str]:
    """Every class of a module of the package."""
    return [f"{module}:{name}" for name in modules()[module].classes]


def _definition(owner: str) -> ast.ClassDef:
    module, _, name = owner.partition(":")
    return modules()[module].classes[name]


@functools.cache
def methods(owner: str) -> dict[str, ast.FunctionDef]:
    """The methods of a class of the package, properties too."""
    return {one.name: one for one in _definition(owner).body if isinstance(one, ast.FunctionDef)}


def annotated(module: Module, node: ast.AST | None) -> str:
    """The class of the package that an annotation in a module names, or ""."""
    found = (class_of(module, one.id) for one in ast.walk(node) if isinstance(one, ast.Name)) if node else iter(())
    return next(filter(None, found), "")


def parameters(module: Module, function: ast.FunctionDef) -> dict[str, str]:
    """The classes of a function's parameters, as far as annotations tell."""
    return {one.arg: annotated(module, one.annotation) for one in (*function.args.args, *function.args.kwonlyargs)}


@functools.cache
def fields(owner: str) -> dict[str, str]:
    """The classes of a class's own attributes, as far as annotations tell."""
    found, module = {}, modules()[owner.partition(":")[0]]
    for node in _definition(owner).body:
        if isinstance(node, ast.AnnAssign):
            found[ast.unparse(node.target)] = annotated(module, node.annotation)
    if init := methods(owner).get("__init__"):
        given = parameters(module, init)
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
