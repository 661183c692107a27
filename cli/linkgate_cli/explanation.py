"""A decision made again from the ledger, and told step by step as a person would. Pure.

The sentence that sums it up is linkgate.policy.why; here are the steps below it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from linkgate.health.causes import CAUSES
from linkgate.ledger.items import BY_HAND, EndpointRecord, Facts, recalled
from linkgate.model import Decision, MalformedRow, NearMiss, Outcome, Reason, RowKey, Rule, Status
from linkgate.policy.decide import decide
from linkgate.policy.grounds import Ground, shown
from linkgate.policy.rows import parse

from linkgate_cli.output import age, clean

ORIGINS = {
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
    except (ValueError, KeyError, TypeError):
        return Told(
            (f"Decided {_at(when, now)}: {entry.get('outcome')}, {entry.get('reason')}. Its facts are not kept.",)
        )
    decision = decide(*facts)
    return Told(tuple(_steps(entry, facts, decision, now)), decision, facts)


def _steps(entry: Mapping[str, Any], facts: Facts, decision: Decision, now: datetime) -> Iterator[str]:
    yield _asked(facts)
    yield f"Linkgate decided {_at(str(entry.get('decided_at', '')), now)}, since {_origin(str(entry.get('rang', '')))}."
    yield from _lineage(facts)
    yield from _rows(facts, decision)
    yield from _conditions(facts, decision)
    yield _outcome(decision)
    recorded = tuple(str(entry.get(name, "")) for name in ("outcome", "reason", "row"))
    # A cut is what the sweep makes of a decision that ends a live connection.
    if recorded[1:] != decision.says()[1:]:
        yield f"The ledger says {', '.join(filter(None, recorded))}: this version of Linkgate would decide otherwise."
    yield _answer(entry, decision)


def _asked(facts: Facts) -> str:
    connection = facts.connection
    whose = f"Account {connection.account}" if connection.account else "Somebody, EC2 does not say who,"
    where = f" from {connection.region}" if connection.region else "; EC2 does not say from which Region"
    state = (
        "had been let in"
        if connection.state.live
        else "waited for an answer"
        if connection.waits
        else f"was {connection.state}"
    )
    return f"{whose} asked for it on {connection.created:%Y-%m-%d %H:%M} UTC{where}; it {state}."


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
        yield f"Row {decision.row} decides: {clean(decision.note) or 'it may be about this consumer'}."
    for miss in decision.near_misses:
        yield _missed(miss, facts)
    if not decision.applied and not decision.near_misses and not decision.row:
        connection = facts.connection
        units = "".join(f", {one}" for one in facts.context.lineage.units)
        yield f"No row is about {connection.endpoint}, {connection.account or 'its account'}{units} or *."


def _applied(key: RowKey, facts: Facts, decision: Decision) -> str:
    row = parse(facts.rows[key])
    decides = ", and decides" if key == decision.row else ""
    if isinstance(row, MalformedRow):
        return f"Row {key} cannot be read{decides}: {clean(row.problem)}."
    assert isinstance(row, Rule)  # noqa: S101 - only rules apply
    return f"Row {key} applies{decides}: {row.effect}{_terms(row)}."


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
    if decision.limit is not None:
        yield f"{taken} of the {decision.limit} connections that the row allows an account were in use by others of it."
    if settings.frozen_until and facts.now < settings.frozen_until:
        yield f"The service is frozen until {shown(settings.frozen_until)} ({ground.whence('frozen_until')})."
    if decision.reason is Reason.BREAKER:
        most = f"{settings.max_rejects.amount}{'%' * settings.max_rejects.percent}"
        yield f"It would be rejected, but {most} rejections within the hour are all that max_rejects lets through."
    for key in facts.context.unmatched:
        yield f"Row {key.service!r}/{key.consumer!r} has keys of no known form: it may have been meant to keep out."
    if decision.row is None and decision.outcome is not Outcome.ACCEPT:
        yield f"Where no row applies, the default is {settings.default} ({ground.whence('default')})."
    if ground.observed:
        yield f"The service is only observed (mode = observe, {ground.whence('mode')})."


def _outcome(decision: Decision) -> str:
    verb = {Outcome.ACCEPT: "accept it", Outcome.HOLD: "hold it", Outcome.REJECT: "reject it"}.get(
        decision.outcome, "cut it"
    )
    return f"So: {verb} ({decision.reason})."


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


def health(record: EndpointRecord, now: datetime) -> Iterator[str]:
    """How an endpoint that was let in does, with cause, evidence and the step to take."""
    found: Mapping[str, Any] = record.health
    looked = _moment(found.get("looked_at")) or _moment(found.get("checked_at"))
    when = f", last found out {age(looked, now)} ago" if looked else ""
    if not record.status.live:
        return
    if cause := record.cause:
        known = CAUSES.get(cause)
        yield f"It does not answer ({cause}{when}): {clean(found.get('detail', ''))}."
        if known:
            yield f"That usually means: {known.meaning}."
            yield f"First: {known.step}."
        for other in found.get("also") or ():
            yield f"Beside it: {other}."
    elif record.status is Status.VERIFIED:
        phases = found.get("phases") or {}
        times = ", ".join(f"{name} {float(value):g} ms" for name, value in phases.items())
        yield f"It answers{when}{f': {times}' if times else ''}."
    else:
        why = clean(found.get("detail", "")) or "no canary has crossed it yet"
        yield f"Nobody knows whether it answers: {why}."
    if record.status is Status.VERIFIED and record.recent.count("0"):
        yield f"{record.recent.count('0')} of its last {len(record.recent)} rounds were bad."


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
