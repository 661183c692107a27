"""The screen of `linkgate status`."""

import io

from linkgate.model import Status
from linkgate_cli.commands.status import shown
from rich.console import Console

from tests.unit.cli.views import overview, record, view


def test_the_line_about_all_is_no_longer_than_the_screen() -> None:
    records = [record(status, number=number) for number in range(1, 40) for status in [list(Status)[number % 7]]]
    screen = Console(file=io.StringIO(), width=80, markup=False, highlight=False)
    screen.print(shown(screen, overview(view(records)), records, narrowed=True), soft_wrap=True)
    assert isinstance(screen.file, io.StringIO)
    lines = screen.file.getvalue().splitlines()
    assert lines[0].startswith("linkgate in eu-west-1: 1 service, ")
    assert max(map(len, lines[:3])) <= 80
