"""`linkgate deny`: one row that keeps a consumer out."""

from typing import Annotated

import typer

from linkgate_cli.failures import Failure
from linkgate_cli.options import Confirm, Consumer, For, From, Owner, Reason, Regions, Service, Ticket, Until, Yes
from linkgate_cli.session import Session


def command(
    ctx: typer.Context,
    consumer: Consumer,
    service: Service = "",
    now: Annotated[
        bool,
        typer.Option("--now", help="Cut its live connections at once, whatever reconcile and the breaker say."),
    ] = False,
    regions: Regions = "",
    start: From = "",
    until: Until = "",
    span: For = "",
    reason: Reason = "",
    ticket: Ticket = "",
    owner: Owner = "",
    yes: Yes = False,
    confirm: Confirm = "",
) -> None:
    """Keep a consumer out: one row, after its effect was shown.

    A deny goes before every allow. Without --now, live connections follow the service's `reconcile`. Of an earlier deny
    only reason, ticket, owner and note stay.

    Example: linkgate deny vpce-0123456789abcdef0 --reason "key leaked" --now
    """
    from linkgate.model import Effect

    from linkgate_cli.editing import Consent, edit_one
    from linkgate_cli.one_row import given, key_of, row

    if now and consumer == "*":
        raise Failure("--now cuts one consumer, not everybody: name an account or an endpoint")
    session = Session.of(ctx)
    people = {"reason": reason, "ticket": ticket, "owner": owner}
    values = given(session.now, None, regions, start, until, span, people) | ({"cut": "now"} if now else {})
    key = key_of(session, consumer, service)
    edit_one(session, key, lambda before: row(key, before, Effect.DENY, values, session.now), Consent(yes, confirm))
