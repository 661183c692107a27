"""The table of causes: complete, and in words that an engineer woken at night can act on."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from linkgate.health.causes import CAUSES, DERIVED, RANK, STRANGER
from linkgate.health.diagnosis import STATES

from lab.story.faults import FAULTS, HIDES, visible
from tests import gallery

PROBER = Path(__file__).parents[3] / "layers" / "prober" / "prober"
RUNBOOK = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text()
PROBED = {
    *("dns_not_found", "dns_timeout", "dns_unexpected_address", "tcp_timeout", "tcp_refused"),
    *("tls_name_mismatch", "tls_untrusted", "tls_expired", "tls_failed", "tls_timeout", "tls_closed"),
    *("tls_version", "tls_name_refused", "tls_client_certificate"),
    *("http_timeout", "http_closed", "http_status", "body_mismatch", "unexpectedly_open", "probe_error"),
}
DIAGNOSED = {
    *("connection_pending", "connection_rejected", "endpoint_deleted", "never_verified"),
    *("zone_unreachable", "packet_loss", "private_name_missing", "private_name_unverified"),
}


def prober() -> Iterator[ast.AST]:
    """Every node of the prober's source."""
    for path in PROBER.glob("*.py"):
        yield from ast.walk(ast.parse(path.read_text()))


def texts_of_the_prober() -> set[str]:
    return {node.value for node in prober() if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def produced() -> set[str]:
    """Everything that the prober gives as a cause: first arguments of Failed, `cause=`, and values of "cause"."""
    found: list[ast.expr] = []
    for node in prober():
        if isinstance(node, ast.Call):
            found += node.args[:1] if isinstance(node.func, ast.Name) and node.func.id == "Failed" else []
            found += [keyword.value for keyword in node.keywords if keyword.arg == "cause"]
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            found += [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "cause"]
    return {str(one.value) for one in found if isinstance(one, ast.Constant)} - {""}


def test_the_table_has_the_causes_of_probes_and_those_of_the_diagnosis_and_no_others() -> None:
    assert CAUSES.keys() == PROBED | DIAGNOSED


def test_every_cause_that_the_prober_can_produce_is_one_of_its_own() -> None:
    assert len(produced()) > 5
    assert produced() <= PROBED


def test_every_cause_of_a_probe_is_written_in_the_prober() -> None:
    assert texts_of_the_prober() >= PROBED


def test_the_diagnosis_knows_how_far_every_cause_of_a_probe_got_and_derives_the_others() -> None:
    assert set(RANK) - DERIVED == PROBED - {"unexpectedly_open", "probe_error"}
    assert DERIVED | set(STATES.values()) | {STRANGER} == DIAGNOSED


def test_an_unhealthy_event_may_carry_every_cause_but_that_of_a_probe_that_did_not_take_place() -> None:
    assert set(gallery.schema("Endpoint Unhealthy")["properties"]["cause"]["enum"]) == CAUSES.keys() - {"probe_error"}


@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_says_what_it_means_and_what_to_do_in_words_that_fit_a_sentence(name: str) -> None:
    for words in CAUSES[name]:
        assert words == words.strip(" .")
        assert words
        assert "\n" not in words


# ------------------------------------------------------------------ faults and their causes


def hidden(name: str) -> str:
    """What a fault hides, as the runbook puts it."""
    rest = [other for other in FAULTS if other != name and other not in HIDES.get(name, ())]
    if len(rest) < len(FAULTS) / 3:
        return f"everything but {', '.join(rest)}" if rest else "everything"
    return ", ".join(other for other in FAULTS if other in HIDES.get(name, ())) or "nothing"


@pytest.mark.parametrize("name", FAULTS)
def test_the_runbook_says_of_every_fault_which_cause_is_reported_and_what_it_hides(name: str) -> None:
    told = RUNBOOK[RUNBOOK.index("\n# What cannot be told apart\n") :]
    assert f"\n| {name} | {FAULTS[name].cause} | {hidden(name)} |\n" in told


def test_a_cause_that_stands_for_several_faults_is_said_to_do_so() -> None:
    told = RUNBOOK[RUNBOOK.index("\n# What cannot be told apart\n") :]
    causes = [fault.cause for fault in FAULTS.values()]
    for cause in {one for one in causes if causes.count(one) > 1}:
        assert f"\n| {cause} | " in told


def test_of_any_two_faults_one_can_be_seen_and_what_hides_another_is_not_hidden_by_it() -> None:
    for name in FAULTS:
        for other in FAULTS.keys() - {name}:
            assert visible(name, other)
            assert not (other in HIDES.get(name, ()) and name in HIDES.get(other, ()))
            assert visible(name, other) == list(reversed(visible(other, name)))


def test_every_fault_has_a_cause_of_the_table_and_hides_faults_alone() -> None:
    assert {fault.cause for fault in FAULTS.values()} <= CAUSES.keys()
    assert HIDES.keys() <= FAULTS.keys()
    assert set().union(*HIDES.values()) <= FAULTS.keys()
