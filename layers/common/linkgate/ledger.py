"""The ledger table: one `current` item for each endpoint, and every decision as a line that only grows an answer.

A decision is written before the act and completed after it (design section 6). Every write is conditional on
what was read before it, so that a repeated, late or concurrent bell changes nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from linkgate.dynamo import translated
from linkgate.entry import LEASE, UNPROBED, Current, decision_id, line, read, stamp
from linkgate.errors import Unavailable
from linkgate.model import Connection, Decision, State, Status
from linkgate.policy import Rows

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

CURRENT = "current"
BY_SERVICE = "by_service"
KEYS_PER_CALL = 100


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
            found |= {known.endpoint: known for known in map(read, self._get(keys))}
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
            return [read(item) for page in pages for item in page["Items"]]

    def decided(
        self, connection: Connection, decision: Decision, rows: Rows, known: Current | None, cause: str, now: datetime
    ) -> str:
        """Write a new decision down, before it is acted on; returns its sort key."""
        before = known.entry if known else ""
        entry = f"{stamp(now)}#{decision_id(connection, decision, before)}"
        decided = line(connection, decision, rows, cause, now) | {"entry": entry}
        current = {
            **dict(zip(("outcome", "reason", "row"), decision.says(), strict=True)),
            "policy_hash": decision.policy_hash,
            "decision": entry,
            "mode": decision.mode,
            "settled": False,
            "open_until": stamp(now + LEASE),
            "refusal": "",
            "tries": 0,
            "service": connection.service,
            "owner": connection.owner,
            "region": connection.region,
            "state": connection.state,
            "requested_at": stamp(connection.created),
            "decided_at": stamp(now),
            "status": Status.HELD,
        }
        actions = [
            self._put(decided),
            self._update(
                connection.endpoint,
                CURRENT,
                current,
                "#decision = :before" if before else "attribute_not_exists(#decision)",
                placeholders={":before": before} if before else {},
            ),
        ]
        if known and before and not known.settled:
            answer = {"answer": f"superseded; {known.refusal or 'not known to be done'}", "answered_at": stamp(now)}
            actions.append(self._update(connection.endpoint, before, answer, "attribute_not_exists(answer)"))
        self._write(*actions)
        return entry

    def taken_over(self, known: Current, now: datetime) -> None:
        """Make an open decision ours, after whoever left it: one of several takers wins."""
        self._write(
            self._update(
                known.endpoint,
                CURRENT,
                {"open_until": stamp(now + LEASE), "refusal": ""},
                "#decision = :entry AND #settled = :open AND #open_until = :before",
                {"#decision": "decision", "#settled": "settled"},
                {":entry": known.entry, ":open": False, ":before": known.open_until},
            )
        )

    def refused(self, connection: Connection, entry: str, why: str, tries: int, until: datetime) -> None:
        """Keep EC2's refusal with the decision that stays open: asked again after `until`."""
        values = {"refusal": why, "tries": tries, "open_until": stamp(until), "status": Status.HELD}
        self._write(
            self._update(
                connection.endpoint,
                CURRENT,
                values,
                "#decision = :entry AND #settled = :open",
                {"#decision": "decision", "#settled": "settled"},
                {":entry": entry, ":open": False},
            )
        )

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
        """Record that EC2 no longer shows an endpoint; an open decision on it is answered by that."""
        values: dict[str, Any] = {"status": Status.CLOSED, "state": State.DELETED, "updated_at": stamp(now)}
        values |= {"settled": True, "refusal": "", "tries": 0}
        actions = [
            self._update(known.endpoint, CURRENT, values, "#status = :before", placeholders={":before": known.status})
        ]
        if known.entry and not known.settled:
            answer = {"answer": "the endpoint is gone", "answered_at": stamp(now)}
            actions.append(self._update(known.endpoint, known.entry, answer, "attribute_not_exists(answer)"))
        self._write(*actions)

    def probed(self, known: Current, status: Status, recent: str, health: Mapping[str, object], now: datetime) -> None:
        """Keep one round of health: patrol's, and patrol's alone."""
        values: dict[str, Any] = {"status": status, "recent": recent, "health": health, "updated_at": stamp(now)}
        if status is Status.VERIFIED and not known.verified_at:
            values["verified_at"] = stamp(now)
        self._write(
            self._update(
                known.endpoint,
                CURRENT,
                values,
                "#status = :before AND (#recent = :recent_before OR attribute_not_exists(#recent))",
                placeholders={":before": known.status, ":recent_before": known.recent},
            )
        )

    def remembered(self, subject: str) -> str:
        """The text last kept about a subject such as `gate#vpce-svc-…`; "" if there is none."""
        items = self._get([{"endpoint_id": subject, "entry": CURRENT}])
        return str(items[0].get("text", "")) if items else ""

    def remember(self, subject: str, text: str) -> None:
        """Keep a text about a subject, so that what is told on change is told once."""
        with translated(self._table.name):
            self._table.update_item(
                Key={"endpoint_id": subject, "entry": CURRENT},
                UpdateExpression="SET #text = :text",
                ExpressionAttributeNames={"#text": "text"},
                ExpressionAttributeValues={":text": text},
            )

    def _guarded(self, endpoint: str, values: Mapping[str, Any], known: Current | None) -> None:
        if known is None:
            self._write(self._update(endpoint, CURRENT, values, "attribute_not_exists(entry)"))
        else:
            before = {":before": known.status}
            self._write(self._update(endpoint, CURRENT, values, "#status = :before", placeholders=before))

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
