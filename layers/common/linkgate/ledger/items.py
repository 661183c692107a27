"""What the ledger's items look like: the `current` item of an endpoint, and the line of a decision."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from linkgate.events.bell import who
from linkgate.ledger.breaker import Spent
from linkgate.ledger.sets import account_of
from linkgate.model import (
    ALONE,
    Connection,
    Contradiction,
    Decision,
    DecisionContext,
    Lineage,
    Mode,
    Outcome,
    Reason,
    RowKey,
    State,
    Status,
)
from linkgate.policy.attributes import is_number, plain, shown, time
from linkgate.policy.decide import Rows, decide, read_for
from linkgate.policy.rows import key_of
from linkgate.policy.why import TOOK_IT, Answer, by_hand, found, why

VERSION = 1
"""Of the form of these items; an item without one is of version 1. What is newer is read and changed by newer code."""
LEASE = timedelta(seconds=60)
"""How long a run may take between writing a decision and its answer: the approver's timeout."""
UNPROBED: Mapping[str, Any] = {"recent": "", "verified_at": "", "health": {}}
"""The health of an endpoint that was just accepted: that of a former connection says nothing of it."""
BY_HAND = "by_hand"
"""The reason of what was done out of band."""
LONGEST_FACTS = 200_000
"""Characters; an item of DynamoDB holds 400 KB."""


class UnreadableItem(ValueError):
    """A stored item is not as this version writes it; the message says what was read and what is expected."""


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """What the ledger knows of one endpoint. `entry` is the sort key of its last decision, "" if there is none.

    `settled` is False from the moment a decision is written until EC2 took it: a crash in between leaves it False,
    and the next look completes it. Until `open_until` it belongs to whoever wrote it, or, after a `refusal` in EC2's
    words, to nobody: the pause grows with the number of `tries`.
    """

    endpoint: str
    service: str
    status: Status
    state: State
    raw_state: str = ""
    """EC2's own word for a `state` that is UNKNOWN."""
    account: str = ""
    region: str = ""
    entry: str = ""
    outcome: str = ""
    reason: str = ""
    row: str = ""
    policy_hash: str = ""
    settled: bool = True
    open_until: datetime | None = None
    refusal: str = ""
    tries: int = 0
    mode: str = ""
    ticket: str = ""
    row_owner: str = ""
    """The `owner` of the deciding row: a team."""
    why: str = ""
    """The sentence about all of this for people; "" where an older version wrote the item."""
    requested_at: datetime | None = None
    decided_at: datetime | None = None
    answered_at: datetime | None = None
    accepted_at: datetime | None = None
    verified_at: datetime | None = None
    claimed: bool = False
    """Whether it holds a slot under the limit of its account."""
    unwanted_since: datetime | None = None
    """When a sweep first wanted it cut; None while it is allowed."""
    final: bool = False
    """It was rejected, and EC2 accepts it no more: the consumer must recreate the endpoint."""
    tags_refused: str = ""
    """The sort key of the decision whose tags EC2 refused: not tried again for that one."""
    by_hand: str = ""
    """The sort key of the line about an act out of band of which nobody knows yet whose it was."""
    by_hand_at: datetime | None = None
    """When the last act out of band was seen; None where ours was the last."""
    by_whom: str = ""
    """Whose act that was, as CloudTrail says; "" while nobody knows."""
    contradiction: str = ""
    """How it contradicts the allow-list (model.Contradiction); "": it does not."""
    contradiction_told: bool = False
    """Whether a message says so; not under `reconcile: off`, nor where another message does."""
    contradicted_at: datetime | None = None
    """When a sweep first found that; None where it does not."""
    recent: str = ""
    """The last probe rounds, newest last: `1` good, `0` bad."""
    health: Mapping[str, object] = field(default_factory=dict)

    @property
    def cause(self) -> str:
        """What the last round that said anything found wrong; "": nothing."""
        return str(self.health.get("cause", ""))

    def says(self) -> tuple[str, str, str]:
        """The last decision as people care about it: outcome, reason, deciding row."""
        return self.outcome, self.reason, self.row

    @property
    def over_limit(self) -> bool:
        """Whether it is held for want of a slot."""
        return self.reason == Reason.OVER_LIMIT

    def agrees_with(self, decision: Decision) -> bool:
        """Whether the last recorded decision says the same and was made of the same policy.

        While nobody can tell where the consumer stands in its organisation, more is read than otherwise.
        """
        same = self.policy_hash == decision.policy_hash or not decision.certain
        return bool(self.entry) and same and self.says() == decision.says()

    def leased_at(self, now: datetime) -> bool:
        """Whether somebody decided just now and may still be acting: leave it to them, and ask again later."""
        return not self.settled and not self.refusal and _after(self.open_until, now)

    def paused_at(self, now: datetime) -> bool:
        """Whether EC2 refused so recently that it is not asked again yet: the sweep will."""
        return not self.settled and bool(self.refusal) and _after(self.open_until, now)

    def cutting(self) -> bool:
        """Whether a decision to cut it is open: the sweep's, and nobody else's."""
        return not self.settled and self.outcome == Outcome.CUT

    def rejecting(self) -> bool:
        """Whether a decision to reject it is open."""
        return not self.settled and self.outcome == Outcome.REJECT and self.mode == Mode.ENFORCE

    def fresh_at(self, now: datetime) -> bool:
        """Whether EC2 took an answer so recently that a look may be older than it."""
        return self.answered_since(now - LEASE)

    def answered_since(self, moment: datetime) -> bool:
        """Whether EC2 took an answer of ours after a moment."""
        return self.settled and self.status is not Status.HELD and _after(self.answered_at, moment)


