"""docs/cli.md and docs/permissions.md name what there is."""

import re

from linkgate.sweep import services, validator
from linkgate_cli import failures, overview
from linkgate_cli.app import COMMANDS

from tests.command import ROOT

DOCUMENT = (ROOT / "docs" / "cli.md").read_text()
PERMISSIONS = (ROOT / "docs" / "permissions.md").read_text()


def test_every_command_is_in_the_table_and_has_its_permissions_and_a_schema_if_it_prints_json() -> None:
    assert set(re.findall(r"^\| `linkgate ([a-z]+)[ `]", DOCUMENT, re.MULTILINE)) == set(COMMANDS)
    assert set(re.findall(r"^\| `([a-z]+)` \|", PERMISSIONS, re.MULTILINE)) == set(COMMANDS)


def test_every_exit_code_is_in_the_table() -> None:
    named = {value for name, value in vars(failures).items() if name.isupper()}
    assert {int(code) for code in re.findall(r"^\| ([0-9]+) \|", DOCUMENT, re.MULTILINE)} == named | {0}


def test_every_link_and_picture_leads_somewhere() -> None:
    for text in (DOCUMENT, PERMISSIONS):
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / "docs" / link).exists(), link


def test_the_sets_in_which_the_sweep_keeps_what_status_shows_are_called_alike() -> None:
    assert (overview.LOST, overview.INVALID) == (services.LOST, validator.PUBLISHED)
