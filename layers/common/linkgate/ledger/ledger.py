"""The ledger table: one `current` item for each endpoint, and every decision as a line that only grows an answer.

A decision is written before the act and completed after it (design section 6). Every write is conditional on
what was read before it, so that a repeated, late or concurrent bell changes nothing. Who is accepted or live holds a
slot under the limit of its account (linkgate.ledger.slots), taken and given back with the state, in one transaction.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from linkgate.errors import Unavailable
from linkgate.ledger.items import (
    LEASE,
    UNPROBED,
    VERSION,
    EndpointRecord,
    Judgment,
    Records,
    decision_id,
    explained,
    line,
    observed,
    out_of_band_act,
    stamp,
)
from linkgate.ledger.sets import MEMBERS, is_set, members
from linkgate.ledger.slots import is_limit, leave, take
from linkgate.ledger.table import Absent, Condition, Is, ItemKey, LedgerTable, Present, Write
from linkgate.model import Connection, Outcome, State, Status
from linkgate.policy.why import NOT_YET, TOOK_IT, attributed, found

A = TypeVar("A")

NOT_NEWER = Is("version", VERSION, or_absent=True)
"""On every change of a `current` item: what newer code wrote stays as it is."""

EXPIRES = "expires"
"""The attribute that the table's time to live reads (template.yaml)."""


