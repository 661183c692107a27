"""The ledger table: one `current` item for each endpoint, and every decision as a line that only grows an answer.

A decision is written before the act and completed after it (design section 6). Every write is conditional on
what was read before it, so that a repeated, late or concurrent bell changes nothing.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from linkgate.dynamo import translated
from linkgate.errors import Unavailable
from linkgate.model import Connection, Decision, State, Status
from linkgate.policy import Rows, keys_for
from linkgate.rows import plain

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

CURRENT = "current"
BY_SERVICE = "by_service"
KEYS_PER_CALL = 100
LEASE = timedelta(seconds=60)
"""How long a run may take between writing a decision and its answer: the approver's timeout."""
UNPROBED: Mapping[str, Any] = {"recent": "", "verified_at": "", "health": {}}
"""The health of an endpoint that was just accepted: that of a former connection says nothing of it."""
LONGEST_FACTS = 200_000
"""Characters; an item of DynamoDB holds 400 KB."""


@dataclass(frozen=True, slots=True)
class Current:
    """What the ledger knows of one endpoint. `entry` is the sort key of its last decision, "" if there is none.

    `settled` is False from the moment a decision is written until EC2's answer to it is: a crash in between
    leaves it False, and the next look completes it.
    """

    endpoint: str
    service: str
    status: Status
    state: State
    owner: str = ""
    region: str = ""
    entry: str = ""
    outcome: str = ""
    reason: str = ""
    row: str = ""
    policy_hash: str = ""
    settled: bool = True
    requested_at: str = ""
    decided_at: str = ""
    answered_at: str = ""
    accepted_at: str = ""
    verified_at: str = ""
    recent: str = ""
    """The last probe rounds, newest last: `1` good, `0` bad."""
    health: Mapping[str, object] = field(default_factory=dict)

    def says(self) -> tuple[str, str, str]:
        """The last decision as people care about it: outcome, reason, deciding row."""
        return self.outcome, self.reason, self.row

    def agrees_with(self, decision: Decision) -> bool:
        """Whether the last recorded decision says the same and was made of the same policy."""
        return bool(self.entry) and (*self.says(), self.policy_hash) == (*decision.says(), decision.policy_hash)

    def open_at(self, now: datetime) -> bool:
        """Whether somebody decided just now and may still be acting: leave it to them, and ask again later."""
        return not self.settled and self.decided_at > stamp(now - LEASE)

    def fresh_at(self, now: datetime) -> bool:
        """Whether EC2 took an answer so recently that its Describe may not show it yet."""
        return self.status is not Status.HELD and self.answered_at > stamp(now - LEASE)


