"""`linkgate unenroll`: a service is managed no more."""

from typing import Annotated

import typer

from linkgate_cli.options import Yes
from linkgate_cli.session import Session


def command(
    ctx: typer.Context,
    service: Annotated[str, typer.Argument(metavar="VPCE-SVC-…", help="A managed endpoint service.")],
    yes: Yes = False,
) -> None:
    """Have Linkgate manage an endpoint service no more.

    Live connections stay, and whoever waits goes on waiting for somebody else. Its @settings row goes, then the tag;
    other rows stay in the table.

    Example: linkgate unenroll vpce-svc-0123456789abcdef0
    """
    from linkgate_cli.enrolling import unenroll

    unenroll(Session.of(ctx), service, yes)
