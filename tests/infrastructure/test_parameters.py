"""docs/parameters.md: every parameter, its default, and what becomes of it if it is left empty."""

import re

import pytest

from tests.infrastructure.parameters import EMPTY, TEMPLATES, page
from tests.infrastructure.stack import ROOT, parsed


def test_the_page_of_parameters_says_what_the_templates_say() -> None:
    assert (ROOT / "docs" / "parameters.md").read_text() == page(), "python -m tests.infrastructure.parameters"


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_may_be_left_empty_says_what_that_means(name: str) -> None:
    for parameter, one in parsed(ROOT / name)["Parameters"].items():
        may = one.get("Default") == ""
        assert (EMPTY in one["Description"]) is may, f"{name}: {parameter}"


def test_a_parameter_that_code_or_documents_name_exists() -> None:
    known = set().union(*(parsed(ROOT / name)["Parameters"] for name in TEMPLATES))
    readme = (ROOT / "README.md").read_text()
    for name in re.findall(r"`((?:Canary|Alarm|Approve|Tag)[A-Z]\w+)`", readme):
        assert name in known, name
