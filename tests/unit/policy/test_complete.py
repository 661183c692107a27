"""Whatever a row may say is documented, has a row that says it wrongly, a case that says it rightly, and is heeded.

An attribute, setting or option that is only parsed fails here; CONTRIBUTING.md has the list of what it needs.
"""

import ast
import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import linkgate
import pytest
from linkgate.model import MalformedRow, RowKey, ServiceSettings
from linkgate.policy import probes, rows
from linkgate.policy.decide import decide, settings_for
from linkgate.policy.rows import PEOPLE, Item, parse
from linkgate_cli.cases import Case

from tests import gallery
from tests.conformance import suite

LINKGATE = Path(linkgate.__file__).parent
DOCUMENT = (LINKGATE.parents[2] / "docs" / "allow-list.md").read_text()
KINDS = {"rule": rows._RULE, "@settings": rows._SETTINGS, "@release": rows._RELEASE, "@canary": rows._CANARY}
ATTRIBUTES = [(kind, name) for kind, readers in KINDS.items() for name in readers]
"""Every attribute that is parsed, with the kind of row that may have it."""
OPTIONS = list(probes._OPTIONS)
"""Every option of a probe that is parsed."""
CASES = suite()


def kind_of(key: RowKey) -> str:
    """The kind of row by its consumer."""
    return key.consumer.partition(":")[0] if key.consumer.startswith("@") else "rule"


def read(kind: str, name: str) -> str:
    """Where an attribute is missing, in words."""
    return f"{name} of {kind}"


# ------------------------------------------------------------------ documented


def section(heading: str) -> str:
    return DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def documented(text: str, name: str) -> bool:
    """Whether a row of a table begins with the name."""
    return any(f"`{name}`" in line.split("|")[1] for line in text.splitlines() if line.startswith("| "))


@pytest.mark.parametrize(("kind", "name"), ATTRIBUTES)
def test_what_is_parsed_stands_in_the_tables_of_the_document(kind: str, name: str) -> None:
    headings = {"rule": "Attributes of a rule", "@settings": "Attributes of `@settings`"}
    everywhere = name in PEOPLE and documented(section(headings["rule"]), name)
    if kind in headings:
        there = documented(section(headings[kind]), name)
    else:
        there = re.search(rf"^\| `{kind}\W.*\| `{name}`:", section("Keys"), re.MULTILINE) is not None
    where = headings.get(kind, "Keys")
    assert everywhere or there, f'docs/allow-list.md, "{where}": no row of the table has `{name}` in its first cells'


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_stands_in_the_table_of_the_document(name: str) -> None:
    assert documented(section("Probes"), name), f'docs/allow-list.md, "Probes": the table of options has no `{name}`'


# ------------------------------------------------------------------ an example of it that is wrong


def wrong() -> Iterator[tuple[str, str]]:
    for item in gallery.malformed().values():
        found = parse(item)
        assert isinstance(found, MalformedRow)
        yield kind_of(found.key), found.attribute


def test_every_attribute_has_a_malformed_row_in_events() -> None:
    found = set(wrong())
    texts = {kind for kind, name in found if name in PEOPLE}
    assert texts >= {"rule", "@settings"}  # one reader reads all texts for people
    assert [read(*one) for one in ATTRIBUTES if one[1] not in PEOPLE and one not in found] == []


def test_every_option_has_a_malformed_row_in_events() -> None:
    files = gallery.malformed()
    assert [one for one in OPTIONS if not any(f"#{one}=" in str(item.get("probe")) for item in files.values())] == []


# ------------------------------------------------------------------ a case of it, which comes out otherwise without


def without(case: Case, kind: str, name: str) -> Mapping[RowKey, Item]:
    return {
        key: {one: value for one, value in item.items() if one != name or kind_of(key) != kind}
        for key, item in case.rows.items()
    }


def outcome(case: Case, table: Mapping[RowKey, Item]) -> object:
    """What is decided, and the settings in force, but for the hash of what was read."""
    decision = decide(case.connection, table, case.now, case.context)
    return dataclasses.replace(decision, policy_hash=""), settings_for(case.connection.service, table)


def heeded(kind: str, name: str) -> bool:
    """Whether some case comes out otherwise without the attribute."""
    mine = (case for case in CASES if any(name in item and kind_of(key) == kind for key, item in case.rows.items()))
    return any(outcome(case, case.rows) != outcome(case, without(case, kind, name)) for case in mine)


@pytest.mark.parametrize(("kind", "name"), [one for one in ATTRIBUTES if one[0] in ("rule", "@settings")])
def test_an_attribute_stands_in_a_conformance_case_that_comes_out_otherwise_without_it(kind: str, name: str) -> None:
    people = kind == "@settings" and name in PEOPLE  # texts on settings are for whoever reads the table
    assert people or heeded(kind, name), f"tests/policy/ has no case in which {read(kind, name)} makes a difference"


@pytest.mark.parametrize(("kind", "name"), [one for one in ATTRIBUTES if one[0] not in ("rule", "@settings")])
def test_an_attribute_of_another_row_stands_in_a_conformance_case(kind: str, name: str) -> None:
    there = (name in item and kind_of(key) == kind for case in CASES for key, item in case.rows.items())
    assert name in PEOPLE or any(there), f"tests/policy/ has no row {kind} with {name}"


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_stands_in_a_conformance_case(name: str) -> None:
    there = (f"{name}=" in str(item.get("probe")) for case in CASES for item in case.rows.values())
    assert any(there), f"tests/policy/ has no settings whose probe has the option {name}"


# ------------------------------------------------------------------ somebody acts on it


def loads(module: str) -> Iterator[str]:
    """The attributes that a module reads of whatever."""
    for node in ast.walk(ast.parse((LINKGATE / module).read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr


ACTING = [
    str(path.relative_to(LINKGATE))
    for folder in ("approve", "sweep", "patrol", "policy")
    for path in (LINKGATE / folder).glob("*.py")
    if path.name not in ("grounds.py", "rows.py", "why.py")
]
"""Modules that do what settings say; the others read, store or tell them."""


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ServiceSettings)])
def test_a_setting_is_read_where_somebody_acts_on_it(name: str) -> None:
    assert any(name in loads(module) for module in ACTING), f"nothing in approve, sweep, patrol or policy reads {name}"


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_read_where_targets_are_made(name: str) -> None:
    assert name in loads("health/targets.py"), f"no canary is told {name}"
