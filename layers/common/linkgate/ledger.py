"""The ledger table: one `current` item for each endpoint, and every decision as a line that only grows an answer.

A decision is written before the act and completed after it (design section 6). Every write is conditional on
what was read before it, so that a repeated, late or concurrent bell changes nothing. Who is accepted or live holds a
claim on the limit of its account (linkgate.register): it is taken and given back with the state, in one transaction.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from linkgate.entry import LEASE, UNPROBED, Current, decision_id, line, read, stamp
from linkgate.model import Connection, Decision, Outcome, Standing, State, Status
from linkgate.policy import Rows
from linkgate.register import claim, release
from linkgate.store import Absent, Condition, Is, Place, Present, Store, Write


class Ledger:
    """The ledger. Raises Contended where another writer was faster; other ClientErrors pass through."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def current(self, endpoints: Iterable[str]) -> dict[str, Current]:
        """What is known of these endpoints, consistently read; those never seen are absent."""
        return {known.endpoint: known for known in map(read, self._store.read(map(Place, endpoints)))}

    def of(self, service: str, status: Status) -> list[Current]:
        """Every endpoint of a service in one status, by the index (eventually consistent)."""
        return [read(item) for item in self._store.query(service, status)]

    def decided(
        self,
        connection: Connection,
        decision: Decision,
        rows: Rows,
        standing: Standing,
        known: Current | None,
        cause: str,
        now: datetime,
    ) -> str:
        """Write a new decision down, before it is acted on; returns its sort key.

        An accept takes a slot under the deciding row's limit, any other decision gives one back.
        """
        before = known.entry if known else ""
        entry = f"{stamp(now)}#{decision_id(connection, decision, before)}"
        claims = decision.outcome is Outcome.ACCEPT
        current = _facts(connection, Status.HELD) | {
            **dict(zip(("outcome", "reason", "row"), decision.says(), strict=True)),
            "policy_hash": decision.policy_hash,
            "decision": entry,
            "mode": decision.mode,
            "settled": False,
            "open_until": stamp(now + LEASE),
            "refusal": "",
            "tries": 0,
            "decided_at": stamp(now),
            "claimed": claims,
        }
        text = line(connection, decision, rows, standing, cause, now)
        writes = [
            Write(Place(connection.endpoint, entry), text, [Absent("endpoint_id")]),
            Write(Place(connection.endpoint), current, [Is("decision", before) if before else Absent("decision")]),
        ]
        if known and before and not known.settled:
            answer = f"superseded; {known.refusal or 'not known to be done'}"
            writes.append(_answer(connection.endpoint, before, answer, now))
        writes += _slot(connection, known, claims, decision.limit)
        self._store.write(*writes)
        return entry

    def taken_over(self, known: Current, now: datetime) -> None:
        """Make an open decision ours, after whoever left it: one of several takers wins."""
        values = {"open_until": stamp(now + LEASE), "refusal": ""}
        conditions = [*_open(known.entry), Is("open_until", known.open_until)]
        self._store.write(Write(Place(known.endpoint), values, conditions))

    def refused(self, connection: Connection, entry: str, why: str, tries: int, until: datetime) -> None:
        """Keep EC2's refusal with the decision that stays open: asked again after `until`."""
        values = {"refusal": why, "tries": tries, "open_until": stamp(until), "status": Status.HELD}
        self._store.write(Write(Place(connection.endpoint), values, _open(entry)))

    def answered(
        self, connection: Connection, entry: str, answer: str, status: Status, state: State, now: datetime
    ) -> None:
        """Complete a decision with what EC2 answered. A second answer to the same decision changes nothing."""
        current: dict[str, Any] = {
            "settled": True,
            "refusal": "",
            "status": status,
            "state": state,
            "answered_at": stamp(now),
        }
        if status is Status.ACCEPTED:
            current |= {"accepted_at": stamp(now), **UNPROBED}
        self._store.write(
            _answer(connection.endpoint, entry, answer, now, Present("entry")),
            Write(Place(connection.endpoint), current, _open(entry)),
        )

    def seen(self, connection: Connection, status: Status, known: Current | None, now: datetime) -> None:
        """Record what EC2 shows of a connection that waits for nobody: live, rejected by hand, or gone."""
        values = _facts(connection, status) | {"updated_at": stamp(now), "claimed": status.live}
        if status is Status.ACCEPTED and (known is None or not known.status.live):
            values |= {"accepted_at": stamp(now), **UNPROBED}
        condition = Is("status", known.status) if known else Absent("entry")
        self._store.write(
            Write(Place(connection.endpoint), values, [condition]), *_slot(connection, known, status.live)
        )

    def closed(self, known: Current, now: datetime) -> None:
        """Record that EC2 no longer shows an endpoint; an open decision on it is answered by that."""
        values: dict[str, Any] = {"status": Status.CLOSED, "state": State.DELETED, "updated_at": stamp(now)}
        values |= {"settled": True, "refusal": "", "tries": 0, "claimed": False}
        writes = [Write(Place(known.endpoint), values, [Is("status", known.status)])]
        if known.entry and not known.settled:
            writes.append(_answer(known.endpoint, known.entry, "the endpoint is gone", now))
        self._store.write(*writes, *_slot(known, known, False))

    def probed(self, known: Current, status: Status, recent: str, health: Mapping[str, object], now: datetime) -> None:
        """Keep one round of health: patrol's, and patrol's alone."""
        values: dict[str, Any] = {"status": status, "recent": recent, "health": health, "updated_at": stamp(now)}
        if status is Status.VERIFIED and not known.verified_at:
            values["verified_at"] = stamp(now)
        conditions = [Is("status", known.status), Is("recent", known.recent, or_absent=True)]
        self._store.write(Write(Place(known.endpoint), values, conditions))

    def healed(self, known: Current, claimed: bool) -> None:
        """Make the claims of an account say what an endpoint's own item says, where they came to differ."""
        condition = Is("claimed", True) if known.claimed else Is("claimed", False, or_absent=True)
        slot = claim if known.claimed else release
        if known.claimed is not claimed:
            self._store.write(
                Write(Place(known.endpoint), {"claimed": known.claimed}, [condition]),
                slot(known.service, known.owner, known.endpoint),
            )


def _facts(connection: Connection, status: Status) -> dict[str, Any]:
    return {
        "service": connection.service,
        "owner": connection.owner,
        "region": connection.region,
        "state": connection.state,
        "status": status,
        "requested_at": stamp(connection.created),
    }


def _open(entry: str) -> list[Condition]:
    return [Is("decision", entry), Is("settled", False)]


def _answer(endpoint: str, entry: str, answer: str, now: datetime, *conditions: Condition) -> Write:
    values = {"answer": answer, "answered_at": stamp(now)}
    return Write(Place(endpoint, entry), values, [*conditions, Absent("answer")])


def _slot(subject: Connection | Current, known: Current | None, wanted: bool, limit: int | None = None) -> list[Write]:
    """Take or give back a slot, where that changes anything."""
    claimed = bool(known and known.claimed)
    if wanted and not claimed:
        return [claim(subject.service, subject.owner, subject.endpoint, limit)]
    return [release(subject.service, subject.owner, subject.endpoint)] if claimed and not wanted else []