class Ledger:
    """The ledger. Raises Contended where another writer was faster; other ClientErrors pass through.

    Lines about decisions are kept for `retention`, and for ever without one; what is current always.
    """

    def __init__(self, store: LedgerTable, retention: timedelta | None = None) -> None:
        self._store = store
        self._retention = retention

    def current(self, endpoints: Iterable[str]) -> Records:
        """What is known of these endpoints, consistently read; those never seen are absent."""
        return Records(self._store.read(map(ItemKey, endpoints)))

    def of(self, service: str, status: Status) -> list[EndpointRecord]:
        """Every endpoint of a service in one status, by the index (eventually consistent)."""
        return list(Records(self._store.query(service, status)).values())

    def whole(self, service: str) -> tuple[Records, dict[str, frozenset[str]]]:
        """Every endpoint of a service that is not closed, and by account who holds a slot; by the index.

        Slots that cannot be read are among what is unreadable, by the name of their set.
        """
        items = list(self._store.query_but(service, Status.CLOSED))
        known = Records(item for item in items if not is_limit(item["endpoint_id"]))
        claims = {}
        for item in items:
            if is_limit(item["endpoint_id"]):
                claims[item["endpoint_id"].rpartition("#")[2]] = members(item)
                if not is_set(item.get(MEMBERS, frozenset())):
                    known.unreadable[item["endpoint_id"]] = "it holds no set of endpoints"
        return known, claims

    def together(self, acts: Iterable[Callable[["Ledger"], A]]) -> list[A | Unavailable]:
        """Write down several things in few calls, each of them all or none.

        An act writes into the ledger that it is given, and reads nothing there. Answers what each act answered, or
        what kept it from being written.
        """
        found, changes = list[A | Unavailable](), dict[int, list[Write]]()
        for number, act in enumerate(acts):
            collected = _Collected()
            try:
                found.append(act(Ledger(collected, self._retention)))
            except Unavailable as error:
                found.append(error)
            else:
                changes[number] = collected.writes
        todo = {number: writes for number, writes in changes.items() if writes}
        for number, trouble in zip(todo, self._store.write_each(list(todo.values())), strict=True):
            found[number] = trouble or found[number]
        return found

    def decided(self, judgment: Judgment, origin: str, now: datetime, *also: Write) -> str:
        """Write a new decision down, before it is acted on, and `also` with it; returns its sort key.

        An accept takes a slot under the deciding row's limit; any other decision on a connection that waits gives
        one back.
        """
        connection, known, decision = judgment.connection, judgment.before, judgment.decision
        before = known.entry if known else ""
        entry = f"{stamp(now)}#{decision_id(connection, decision, before)}"
        claims = decision.outcome is Outcome.ACCEPT or connection.state.live
        current = _shown(connection, known.status if known and not connection.waits else Status.HELD) | {
            **dict(zip(("outcome", "reason", "row"), decision.says(), strict=True)),
            "policy_hash": decision.policy_hash,
            "decision": entry,
            "mode": decision.mode,
            "ticket": decision.people.get("ticket", ""),
            "why": explained(judgment, now, NOT_YET if decision.acts else TOOK_IT),
            "settled": False,
            "open_until": stamp(now + LEASE),
            "refusal": "",
            "tries": 0,
            "decided_at": stamp(now),
            "claimed": claims,
        }
        text = line(judgment, origin, now) | self._until(now)
        writes = [
            Write(ItemKey(connection.endpoint, entry), text, [Absent("endpoint_id")]),
            Write(ItemKey(connection.endpoint), current, [*_as_read(known), *_left_open(known)]),
        ]
        if known and before and not known.settled:
            answer = f"superseded; {known.refusal or 'not known to be done'}"
            writes.append(_answer(connection.endpoint, before, answer, now))
        self._store.write(*writes, *_moved(connection, known, claims, decision.limit), *also)
        return entry

    def taken_over(self, known: EndpointRecord, now: datetime) -> None:
        """Make an open decision ours, after whoever left it: one of several takers wins."""
        values = {"open_until": stamp(now + LEASE), "refusal": ""}
        conditions = [*_open(known.entry), Is("open_until", stamp(known.open_until))]
        self._store.write(Write(ItemKey(known.endpoint), values, conditions))

    def refused(self, endpoint: str, entry: str, refusal: str, tries: int, until: datetime, why: str) -> None:
        """Keep EC2's refusal with the decision that stays open: asked again after `until`. `why` is for people."""
        values = {"refusal": refusal, "tries": tries, "open_until": stamp(until), "why": why}
        self._store.write(Write(ItemKey(endpoint), values, _open(entry)))

    def answered(
        self,
        subject: Connection | EndpointRecord,
        entry: str,
        answer: str,
        status: Status,
        state: State,
        now: datetime,
        before: EndpointRecord | None = None,
        final: bool = False,
        why: str = "",
    ) -> None:
        """Complete a decision with what EC2 answered. A second answer to the same decision changes nothing.

        `before` is what was known when it was decided; `final`: EC2 accepts the connection no more; `why` is the
        sentence for people, "" where that of the decision stands.
        """
        current: dict[str, Any] = {"settled": True, "refusal": "", "status": status, "state": state, "final": final}
        current |= {"answered_at": stamp(now)} | ({"why": why} if why else {})
        if status is Status.ACCEPTED and not (before and before.status.live):
            current |= {"accepted_at": stamp(now), "unwanted_at": "", **UNPROBED}
        writes = [_answer(subject.endpoint, entry, answer, now, Present("entry"))]
        if status in (Status.CUT, Status.REJECTED, Status.CLOSED) and before:
            current["claimed"] = False
            # The decision may have taken the slot since `before` was read.
            writes.append(leave(subject.service, subject.account, subject.endpoint))
        self._store.write(*writes, Write(ItemKey(subject.endpoint), current, _open(entry)))

    def seen(
        self,
        connection: Connection,
        status: Status,
        known: EndpointRecord | None,
        now: datetime,
        by_hand: str | None = None,
    ) -> None:
        """Record what EC2 shows of a connection that waits for nobody: live, rejected out of band, or gone.

        `by_hand` is given where it was done out of band: the origin of its bell, which may say by whom.
        """
        values = _shown(connection, status) | {"updated_at": stamp(now), "claimed": status.live}
        if status is Status.ACCEPTED and (known is None or not known.status.live):
            values |= {"accepted_at": stamp(now), "unwanted_at": "", "final": False, **UNPROBED}
        writes, text = [], dict[str, Any]()
        if by_hand is not None:
            text = out_of_band_act(connection, status, known, by_hand, now) | self._until(now)
            place = ItemKey(connection.endpoint, f"{stamp(now)}#{text['decision_id']}")
            writes.append(Write(place, text, [Absent("endpoint_id")]))
            values["by_hand"] = "" if text["who"] else place.entry
        if said := observed(connection, status, known, text["who"] if text else None, now):
            values["why"] = said
        writes.append(Write(ItemKey(connection.endpoint), values, _as_read(known)))
        self._store.write(*writes, *_moved(connection, known, status.live))

    def _until(self, now: datetime) -> dict[str, int]:
        """When DynamoDB may delete a line: epoch seconds, as its time to live wants them."""
        return {EXPIRES: int((now + self._retention).timestamp())} if self._retention else {}

    def attributed(self, known: EndpointRecord, who: str) -> None:
        """Say who acted out of band, once that is known."""
        self._store.write(
            Write(ItemKey(known.endpoint, known.by_hand), {"who": who}, [Is("who", "")]),
            Write(
                ItemKey(known.endpoint),
                {"by_hand": "", "why": attributed(known.why, who)},
                [NOT_NEWER, Is("by_hand", known.by_hand)],
            ),
        )

    def closed(self, known: EndpointRecord, now: datetime) -> None:
        """Record that EC2 no longer shows an endpoint; an open decision on it is answered by that."""
        values: dict[str, Any] = {"status": Status.CLOSED, "state": State.DELETED, "updated_at": stamp(now)}
        values |= {"settled": True, "refusal": "", "tries": 0, "claimed": False, "why": found(State.DELETED)}
        writes = [Write(ItemKey(known.endpoint), values, _as_read(known))]
        if known.entry and not known.settled:
            writes.append(_answer(known.endpoint, known.entry, "the endpoint is gone", now))
        self._store.write(*writes, *_moved(known, known, False))

    def mark_unwanted(self, known: EndpointRecord, since: datetime | None) -> None:
        """Keep since when a live connection is no longer wanted; None: it is again."""
        condition = Is("unwanted_at", stamp(known.unwanted_since), or_absent=not known.unwanted_since)
        self._store.write(Write(ItemKey(known.endpoint), {"unwanted_at": stamp(since)}, [NOT_NEWER, condition]))

    def untagged(self, known: EndpointRecord) -> None:
        """Keep that EC2 refused the tags of the last decision."""
        condition = Is("decision", known.entry)
        self._store.write(Write(ItemKey(known.endpoint), {"tags_refused": known.entry}, [NOT_NEWER, condition]))

    def probed(
        self, known: EndpointRecord, status: Status, recent: str, health: Mapping[str, object], now: datetime
    ) -> None:
        """Keep one round of health: patrol's, and patrol's alone."""
        values: dict[str, Any] = {"status": status, "recent": recent, "health": health, "updated_at": stamp(now)}
        if status is Status.VERIFIED and not known.verified_at:
            values["verified_at"] = stamp(now)
        conditions = [NOT_NEWER, Is("status", known.status), Is("recent", known.recent, or_absent=True)]
        self._store.write(Write(ItemKey(known.endpoint), values, conditions))

    def healed(self, known: EndpointRecord, holders: frozenset[str]) -> None:
        """Make the slots of an account, as they were read, say what an endpoint's own item says."""
        if known.claimed != (known.endpoint in holders):
            same = Write(ItemKey(known.endpoint), {"claimed": known.claimed}, _as_read(known))
            move = take if known.claimed else leave
            self._store.write(same, move(known.service, known.account, known.endpoint))


