"""`linkgate remove`: the row of a consumer goes."""

import typer

from linkgate_cli.failures import Failure
from linkgate_cli.options import Confirm, Consumer, Service, Yes
from linkgate_cli.session import Session


def command(
    ctx: typer.Context, consumer: Consumer, service: Service = "", yes: Yes = False, confirm: Confirm = ""
) -> None:
    """Delete the row of a consumer, after its effect was shown.

    Example: linkgate remove 222222222222 --service vpce-svc-0123456789abcdef0
    """
    from linkgate_cli.editing import Consent, edit_one
    from linkgate_cli.one_row import key_of

    session = Session.of(ctx)
    key = key_of(session, consumer, service)
    if key not in session.allow_list.rows([key]):
        raise Failure(f"there is no row {key}: linkgate export --service '{key.service}' shows those that there are")
    edit_one(session, key, lambda _: None, Consent(yes, confirm))
