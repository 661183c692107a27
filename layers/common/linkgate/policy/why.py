"""Why a connection is where it is, in one sentence as a colleague would say it. Pure.

What became of it, the ground, and what is next. The ledger writes it with each decision and each answer of EC2's, as
`why` of the endpoint's `current` item.
"""

import re
from datetime import datetime
from typing import NamedTuple

from linkgate.model import Connection, Decision, DecisionContext, Outcome, Reconcile, State
from linkgate.policy.decide import Rows
from linkgate.policy.grounds import Ground, quoted, shown
from linkgate.policy.rows import RELEASE, SETTINGS

RECREATE = "the consumer must recreate the endpoint"
_DONE = {Outcome.ACCEPT: "accepted", Outcome.REJECT: "rejected"}


class Answer(NamedTuple):
    """What EC2 answered, in its own words; "": it did what it was asked for, or nobody asked it for anything.

    `until` is before when it is not asked again; None: never, since what it has against it is the connection's state.
    `given` is False from the moment a decision is written until EC2 is asked.
    """

    refusal: str = ""
    until: datetime | None = None
    given: bool = True


TOOK_IT, NOT_YET = Answer(), Answer(given=False)
TO_BE = "To be "


def why(
    connection: Connection,
    decision: Decision,
    rows: Rows,
    now: datetime,
    context: DecisionContext,
    answer: Answer = TOOK_IT,
) -> str:
    """The sentence about a decision: connection, rows, time and context are those that it was made of."""
    ground = Ground(connection, decision, rows, now, context)
    if answer.refusal:
        return _refused(ground, answer)
    if ground.live:
        return _live(ground, answer)
    said, step = ground.says()
    mode = f"put mode = enforce into row {connection.service}/{SETTINGS}"
    rejected = connection.state is State.REJECTED
    if decision.outcome is Outcome.HOLD or (rejected and decision.outcome is not Outcome.ACCEPT):
        aside = f"; Linkgate only observes this service: for it to act, {mode}" if ground.observed else ""
        return _sentence("Rejected" if rejected else "Waits", said, step + aside)
    done = _DONE[decision.outcome]
    if ground.observed:
        said = f"{said}, but Linkgate only observes this service"
        step = f"{mode} to have it {done}" + (f"; or {step}" if step else "")
        return _sentence(f"{'Rejected' if rejected else 'Waits'}, would be {done}", said, step)
    return _sentence(f"{_done(done, answer)}{' again' if rejected else ''}", said, step)


def came_true(before: str, outcome: str, reason: str, row: str) -> str:
    """The sentence about a decision that EC2 took, as a later look found: `before` says that it was open or refused."""
    if before.startswith(TO_BE):
        done = before.removeprefix(TO_BE)
        return done[:1].upper() + done[1:]
    said = ", ".join(filter(None, (f"decided as {reason}", row and f"row {row}", "and EC2 took it after a refusal")))
    return _sentence(_DONE.get(Outcome(outcome), "cut").capitalize(), said, "")


def by_hand(live: bool, who: str, now: datetime, before: tuple[str, str, str]) -> str:
    """The sentence about an accept (`live`) or a rejection that was not ours; `before` is what ours says."""
    outcome, reason, row = before
    ground = ", ".join(filter(None, (reason, row and f"row {row}")))
    said = f"Linkgate's own decision was {outcome} ({ground})" if outcome else "Linkgate had not decided on it"
    step = (
        "nothing, the next sweep asks the table whether it may stay"
        if live
        else f"if a row allows it, EC2 is asked once to accept it again; where it refuses, {RECREATE}"
    )
    return _sentence(
        f"{'Accepted' if live else 'Rejected'} by {who or 'somebody'}, not by Linkgate (seen {shown(now)})", said, step
    )


def attributed(sentence: str, who: str) -> str:
    """The sentence of `by_hand`, where nobody knew who it was; every other stays as it is."""
    return re.sub(r"^(Accepted|Rejected) by somebody,", lambda match: f"{match[1]} by {who},", sentence)


def found(state: State, word: str = "") -> str:
    """The sentence about an endpoint that Linkgate found as it is, undecided; `word` is EC2's for an unknown state."""
    if state.live:
        said = "it was when Linkgate first saw it, and nobody knows who accepted it"
        return _sentence("Live", said, "nothing, the next sweep asks the table whether it may stay")
    if state is State.REJECTED:
        said = "it was when Linkgate first saw it, and nobody knows who rejected it"
        return _sentence("Rejected", said, f"to be let in, {RECREATE}")
    if state is State.UNKNOWN:
        return _sentence(
            "Left alone", f"EC2 shows a state that nobody knows ({word or state})", "see it in the EC2 console"
        )
    return _sentence("Closed", f"EC2 shows the endpoint as {state}", "to connect again, the consumer creates a new one")


def _done(act: str, answer: Answer) -> str:
    return act.capitalize() if answer.given else f"{TO_BE}{act}"


def _live(ground: Ground, answer: Answer) -> str:
    """One that was let in: it stays unless nothing allows it any more, and then as the settings say."""
    decision, settings, service = ground.decision, ground.settings, ground.connection.service
    said, step = ground.says()
    if not decision.reason.ends:
        return _sentence("Live, and it stays", said, "")
    if decision.outcome is Outcome.CUT and decision.acts:
        return _sentence(_done("cut", answer), said, step)
    if ground.observed:
        stays = "Linkgate only observes this service"
        way = f"put mode and reconcile = enforce into row {service}/{SETTINGS} to have it cut"
    elif decision.cut_now:
        stays, way = "", "nothing, the sweep cuts it at once (cut = now)"
    elif settings.reconcile is not Reconcile.ENFORCE:
        stays = f"reconcile = {settings.reconcile} ({ground.whence('reconcile')})"
        way = f"put reconcile = enforce into row {service}/{SETTINGS}, or reject it by hand, to have it cut"
    elif decision.outcome is Outcome.CUT:
        stays = f"the breaker keeps it, since more than {settings.max_cuts} cuts within the hour are wanted"
        way = f"put row {service}/{RELEASE} with endpoints = {ground.connection.endpoint} to have it cut"
    else:
        stays, way = "", f"nothing, the sweep cuts it after the grace ({int(settings.grace.total_seconds())} s)"
    return _sentence("Still live", "; ".join(filter(None, (said, stays))), f"{way}; or to keep it, {step}")


def _refused(ground: Ground, answer: Answer) -> str:
    """The sentence about what EC2 did not do."""
    accept, said = ground.decision.outcome is Outcome.ACCEPT, ground.says()[0]
    refusal = quoted(answer.refusal)
    if answer.until is None:
        said = f"{ground.row()} allows it" if accept else said  # it takes no slot
        head = "Rejected, though it is allowed" if accept else "Not cut" if ground.live else "Not rejected"
        return _sentence(head, f"{said}, but EC2 answered {refusal}", RECREATE if accept else "")
    head = "Still live" if ground.live else "Rejected" if ground.connection.state is State.REJECTED else "Waits"
    refused = f"EC2 refused to {'accept' if accept else 'reject'} it ({refusal})"
    step = f"EC2 is asked again from {shown(answer.until)} on; if that lasts, see ec2-refusals in the runbook"
    return _sentence(head, f"{said}, but {refused}", step)


def _sentence(head: str, said: str, step: str) -> str:
    return f"{head}: {said}" + (f"; next: {step}." if step else ".")
