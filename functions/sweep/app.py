"""Handler of the schedule, the allow-list's stream and the sweep queue: sends bells for what differs."""

import functools
import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from boto3.dynamodb.types import TypeDeserializer
from linkgate import metrics
from linkgate.approve.context import ContextReader
from linkgate.aws import clients
from linkgate.aws.allowlist import AllowList
from linkgate.aws.connections import Connections
from linkgate.aws.organizations import Organization
from linkgate.aws.services import EndpointServices
from linkgate.aws.topic import Topic
from linkgate.config import Settings
from linkgate.events import bell
from linkgate.events.bus import Bus
from linkgate.events.queue import BellQueue
from linkgate.ledger.breaker import Breaker
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.sets import NamedSets
from linkgate.ledger.table import LedgerTable
from linkgate.policy.rows import Item, key_of
from linkgate.sweep.compare import Comparer
from linkgate.sweep.expiring import ExpiringRows
from linkgate.sweep.gaps import StackGaps
from linkgate.sweep.lease import Lease
from linkgate.sweep.report import emit, log
from linkgate.sweep.services import ServiceConfigurator
from linkgate.sweep.sweeper import Sweeper
from linkgate.sweep.validator import Validator

REQUIRED = (
    "stack",
    "tag_value",
    "allow_list_table",
    "ledger_table",
    "bell_queue_url",
    "sweep_queue_url",
    "event_bus",
    "notification_topic_arn",
    "expiring_soon_days",
    "alarm_topic_arn",
)
logger = Logger(service="sweep")


@functools.cache
def application() -> tuple[Settings, Sweeper]:
    settings = Settings.from_env(os.environ, REQUIRED)
    ec2, sqs, dynamodb = clients.client("ec2"), clients.client("sqs"), clients.tables()
    table, now = LedgerTable(dynamodb, settings.ledger_table), functools.partial(datetime.now, UTC)
    sets, bus = NamedSets(table), Bus(clients.client("events"), settings.event_bus)
    role = settings.organizations_role_arn
    organization = Organization(clients.organizations(role), now) if role else None
    sweeper = Sweeper(
        comparer=Comparer(
            connections=Connections(ec2),
            allow_list=AllowList(dynamodb, settings.allow_list_table),
            ledger=Ledger(table, settings.retention),
            contexts=ContextReader(sets, Breaker(table), organization),
            bus=bus,
            bells=BellQueue(sqs, settings.bell_queue_url),
            now=now,
        ),
        configurator=ServiceConfigurator(
            EndpointServices(ec2, settings.tag_value), sets, bus, settings.notification_topic_arn, now
        ),
        validator=Validator(sets, bus, organization is not None),
        expiring=ExpiringRows(sets, bus, settings.expiring_soon, now),
        gaps=StackGaps(sets, bus, Topic(clients.client("sns"), settings.alarm_topic_arn), settings.gaps),
        lease=Lease(table, now),
        looks=BellQueue(sqs, settings.sweep_queue_url),
    )
    return settings, sweeper


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:
    """A batch of the allow-list's stream, looks from the queue, or the schedule's event (anything without records)."""
    settings, sweeper = application()
    records, holder = event.get("Records", []), context.aws_request_id
    try:
        if not records:
            result = sweeper.sweep(holder)
        elif "dynamodb" in records[0]:
            # The last record of a row says what it is now.
            result = sweeper.edited(
                {key_of(_image(one, "Keys")): _image(one, "NewImage") or None for one in records}, holder
            )
        else:
            result = sweeper.look([bell.parse(one["body"]) for one in records], holder)
    except Exception:
        metrics.emit(settings.stack, {"Failures": 1})
        raise
    log(result, logger)
    emit(result, settings.stack)
    if records:
        # What was asked for is tried again; what a scheduled sweep could not do, the next one does.
        for error in result.failed.values():
            raise error


def _image(record: dict[str, Any], name: str) -> Item:
    read = TypeDeserializer().deserialize
    return {key: read(value) for key, value in record["dynamodb"].get(name, {}).items()}
