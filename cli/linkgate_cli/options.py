"""Arguments and options that several commands take, in the same words."""

from typing import Annotated

import typer

File = Annotated[str, typer.Argument(metavar="[FILE]", help="A file of rows.", show_default=True)]
Prune = Annotated[bool, typer.Option("--prune", help="Rows of its services that the file does not have go.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask, but for cuts of live connections.")]
Confirm = Annotated[
    str, typer.Option(metavar="ID", help="Agree to a cut: the endpoint's id; of several, such as '3 cuts'.")
]
Consumer = Annotated[str, typer.Argument(metavar="CONSUMER", help="An account, vpce-…, ou-…, o-… or *.")]
Service = Annotated[
    str,
    typer.Option(metavar="VPCE-SVC-…", help="The service, or * for all; found by itself where there is one."),
]
Regions = Annotated[str, typer.Option(metavar="R1,R2", help="Only consumers in these Regions.")]
From = Annotated[str, typer.Option("--from", metavar="TIME", help="Not before, such as 2026-12-31T23:00:00Z.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="No longer than.")]
For = Annotated[str, typer.Option("--for", metavar="90d", help="No longer than so much from now.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="For people; the ledger keeps it with each decision.")]
Ticket = Annotated[str, typer.Option(metavar="TEXT", help="Likewise.")]
Owner = Annotated[str, typer.Option(metavar="TEXT", help="Likewise: the team to ask.")]
