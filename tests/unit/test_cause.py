"""The table of causes: complete, and in words that an engineer woken at night can act on."""

import ast
from pathlib import Path

import pytest
from linkgate import probe
from linkgate.cause import CAUSES

from tests import gallery

DESIGNED = {
    *("dns_not_found", "dns_timeout", "dns_unexpected_address", "tcp_timeout", "tcp_refused"),
    *("tls_name_mismatch", "tls_untrusted", "tls_expired", "tls_failed"),
    *("http_timeout", "http_status", "body_mismatch", "unexpectedly_open", "probe_error"),
}


def texts_of_the_prober() -> set[str]:
    tree = ast.parse(Path(probe.__file__).read_text())
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def produced() -> set[str]:
    """Everything that the prober's source can give as a cause: first arguments of Failed, and `cause=`."""
    found = set()
    for node in ast.walk(ast.parse(Path(probe.__file__).read_text())):
        if isinstance(node, ast.Call):
            given = node.args[:1] if isinstance(node.func, ast.Name) and node.func.id == "Failed" else []
            given += [keyword.value for keyword in node.keywords if keyword.arg == "cause"]
            found |= {one.value for one in given if isinstance(one, ast.Constant)}
    return {str(one) for one in found} - {""}


def test_the_table_has_the_causes_of_the_design_and_no_others() -> None:
    assert CAUSES.keys() == DESIGNED


def test_every_cause_that_the_prober_can_produce_is_in_the_table() -> None:
    assert len(produced()) > 5
    assert produced() <= CAUSES.keys()


def test_every_cause_of_the_table_but_the_text_check_is_written_in_the_prober() -> None:
    assert CAUSES.keys() - texts_of_the_prober() == {"body_mismatch"}


def test_an_unhealthy_event_may_carry_exactly_the_causes_of_the_table() -> None:
    assert gallery.schema("Endpoint Unhealthy")["properties"]["cause"]["enum"] == list(CAUSES)


@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_says_what_it_means_and_what_to_do_in_words_that_fit_a_sentence(name: str) -> None:
    for words in CAUSES[name]:
        assert words == words.strip(" .")
        assert words
        assert "\n" not in words
