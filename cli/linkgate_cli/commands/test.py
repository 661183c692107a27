"""`linkgate test`: the policy tests of a file, without AWS."""

from pathlib import Path
from typing import Annotated

import typer

from linkgate_cli.failures import ERROR
from linkgate_cli.session import Session


def command(
    ctx: typer.Context,
    file: Annotated[
        str,
        typer.Argument(metavar="[FILE]", help="A file of rows with tests, or one of tests alone.", show_default=True),
    ] = "rows.yaml",
) -> None:
    """Run the policy tests of a file.

    Asks nothing of AWS: each case is a table and one request, and what is expected of it. Exits with 1 if one fails.

    Example: linkgate test rows.yaml
    """
    from linkgate_cli.filing import cases
    from linkgate_cli.output import BAD, clean, console, say_json

    session, screen = Session.of(ctx), console()
    run = cases(file, Path(file).read_text(encoding="utf-8"), session.now)
    failed = {case.name: found for case in run if (found := case.differences())}
    if session.output == "json":
        say_json("test", {"run": len(run), "failed": failed})
    else:
        for sentence in (one for found in failed.values() for one in found):
            screen.print(clean(sentence), style=BAD, soft_wrap=True)
        screen.print(f"{len(run) - len(failed)} of {len(run)} tests hold")
    raise typer.Exit(ERROR if failed else 0)
