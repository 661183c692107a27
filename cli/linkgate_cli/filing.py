"""A file of rows on its way: read, held to the grammar of rows, planned with its tests, compared with a saved plan."""

import json
from datetime import datetime, timedelta
from pathlib import Path

from linkgate.policy import attributes
from linkgate.policy.decide import Rows

from linkgate_cli import cases as suite
from linkgate_cli import rowsfile
from linkgate_cli.editing import looked, require_readable
from linkgate_cli.failures import Failure
from linkgate_cli.planning import Plan, file_edits, past
from linkgate_cli.rowsfile import RowsFile
from linkgate_cli.session import Session
from linkgate_cli.world import requests


def read(path: str) -> RowsFile:
    """A file of rows; Failure names the file and the line that is not understood."""
    try:
        return rowsfile.read(path, Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise Failure(f"{path}: it is no UTF-8 text ({error.reason})") from None
    except rowsfile.FileError as error:
        raise Failure(f"{error}; nothing was written") from None


def planned(session: Session, path: str, prune: bool, since: str = "") -> Plan:
    """What a file does, with its tests; `since` also to the requests of so long."""
    span = _span(since) if since else None
    file = read(path)
    rows = session.allow_list.whole_table()
    edits = file_edits(file, rows, prune)
    there = looked(session, edits, rows)
    made = there.plan(edits, file)
    require_readable(made.rows, there, file)
    if span:
        made.past = past(requests(session, there.now - span), rows, edits, there.now)
    if file.tests:
        table = {key: item for key, item in {**rows, **edits}.items() if item is not None}
        run = _cases(file, table, there.now)
        made.tests = len(run)
        made.failed_tests = [sentence for case in run for sentence in case.differences()[:1]]
    return made


def _span(text: str) -> timedelta:
    try:
        return attributes.span(text)
    except attributes.Unreadable as error:
        raise Failure(f"--since is {text!r}: expected {error}") from None


def cases(path: str, text: str, now: datetime) -> list[suite.Case]:
    """The tests of a file of rows, or those of a file of tests alone; Failure says what cannot be run."""
    try:
        file = rowsfile.read(path, text)
    except rowsfile.FileError as error:
        try:
            return suite.load(Path(path).name, text)
        except suite.Unusable as unusable:
            raise Failure(str(unusable if "\ncases:" in f"\n{text}" else error)) from None
    if not file.tests:
        raise Failure(f"{path} has no tests: write some beside its services (docs/rows-as-code.md)")
    return _cases(file, file.rows, now)


def _cases(file: RowsFile, rows: Rows, now: datetime) -> list[suite.Case]:
    try:
        return suite.of_rows(file.name, file.tests, rows, file.services, now)
    except suite.Unusable as error:
        raise Failure(str(error)) from None


def saved_cuts(path: str, made: Plan) -> frozenset[str]:
    """The cuts that a saved plan showed; Failure if it is another one than what would be done now."""
    try:
        saved = json.loads(Path(path).read_text(encoding="utf-8"))
        table, edit = saved["table"], saved["edit"]
        cuts = frozenset(str(one["endpoint_id"]) for one in saved["connections"] if one["action"] == "cut")
    except (ValueError, KeyError, TypeError):
        raise Failure(f"{path} is no plan: expected what linkgate plan --output json writes") from None
    if table != made.digest:
        raise Failure(f"the table changed since {path} was made: nothing was written, plan again")
    if edit != made.edit:
        raise Failure(f"the file, or --prune, is not that of {path}: nothing was written, plan again")
    if more := {one.connection.endpoint for one in made.cuts} - cuts:
        raise Failure(f"{path} did not show the cut of {', '.join(sorted(more))}: nothing was written, plan again")
    return cuts
