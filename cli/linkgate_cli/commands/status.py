"""`linkgate status`: what needs somebody first, then every connection."""

import typer

from linkgate_cli.output import console, say_json
from linkgate_cli.session import Session


def command(ctx: typer.Context) -> None:
    """What needs you first, then every connection.

    Example: linkgate status
    """
    session = Session.of(ctx)
    tables = {name: session.outputs[name] for name in ("AllowListTable", "LedgerTable")}
    if session.output == "json":
        say_json("status", {"stack": session.stack, "tables": tables})
        return
    console().print(f"{session.stack}: {', '.join(tables.values())}")
