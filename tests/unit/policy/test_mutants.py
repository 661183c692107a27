"""The list of equivalent mutants, and the table that `make mutants` prints."""

from pathlib import Path

import linkgate
import pytest

from tests.mutants import MODULES, Mutant, reasons, table

LINKGATE = Path(linkgate.__file__).parent


@pytest.mark.parametrize("change", reasons(), ids=lambda change: f"{change[0]}: {change[2]}")
def test_an_equivalent_mutant_is_one_of_a_line_that_stands_in_the_code(change: tuple[str, str, str]) -> None:
    module, was, becomes = change
    assert module in MODULES
    assert was in [line.strip() for line in (LINKGATE / f"{module}.py").read_text().splitlines()]
    assert was != becomes
    assert reasons()[change]


def test_the_table_names_survivors_with_their_reasons_and_what_is_listed_in_vain() -> None:
    known, new = ("policy/decide", "a < b", "a <= b"), ("policy/rows", "a", "not a")
    found = [Mutant(known, 7, False), Mutant(new, 8, False), Mutant(("policy/decide", "x", "y"), 9, True)]
    assert list(table(found, {known: "b is never a", ("model", "p", "q"): "gone"})) == [
        "policy/decide.py:7: a < b  ->  a <= b\n    equivalent: b is never a",
        "policy/rows.py:8: a  ->  not a\n    SURVIVED",
        "model.py: p  ->  q\n    LISTED, but killed or gone",
        "model.py: 0 mutants, 0 killed, 0 equivalent",
        "policy/decide.py: 2 mutants, 1 killed, 1 equivalent",
        "policy/rows.py: 1 mutants, 0 killed, 0 equivalent",
        "policy/attributes.py: 0 mutants, 0 killed, 0 equivalent",
    ]
