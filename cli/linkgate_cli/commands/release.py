"""`linkgate release`: past the breaker."""

from typing import Annotated

import typer

from linkgate_cli.failures import Failure
from linkgate_cli.options import Confirm, Reason, Service, Ticket, Yes
from linkgate_cli.session import Session


def command(
    ctx: typer.Context,
    endpoints: Annotated[
        list[str] | None, typer.Argument(metavar="[VPCE-…]...", help="Those to release; everybody who is kept.")
    ] = None,
    service: Service = "",
    reason: Reason = "",
    ticket: Ticket = "",
    yes: Yes = False,
    confirm: Confirm = "",
) -> None:
    """Let cuts or rejections that the breaker keeps go ahead.

    It shows whom the breaker keeps and why, and asks; the endpoints are then named by the service's @release row.

    Example: linkgate release vpce-0123456789abcdef0
    """
    from linkgate.model import RowKey
    from linkgate.policy.rows import RELEASE

    from linkgate_cli import keys
    from linkgate_cli.editing import Consent, covering, edit_one, looked
    from linkgate_cli.one_row import only_service, released_row
    from linkgate_cli.planning import kept_by_breaker

    session = Session.of(ctx)
    key = RowKey(keys.service(service) if service else only_service(session), RELEASE)
    there = looked(session, {key: None}, covering(session, key.service))
    kept = kept_by_breaker(there.services, there.rows, there.contexts, there.now)
    named = set(endpoints or kept)
    if not named:
        raise Failure(f"the breaker keeps nobody of {key.service}: there is nothing to release")
    if strangers := sorted(named - kept):
        raise Failure(f"the breaker does not keep {', '.join(strangers)}: linkgate status shows whom it keeps")
    people = {name: text for name, text in (("reason", reason), ("ticket", ticket)) if text}
    edit_one(session, key, lambda before: released_row(key, before, named, people), Consent(yes, confirm))
