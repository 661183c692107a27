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
from linkgate.ring import Ringer
from linkgate.rows import Item, key_of
from linkgate.settings import Settings
from linkgate.sweep import Finding, Sweeper, touched

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
    ec2, dynamodb = clients.client("ec2"), clients.tables()
    sweeper = Sweeper(
        gates=Gates(ec2),
        connections=Connections(ec2),
        allow_list=AllowList(dynamodb, settings.allow_list_table),
        ledger=Ledger(dynamodb, settings.ledger_table),
        bus=Bus(clients.client("events"), settings.event_bus),
        bells=Ringer(clients.client("sqs"), settings.bell_queue_url),
        topic=settings.notification_topic_arn,
        now=lambda: datetime.now(UTC),
    )
    return settings, sweeper


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:
    """A batch of the allow-list's stream, or the schedule's event (anything without records)."""
    settings, sweeper = application()
    try:
        if "Records" in event:
            images = [image for record in event["Records"] if (image := _image(record, "NewImage"))]
            keys = [key_of(_image(record, "Keys")) for record in event["Records"]]
            malformed = sweeper.validate(images)
            finding = sweeper.sweep("allow-list edited", touched(keys))
            finding.malformed |= malformed
        else:
            finding = sweeper.sweep("sweep")
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
    for doing, error in finding.failed.items():
        logger.error(f"could not sweep {doing}: {type(error).__name__}: {error}", exc_info=error)
    counts: dict[str, float] = {"InvalidRows": len(finding.malformed)}
    counts |= {"Failures": len(finding.failed)} if finding.failed else {}
    if whole:
        counts |= {
            "PendingRequests": finding.pending,
            "StaleRequests": finding.stale,
            "RefusedConnections": finding.refused,
            "MisconfiguredGates": len(finding.misconfigured),
        }
    metrics.emit(stack, counts)
