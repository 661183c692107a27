"""What the documents promise exists."""

import re
from pathlib import Path

from linkgate.health.causes import CAUSES

from lab.story.faults import FAULTS

CHECKOUT = Path(__file__).resolve().parents[2]
README = (CHECKOUT / "README.md").read_text()


def test_every_make_target_in_a_document_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md", "lab/README.md"):
        named = set(re.findall(r"(?:^    |`)make ([a-z-]+)", (CHECKOUT / document).read_text(), re.MULTILINE))
        assert named <= targets, document


def test_every_link_in_a_document_leads_somewhere() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "lab/README.md"):
        folder = (CHECKOUT / document).parent
        for link in re.findall(r"\]\(([^)#:]+)\)", (CHECKOUT / document).read_text()):
            assert (folder / link).exists(), f"{document}: {link}"


def test_the_runbook_has_a_heading_for_every_cause_with_its_meaning() -> None:
    runbook = (CHECKOUT / "docs" / "runbook.md").read_text()
    for name, (meaning, step) in CAUSES.items():
        told = f"## {name}\n{meaning[0].upper()}{meaning[1:]}. {step[0].upper()}{step[1:]}.\n"
        assert told in runbook, name


def test_the_runbook_says_of_every_cause_how_sure_it_is_what_to_run_and_which_faults_of_the_lab_show_it() -> None:
    runbook = (CHECKOUT / "docs" / "runbook.md").read_text().partition("\n# Causes\n")[2]
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^#)", runbook, re.MULTILINE | re.DOTALL))
    assert sections.keys() == CAUSES.keys()
    for name, text in sections.items():
        assert "\nHow sure: " in text, name
        assert re.search(r"^    (aws|openssl|curl|mtr) ", text, re.MULTILINE), name
        shown = re.findall(r"`make lab-fault FAULT=([a-z0-9-]+)`", text)
        assert shown == [fault for fault, one in FAULTS.items() if one.cause == name], name


def test_no_document_has_a_hole() -> None:
    for document in CHECKOUT.glob("*.md"):
        assert not re.search(r"@[A-Z]+@|TODO|FIXME", document.read_text()), document


def test_every_path_of_the_table_of_changes_exists() -> None:
    rows = re.findall(r"^\| .* \| `.*\|$", (CHECKOUT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert len(rows) >= 12
    paths = [path for row in rows for path in re.findall(r"`([^`]+)`", row)]
    roots = (CHECKOUT, CHECKOUT / "layers" / "common" / "linkgate")
    assert [path for path in paths if not any((root / path).exists() for root in roots)] == []
