"""The catalogue of events: every detail-type that Linkgate publishes is made here, and nowhere else."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from linkgate.events.bus import Event
from linkgate.events.message import RUNBOOK, lasted, message, moment, row_words
from linkgate.health.causes import CAUSES
from linkgate.model import (
    Contradiction,
    Decision,
    Effect,
    MalformedRow,
    Mode,
    Outcome,
    Rule,
    Status,
    UnusedRow,
)

RECREATE = "EC2 accepts a rejected connection no more: the consumer must recreate the endpoint"

UNHEALTHY, RECOVERED, UNPROBED = "Endpoint Unhealthy", "Endpoint Recovered", "Endpoint Unprobed"
ROW_INVALID, EXPIRING_SOON = "Allow List Row Invalid", "Expiring Soon"
CONTRADICTED, GROUPED = "Allow List Contradicted", "Events Grouped"
MISCONFIGURED = "Endpoint Service Misconfigured"
NAMED_LINES = 20
"""Endpoints that the breaker's message names at most."""
MOST_RELEASED = 1000
"""Endpoints in the row that a message shows."""
_CONTRADICTED = {
    Contradiction.ALLOWED_NOT_LIVE: (
        "OUT",
        "allowed, not live",
        "the allow-list lets it in, and it is not accepted: no traffic passes.",
    ),
    Contradiction.LIVE_NOT_ALLOWED: (
        "IN",
        "not allowed, live",
        "the allow-list does not let it in, and it is accepted: traffic passes.",
    ),
    None: ("AS ALLOWED", "as the allow-list says again", ""),
}
"""The headline's first word, what it says, and a sentence."""
UNNAMED = "somebody whom CloudTrail has not named yet"
OPEN_GATE = "AcceptanceRequired is off"
_STEPS = {
    OPEN_GATE: "aws ec2 modify-vpc-endpoint-service-configuration --service-id {service} --acceptance-required; who "
    "came in meanwhile and is not allowed is named in a message of its own.",
    "the service is": "look at its load balancers: one is gone, or the service is being deleted.",
    "the private DNS name is": "publish the TXT record that `aws ec2 describe-vpc-endpoint-service-configurations "
    "--service-ids {service}` shows, then `aws ec2 start-vpc-endpoint-service-private-dns-verification --service-id "
    "{service}`.",
    "its connection notification": "enable it for Accept, Connect, Delete and Reject (aws ec2 "
    "modify-vpc-endpoint-connection-notification); until then the sweep finds requests, minutes later.",
    "it has no connection notification": "give the sweep's role what EC2 says is missing; until then the sweep finds "
    "requests, minutes later.",
    "everybody (*)": "name principals (aws ec2 modify-vpc-endpoint-service-permissions), or set default = hold in its "
    "@settings row.",
    "EC2 refuses to change": "look for an account in the allow-list that does not exist; EC2's words are in the "
    "sweep's log.",
    "it has a row @settings": "give {service} its tag again (aws ec2 create-tags), or delete its @settings row.",
    "the Linkgate stack": "if it is gone: aws ec2 delete-vpc-endpoint-connection-notifications with the id above.",
}
"""What to do about each problem of an endpoint service, by how its sentence begins."""
_DONE = {
    Outcome.ACCEPT: "Endpoint Connection Accepted",
    Outcome.REJECT: "Endpoint Connection Rejected",
    Outcome.HOLD: "Endpoint Connection Held",
    Outcome.CUT: "Endpoint Connection Cut",
}
_WOULD = _DONE | {Outcome.ACCEPT: "Would Accept", Outcome.REJECT: "Would Reject", Outcome.CUT: "Would Cut"}


