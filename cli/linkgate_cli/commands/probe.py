"""`linkgate probe`: one canary run now, as patrol does it; nothing is written down."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from linkgate.aws.connections import Connections
from linkgate.health.causes import CAUSES, UNKNOWN
from linkgate.health.verdict import Verdict
from linkgate.ledger.items import EndpointRecord
from linkgate.ledger.ledger import Ledger
from linkgate.model import Connection
from linkgate.patrol.assessment import Assessment
from linkgate.patrol.canaries import LONGEST_CALL, Canaries
from linkgate.patrol.probing import Probing
from linkgate.patrol.routing import CanaryRouting
from linkgate.patrol.run import Run
from linkgate.patrol.selection import Candidate, Selection
from linkgate.policy.attributes import probes
from linkgate.policy.decide import settings_keys
from linkgate.policy.probes import Probe
from rich.text import Text

from linkgate_cli.failures import UNHEALTHY, Failure
from linkgate_cli.output import BAD, GOOD, clean, console, notes, say_json
from linkgate_cli.refusals import failure_of
from linkgate_cli.session import Session
from linkgate_cli.subjects import endpoint as endpoint_of

COLOURS = {"dns": "blue", "tcp": "cyan", "tls": "magenta", "first_byte": GOOD}
WIDTH = 24
"""Characters of the longest bar."""


def command(
    ctx: typer.Context,
    endpoint: Annotated[str, typer.Argument(metavar="VPCE-…", help="An endpoint that is accepted.")],
) -> None:
    """Probe an endpoint now: phases, cause and evidence.

    Exit code 5 if a probe fails. Nothing is written down: `linkgate status` follows patrol's own rounds.

    Example: linkgate probe vpce-0123456789abcdef0
    """
    session = Session.of(ctx)
    candidate = _candidate(session, endpoint_of(endpoint))
    with notes().status(f"{candidate.canary} probes {len(candidate.targets)} targets …"):
        found = _assessed(session, candidate)
    if session.output == "json":
        say_json("probe", document(found))
    else:
        show(found)
    raise typer.Exit(0 if found.healthy else UNHEALTHY)


def _candidate(session: Session, endpoint: str) -> Candidate:
    """What patrol would probe of an endpoint; Failure where nobody can, or nothing may pass."""
    managed = session.services.managed()
    records = Ledger(session.ledger).current([endpoint])
    record = records.get(endpoint)
    account = record.account if record else ""
    found = Connections(session.client("ec2")).named({endpoint: account}, managed) if managed else []
    if not found:
        raise Failure(f"EC2 shows no connection of {endpoint} to a managed service: see linkgate why {endpoint}")
    connection = found[0]
    if not connection.state.passes:
        raise Failure(f"{endpoint} is {connection.state}, so nothing passes: see linkgate why {endpoint}")
    one = _selected(session, managed, connection, record)
    if not one.targets:
        mend = f"put a row @canary:{connection.account} (linkgate doctor says more)"
        raise Failure(f"{endpoint} cannot be probed: {one.unreached}; {mend}")
    return one


def _selected(session: Session, managed: Any, connection: Connection, record: EndpointRecord | None) -> Candidate:
    service = connection.service
    rows = session.allow_list.rows(settings_keys(service))
    canaries = session.allow_list.canaries([service])
    routing = CanaryRouting(canaries, session.outputs.get("CanaryFunction", ""), session.account)
    default = tuple(map(Probe.parse, probes(session.parameters.get("DefaultProbe", ""))))
    known = {connection.endpoint: record} if record else {}
    return Selection(managed, rows, routing, default).candidates([connection], known, session.now)[0]


def _assessed(session: Session, candidate: Candidate) -> Assessment:
    """One run; Failure where the canary does not come back."""
    canaries = Canaries(lambda region: session.client("lambda", region), session.outputs.get("CanaryFunction", ""))
    probing = Probing(Connections(session.client("ec2")), canaries, lambda: datetime.now(UTC))
    run = Run(lambda: 2.0 * LONGEST_CALL)
    (found,) = probing.assess([candidate], run)
    for canary, error in run.absent.items():
        raise Failure(f"the canary {canary} gave no verdict: {failure_of(error)}") from error
    return found


def show(found: Assessment) -> None:
    """One line for each address of each name, then the diagnosis."""
    screen, connection = console(), found.candidate.connection
    head = f"  {connection.account}, by {found.candidate.canary}"
    screen.print(Text.assemble((connection.endpoint, "bold"), head), soft_wrap=True)
    verdicts = found.evidence.verdicts
    longest = max((one.phases.get("total", 0.0) for one in verdicts), default=0.0) or 1.0
    for name, some in _by_name(verdicts):
        screen.print(Text(f"\n{name}"), soft_wrap=True)
        for one in some:
            screen.print(line(one, longest), soft_wrap=True)
    diagnosis = found.diagnosis
    if found.healthy:
        screen.print("\nevery probe passed", style=GOOD)
        return
    screen.print(Text.assemble("\n", (diagnosis.cause, BAD), f"  {clean(diagnosis.evidence)}"))
    if cause := CAUSES.get(diagnosis.cause):
        screen.print(f"That usually means: {cause.meaning}.")
        screen.print(f"First: {cause.step}.")
    for other in diagnosis.also:
        screen.print(f"Beside it: {other}.")


def _by_name(verdicts: Sequence[Verdict]) -> list[tuple[str, list[Verdict]]]:
    """Verdicts by what was probed, in their order; an endpoint's own names are too long to be read."""
    found: dict[str, list[Verdict]] = {}
    for one in verdicts:
        name = one.target.name
        url = one.target.url if one.private else one.target.url.replace(name.text, "…")
        found.setdefault(f"{name.kind} name{f' of {one.zone}' if one.zone else ''}, {url}", []).append(one)
    return list(found.items())


