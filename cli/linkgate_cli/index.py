"""The ledger's index, read for thousands of endpoints: only what is shown, and without botocore's parser.

That parser walks every attribute of every item several times, which is most of what ten thousand endpoints cost.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from linkgate.ledger.slots import is_limit
from linkgate.ledger.table import BY_SERVICE
from linkgate.model import Status

from linkgate_cli.session import Session

SHOWN = (
    *("endpoint_id", "version", "service", "account", "owner", "region", "status", "state", "final", "recent"),
    *("outcome", "reason", "row", "mode", "ticket", "why", "settled", "refusal", "tries", "decision", "unwanted_at"),
    *("requested_at", "decided_at", "answered_at", "accepted_at", "verified_at"),
    *("health.cause", "health.detail", "health.errors", "health.checked_at"),
)
"""Attributes of a `current` item that a command shows; the others are as if they were absent."""
_NAMES = sorted({part for name in SHOWN for part in name.split(".")})


def endpoints(session: Session, service: str, closed: bool) -> Iterator[dict[str, Any]]:
    """The `current` items of a service's endpoints, a moment old; `closed`: also of those that are gone."""
    client = session.client("dynamodb")
    client.meta.events.register("before-parse.dynamodb.Query", _unparsed, unique_id="linkgate-index")
    statuses = ("#status < :closed", "#status > :closed", *(["#status = :closed"] if closed else []))
    try:
        for condition in statuses:
            yield from _queried(client, session, service, condition)
    finally:
        client.meta.events.unregister("before-parse.dynamodb.Query", unique_id="linkgate-index")


def _queried(client: Any, session: Session, service: str, condition: str) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("query").paginate(
        TableName=session.outputs["LedgerTable"],
        IndexName=BY_SERVICE,
        KeyConditionExpression=f"#service = :service AND {condition}",
        ProjectionExpression=", ".join(".".join(f"#{part}" for part in name.split(".")) for name in SHOWN),
        ExpressionAttributeNames={f"#{name}": name for name in _NAMES},
        ExpressionAttributeValues={":service": {"S": service}, ":closed": {"S": str(Status.CLOSED)}},
    )
    for page in pages:
        for item in page["Items"]:
            if not is_limit(item["endpoint_id"]["S"]):
                yield {name: _value(typed) for name, typed in item.items()}


def _unparsed(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **more: Any) -> None:
    """Hand an answer on as it is: DynamoDB's JSON needs no schema. Errors are left to botocore."""
    if response_dict["status_code"] < 300:
        said = json.loads(response_dict["body"])
        response_dict["body"] = b"{}"
        customized_response_dict |= {name: said[name] for name in ("Items", "LastEvaluatedKey") if name in said}


def _value(typed: dict[str, Any]) -> Any:
    """A value of DynamoDB as Python's own; of the kinds that `current` items have."""
    ((kind, value),) = typed.items()
    match kind:
        case "N":
            return Decimal(value)
        case "M":
            return {name: _value(one) for name, one in value.items()}
        case "L":
            return [_value(one) for one in value]
        case "NULL":
            return None
        case "SS":
            return set(value)
    return value
