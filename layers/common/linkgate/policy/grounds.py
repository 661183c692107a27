"""The ground of a decision in words, and the next step, for each Reason (design section 5). Pure.

A ground names the row that decides, or nearly did, with the people to ask and its dates. What it says was read for the
decision, so that one which is made again from the ledger has the same words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time

from linkgate.model import (
    Connection,
    Decision,
    DecisionContext,
    Effect,
    MalformedRow,
    Mode,
    Outcome,
    Reason,
    RowKey,
    Rule,
    ServiceSettings,
)
from linkgate.policy.attributes import shortened
from linkgate.policy.decide import Rows, decide, settings_for, settings_keys
from linkgate.policy.rows import PEOPLE, RELEASE, SettingsRow, meant_by, parse

LONGEST_QUOTE = 400
"""Characters of what somebody else wrote: a row's problem and EC2's refusal may have thousands."""
NOTHING = "nothing, it is decided on again by itself then"
NO_SETTINGS = ServiceSettings()


@dataclass(frozen=True, slots=True)
class Ground:
    """A decision with all that it was made of."""

    connection: Connection
    decision: Decision
    rows: Rows
    now: datetime
    context: DecisionContext

    def says(self) -> tuple[str, str]:
        """What decides, and the next step, "" where there is none."""
        return _GROUNDS[self.decision.reason](self)

    @property
    def live(self) -> bool:
        """Whether it was let in."""
        return self.connection.state.live

    @property
    def settings(self) -> ServiceSettings:
        """The settings in force; the defaults where they cannot be read, which is a ground of its own."""
        settings = settings_for(self.connection.service, self.rows)
        return NO_SETTINGS if isinstance(settings, MalformedRow) else settings

    @property
    def observed(self) -> bool:
        """Whether the service is observed only, which settings that cannot be read do not say."""
        settings = settings_for(self.connection.service, self.rows)
        return isinstance(settings, ServiceSettings) and settings.mode is Mode.OBSERVE

    def whence(self, setting: str) -> str:
        """Where a setting in force comes from."""
        for key in settings_keys(self.connection.service):
            row = parse(self.rows[key]) if key in self.rows else None
            if isinstance(row, SettingsRow) and setting in row.values:
                return f"row {key}"
        return "by default"

    def rule(self, key: RowKey | None) -> Rule | None:
        """The rule under a key, if it can be read."""
        return _rule(key, self.rows)

    def row(self, key: RowKey | None = None) -> str:
        """The deciding row, or another, with the people to ask about it."""
        rule = self.rule(key or self.decision.row)
        people = rule.people if rule else {}
        said = [f"{name} {shortened(people[name])}" for name in PEOPLE if people.get(name)]
        return f"row {key or self.decision.row}" + (f" ({', '.join(said)})" if said else "")

    def nearest(self) -> Rule | None:
        """The row whose condition decided."""
        return nearest(self.decision, self.rows)

    def by_default(self) -> str:
        """That the default rejects it, where it does."""
        rejects = self.decision.outcome is Outcome.REJECT and self.decision.row is None and not self.live
        return f", and default = reject ({self.whence('default')})" if rejects else ""


def nearest(decision: Decision, rows: Rows) -> Rule | None:
    """The row whose condition decided: the first allow or review that does not hold."""
    missed = (_rule(miss.key, rows) for miss in decision.near_misses)
    return next((rule for rule in missed if rule and rule.effect is not Effect.DENY), None)


def named(decision: Decision, rows: Rows) -> tuple[RowKey | None, Mapping[str, str]]:
    """The row that decided, or the nearest one where none did, with the people to ask about it."""
    rule = None if decision.row else nearest(decision, rows)
    return (rule.key, rule.people) if rule else (decision.row, decision.people)


def _rule(key: RowKey | None, rows: Rows) -> Rule | None:
    row = parse(rows[key]) if key and key in rows else None
    return row if isinstance(row, Rule) else None


def shown(moment: datetime) -> str:
    """A time as people read it: the date alone where it is midnight (UTC)."""
    return f"{moment:%Y-%m-%d}" if moment.time() == time() else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def quoted(text: str) -> str:
    """What somebody else wrote, as far as a sentence has room for it."""
    return text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 3]}..."


def _allowed(ground: Ground) -> tuple[str, str]:
    limit = ground.decision.limit
    used = "" if limit is None else f" ({ground.context.live + 1} of {limit} in use)"
    return f"{ground.row()} allows it{used}", ""


def _denied(ground: Ground) -> tuple[str, str]:
    return f"{ground.row()} denies it", _let_in(ground, "delete that row or change it")


def _review(ground: Ground) -> tuple[str, str]:
    return f"{ground.row()} wants somebody to review it", "change its effect to allow or deny"


def _frozen(ground: Ground) -> tuple[str, str]:
    until = ground.settings.frozen_until
    ends = f" until {shown(until)}" if until else ""
    return f"{ground.row()} allows it, but the service is frozen{ends} ({ground.whence('frozen_until')})", NOTHING


def _malformed(ground: Ground) -> tuple[str, str]:
    row, note = ground.decision.row, ground.decision.note
    if note == ground.context.lineage.why:
        return f"row {row} may be about it, and {note}", "set that parameter, or delete the row"
    problem = note.removeprefix(f"row {row}: ")
    if row and row.service and meant_by(row):  # nobody fetched it: what is wrong with its keys says more
        keys = parse({"service": row.service, "consumer": row.consumer})
        problem = keys.problem if isinstance(keys, MalformedRow) else problem
    problem = quoted(problem)
    return f"row {row} cannot be read, so it lets nobody new in ({problem})", "mend or delete that row"


def _over_limit(ground: Ground) -> tuple[str, str]:
    limit, others, account = ground.decision.limit or 0, ground.context.live, ground.connection.account
    if ground.live:
        return f"{ground.row()} allows {limit}, of which account {account} has {others + 1}", ""
    if not limit:
        return f"{ground.row()} lets nobody new in (limit = 0)", "raise its limit"
    cause = f"{ground.row()} allows it, but {others} of {limit} are in use by account {account}"
    return cause, "nothing, it is accepted when the account deletes one; or raise the limit"


def _breaker(ground: Ground) -> tuple[str, str]:
    """Otherwise it would be rejected: for which reason the same decision says, without the breaker."""
    service, context = ground.connection.service, replace(ground.context, breaker=False)
    decision = decide(ground.connection, ground.rows, ground.now, context)
    otherwise, _ = replace(ground, decision=decision, context=context).says()
    most = ground.settings.max_rejects
    cause = f"{otherwise}; the breaker holds it, since {most} were rejected within the hour (max_rejects)"
    return cause, f"put row {service}/{RELEASE} with endpoints = {ground.connection.endpoint}, or a row that allows it"


def _unknown_region(ground: Ground) -> tuple[str, str]:
    rule = ground.rule(ground.decision.row)
    regions = f"is about {', '.join(sorted(rule.regions))}" if rule else "depends on it"
    step = f"put row {ground.connection.service}/{ground.connection.endpoint} without regions"
    return f"EC2 does not name the consumer's Region, and {ground.row()} {regions}", step


def _unknown_organization(ground: Ground) -> tuple[str, str]:
    account, why = ground.connection.account, quoted(ground.context.lineage.why)
    cause = f"nobody knows whether {ground.row()} covers account {account} ({why})"
    return cause, "nothing, the next sweep asks again"


def _unknown_account(ground: Ground) -> tuple[str, str]:
    return (
        "EC2 does not say whose endpoint it is",
        "nothing, the next sweep looks again; or accept or reject it by hand",
    )


def _expired(ground: Ground) -> tuple[str, str]:
    rule = ground.nearest()
    ends = f" until {shown(rule.expires_at)}" if rule and rule.expires_at else ""
    return _missed(ground, rule, f"allowed it{ends}", f"asked for a review{ends}", "give it a later expires_at")


def _not_yet_valid(ground: Ground) -> tuple[str, str]:
    rule = ground.nearest()
    starts = f" from {shown(rule.starts_at)} on" if rule and rule.starts_at else ""
    step = f"{'' if ground.live else f'{NOTHING}; or '}give it an earlier starts_at"
    return _missed(ground, rule, f"allows it{starts}", f"asks for a review{starts}", step)


def _wrong_region(ground: Ground) -> tuple[str, str]:
    rule = ground.nearest()
    where = f"in {', '.join(sorted(rule.regions)) if rule else ''}, but it is in {ground.connection.region}"
    return _missed(ground, rule, f"allows it {where}", f"asks for a review {where}", "add that Region to its regions")


def _missed(ground: Ground, rule: Rule | None, allow: str, review: str, step: str) -> tuple[str, str]:
    """A row that would have applied, had its condition held."""
    words = review if rule and rule.effect is Effect.REVIEW else allow
    cause = f"{ground.row(rule.key if rule else None)} {words}, and no other row lets it in{ground.by_default()}"
    return cause, _let_in(ground, f"{step}, or put another row")


def _not_listed(ground: Ground) -> tuple[str, str]:
    service, account, endpoint = ground.connection.service, ground.connection.account, ground.connection.endpoint
    step = f"put row {service}/{account} with effect = allow to let it in"
    return f"no row covers account {account} or {endpoint}{ground.by_default()}", _let_in(ground, step)


def _let_in(ground: Ground, step: str) -> str:
    """What lets it in; EC2 may not accept again what it rejected."""
    decision = ground.decision
    rejected = decision.acts and (
        decision.outcome is Outcome.CUT if ground.live else decision.outcome is Outcome.REJECT
    )
    return f"{step}; EC2 is then asked once to accept it again" if rejected and decision.mode is Mode.ENFORCE else step


_GROUNDS: Mapping[Reason, Callable[[Ground], tuple[str, str]]] = {
    Reason.ALLOWED: _allowed,
    Reason.DENIED: _denied,
    Reason.REVIEW: _review,
    Reason.FROZEN: _frozen,
    Reason.MALFORMED_ROW: _malformed,
    Reason.OVER_LIMIT: _over_limit,
    Reason.BREAKER: _breaker,
    Reason.UNKNOWN_REGION: _unknown_region,
    Reason.UNKNOWN_ORGANIZATION: _unknown_organization,
    Reason.UNKNOWN_ACCOUNT: _unknown_account,
    Reason.EXPIRED: _expired,
    Reason.NOT_YET_VALID: _not_yet_valid,
    Reason.WRONG_REGION: _wrong_region,
    Reason.NOT_LISTED: _not_listed,
}
