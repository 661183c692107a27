"""`linkgate enroll`: the tag and the settings by which a service is managed."""

from typing import Annotated

import typer

from linkgate_cli.options import Confirm, Yes
from linkgate_cli.session import Session


def command(
    ctx: typer.Context,
    service: Annotated[str, typer.Argument(metavar="VPCE-SVC-…", help="An endpoint service of this account.")],
    observe: Annotated[
        bool, typer.Option("--observe", help="Only record and say what would be done, for the time being.")
    ] = False,
    yes: Yes = False,
    confirm: Confirm = "",
) -> None:
    """Have Linkgate manage an endpoint service, after a first look.

    It shows what Linkgate would do to everything that is connected, or waits, before it is switched on; then it tags
    the service and writes its @settings row. Again without --observe, an observed service is enforced.

    Example: linkgate enroll vpce-svc-0123456789abcdef0 --observe
    """
    from linkgate_cli.editing import Consent
    from linkgate_cli.enrolling import enroll

    enroll(Session.of(ctx), service, observe, Consent(yes, confirm))
