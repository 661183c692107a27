"""`linkgate allow`: one row that lets a consumer in."""

from typing import Annotated

import typer

from linkgate_cli.options import (
    Confirm,
    Consumer,
    For,
    From,
    Owner,
    Reason,
    Regions,
    Service,
    Ticket,
    Until,
    Yes,
)
from linkgate_cli.session import Session


def command(
    ctx: typer.Context,
    consumer: Consumer,
    service: Service = "",
    limit: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Live connections that each account may have.")
    ] = None,
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
    """Let a consumer in: one row, after its effect was shown.

    What an allow row of the consumer says already stays, but for what is given; `linkgate plan allow …` writes nothing.

    Example: linkgate allow 222222222222 --for 90d --reason pilot --ticket NET-812
    """
    from linkgate.model import Effect

    from linkgate_cli.editing import Consent, edit_one
    from linkgate_cli.one_row import given, key_of, row

    session = Session.of(ctx)
    people = {"reason": reason, "ticket": ticket, "owner": owner}
    values = given(session.now, limit, regions, start, until, span, people)
    key = key_of(session, consumer, service)
    edit_one(session, key, lambda before: row(key, before, Effect.ALLOW, values, session.now), Consent(yes, confirm))
