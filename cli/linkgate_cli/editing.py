"""An edit of the table from its plan to its rows: shown, asked about, held to what was shown, written."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import typer
from botocore.exceptions import ClientError
from linkgate.model import MalformedRow, RowKey
from linkgate.policy.decide import Rows
from linkgate.policy.rows import EVERY, Item, digest, is_unit, meant_by, parse

from linkgate_cli import world
from linkgate_cli.asking import agree, typed
from linkgate_cli.failures import Failure
from linkgate_cli.keys import meant_consumer, meant_service
from linkgate_cli.outlook import Action
from linkgate_cli.output import console, notes, say_json
from linkgate_cli.planning import Plan, RowChange
from linkgate_cli.refusals import failure_of
from linkgate_cli.rowsfile import RowsFile
from linkgate_cli.session import Session
from linkgate_cli.showing import Flows, document, exit_code, last_line, markdown, show
from linkgate_cli.traffic import traffic
from linkgate_cli.world import World
from linkgate_cli.writing import Writer


@dataclass(frozen=True, slots=True)
class Consent:
    """What was agreed to on the command line: --yes, and what --confirm repeats where live connections are cut."""

    yes: bool = False
    confirm: str = ""
    cuts: frozenset[str] = frozenset()
    """Endpoints whose cuts a saved plan showed."""


def edit_one(session: Session, key: RowKey, make: Callable[[Item | None], Item | None], consent: Consent) -> None:
    """Edit one row: show the effect, ask, write. `make` gives the new row for the one that is there."""
    rows = covering(session, key.service)
    edits = {key: make(rows.get(key))}
    there = looked(session, edits, rows)
    plan = there.plan(edits)
    require_readable(plan.rows, there, RowsFile(""))
    finish(session, plan, lambda: covering(session, key.service), consent)


def covering(session: Session, service: str) -> Rows:
    """The rows that cover a service: of `*`, the whole table."""
    return session.allow_list.whole_table() if service == EVERY else session.allow_list.covering([service])


def looked(session: Session, edits: Mapping[RowKey, Item | None], rows: Rows) -> World:
    """What edits are planned against: the services that they touch."""
    touched = {key.service for key in edits} | {meant for key in edits if (meant := meant_by(key))}
    return world.look(session, touched, rows)


def require_readable(changes: Iterable[RowChange], there: World, file: RowsFile) -> None:
    """Failure where a row that would be written cannot be read: the first, with its line, and how many there are."""
    wrong = [one for change in changes if (one := _problem(change, there, file))]
    if wrong:
        more = f"; and {len(wrong) - 1} more rows cannot be read" if len(wrong) > 1 else ""
        raise Failure(f"{wrong[0]}{more}; nothing was written")


def _problem(change: RowChange, there: World, file: RowsFile) -> str:
    row = parse(change.after) if change.after is not None else None
    if is_unit(change.key) and row and not isinstance(row, MalformedRow) and not there.judges_units:
        problem, attribute = "rows about OUs and organisations need the stack's parameter OrganizationsRoleArn", ""
    elif isinstance(row, MalformedRow):
        problem, attribute = row.problem + _hint(row), row.attribute
    else:
        return ""
    line = file.line(change.key, attribute)
    return f"{file.name} line {line}: {problem}" if line else f"row {change.key}: {problem}"


def _hint(row: MalformedRow) -> str:
    meant = {"consumer": meant_consumer(row.key.consumer), "service": meant_service(row.key.service)}
    guess = meant.get(row.attribute, "")
    return f"; did you mean {guess}?" if guess else ""


def flows(session: Session, plan: Plan) -> Flows:
    """The traffic of whatever is cut or withheld."""
    kinds = (Action.CUT, Action.WITHHOLD)
    cuts = [one.connection for one in (*plan.changes, *plan.anyway) if one.after.action in kinds]
    try:
        return traffic(session.client("cloudwatch"), cuts, plan.now) if cuts else {}
    except ClientError as error:
        notes().print(f"linkgate: traffic is not known: {failure_of(error)}", soft_wrap=True)
        return {}


def show_plan(session: Session, plan: Plan, written: bool | None = None) -> None:
    """The plan in the form that was asked for; `written` says in JSON what became of it."""
    passing = flows(session, plan)
    if session.output == "json":
        say_json("plan", document(plan, passing) | ({} if written is None else {"written": written}))
    elif session.output == "markdown":
        print(markdown(plan, passing), end="")
    else:
        show(console(), plan, passing)


def finish(
    session: Session,
    plan: Plan,
    again: Callable[[], Rows],
    consent: Consent,
    before: Callable[[], None] = lambda: None,
    shown: Plan | None = None,
) -> None:
    """Show a plan; where it is no `plan` command, ask, and write it if the table is still as it was.

    `again` reads the rows anew; `before` is done before they are written; `shown` is shown in place of the plan.
    """
    quiet = session.output == "json" and not session.only_plan
    if not quiet:
        show_plan(session, shown or plan)
    if session.only_plan:
        raise typer.Exit(exit_code(plan))
    if plan.failed_tests:
        raise Failure(f"{last_line(plan)} {plan.failed_tests[0]}; nothing was written")
    agreed = not plan.rows or _agreed(plan, consent)
    if plan.rows and agreed and digest(again().values()) != plan.digest:
        raise Failure("somebody else changed the table since it was planned: nothing was written, plan again")
    if agreed:
        before()
    if agreed and plan.rows:
        _write(session, plan)
    if quiet:
        show_plan(session, shown or plan, bool(plan.rows) and agreed)
    elif not plan.rows:
        console().print("nothing to write: the table says so already")
    if not agreed:
        raise Failure("nothing was written")


def _agreed(plan: Plan, consent: Consent) -> bool:
    cuts = {one.connection.endpoint for one in plan.cuts}
    if not cuts or cuts <= consent.cuts:
        rows = f"{len(plan.rows)} rows" if len(plan.rows) > 1 else "this row"
        goes = all(row.kind == "remove" for row in plan.rows)
        return agree(f"{'Delete' if goes else 'Write'} {rows}?", consent.yes)
    wanted = cuts.pop() if len(cuts) == 1 else f"{len(cuts)} cuts"
    return typed(last_line(plan), wanted, consent.confirm)


def _write(session: Session, plan: Plan) -> None:
    total, screen = len(plan.rows), notes()

    def wrote(done: int) -> None:
        if total > 100:
            screen.print(f"{done} of {total} rows", end="\r" if screen.is_terminal and done < total else "\n")

    Writer.of(session).write(plan.rows, wrote)
    if session.output != "json":
        goes = all(row.kind == "remove" for row in plan.rows)
        console().print(f"{total} row{'s' * (total > 1)} {'deleted' if goes else 'written'}")
