"""Door: a connection was accepted, or a round is due; send the canary and keep the endpoints' health."""

import functools
import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from linkgate import bell, clients, metrics
from linkgate.allowlist import AllowList
from linkgate.bus import Bus
from linkgate.connections import Connections
from linkgate.gate import Gates
from linkgate.ledger import Ledger
from linkgate.patrol import Canary, Patrol, Round
from linkgate.ring import Ringer
from linkgate.settings import Settings
from linkgate.store import Store

REQUIRED = ("stack", "account", "allow_list_table", "ledger_table", "patrol_queue_url", "event_bus", "default_probe")
logger = Logger(service="patrol")


@functools.cache
def application() -> tuple[Settings, Patrol]:
    settings = Settings.from_env(os.environ, REQUIRED)
    ec2, dynamodb = clients.client("ec2"), clients.tables()
    patrol = Patrol(
        gates=Gates(ec2),
        connections=Connections(ec2),
        allow_list=AllowList(dynamodb, settings.allow_list_table),
        ledger=Ledger(Store(dynamodb, settings.ledger_table)),
        bus=Bus(clients.client("events"), settings.event_bus),
        queue=Ringer(clients.client("sqs"), settings.patrol_queue_url),
        canary=Canary(clients.client("lambda"), settings.canary_function) if settings.canary_function else None,
        account=settings.account,
        default_probe=tuple(part.strip() for part in settings.default_probe.split(",")),
        now=lambda: datetime.now(UTC),
    )
    return settings, patrol


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:
    """SQS records about endpoints just accepted, or the schedule's event (anything without records)."""
    settings, patrol = application()
    try:
        if "Records" in event:
            seen = patrol.visit([bell.parse(record["body"]) for record in event["Records"]])
        else:
            seen = patrol.walk()
    except Exception:
        metrics.emit(settings.stack, {"Failures": 1})
        raise
    _tell(settings.stack, seen, round_is_whole="Records" not in event)


def _tell(stack: str, seen: Round, round_is_whole: bool) -> None:
    for milliseconds in seen.times_to_verified:
        metrics.emit(stack, {"TimeToVerified": milliseconds})
    if not round_is_whole:
        return
    parts = {
        "ProbedEndpoints": seen.probed,
        "UnhealthyEndpoints": seen.unhealthy,
        "UnprobedEndpoints": seen.unprobed,
    }
    whole_stack: dict[str, float] = {name: sum(by.values()) for name, by in parts.items()}
    logger.info("round", extra=whole_stack)
    for service, error in seen.failed.items():
        logger.error(f"could not patrol {service}: {type(error).__name__}: {error}", exc_info=error)
    if seen.failed:
        # Not everything was looked at: saying how much was would silence the alarm on silence.
        del whole_stack["ProbedEndpoints"]
        whole_stack["Failures"] = len(seen.failed)
    metrics.emit(stack, whole_stack)
    for service in seen.probed:
        metrics.emit(stack, {name: by.get(service, 0) for name, by in parts.items()}, service)
