"""Handler: endpoints were just accepted, or a round is due; probe them and record their health."""

import functools
import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from linkgate import metrics
from linkgate.aws import clients
from linkgate.aws.allowlist import AllowList
from linkgate.aws.connections import Connections
from linkgate.aws.services import EndpointServices
from linkgate.config import Settings
from linkgate.events import bell
from linkgate.events.bus import Bus
from linkgate.events.queue import BellQueue
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.table import LedgerTable
from linkgate.patrol import report
from linkgate.patrol.canaries import Canaries
from linkgate.patrol.patrol import Patrol
from linkgate.patrol.probing import Probing
from linkgate.patrol.recorder import HealthRecorder

REQUIRED = (
    "stack",
    "tag_value",
    "account",
    "allow_list_table",
    "ledger_table",
    "patrol_queue_url",
    "event_bus",
    "default_probe",
)
logger = Logger(service="patrol")


def now() -> datetime:
    return datetime.now(UTC)


@functools.cache
def application() -> tuple[Settings, Patrol]:
    settings = Settings.from_env(os.environ, REQUIRED)
    ec2, dynamodb = clients.client("ec2"), clients.tables()
    connections, ledger = Connections(ec2), Ledger(LedgerTable(dynamodb, settings.ledger_table))
    canaries = Canaries(lambda region: clients.client("lambda", region), settings.canary_function)
    patrol = Patrol(
        services=EndpointServices(ec2, settings.tag_value),
        connections=connections,
        allow_list=AllowList(dynamodb, settings.allow_list_table),
        ledger=ledger,
        queue=BellQueue(clients.client("sqs"), settings.patrol_queue_url),
        probing=Probing(connections, canaries, now),
        recorder=HealthRecorder(ledger, Bus(clients.client("events"), settings.event_bus), now),
        account=settings.account,
        default_probe=settings.probes,
        now=now,
    )
    return settings, patrol


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:
    """SQS records about endpoints just accepted, or the schedule's event (anything without records)."""
    settings, patrol = application()

    def left() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000

    try:
        if "Records" in event:
            run = patrol.visit([bell.parse(record["body"]) for record in event["Records"]], left)
        else:
            run = patrol.round(left)
    except Exception:
        metrics.emit(settings.stack, {"Failures": 1})
        raise
    publish = report.report_visit if "Records" in event else report.report_round
    publish(logger, settings.stack, run, patrol.own_canary)
