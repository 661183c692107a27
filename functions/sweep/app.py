"""Door: a schedule rings, or an edit of the allow-list; find what differs and ring for it."""

import functools
import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from boto3.dynamodb.types import TypeDeserializer
from linkgate import clients, metrics
from linkgate.allowlist import AllowList
from linkgate.bus import Bus
from linkgate.connections import Connections
from linkgate.gate import Gates
from linkgate.ledger import Ledger
from linkgate.organization import Organization
from linkgate.register import Register
from linkgate.ring import Ringer
from linkgate.rows import Item, key_of
from linkgate.settings import Settings
from linkgate.store import Store
from linkgate.sweep import Finding, Sweeper

REQUIRED = (
    "stack",
    "allow_list_table",
    "ledger_table",
    "bell_queue_url",
    "event_bus",
    "notification_topic_arn",
)
logger = Logger(service="sweep")


@functools.cache
def application() -> tuple[Settings, Sweeper]:
    settings = Settings.from_env(os.environ, REQUIRED)
    ec2, dynamodb, role = clients.client("ec2"), clients.tables(), settings.organizations_role_arn
    store, now = Store(dynamodb, settings.ledger_table), functools.partial(datetime.now, UTC)
    sweeper = Sweeper(
        gates=Gates(ec2),
        connections=Connections(ec2),
        allow_list=AllowList(dynamodb, settings.allow_list_table),
        ledger=Ledger(store),
        register=Register(store),
        organization=Organization(clients.organizations(role), now) if role else None,
        bus=Bus(clients.client("events"), settings.event_bus),
        bells=Ringer(clients.client("sqs"), settings.bell_queue_url),
        topic=settings.notification_topic_arn,
        now=now,
    )
    return settings, sweeper


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:
    """A batch of the allow-list's stream, or the schedule's event (anything without records)."""
    settings, sweeper = application()
    try:
        if "Records" in event:
            # The last record of a row tells what it is now.
            changes = {key_of(_image(one, "Keys")): _image(one, "NewImage") or None for one in event["Records"]}
            finding = sweeper.edited(changes)
        else:
            finding = sweeper.sweep()
    except Exception:
        metrics.emit(settings.stack, {"Failures": 1})
        raise
    _tell(settings.stack, finding, whole="Records" not in event)
    if "Records" in event:
        # An edit is tried again; what a scheduled sweep could not do, the next one does.
        for error in finding.failed.values():
            raise error


def _image(record: dict[str, Any], name: str) -> Item:
    read = TypeDeserializer().deserialize
    return {key: read(value) for key, value in record["dynamodb"].get(name, {}).items()}


def _tell(stack: str, finding: Finding, whole: bool) -> None:
    logger.info("swept", services=finding.services, pending=finding.pending, rung=finding.rung)
    for problem in finding.malformed.values():
        logger.warning(f"allow-list, {problem}")
    for service, problems in finding.misconfigured.items():
        logger.warning(f"{service}: {'; '.join(problems)}")
    for account, why in finding.unplaced.items():
        logger.error(f"nobody can tell where {account} stands in its organisation: {why}")
    for doing, error in finding.failed.items():
        logger.error(f"could not sweep {doing}: {type(error).__name__}: {error}", exc_info=error)
    counts: dict[str, float] = {"InvalidRows": len(finding.malformed)}
    failures = len(finding.failed) + len(finding.unplaced)
    counts |= {"Failures": failures} if failures else {}
    if whole:
        counts |= {
            "PendingRequests": finding.pending,
            "StaleRequests": finding.stale,
            "RefusedConnections": finding.refused,
            "MisconfiguredGates": len(finding.misconfigured),
        }
    metrics.emit(stack, counts)
