"""Connections that contradict the allow-list: found by every look, published when that lasts, and when it is over."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from linkgate.errors import Contended
from linkgate.events.bus import Bus, Event
from linkgate.events.catalog import UNNAMED, Story, contradicted_event
from linkgate.events.digest import grouped
from linkgate.events.message import moment
from linkgate.ledger.items import EndpointRecord, Judgment
from linkgate.ledger.ledger import Ledger
from linkgate.model import Contradiction, Mode, Outcome, Reason, Reconcile, ServiceSettings, State
from linkgate.policy.grounds import named
from linkgate.policy.rows import SETTINGS

A_SWEEP = timedelta(minutes=4)
"""What is seen by two sweeps in turn lasts for longer than this (SweepRate is five minutes)."""
_NOT_ALLOWED = {
    Reason.DENIED: "a row denies it",
    Reason.EXPIRED: "its row has ended",
    Reason.NOT_YET_VALID: "its row has not begun",
    Reason.WRONG_REGION: "its row is for other Regions",
    Reason.NOT_LISTED: "no row lets it in",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look found of one connection that contradicts the allow-list, or did.

    `how`, `since` and `told` are what the ledger is to keep; `rings` says whether an alarm counts it.
    """

    known: EndpointRecord
    how: Contradiction | None
    since: datetime | None
    told: bool = False
    event: Event | None = None
    rings: bool = False

    @property
    def changes(self) -> bool:
        """Whether the ledger has something else."""
        before = self.known.contradiction, self.known.contradicted_at, self.known.contradiction_told
        return before != (self.how or "", self.since, self.told)


def contradiction(one: Judgment) -> Contradiction | None:
    """How a connection contradicts the decision on it, where Linkgate has nothing left to do about that by itself."""
    connection, decision, known = one.connection, one.decision, one.before
    if known is None:
        return None
    if connection.state.live:
        return Contradiction.LIVE_NOT_ALLOWED if known.status.live and decision.reason.ends else None
    if decision.outcome is not Outcome.ACCEPT or known.status.live:
        return None
    by_hand = decision.mode is Mode.OBSERVE and known.by_hand_at
    refused = bool(known.refusal) and known.tries > 0  # a throttle is no try
    stuck = known.final or refused or by_hand if connection.state is State.REJECTED else refused
    return Contradiction.ALLOWED_NOT_LIVE if stuck else None


