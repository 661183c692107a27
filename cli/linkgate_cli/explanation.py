"""A decision made again from the ledger, and told step by step as a person would. Pure.

The sentence that sums it up is linkgate.policy.why; here are the steps below it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from linkgate.ledger.items import BY_HAND, Facts, recalled
from linkgate.model import Decision, MalformedRow, NearMiss, Outcome, Reason, RowKey, Rule
from linkgate.policy.decide import decide
from linkgate.policy.grounds import Ground, shown
from linkgate.policy.rows import parse

from linkgate_cli.output import age, clean

ORIGINS = {
    "Endpoint Connection Notification": "a notification of EC2's told of it",
    "sweep": "the sweep found it",
    "allow-list edited": "the allow-list was edited",
    "a slot was freed": "a connection of the same account ended, so that there may be room",
}
NOT_ASKED = "nothing to do"
_WHEN = {
    Reason.EXPIRED: "it ended on {0.expires_at:%Y-%m-%d %H:%M} UTC",
    Reason.NOT_YET_VALID: "it begins on {0.starts_at:%Y-%m-%d %H:%M} UTC",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One decision as it was made: the steps, and what it says today (None: nobody can tell, the facts are gone)."""

    steps: tuple[str, ...]
    decision: Decision | None = None
    facts: Facts | None = None