class _Collected(LedgerTable):
    """Collects changes that are to be made with others."""

    def __init__(self) -> None:
        self.writes: list[Write] = []

    def write(self, *writes: Write) -> None:
        self.writes += writes


def _shown(connection: Connection, status: Status) -> dict[str, Any]:
    return {
        "version": VERSION,
        "service": connection.service,
        "account": connection.account,
        "region": connection.region,
        "state": connection.state,
        "raw_state": connection.raw_state,
        "status": status,
        "requested_at": stamp(connection.created),
    }


def _open(entry: str) -> list[Condition]:
    return [NOT_NEWER, Is("decision", entry), Is("settled", False)]


def _answer(endpoint: str, entry: str, answer: str, now: datetime, *conditions: Condition) -> Write:
    values = {"answer": answer, "answered_at": stamp(now)}
    return Write(ItemKey(endpoint, entry), values, [*conditions, Absent("answer")])


def _as_read(known: EndpointRecord | None) -> list[Condition]:
    """That nobody recorded anything of an endpoint since it was read."""
    if known is None:
        return [Absent("entry")]
    return [
        NOT_NEWER,
        Is("status", known.status),
        Is("decision", known.entry) if known.entry else Absent("decision"),
        Is("claimed", known.claimed, or_absent=not known.claimed),
    ]


def _left_open(known: EndpointRecord | None) -> list[Condition]:
    """That nobody took over the decision that was open."""
    if known is None or known.settled:
        return []
    return [Is("settled", False), Is("open_until", stamp(known.open_until))]


def _moved(
    subject: Connection | EndpointRecord, known: EndpointRecord | None, claims: bool, limit: int | None = None
) -> list[Write]:
    """Take a slot, or give it back, where that is a change."""
    if claims == (known is not None and known.claimed):
        return []
    where = subject.service, subject.account, subject.endpoint
    return [take(*where, limit) if claims else leave(*where)]
