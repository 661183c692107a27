"""Handler of the bell queue: judges the connections that bells point at."""

import functools
import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from linkgate import metrics
from linkgate.approve.approver import Approver
from linkgate.approve.context import ContextReader
from linkgate.approve.report import log
from linkgate.aws import clients
from linkgate.aws.allowlist import AllowList
from linkgate.aws.connections import Connections
from linkgate.aws.organizations import Organization
from linkgate.aws.services import EndpointServices
from linkgate.config import Settings
from linkgate.events import bell
from linkgate.events.bus import Bus
from linkgate.events.queue import BellQueue
from linkgate.ledger.breaker import Breaker
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.sets import NamedSets
from linkgate.ledger.table import LedgerTable

REQUIRED = ("stack", "tag_value", "allow_list_table", "ledger_table", "bell_queue_url", "event_bus")
logger = Logger(service="approve")


@functools.cache
def application() -> tuple[Settings, Approver]:
    settings = Settings.from_env(os.environ, REQUIRED)
    ec2, dynamodb, role = clients.client("ec2"), clients.tables(), settings.organizations_role_arn
    table, now = LedgerTable(dynamodb, settings.ledger_table), functools.partial(datetime.now, UTC)
    approver = Approver(
        services=EndpointServices(ec2, settings.tag_value),
        connections=Connections(ec2),
        allow_list=AllowList(dynamodb, settings.allow_list_table),
        ledger=Ledger(table, settings.retention),
        contexts=ContextReader(
            sets=NamedSets(table),
            breaker=Breaker(table),
            organization=Organization(clients.organizations(role), now) if role else None,
        ),
        bus=Bus(clients.client("events"), settings.event_bus),
        bells=BellQueue(clients.client("sqs"), settings.bell_queue_url),
        now=now,
    )
    return settings, approver


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    """SQS records in; the messages that must come back out, by Lambda's partial-batch contract."""
    settings, approver = application()
    requeued = {record["messageId"]: bell.parse(record["body"]) for record in event["Records"]}
    try:
        report = approver.answer(list(requeued.values()))
    except Exception:
        metrics.emit(settings.stack, {"Failures": 1})
        raise
    unreadable = [record["body"] for record in event["Records"] if not requeued[record["messageId"]].readable]
    log(report, logger, unreadable)
    metrics.emit(settings.stack, report.counts)

    def settle(record: dict[str, Any]) -> None:
        if error := report.failed.get(requeued[record["messageId"]]):
            raise error

    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, settle, processor, context)