@dataclass(frozen=True, slots=True)
class Contradictions:
    """What contradicts the allow-list on one service; `withheld` are those whose cuts the breaker withholds."""

    settings: ServiceSettings
    withheld: Collection[str]
    now: datetime

    def of(self, judged: Iterable[Judgment]) -> list[Finding]:
        """The findings of one look; `judged` are all connections that are live, wait or were rejected."""
        every = list(judged)
        latest = dict[str, datetime]()
        for one in every:
            if one.connection.state.live:
                account, created = one.connection.account, one.connection.created
                latest[account] = max(created, latest.get(account, created))
        found = []
        for one in every:
            how = contradiction(one)
            newer = latest.get(one.connection.account)
            anew = newer is not None and newer > one.connection.created  # by the consumer
            if how is Contradiction.ALLOWED_NOT_LIVE and anew:
                how = None
            if one.before and how is None and not anew and _under_way(one, one.before):
                found += self._unchanged(one.before)
            elif one.before and (how or one.before.contradicted_at):
                found.append(self._finding(one, one.before, how))
        return found

    @property
    def enforced(self) -> bool:
        """Whether the sweep cuts who is not allowed."""
        return self.settings.mode is Mode.ENFORCE and self.settings.reconcile is Reconcile.ENFORCE

    def _unchanged(self, known: EndpointRecord) -> list[Finding]:
        """What was found before, if anything was."""
        if not known.contradicted_at:
            return []
        how = Contradiction(known.contradiction) if known.contradiction else None
        rings = how is not None and self._rings(known, how)
        return [Finding(known, how, known.contradicted_at, known.contradiction_told, rings=rings)]

    def _finding(self, one: Judgment, known: EndpointRecord, how: Contradiction | None) -> Finding:
        if how is None:
            over = contradicted_event(known, None, self._story(one, known, None)) if known.contradiction_told else None
            return Finding(known, None, None, event=over)
        live = how is Contradiction.LIVE_NOT_ALLOWED
        before = known.contradicted_at if known.contradiction in ("", how) else None
        since = before or (self.now if live else known.by_hand_at or self.now)
        patience = A_SWEEP if known.refusal or (live and self.enforced) else timedelta(0)
        patience += self.settings.grace if live else timedelta(0)
        if known.endpoint not in self.withheld and self.now - since < patience:
            return Finding(known, None, since)  # the rows of a moment, or cut by the next look
        told = known.contradiction_told and known.contradiction == how
        silent = told or self._silent(known, how)
        event = None if silent else contradicted_event(known, how, self._story(one, known, how, since))
        return Finding(known, how, since, told or not silent, event, self._rings(known, how))

    def _silent(self, known: EndpointRecord, how: Contradiction) -> bool:
        """Whether nobody wants to be told, or another message tells of it."""
        off = self.settings.reconcile is Reconcile.OFF or known.endpoint in self.withheld
        return how is Contradiction.LIVE_NOT_ALLOWED and off

    def _rings(self, known: EndpointRecord, how: Contradiction) -> bool:
        """Whether the alarm counts it: not while nothing is enforced, nor what another alarm is about."""
        return self.settings.mode is Mode.ENFORCE and not known.refusal and not self._silent(known, how)

    def _story(
        self, one: Judgment, known: EndpointRecord, how: Contradiction | None, since: datetime | None = None
    ) -> Story:
        decision, (row, people) = one.decision, named(one.decision, one.rows)
        if how is None:
            cause, step = _over(one, known), ""
        elif how is Contradiction.LIVE_NOT_ALLOWED:
            cause, step = self._live(known, decision.reason), self._to_cut(known, decision.reason)
        else:
            cause, step = _out(known), self._to_accept(known)
        return Story(
            reason=decision.reason,
            row=str(row or ""),
            owner=people.get("owner", ""),
            ticket=people.get("ticket", ""),
            cause=cause,
            step=step,
            since=since or known.contradicted_at or self.now,
            now=self.now,
        )

    def _live(self, known: EndpointRecord, reason: Reason) -> str:
        if self.settings.mode is Mode.OBSERVE:
            stays = "mode is observe, so Linkgate only says what it would do"
        elif known.refusal:
            stays = f"EC2 refuses to cut it: {known.refusal.rstrip('.')}"
        elif self.enforced:
            stays = "its cut is not made yet"
        else:
            stays = f"reconcile is {self.settings.reconcile}, so nobody cuts it"
        by = f"; it was accepted by {_whom(known)}" if known.by_hand_at else ""
        return f"{_NOT_ALLOWED[reason]}, and {stays}{by}."

    def _to_cut(self, known: EndpointRecord, reason: Reason) -> str:
        row = f"{known.service}/{SETTINGS}"
        if known.refusal:
            return "mend what EC2 names; the sweep asks again by itself."
        if self.enforced:
            return "nothing, the sweep cuts it by itself; to keep it, let a row allow it."
        if self.settings.mode is Mode.OBSERVE:
            cut = f"to have it cut, set mode = enforce and reconcile = enforce in {row}"
            return f"{cut}; to keep it, let a row allow it."
        now = " (or cut = now on the deny row)" if reason is Reason.DENIED else ""
        return f"to have it cut, set reconcile = enforce in {row}{now}; to keep it, let a row allow it."

    def _to_accept(self, known: EndpointRecord) -> str:
        anew = f"ask account {known.account} to delete {known.endpoint} and create it anew: the row lets it in at once."
        if self.settings.mode is Mode.OBSERVE and not known.final:
            accept = f"aws ec2 accept-vpc-endpoint-connections --service-id {known.service}"
            return f"{accept} --vpc-endpoint-ids {known.endpoint}; where EC2 refuses that, {anew}"
        if known.final:
            return f"{anew} If it is to stay out after all, put a deny row for {known.endpoint}."
        return "give the approver's role what EC2 says is missing; Linkgate asks again by itself."


def publish(findings: Sequence[Finding], bus: Bus, ledger: Ledger) -> None:
    """Publish what is new, many alike as one message, then keep it: a repeated event harms less than a lost one."""
    for some in grouped([one.event for one in findings if one.event]):
        bus.publish(some)
    changes = [one for one in findings if one.changes]
    for trouble in ledger.together(partial(_keep, one) for one in changes):
        if trouble:
            with suppress(Contended):
                raise trouble


def _keep(one: Finding, ledger: Ledger) -> None:
    ledger.contradicted(one.known, one.how, one.since, one.told)


def _whom(known: EndpointRecord) -> str:
    return known.by_whom or UNNAMED


def _out(known: EndpointRecord) -> str:
    refusal = known.refusal.rstrip(".")
    again = f"EC2 refuses to accept it again: {refusal}" if refusal else "EC2 accepts it no more"
    if known.by_hand_at:
        rejected = f"rejected by {_whom(known)}, {moment(known.by_hand_at)}"
        return f"{rejected}; {again}." if known.final or known.refusal else f"{rejected}."
    if known.state is not State.REJECTED:
        return f"EC2 refuses to accept it: {refusal}."
    return f"it had been rejected before the row let it in, and {again}."


def _under_way(one: Judgment, known: EndpointRecord) -> bool:
    """Whether Linkgate is about to record it or to ask EC2, and nobody knows yet how that ends."""
    if one.connection.state.live:
        return one.decision.reason.ends and not known.status.live
    return one.decision.acts and one.decision.outcome is Outcome.ACCEPT


def _over(one: Judgment, known: EndpointRecord) -> str:
    if one.connection.state.live:
        return "it is live, and allowed."
    if known.contradiction == Contradiction.LIVE_NOT_ALLOWED:
        return "it is live no more."
    if one.decision.outcome is not Outcome.ACCEPT:
        return f"the allow-list lets it in no more ({one.decision.reason})."
    if one.decision.mode is Mode.OBSERVE and contradiction(one) is None:
        return "Linkgate only observes its service now, and lets nobody in."
    return "its account has a newer endpoint, which is live."