def tell(entry: Mapping[str, Any], now: datetime) -> Told:
    """A decision of the ledger, or an act out of band, by its item."""
    when = str(entry.get("decided_at", ""))
    if entry.get("reason") == BY_HAND:
        who = str(entry.get("who") or "somebody, whom CloudTrail has not named")
        done = "accepted" if entry.get("outcome") == Outcome.ACCEPT else "rejected"
        return Told(
            (f"It was {done} by {clean(who)}, not by Linkgate: {clean(entry.get('note', ''))} ({_at(when, now)}).",)
        )
    try:
        facts = recalled(str(entry.get("facts", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Told(
            (f"Decided {_at(when, now)}: {entry.get('outcome')}, {entry.get('reason')}. Its facts are not kept.",)
        )
    decision = decide(*facts)
    return Told(tuple(_steps(entry, facts, decision, now)), decision, facts)


def _steps(entry: Mapping[str, Any], facts: Facts, decision: Decision, now: datetime) -> Iterator[str]:
    yield _asked(facts)
    when, origin = _at(str(entry.get("decided_at", "")), now), _origin(str(entry.get("rang", "")))
    yield f"Linkgate decided {when}, because {origin}."
    yield from _lineage(facts)
    yield from _rows(facts, decision)
    yield from _conditions(facts, decision)
    yield _outcome(entry, decision)
    recorded = tuple(str(entry.get(name, "")) for name in ("outcome", "reason", "row"))
    if recorded[1:] != decision.says()[1:]:
        yield f"The ledger says {', '.join(filter(None, recorded))}: this version of Linkgate would decide otherwise."
    yield _answer(entry, decision)


def _asked(facts: Facts) -> str:
    connection = facts.connection
    whose = f"Account {connection.account}" if connection.account else "Somebody, of whom EC2 names no account,"
    where = f" from {connection.region}" if connection.region else " (EC2 does not say from which Region)"
    state = connection.state
    then = "had been let in" if state.live else "waited for an answer" if connection.waits else f"was {state}"
    return f"{whose} asked to connect on {connection.created:%Y-%m-%d %H:%M} UTC{where}; the connection {then}."


def _origin(origin: str) -> str:
    if origin in ORIGINS:
        return ORIGINS[origin]
    return f"{clean(origin)} told of it" if origin else "somebody told of it"


def _lineage(facts: Facts) -> Iterator[str]:
    lineage = facts.context.lineage
    if lineage.units:
        yield f"Its account is in {', '.join(lineage.units)}."
    if lineage.unknown:
        yield f"Nobody knows where its account is in the organisation: {clean(lineage.why)}."


def _rows(facts: Facts, decision: Decision) -> Iterator[str]:
    """The rows about it, the most specific first: which apply, which do not and why, which cannot be read."""
    for key in decision.applied:
        yield _applied(key, facts, decision)
    if decision.row and decision.row not in decision.applied:
        yield _decides(decision.row, facts, decision)
    for miss in decision.near_misses:
        yield _missed(miss, facts)
    if not decision.applied and not decision.near_misses and not decision.row:
        connection = facts.connection
        units = "".join(f", {one}" for one in facts.context.lineage.units)
        yield f"No row is about {connection.endpoint}, {connection.account or 'its account'}{units} or *."


def _applied(key: RowKey, facts: Facts, decision: Decision) -> str:
    row = parse(facts.rows[key])
    if isinstance(row, MalformedRow):
        return f"Row {key} cannot be read, so it lets nobody new in: {clean(row.problem)}."
    assert isinstance(row, Rule)  # noqa: S101 - only rules apply
    if decision.reason is Reason.UNKNOWN_REGION and key == decision.row:
        return f"Row {key} may apply: {row.effect}{_terms(row)}; without a Region nobody can tell."
    return f"Row {key} applies{', and decides' if key == decision.row else ''}: {row.effect}{_terms(row)}."


def _decides(key: RowKey, facts: Facts, decision: Decision) -> str:
    """A row that decides without applying: one of a unit, settings, or one whose keys are of no known form."""
    if facts.context.lineage.unknown and decision.note == facts.context.lineage.why:
        return f"Row {key} may be about it, and that cannot be told."
    problem = clean(decision.note.removeprefix(f"row {key}: "))
    return f"Row {key} cannot be read, so nobody new is let in: {problem}."


def _terms(rule: Rule) -> str:
    """What a rule says beside its effect, and the people behind it."""
    said = [f"limit {rule.limit}"] if rule.limit is not None else []
    said += [f"in {', '.join(sorted(rule.regions))}"] if rule.regions else []
    said += [f"from {shown(rule.starts_at)}"] if rule.starts_at else []
    said += [f"until {shown(rule.expires_at)}"] if rule.expires_at else []
    said += ["cut = now"] if rule.cut else []
    people = ", ".join(f"{name} {clean(text)}" for name, text in rule.people.items())
    return "".join(f", {one}" for one in said) + (f" ({people})" if people else "")


def _missed(miss: NearMiss, facts: Facts) -> str:
    rule = parse(facts.rows[miss.key])
    assert isinstance(rule, Rule)  # noqa: S101 - only rules miss
    if miss.reason is Reason.WRONG_REGION:
        why = f"it is about {', '.join(sorted(rule.regions))}, and this is {facts.connection.region}"
    else:
        why = _WHEN[miss.reason].format(rule)
    return f"Row {miss.key} ({rule.effect}) does not apply: {why}{_people(rule)}."


def _people(rule: Rule) -> str:
    people = ", ".join(f"{name} {clean(text)}" for name, text in rule.people.items())
    return f"; ask {people}" if people else ""


def _conditions(facts: Facts, decision: Decision) -> Iterator[str]:
    """What stands between a row and its effect: a limit, a freeze, the breaker, unmatched rows, observing."""
    ground = Ground(facts.connection, decision, facts.rows, facts.now, facts.context)
    settings, taken = ground.settings, facts.context.live
    if decision.limit:
        yield f"By that row the account may have {decision.limit} connections; it had {taken} beside this one."
    if settings.frozen_until and facts.now < settings.frozen_until:
        yield f"The service is frozen until {shown(settings.frozen_until)} ({ground.whence('frozen_until')})."
    for key in facts.context.unmatched:
        if key != decision.row:
            yield f"Row {key} has keys of no known form: it may have been meant to keep somebody out."
    if decision.reason is Reason.UNKNOWN_ACCOUNT:
        yield "A row of its account may say otherwise, so it waits until EC2 names the account."
    elif decision.row is None and decision.outcome is not Outcome.ACCEPT:
        yield f"Where no row applies, the default is {settings.default} ({ground.whence('default')})."
    if decision.reason is Reason.BREAKER:
        most = f"{settings.max_rejects.amount}{'%' * settings.max_rejects.percent}"
        yield f"It would be rejected, but within the hour {most} were, and max_rejects lets no more through."
    if ground.observed:
        yield f"The service is only observed (mode = observe, {ground.whence('mode')})."


def _outcome(entry: Mapping[str, Any], decision: Decision) -> str:
    """What came of it; a cut is what the sweep makes of a decision that ends a live connection."""
    cut = entry.get("outcome") == Outcome.CUT
    done = {Outcome.ACCEPT: "accepted", Outcome.HOLD: "held", Outcome.REJECT: "rejected"}
    return f"So it is {'cut' if cut else done.get(decision.outcome, 'cut')} ({decision.reason})."


def _answer(entry: Mapping[str, Any], decision: Decision) -> str:
    answer = clean(entry.get("answer", ""))
    if not answer:
        return "EC2 has not answered yet."
    if answer == NOT_ASKED:
        held = decision.outcome is Outcome.HOLD
        return f"EC2 was not asked: {'what is held just waits' if held else 'the service is only observed'}."
    return "EC2 did it." if answer == "done" else f"EC2: {answer}."


def _at(text: str, now: datetime) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return "at a time that is not kept"
    return f"on {moment:%Y-%m-%d %H:%M:%S} UTC, {age(moment, now)} ago"
