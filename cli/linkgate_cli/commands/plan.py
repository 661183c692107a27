"""`linkgate plan`: what a file of rows would do; `plan allow …` is in the modules of the edits."""

from typing import Annotated

import typer

from linkgate_cli.filing import planned
from linkgate_cli.options import File, Prune
from linkgate_cli.session import Session


def command(
    ctx: typer.Context,
    file: File = "rows.yaml",
    prune: Prune = False,
    since: Annotated[
        str, typer.Option(metavar="30d", help="Also on the requests of that time, as the ledger has them.")
    ] = "",
) -> None:
    """What a file of rows, or one edit, would do to every connection.

    Exits with 0 if nothing changes, 2 if something does, 3 if a live connection would be cut, and 1 if it cannot be
    planned or a test of the file does not hold. In place of a file it takes an edit: linkgate plan allow 222222222222

    Example: linkgate plan rows.yaml --since 30d
    """
    from linkgate_cli.editing import show_plan
    from linkgate_cli.showing import exit_code

    session = Session.of(ctx)
    made = planned(session, file, prune, since)
    show_plan(session, made)
    raise typer.Exit(exit_code(made))
