"""Permission sync: which principals the rows of the allow-list want, and what that changes. Pure.

Every request is still decided on by the rows. So sync errs on the side of asking: a principal is removed only where the
rows let nobody behind it in.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from linkgate.model import Effect, MalformedRow, Outcome, Reason, RowKey, Rule, ServiceSettings, Sync
from linkgate.policy.decide import Readable, Rows
from linkgate.policy.rows import EVERY, parse

EVERYBODY = "*"
"""The principal that lets every account ask."""
ACCOUNT, RESERVED = re.compile("[0-9]{12}"), "@"
"""The form of an account, and what reserved words begin with."""
MOST_NAMED = 5
"""Rows that a sentence names."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the rows of a service say about its allowed principals, each the ARN of an account's root.

    `principals` are to be there. `doubtful` stay as they are: a row of the account cannot be read, or lets it in later
    or after a review. `inexpressible` are rows that may let somebody in and are about no account.
    """

    principals: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    inexpressible: tuple[RowKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """Principals to add and to remove. `short` says what sync cannot do, "" if it can do all."""

    add: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()
    short: str = ""


def wanted(service: str, rows: Rows, now: datetime, partition: str) -> Wanted:
    """What the rows of a service and of `*` want at a time; rows of other services are passed over. Never raises.

    An account is wanted while an allow row of its own is in force, unless a deny of its own is that names no Region.
    """
    accounts: defaultdict[str, list[Readable]] = defaultdict(list)
    inexpressible = []
    for row in _rules(service, rows):
        if ACCOUNT.fullmatch(row.key.consumer):
            accounts[f"arn:{partition}:iam::{row.key.consumer}:root"].append(row)
        elif _may_admit(row, now):
            inexpressible.append(row.key)
    may_ask = {principal: _may_ask(found, now) for principal, found in accounts.items()}
    return Wanted(
        principals=frozenset(principal for principal, may in may_ask.items() if may),
        doubtful=frozenset(principal for principal, may in may_ask.items() if may is None),
        inexpressible=tuple(sorted(inexpressible)),
    )


def plan(sync: Sync, present: frozenset[str], wanted: Wanted) -> Change:
    """What to change of the principals that are `present`, so that a second plan changes nothing.

    `exact` removes what is not wanted, but nothing of a doubtful account, and nothing at all while a row is
    inexpressible: which of the others that row is there for is unknown.
    """
    if sync is Sync.OFF:
        return Change()
    add = wanted.principals - present
    if sync is Sync.ADD or wanted.inexpressible:
        return Change(add, short=_short(sync, wanted.inexpressible))
    doubtful = set(map(_account, wanted.doubtful))
    return Change(add, frozenset(one for one in present - wanted.principals if _account(one) not in doubtful))


def problems(present: Iterable[str], settings: ServiceSettings) -> tuple[str, ...]:
    """What is wrong with the principals that are `present`, one sentence each (design section 4)."""
    if settings.default is not Outcome.REJECT or EVERYBODY not in present:
        return ()
    return ("everybody (*) may ask for a connection, and default is reject: whoever has no row is rejected for good",)


def _rules(service: str, rows: Rows) -> Iterator[Readable]:
    for key, item in rows.items():
        if key.service in (service, EVERY) and not key.consumer.startswith(RESERVED):
            row = parse(item)
            if isinstance(row, Readable):
                yield row


def _may_ask(found: Sequence[Readable], now: datetime) -> bool | None:
    """Whether an account's rows let it in; None where one cannot be read, or says later or after a review."""
    rules = [row for row in found if isinstance(row, Rule)]
    if len(rules) < len(found):
        return None
    in_force = [rule for rule in rules if not rule.out_of_date(now)]
    if any(rule.effect is Effect.DENY and not rule.regions for rule in in_force):
        return False
    if any(rule.effect is Effect.ALLOW for rule in in_force):
        return True
    return None if any(_may_admit(rule, now) for rule in rules) else False


def _may_admit(row: Readable, now: datetime) -> bool:
    """Whether a row lets somebody in, now or later or after a review, or cannot be read."""
    return isinstance(row, MalformedRow) or (
        row.effect is not Effect.DENY and row.out_of_date(now) is not Reason.EXPIRED
    )


def _account(principal: str) -> str:
    """The account of an IAM principal; "" for what stands for others (`*`, an OU, an AWS service)."""
    parts = principal.split(":")
    return parts[4] if len(parts) > 5 and parts[2] == "iam" else ""


def _short(sync: Sync, rows: Sequence[RowKey]) -> str:
    if not rows:
        return ""
    more = f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    effect = "removes no principal" if sync is Sync.EXACT else "adds none for them"
    named = ", ".join(map(str, rows[:MOST_NAMED]))
    return f"sync_permissions knows accounts alone and {effect} while there are rows such as {named}{more}"