def line(verdict: Verdict, longest: float) -> Text:
    """An address with a bar of its phases, their milliseconds, and what is wrong."""
    made = Text(f"  {verdict.address or '-':16}")
    drawn = 0
    for phase, colour in COLOURS.items():
        size = round(WIDTH * verdict.phases.get(phase, 0.0) / longest)
        size = min(max(size, 1) if phase in verdict.phases else 0, max(0, WIDTH - drawn))
        made.append("▇" * size, colour)
        drawn += size
    made.append(" " * (WIDTH - drawn + 2))
    times = [f"{phase} {verdict.phases[phase]:g}" for phase in COLOURS if phase in verdict.phases]
    total = verdict.phases.get("total")
    made.append(", ".join(times) + (f", total {total:g} ms" if total is not None else ""))
    if not verdict.good:
        made.append(f"\n{' ' * 18}{verdict.cause}: {clean(verdict.detail)}", BAD)
    return made


def document(found: Assessment) -> dict[str, Any]:
    """The run as JSON; phases in milliseconds."""
    connection, diagnosis = found.candidate.connection, found.diagnosis
    cause = CAUSES.get(diagnosis.cause)
    return {
        **{name: getattr(connection, name) for name in ("endpoint", "service", "account", "region")},
        "canary": found.candidate.canary,
        "healthy": found.healthy,
        "known": diagnosis.cause != UNKNOWN,
        "cause": diagnosis.cause,
        "evidence": diagnosis.evidence,
        "also": list(diagnosis.also),
        "meaning": cause.meaning if cause else "",
        "step": cause.step if cause else "",
        "verdicts": [
            {
                "url": one.target.url,
                "kind": str(one.target.name.kind),
                "zone": found.evidence.zone_of(one),
                "address": one.address,
                "cause": one.cause,
                "detail": one.detail,
                "phases": dict(one.phases),
                "tls_days_left": one.tls_days_left,
            }
            for one in found.evidence.verdicts
        ],
    }