class Ledger:
    """The ledger. Raises Contended where another writer was faster; other ClientErrors pass through."""

    def __init__(self, dynamodb: "DynamoDBServiceResource", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = dynamodb.Table(table)

    def current(self, endpoints: Iterable[str]) -> dict[str, Current]:
        """What is known of these endpoints, consistently read; those never seen are absent."""
        rest = iter(sorted(set(endpoints)))
        found: dict[str, Current] = {}
        while keys := [{"endpoint_id": endpoint, "entry": CURRENT} for endpoint in islice(rest, KEYS_PER_CALL)]:
            found |= {known.endpoint: known for known in map(_current, self._get(keys))}
        return found

    def of(self, service: str, status: Status) -> list[Current]:
        """Every endpoint of a service in one status, by the index (eventually consistent)."""
        pages = self._table.meta.client.get_paginator("query").paginate(
            TableName=self._table.name,
            IndexName=BY_SERVICE,
            KeyConditionExpression="service = :service AND #status = :status",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":service": service, ":status": status},
        )
        with translated(self._table.name):
            return [_current(item) for page in pages for item in page["Items"]]

    def decided(
        self, connection: Connection, decision: Decision, rows: Rows, known: Current | None, cause: str, now: datetime
    ) -> str:
        """Write a new decision down, before it is acted on; returns its sort key."""
        before = known.entry if known else ""
        entry = f"{stamp(now)}#{decision_id(connection, decision, before)}"
        line = _line(connection, decision, rows, cause, now) | {"entry": entry}
        current = {
            **dict(zip(("outcome", "reason", "row"), decision.says(), strict=True)),
            "policy_hash": decision.policy_hash,
            "decision": entry,
            "settled": False,
            "service": connection.service,
            "owner": connection.owner,
            "region": connection.region,
            "state": connection.state,
            "requested_at": stamp(connection.created),
            "decided_at": stamp(now),
            "status": Status.HELD,
        }
        unchanged = {":before": before} if before else {}
        self._write(
            self._put(line),
            self._update(
                connection.endpoint,
                CURRENT,
                current,
                "#decision = :before" if before else "attribute_not_exists(#decision)",
                placeholders=unchanged,
            ),
        )
        return entry

    def answered(
        self, connection: Connection, entry: str, answer: str, status: Status, state: State, now: datetime
    ) -> None:
        """Complete a decision with what EC2 answered. A second answer to the same decision changes nothing."""
        current: dict[str, Any] = {"settled": True, "status": status, "state": state, "answered_at": stamp(now)}
        if status is Status.ACCEPTED:
            current |= {"accepted_at": stamp(now), **UNPROBED}
        self._write(
            self._update(
                connection.endpoint,
                entry,
                {"answer": answer, "answered_at": stamp(now)},
                "attribute_exists(entry) AND attribute_not_exists(answer)",
            ),
            self._update(
                connection.endpoint,
                CURRENT,
                current,
                "#decision = :entry AND #settled = :open",
                {"#decision": "decision", "#settled": "settled"},
                {":entry": entry, ":open": False},
            ),
        )

    def seen(self, connection: Connection, status: Status, known: Current | None, now: datetime) -> None:
        """Record what EC2 shows of a connection that waits for nobody: live, rejected by hand, or gone."""
        values: dict[str, Any] = {
            "service": connection.service,
            "owner": connection.owner,
            "region": connection.region,
            "state": connection.state,
            "status": status,
            "requested_at": stamp(connection.created),
            "updated_at": stamp(now),
        }
        if status is Status.ACCEPTED and (known is None or not known.status.live):
            values |= {"accepted_at": stamp(now), **UNPROBED}
        self._guarded(connection.endpoint, values, known)

    def closed(self, known: Current, now: datetime) -> None:
        """Record that EC2 no longer shows an endpoint."""
        values = {"status": Status.CLOSED, "state": State.DELETED, "updated_at": stamp(now)}
        self._guarded(known.endpoint, values, known)

    def probed(self, known: Current, status: Status, recent: str, health: Mapping[str, object], now: datetime) -> None:
        """Keep one round of health: patrol's, and patrol's alone."""
        values: dict[str, Any] = {"status": status, "recent": recent, "health": health, "updated_at": stamp(now)}
        if status is Status.VERIFIED and not known.verified_at:
            values["verified_at"] = stamp(now)
        self._guarded(known.endpoint, values, known)

    def changed(self, subject: str, text: str) -> bool:
        """Remember a text about a subject such as `gate#vpce-svc-…`; True if it was another one before.

        What is told on change only asks here first. "" is the text of a subject never heard of.
        """
        known = "attribute_not_exists(#text) OR " if text else "attribute_exists(#text) AND "
        try:
            with translated(self._table.name):
                self._table.update_item(
                    Key={"endpoint_id": subject, "entry": CURRENT},
                    UpdateExpression="SET #text = :text",
                    ConditionExpression=f"{known}#text <> :text",
                    ExpressionAttributeNames={"#text": "text"},
                    ExpressionAttributeValues={":text": text},
                )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _guarded(self, endpoint: str, values: Mapping[str, Any], known: Current | None) -> None:
        if known is None:
            self._write(self._update(endpoint, CURRENT, values, "attribute_not_exists(entry)"))
        else:
            self._write(
                self._update(
                    endpoint, CURRENT, values, "#status = :before", {"#status": "status"}, {":before": known.status}
                )
            )

    def _get(self, keys: list[dict[str, str]]) -> list[dict[str, Any]]:
        with translated(self._table.name):
            answer = self._dynamodb.batch_get_item(
                RequestItems={self._table.name: {"Keys": keys, "ConsistentRead": True}}
            )
        if answer.get("UnprocessedKeys"):
            raise Unavailable(f"DynamoDB left keys of {self._table.name} unprocessed")
        return answer["Responses"].get(self._table.name, [])

    def _put(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "Put": {
                "TableName": self._table.name,
                "Item": dict(item),
                "ConditionExpression": "attribute_not_exists(endpoint_id)",
            }
        }

    def _update(
        self,
        endpoint: str,
        entry: str,
        values: Mapping[str, Any],
        condition: str,
        names: Mapping[str, str] | None = None,
        placeholders: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": {"endpoint_id": endpoint, "entry": entry},
                "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in values),
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {f"#{name}": name for name in values} | dict(names or {}),
                "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}
                | dict(placeholders or {}),
            }
        }

    def _write(self, *actions: dict[str, Any]) -> None:
        with translated(self._table.name):
            self._dynamodb.meta.client.transact_write_items(TransactItems=list(actions))  # type: ignore[arg-type]


def stamp(moment: datetime) -> str:
    """A time as the ledger writes it: UTC, ISO 8601, microseconds; sorts as text."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def decision_id(connection: Connection, decision: Decision, before: str) -> str:
    """The same decision after the same history has the same id: 16 hex digits."""
    text = json.dumps([connection.endpoint, *decision.says(), decision.policy_hash, before])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _line(connection: Connection, decision: Decision, rows: Rows, cause: str, now: datetime) -> dict[str, Any]:
    """A decision and all it was made of: enough to make it again (`facts`, JSON text)."""
    read = [plain(rows[key]) for key in keys_for(connection) if key in rows]
    facts = {"connection": asdict(connection) | {"created": stamp(connection.created)}, "rows": read, "now": stamp(now)}
    return {
        "endpoint_id": connection.endpoint,
        "service": connection.service,
        "owner": connection.owner,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "row": str(decision.row or ""),
        "applied": [str(key) for key in decision.applied],
        "near_misses": [f"{miss.key} {miss.reason}" for miss in decision.near_misses],
        "policy_hash": decision.policy_hash,
        "mode": decision.mode,
        "people": dict(decision.people),
        "note": decision.note,
        "rang": cause,
        "facts": text if len(text := json.dumps(facts)) <= LONGEST_FACTS else "",
        "decided_at": stamp(now),
    }


def _current(item: Mapping[str, Any]) -> Current:
    said = ("owner", "region", "outcome", "reason", "row", "policy_hash")
    times = ("requested_at", "decided_at", "answered_at", "accepted_at", "verified_at")
    return Current(
        endpoint=item["endpoint_id"],
        service=item["service"],
        status=Status(item["status"]),
        state=State.read(item["state"]),
        entry=item.get("decision", ""),
        settled=item.get("settled", True),
        recent=item.get("recent", ""),
        health=item.get("health", {}),
        **{name: str(item.get(name, "")) for name in said + times},
    )
