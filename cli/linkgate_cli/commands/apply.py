"""`linkgate apply`: a file of rows into the table."""

from typing import Annotated

import typer

from linkgate_cli.options import Confirm, File, Prune, Yes
from linkgate_cli.session import Session


def command(
    ctx: typer.Context,
    file: File = "rows.yaml",
    prune: Prune = False,
    plan: Annotated[
        str,
        typer.Option(metavar="PLAN.JSON", help="Do what this plan showed (plan --output json), or nothing."),
    ] = "",
    yes: Yes = False,
    confirm: Confirm = "",
) -> None:
    """Write a file of rows: what plan said, and nothing else.

    Rows that the file does not have are left alone. It is refused if the table changed since it was planned, or if one
    row cannot be read. Interrupted, it says what is written; run again, it writes the rest.

    Example: linkgate apply rows.yaml --plan plan.json --yes
    """
    from linkgate_cli.editing import Consent, finish
    from linkgate_cli.filing import planned, saved_cuts

    session = Session.of(ctx)
    made = planned(session, file, prune)
    cuts = saved_cuts(plan, made) if plan else frozenset[str]()
    finish(session, made, session.allow_list.whole_table, Consent(yes, confirm, cuts))