@dataclass(frozen=True, slots=True)
class Judgment:
    """A connection, what the ledger knew of it, and the decision on it with all that it was made of.

    `entry` is the ledger's sort key of the decision, "" until it is written down.
    """

    connection: Connection
    before: EndpointRecord | None
    decision: Decision
    rows: Rows
    """At least those that may matter for it."""
    context: DecisionContext = ALONE
    spent: Spent = Spent()  # noqa: RUF009 - frozen
    """What the breaker had counted before this one."""
    entry: str = ""
    publishes: bool = False
    """Whether an event says it: it is new, or somebody acts on it."""


def accepts_again(known: EndpointRecord | None, decision: Decision) -> bool:
    """Whether a rejected connection is to be accepted: it is allowed, and EC2 has not refused that yet."""
    tried = known is not None and known.final
    return decision.acts and decision.outcome is Outcome.ACCEPT and not tried


def abandoned(known: EndpointRecord, decision: Decision) -> bool:
    """Whether a rejected connection was to be accepted again, EC2 refused, and now it is not to be any more."""
    return not known.settled and bool(known.refusal) and not known.cutting() and not accepts_again(known, decision)


def stamp(moment: datetime | None) -> str:
    """A time as the ledger writes it: UTC, ISO 8601, microseconds; sorts as text; "" for none."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else ""


def _after(moment: datetime | None, other: datetime) -> bool:
    return moment is not None and moment > other


def decision_id(connection: Connection, decision: Decision, before: str) -> str:
    """The same decision after the same history has the same id: 16 hex digits."""
    text = json.dumps([connection.endpoint, *decision.says(), decision.policy_hash, before])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def line(judgment: Judgment, origin: str, now: datetime) -> dict[str, Any]:
    """A decision and all it was made of: enough to make it again (`facts`, JSON text, which `replay` reads)."""
    connection, decision, context = judgment.connection, judgment.decision, judgment.context
    shown = asdict(connection) | {"created": stamp(connection.created)}
    facts = {
        "connection": {name: value for name, value in shown.items() if name != "tags"},
        "rows": [plain(item) for item in read_for(connection, judgment.rows, context.lineage).values()],
        "standing": asdict(context),
        "now": stamp(now),
    }
    return {
        "version": VERSION,
        "service": connection.service,
        "account": connection.account,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "row": str(decision.row or ""),
        "applied": [str(key) for key in decision.applied],
        "near_misses": [f"{miss.key} {miss.reason}" for miss in decision.near_misses],
        "policy_hash": decision.policy_hash,
        "mode": decision.mode,
        "people": dict(decision.people),
        "note": decision.note,
        "rang": origin,  # the stored name since before it was called origin
        "facts": text if len(text := json.dumps(facts)) <= LONGEST_FACTS else "",
        "decided_at": stamp(now),
    }


def explained(judgment: Judgment, now: datetime, answer: Answer = TOOK_IT) -> str:
    """Why the connection is where it is after a decision, and after what EC2 answered."""
    return why(judgment.connection, judgment.decision, judgment.rows, now, judgment.context, answer)


def observed(
    connection: Connection, status: Status, known: EndpointRecord | None, who: str | None, now: datetime
) -> str | None:
    """Why a connection is where it is that waits for nobody; None where nothing new is to be said.

    `who` accepted or rejected it out of band ("": nobody knows); None: it was not done so.
    """
    if who is not None:
        return by_hand(status.live, who, now, known.says() if known else ("", "", ""))
    same = known is not None and (known.status is status or (known.status.live and status.live))
    return None if same else found(connection.state, connection.raw_state)


def out_of_band_act(
    connection: Connection, status: Status, known: EndpointRecord | None, origin: str, now: datetime
) -> dict[str, Any]:
    """The line about a connection accepted or rejected out of band; `who` did it, where CloudTrail says."""
    did = Outcome.ACCEPT if status.live else Outcome.REJECT
    before = f"was {known.status}" if known else "was not known"
    text = json.dumps([connection.endpoint, did, known.entry if known else "", stamp(now)])
    return {
        "version": VERSION,
        "service": connection.service,
        "account": connection.account,
        "outcome": did,
        "reason": BY_HAND,
        "row": "",
        "policy_hash": "",
        "mode": "",
        "note": f"{before}, found {connection.state}",
        "rang": origin,
        "who": who(origin, "Accept" if status.live else "Reject"),
        "decision_id": hashlib.sha256(text.encode()).hexdigest()[:16],
        "decided_at": stamp(now),
    }


class Facts(NamedTuple):
    """All that a recorded decision was made of."""

    connection: Connection
    rows: Rows
    now: datetime
    context: DecisionContext


def recalled(facts: str) -> Facts:
    """What `line` wrote as `facts`; raises ValueError, KeyError or TypeError where it is no such text."""
    stored = json.loads(facts)
    # Facts of before two renames have the account under `owner`, and the rows without a match under `strays`.
    asked = {"account" if name == "owner" else name: value for name, value in stored["connection"].items()}
    connection = asked | {
        "state": State.read(stored["connection"]["state"]),
        "created": time(stored["connection"]["created"]),
        "dns_names": tuple(stored["connection"]["dns_names"]),
    }
    context = stored["standing"]
    lineage = context["lineage"]
    standing = DecisionContext(
        live=context["live"],
        lineage=Lineage(
            tuple(lineage["units"]), Reason(lineage["unknown"]) if lineage["unknown"] else None, lineage["why"]
        ),
        unmatched=tuple(RowKey(*key) for key in context.get("unmatched", context.get("strays", ()))),
        breaker=context["breaker"],
    )
    rows = {key_of(item): item for item in stored["rows"]}
    return Facts(Connection(**connection), rows, time(stored["now"]), standing)


def replay(facts: str) -> Decision:
    """Make a recorded decision again from its facts, by the rules of today."""
    return decide(*recalled(facts))


class Records(dict[str, EndpointRecord]):
    """What the ledger knows, by endpoint. `unreadable` says of what is not here why not: nobody acts on it."""

    def __init__(self, items: Iterable[Mapping[str, Any]] = ()) -> None:
        super().__init__()
        self.unreadable: dict[str, str] = {}
        for item in items:
            try:
                self[item["endpoint_id"]] = read(item)
            except UnreadableItem as error:
                self.unreadable[item["endpoint_id"]] = str(error)


def read(item: Mapping[str, Any]) -> EndpointRecord:
    """A `current` item as DynamoDB gives it; what an older version did not write is as if it never happened.

    Raises UnreadableItem.
    """
    _require(item, "version", VERSION, _is_ours, f"{VERSION} at most: newer code wrote it")
    item = {**item, "account": account_of(item)}
    values = {name: _require(item, name, default, right, words) for name, default, right, words in _READ}
    values |= {name: _time(item, name) for name in _TIMES}
    return EndpointRecord(
        endpoint=item["endpoint_id"],
        service=_require(item, "service", None, _is_name, "an id"),
        status=Status(_require(item, "status", None, _among(Status), "a status")),
        state=State(_require(item, "state", None, _among(State), "a state")),
        entry=_require(item, "decision", "", _is_text, "a sort key"),
        tries=int(_require(item, "tries", 0, is_number, "a number")),
        unwanted_since=_time(item, "unwanted_at"),
        **values,
    )


def _require(item: Mapping[str, Any], name: str, default: object, right: Callable[[Any], object], words: str) -> Any:
    """One attribute of an item, its default where it is absent; UnreadableItem where it is not right."""
    value = item.get(name, default)
    if not right(value):
        raise UnreadableItem(f"{name} is {shown(value)}: expected {words}")
    return value


def _is_ours(value: object) -> bool:
    return is_number(value) and value in range(1, VERSION + 1)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _among(words: Iterable[str], *more: str) -> Callable[[object], bool]:
    known = frozenset({*map(str, words), *more})
    return lambda value: isinstance(value, str) and value in known


def _is_moment(value: object) -> bool:
    try:
        return isinstance(value, str) and (not value or bool(time(value)))
    except (ValueError, OverflowError):
        return False


def _is_rounds(value: object) -> bool:
    return isinstance(value, str) and not value.strip("01")


def _is_health(value: object) -> bool:
    """Of what patrol keeps, that by which it goes in the next round."""
    if not isinstance(value, Mapping):
        return False
    times = (value.get(name, "") for name in ("checked_at", "looked_at", "private_seen_at", "failing_since"))
    return _is_text(value.get("cause", "")) and all(map(_is_moment, times))


_TIMES = (
    *("open_until", "requested_at", "decided_at", "answered_at", "accepted_at", "verified_at"),
    *("by_hand_at", "contradicted_at"),
)
_TEXTS = (
    *("account", "raw_state", "region", "reason", "row", "policy_hash", "ticket", "row_owner", "why", "refusal"),
    *("by_hand", "by_whom", "tags_refused"),
)
_READ: Sequence[tuple[str, object, Callable[[Any], object], str]] = (
    *((name, "", _is_text, "a text") for name in _TEXTS),
    ("outcome", "", _among(Outcome, ""), "an outcome"),
    ("mode", "", _among(Mode, ""), "a mode"),
    ("settled", True, _is_flag, "true or false"),
    ("claimed", False, _is_flag, "true or false"),
    ("final", False, _is_flag, "true or false"),
    ("contradiction_told", False, _is_flag, "true or false"),
    ("contradiction", "", _among(Contradiction, ""), "a contradiction"),
    ("recent", "", _is_rounds, "rounds such as 110"),
    ("health", {}, _is_health, "what a round found, with times"),
)
"""Attributes that are kept as they are stored: the name, what stands for an absent one, and what is right."""


def _time(item: Mapping[str, Any], name: str) -> datetime | None:
    """The time that `stamp` wrote."""
    text = _require(item, name, "", _is_moment, "a time in UTC")
    return time(text) if text else None
