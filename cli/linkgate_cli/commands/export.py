"""`linkgate export`: the table as a file of rows."""

from typing import Annotated

import typer

from linkgate_cli.session import Session


def command(
    ctx: typer.Context,
    service: Annotated[str, typer.Option(metavar="VPCE-SVC-…", help="The rows of one service alone, or of *.")] = "",
) -> None:
    """The allow-list as a file of rows.

    The same table is always the same text, and the file holds every row exactly: applied, it changes nothing.

    Example: linkgate export > rows.yaml
    """
    from linkgate_cli import keys
    from linkgate_cli.output import say_json
    from linkgate_cli.rowsfile import exported

    session = Session.of(ctx)
    only = keys.service(service) if service else ""
    rows = session.allow_list.covering([only]) if only else session.allow_list.whole_table()
    mine = {key: item for key, item in rows.items() if not only or key.service == only}
    if session.output == "json":
        from linkgate.policy.attributes import plain

        say_json("export", {"rows": [plain(mine[key]) for key in sorted(mine)]})
    else:
        print(exported(mine), end="")