class Subject(Protocol):
    """What an event can be about: a connection as EC2 describes it, or an endpoint as the ledger knows it."""

    @property
    def endpoint(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def region(self) -> str: ...


class EndpointRecord(Subject, Protocol):
    """What a message says of an endpoint beside that; the ledger's record has it all."""

    @property
    def status(self) -> Status: ...
    @property
    def row(self) -> str: ...
    @property
    def row_owner(self) -> str: ...
    @property
    def ticket(self) -> str: ...
    @property
    def by_whom(self) -> str: ...
    @property
    def by_hand_at(self) -> datetime | None: ...
    @property
    def contradiction(self) -> str: ...


class Withheld(NamedTuple):
    """An endpoint whose cut or rejection the breaker withholds; `reason` in words, with the row."""

    endpoint: str
    account: str
    reason: str


@dataclass(frozen=True, slots=True)
class Story:
    """Why a connection contradicts the allow-list: the decision, its row, since when, the cause and the next step."""

    reason: str
    row: str
    owner: str
    ticket: str
    cause: str
    step: str
    since: datetime
    now: datetime


def about(subject: Subject) -> dict[str, object]:
    """The part of a detail that says which endpoint an event is about."""
    return {
        "endpoint_id": subject.endpoint,
        "service_id": subject.service,
        "account": subject.account,
        "region": subject.region,
    }


def decision_event(subject: Subject, decision: Decision, entry: str) -> Event:
    """Accepted, Rejected or Held; in observe mode what would have been done."""
    more = {"mode": decision.mode, "note": decision.note, "people": dict(decision.people)}
    return _decided(_DONE if decision.acts else _WOULD, subject, decision.says(), entry, more)


def finished_event(subject: Subject, says: tuple[str, str, str], entry: str) -> Event:
    """The event of a decision that was acted on by a run that ended before it could publish."""
    return _decided(_DONE, subject, says, entry, {"mode": Mode.ENFORCE})


def closed_event(subject: Subject) -> Event:
    """The endpoint is gone: deleted, failed or expired."""
    return Event("Endpoint Connection Closed", about(subject))


def out_of_band_event(subject: Subject, line: Mapping[str, Any]) -> Event:
    """Accepted or Rejected, out of band: `line` is the ledger's item about it."""
    return Event(
        _DONE[Outcome(line["outcome"])],
        {**about(subject), **{name: line[name] for name in ("decision_id", "outcome", "reason", "row", "note", "who")}},
    )


def final_event(subject: Subject, decision: Decision, entry: str) -> Event:
    """Rejected, although it is allowed again: EC2 accepts a rejected connection no more."""
    detail = {"decision_id": entry.rpartition("#")[2], "outcome": Outcome.REJECT, "reason": "final"}
    return Event(_DONE[Outcome.REJECT], {**about(subject), **detail, "row": str(decision.row or ""), "note": RECREATE})


def tripped_event(service: str, acts: str, withheld: Sequence[Withheld], lets: str, table: str, now: datetime) -> Event:
    """The breaker lets no more `acts` (cuts or rejections) through; it names a hundred endpoints that are withheld.

    `lets` says what it lets through, `table` is the allow-list.
    """
    endpoints = [one.endpoint for one in withheld]
    cuts = acts == "cuts"
    what = (
        f"{_several(len(withheld), 'live connection')} to be cut, and {lets} lets fewer be cut in an hour: nobody is."
        if cuts
        else f"{_several(len(withheld), 'request')} to be rejected beyond what {lets} lets through an hour: they wait."
    )
    back = "put back the rows that let them in; that ends it." if cuts else "let rows allow them."
    named = [f"\n  {one.endpoint} of account {one.account}: {one.reason}" for one in withheld[:NAMED_LINES]]
    more = len(withheld) - len(named)
    row = {"service": {"S": service}, "consumer": {"S": "@release"}, "endpoints": {"SS": endpoints[:MOST_RELEASED]}}
    release = f"aws dynamodb put-item --table-name {table} --item '{json.dumps(row)}'"
    facts = [
        ("What", what),
        ("Since", moment(now)),
        ("Who", "".join(named) + (f"\n  and {more} more" if more else "")),
        ("Next, if they belong in", back),
        ("Next, if not", f"this row has exactly these {'cut' if cuts else 'rejected'}; delete it then:\n  {release}"),
        ("Runbook", f"{RUNBOOK}breaker-tripped"),
    ]
    summary = message(f"BREAKER: {_several(len(withheld), acts[:-1])} withheld on {service}", facts)
    detail = {"service_id": service, "acts": acts, "endpoints": endpoints[:100], "count": len(withheld)}
    return Event("Breaker Tripped", detail | {"summary": summary})


def _several(count: int, name: str) -> str:
    return f"1 {name} is" if count == 1 else f"{count} {name}s are"


def misconfigured_event(
    service: str, problems: Sequence[str], before: Iterable[str], since: datetime, now: datetime
) -> Event:
    """What is wrong with an endpoint service, one sentence each, since when; none once nothing is any more.

    `before` is what was published last.
    """
    detail = {"service_id": service, "problems": list(problems)}
    if problems:
        is_open = problems[0].startswith(OPEN_GATE)
        facts = [
            *(("What", one) for one in problems),
            ("Since", moment(since)),
            *(("Next", step.format(service=service)) for one in problems if (step := step_for(one))),
            ("Runbook", f"{RUNBOOK}endpoint-service-misconfigured"),
        ]
        word = "OPEN" if is_open else "MISCONFIGURED"
        headline = f"{word}: {service} {'lets everybody in' if is_open else 'needs a change'}"
    else:
        was = [("It was", one) for one in sorted(before)]
        facts = [*was, ("It lasted", lasted(since, now)), ("Next", "nothing")]
        headline = f"MENDED: {service} is configured as it should be"
    return Event(MISCONFIGURED, detail | {"summary": message(headline, facts)})


def step_for(problem: str) -> str:
    """What to do about a problem of an endpoint service, with a place for its id."""
    return next((step for begins, step in _STEPS.items() if problem.startswith(begins)), "")


def invalid_row_event(row: MalformedRow, owner: str = "", ticket: str = "") -> Event:
    """A row of the allow-list cannot be read."""
    detail = {"row": str(row.key), "attribute": row.attribute, "problem": row.problem, "owner": owner, "ticket": ticket}
    facts = [
        ("What", row.problem),
        ("Row", row_words(str(row.key), owner, ticket)),
        ("Meanwhile", "whoever it may name is held; nobody live is cut because of it."),
        ("Next", "mend the row; who is held is decided on again within seconds."),
        ("Runbook", f"{RUNBOOK}invalid-rows"),
    ]
    return Event(ROW_INVALID, detail | {"summary": message(f"INVALID ROW: {row.key} cannot be read", facts)})


def unused_row_event(row: UnusedRow) -> Event:
    """A row of the allow-list means nothing where it stands; it holds nobody up."""
    detail = {"row": str(row.key), "attribute": row.attribute, "problem": row.problem}
    return Event("Allow List Row Unused", detail | {"summary": f"The allow-list's {row}."})


def incomplete_event(gaps: Sequence[str]) -> Event:
    """The stack's parameters leave something out, a sentence each."""
    facts = [
        *(("What", gap) for gap in gaps),
        ("Next", "deploy with these parameters (docs/parameters.md), or leave it so: this is told once."),
        ("Runbook", f"{RUNBOOK}stack-incomplete"),
    ]
    summary = message("INCOMPLETE: Linkgate works, but its stack leaves something out", facts)
    return Event("Stack Incomplete", {"gaps": list(gaps), "summary": summary})


def expiring_event(row: Rule, ends: datetime, now: datetime, otherwise: tuple[str, str]) -> Event:
    """A row ends soon; `otherwise` is what then becomes of new requests and of live connections, in words."""
    days = (ends - now).days
    when = "in less than a day" if days == 0 else "in a day" if days == 1 else f"in {days} days"
    people = {name: row.people.get(name, "") for name in ("owner", "ticket")}
    then = (
        f"where no other row allows them, new requests are {otherwise[0]}, and live connections are {otherwise[1]}."
        if row.effect is Effect.ALLOW
        else "it keeps nobody out any more, and other rows decide."
    )
    facts = [
        ("Row", row_words(str(row.key), people["owner"], people["ticket"], row.effect)),
        ("Ends", f"{ends.isoformat()}, {when}"),
        ("Then", then),
        ("Next", "give it a later expires_at if it is still wanted, or let it end."),
        ("Runbook", f"{RUNBOOK}expiring-soon"),
    ]
    detail = {"row": str(row.key), "effect": row.effect, "expires_at": ends.isoformat(), "days_left": days}
    return Event(
        EXPIRING_SOON, {**detail, **people, "summary": message(f"EXPIRING SOON: {row.key} ends {when}", facts)}
    )


def health_event(subject: EndpointRecord, status: Status, health: Mapping[str, Any]) -> Event | None:
    """Verified, Unhealthy, Recovered or Unprobed; None: nothing changed.

    `health` is what the ledger records of the round.
    """
    before = subject.status
    if status is before:
        return None
    if status is Status.ACCEPTED:
        was = "verified no more" if before is Status.VERIFIED else "called unhealthy no more"
        return _failing(UNPROBED, subject, health, "UNPROBED", was)
    if status is Status.UNHEALTHY:
        return _failing(UNHEALTHY, subject, health, "UNHEALTHY", health["cause"])
    if before is Status.UNHEALTHY:
        return _working(RECOVERED, subject, health, "RECOVERED", "it answers again")
    return _working("Endpoint Verified", subject, health, "VERIFIED", "it answers")


def open_event(subject: EndpointRecord, health: Mapping[str, Any]) -> Event:
    """An endpoint that must stay out gets in (`health` has a cause), or no longer does."""
    if health["cause"]:
        return _failing(UNHEALTHY, subject, health, "GETS IN", "it must stay out")
    return _working(RECOVERED, subject, health, "STAYS OUT", "as it must")


def contradicted_event(subject: EndpointRecord, how: Contradiction | None, story: Story) -> Event:
    """A connection contradicts the allow-list for longer than a look, or does no more (None)."""
    word, short, what = _CONTRADICTED[how]
    told = [
        ("What", what),
        *_consumer(subject, row_words(story.row, story.owner, story.ticket, story.reason)),
        ("Since", moment(story.since)),
        ("Cause", story.cause),
        ("Next", story.step),
    ]
    was = _CONTRADICTED[Contradiction(subject.contradiction)][2] if how is None else ""
    over = [
        *_consumer(subject, row_words(story.row, story.owner, story.ticket, story.reason)),
        ("It was", was),
        ("It lasted", lasted(story.since, story.now)),
        ("Why it is over", story.cause),
        ("Next", "nothing"),
    ]
    facts = [*(told if how else over), ("Runbook", f"{RUNBOOK}allow-list-contradicted")]
    detail = {
        **about(subject),
        **{"contradiction": how or "", "since": story.since.isoformat(), "who": subject.by_whom},
        **{"reason": story.reason, "row": story.row, "owner": story.owner, "ticket": story.ticket},
        **{"cause": story.cause, "step": story.step},
    }
    return Event(CONTRADICTED, detail | {"summary": message(f"{word}: {_who(subject)}: {short}", facts)})


def accepted_again_event(subject: EndpointRecord, decision: Decision, now: datetime) -> Event:
    """Somebody rejected an endpoint out of band, and it was accepted again since a row allows it."""
    row, people = str(decision.row or ""), {name: decision.people.get(name, "") for name in ("owner", "ticket")}
    by = f"rejected by {subject.by_whom or UNNAMED}, {moment(subject.by_hand_at)}."
    facts = [
        ("What", "the allow-list lets it in, so Linkgate accepted it again."),
        *_consumer(subject, row_words(row, people["owner"], people["ticket"], decision.reason)),
        ("Since", moment(now)),
        ("Cause", by),
        ("Next", "nothing; to keep it out, put a deny row for it."),
        ("Runbook", f"{RUNBOOK}allow-list-contradicted"),
    ]
    detail = {**about(subject), "contradiction": "", "since": (subject.by_hand_at or now).isoformat(), **people}
    detail |= {"who": subject.by_whom, "reason": decision.reason, "row": row, "cause": by, "step": ""}
    headline = f"ACCEPTED AGAIN: {_who(subject)}: rejected by hand"
    return Event(CONTRADICTED, detail | {"summary": message(headline, facts)})


def _failing(kind: str, subject: EndpointRecord, health: Mapping[str, Any], word: str, what: str) -> Event:
    cause = str(health["cause"])
    meaning, step = CAUSES[cause]
    where = (f" {word} {health[name]}" for word, name in (("at", "address"), ("in", "zone")) if _new(health, name))
    probed = f", probed as {health['url']}{''.join(where)}" if health["url"] else ""
    also = zip(health["also"], health.get("beside", ()), strict=False)
    rejected = f"rejected by {subject.by_whom}, {moment(subject.by_hand_at)}" if subject.by_whom else ""
    facts = [
        *_consumer(subject, row_words(subject.row, subject.row_owner, subject.ticket)),
        ("Since", moment(_time(health.get("failing_since") or health.get("looked_at", "")))),
        ("Cause", f"{cause}: {meaning}."),
        ("Seen", f"{health['detail']}{probed}"),
        ("Done", rejected if cause == "connection_rejected" else ""),
        *(("Also", f"{other}: {seen}") for other, seen in also),
        ("Not probed", str(health.get("left_out", ""))),
        ("Next", f"{step}."),
        ("Runbook", f"{RUNBOOK}{cause}"),
    ]
    summary = message(f"{word}: {_who(subject)}: {what}", facts)
    return _health(kind, subject, health, summary, meaning, step)


def _new(health: Mapping[str, Any], name: str) -> bool:
    """Whether it is said where, and the evidence does not say so itself."""
    return bool(health[name]) and health[name] not in health["detail"]


def _working(kind: str, subject: EndpointRecord, health: Mapping[str, Any], word: str, what: str) -> Event:
    since, now = _time(health.get("failing_since", "")), _time(health["checked_at"])
    facts = [
        *_consumer(subject, row_words(subject.row, subject.row_owner, subject.ticket)),
        ("It was", f"{was}: {CAUSES[was].meaning}." if (was := str(health.get("failed_by", ""))) in CAUSES else was),
        ("It lasted", lasted(since, now) if since and now else ""),
        ("Not probed", str(health.get("left_out", ""))),
        ("Next", "nothing"),
    ]
    return _health(kind, subject, health, message(f"{word}: {_who(subject)}: {what}", facts))


def _who(subject: Subject) -> str:
    return f"{subject.endpoint} of account {subject.account}"


def _consumer(subject: Subject, row: str) -> list[tuple[str, str]]:
    region = f", Region {subject.region}" if subject.region else ""
    return [
        ("Endpoint", subject.endpoint),
        ("Account", f"{subject.account}{region}"),
        ("Service", subject.service),
        ("Row", row),
    ]


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _health(
    kind: str, subject: Subject, health: Mapping[str, Any], summary: str, meaning: str = "", step: str = ""
) -> Event:
    seen = {name: health[name] for name in ("cause", "also", "phase", "url", "address", "zone")}
    phases = {name: float(value) for name, value in health["phases"].items()}
    more = {"evidence": health["detail"], "meaning": meaning, "step": step, "phases": phases, "summary": summary}
    return Event(kind, {**about(subject), **seen, **more})


def _decided(
    words: Mapping[Outcome, str], subject: Subject, says: tuple[str, str, str], entry: str, more: Mapping[str, object]
) -> Event:
    outcome, reason, row = says
    decision = {"decision_id": entry.rpartition("#")[2], "outcome": outcome, "reason": reason, "row": row}
    return Event(words[Outcome(outcome)], {**about(subject), **decision, **more})
