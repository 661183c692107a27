"""`linkgate why`: the last decision on an endpoint, or on all of an account, step by step; then its health."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from linkgate.aws.connections import Connections
from linkgate.ledger.items import EndpointRecord, UnreadableItem, read
from linkgate.ledger.table import CURRENT
from linkgate.model import Connection, DecisionContext, State
from linkgate.policy.decide import decide, unit_rows
from linkgate.policy.grounds import Ground
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from linkgate_cli.attention import Commands, needs_of
from linkgate_cli.condition import health
from linkgate_cli.consumer import Case, message
from linkgate_cli.explanation import Told, tell
from linkgate_cli.failures import Failure
from linkgate_cli.output import DIM, age, clean, console, say_json, table, visible
from linkgate_cli.overview import Overview, look
from linkgate_cli.session import Session
from linkgate_cli.subjects import ENDPOINT, subject

HISTORY = ("decided_at", "outcome", "reason", "row", "mode", "rang", "who", "answer", "answered_at")


@dataclass(frozen=True, slots=True)
class Story:
    """One endpoint: its item, its decisions with the newest first, and the newest told."""

    record: EndpointRecord
    entries: Sequence[dict[str, Any]]
    told: Told

    @property
    def case(self) -> Case:
        """What the message to its consumer is made of."""
        return Case(self.record, self.told.decision, self.told.facts)


def command(
    ctx: typer.Context,
    consumer: Annotated[
        str, typer.Argument(metavar="VPCE-…|ACCOUNT", help="An endpoint, or every endpoint of an account.")
    ],
    for_consumer: Annotated[bool, typer.Option("--for-consumer", help="The message to send to its consumer.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Every decision there was, the newest first.")] = False,
) -> None:
    """Why an endpoint waits, was let in or cut, step by step.

    Then how it does, and what is next. --for-consumer prints a message that names nothing of yours.

    Example: linkgate why vpce-0123456789abcdef0 --for-consumer
    """
    session = Session.of(ctx)
    overview, found = stories(session, subject(consumer))
    if session.output == "json":
        say_json("why", {"endpoints": [document(one, overview) for one in found]})
    elif not found:
        _nobody(session, overview, consumer.strip())
    elif for_consumer:
        print(visible("\n\n".join(message(one.case, overview.now) for one in found)))
    else:
        screen = console()
        for number, one in enumerate(found):
            screen.print(*([""] if number else []), shown(screen, one, overview, history), sep="\n")


def stories(session: Session, wanted: str) -> tuple[Overview, list[Story]]:
    """What is known of an endpoint, or of all that an account has or had; Failure for an endpoint nobody knows."""
    overview = look(session, closed=True)
    if ENDPOINT.fullmatch(wanted):
        return overview, [_story(session, wanted, overview)]
    mine = sorted(one.endpoint for one in overview.records if one.account == wanted)
    return overview, [_story(session, endpoint, overview) for endpoint in mine]


def _story(session: Session, endpoint: str, overview: Overview) -> Story:
    items = session.entries(endpoint)
    current = next((item for item in items if item["entry"] == CURRENT), None)
    if current is None:
        raise Failure(_unknown(session, endpoint, overview))
    try:
        record = read(current)
    except UnreadableItem as error:
        raise Failure(f"the ledger's item about {endpoint} cannot be read: {error}") from None
    entries = [item for item in reversed(items) if item["entry"] != CURRENT]
    told = tell(entries[0], overview.now) if entries else Told(("Linkgate has not decided on it.",))
    return Story(record, entries, told)


def _unknown(session: Session, endpoint: str, overview: Overview) -> str:
    """What to say of an endpoint that the ledger does not have: EC2 may show it already."""
    managed = session.services.managed()
    found = Connections(session.client("ec2")).named({endpoint: ""}, managed) if managed else []
    where = f"{overview.stack} in {overview.region}"
    if found:
        seen = f"{endpoint} is {found[0].state} in EC2, and Linkgate has not looked at it yet"
        return f"{seen}: ask again in some minutes, or see linkgate doctor"
    asked = f"neither the ledger of {where}, nor EC2 for its services"
    return f"nobody knows {endpoint}: {asked}; check the id, --region and --profile"


def shown(screen: Console, story: Story, overview: Overview, history: bool) -> RenderableType:
    """The story of one endpoint."""
    record, now = story.record, overview.now
    where = f", {record.region}" if record.region else ""
    head = Text.assemble((record.endpoint, "bold"), f"  {record.account or 'account unknown'}{where}, {record.service}")
    parts: list[RenderableType] = [
        head,
        Text.assemble((record.status, "bold"), "  ", clean(record.why or _short(record))),
    ]
    parts += [Text("\nthe decision", "bold"), *_numbered(story.told.steps)]
    if lines := list(health(record, now)):
        parts += [Text("\nits health", "bold"), *_numbered(lines)]
    if record.refusal:
        parts.append(Text(f"\nEC2 refuses: {clean(record.refusal)} ({record.tries} times)"))
    if record.unwanted_since:
        parts.append(Text(f"\nno longer wanted since {age(record.unwanted_since, now)}"))
    for need in needs_of(record, overview):
        if not need.command.startswith(f"linkgate why {record.endpoint}"):
            parts.append(Text.assemble("\nnext  ", (need.command, "bold")))
    if history:
        parts.append(_history(story))
    return Group(*parts)


def _short(record: EndpointRecord) -> str:
    return ", ".join(filter(None, (record.outcome, record.reason, record.row)))


def _numbered(lines: Sequence[str]) -> list[RenderableType]:
    """Steps with a hanging indent."""
    made = Table.grid(padding=(0, 1, 0, 0))
    for line in lines:
        made.add_row("  ", Text("-", DIM), Text(line, overflow="fold"))
    return [made]


def _history(story: Story) -> RenderableType:
    rows = (
        (
            str(one.get("decided_at", ""))[:19].replace("T", " "),
            str(one.get("outcome", "")),
            str(one.get("reason", "")),
            str(one.get("row", "")).partition("/")[2] or "-",
            clean(one.get("who") or one.get("answer", "")),
        )
        for one in story.entries
    )
    return table("decided (UTC)", "outcome", "reason", "row", "who or EC2", rows=rows)


def _nobody(session: Session, overview: Overview, account: str) -> None:
    """What a request of an account would meet that has no endpoint, service by service."""
    screen = console()
    screen.print(
        f"account {account} has no endpoint that Linkgate knows. A request from {overview.region} would now be:"
    )
    for view in overview.services:
        asked = Connection(
            view.service, "a new endpoint of it", account, overview.region, State.PENDING_ACCEPTANCE, overview.now
        )
        rows = session.allow_list.rows_for([asked])
        decision = decide(asked, rows, overview.now, DecisionContext())
        said, step = Ground(asked, decision, rows, overview.now, DecisionContext()).says()
        units = " (rows about OUs and organisations are not looked at here)" if unit_rows(view.service, rows) else ""
        screen.print(f"  {view.service}  {decision.outcome}: {clean(said)}{units}", soft_wrap=True)
        if step and view.described is not None:
            screen.print(
                f"    {Commands([one.service for one in overview.services]).allow(view.service, account)}",
                style="bold",
                soft_wrap=True,
            )


def document(story: Story, overview: Overview) -> dict[str, Any]:
    """One endpoint as JSON."""
    record = story.record
    times = ("requested_at", "decided_at", "accepted_at", "verified_at", "unwanted_since")
    return {
        **{
            name: str(getattr(record, name)) for name in ("endpoint", "service", "account", "region", "status", "state")
        },
        **{
            name: str(getattr(record, name))
            for name in ("outcome", "reason", "row", "mode", "ticket", "why", "refusal")
        },
        **{name: getattr(record, name) for name in times},
        "final": record.final,
        "cause": record.cause,
        "steps": list(story.told.steps),
        "health": list(health(record, overview.now)),
        "next": [need.command for need in needs_of(record, overview)],
        "for_consumer": message(story.case, overview.now),
        "history": [{name: str(one.get(name, "")) for name in HISTORY} for one in story.entries],
    }
