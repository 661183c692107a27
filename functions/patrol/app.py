"""Door: a connection was accepted, or a round is due; send the canaries and keep the endpoints' health."""

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
from linkgate.patrol.canaries import Canaries
from linkgate.patrol.counts import Counts, Round
from linkgate.patrol.patrol import Patrol
from linkgate.patrol.probing import Probing
from linkgate.patrol.recorder import HealthRecorder

REQUIRED = ("stack", "account", "allow_list_table", "ledger_table", "patrol_queue_url", "event_bus", "default_probe")
TIMES = {"DnsTime": "dns", "TcpTime": "tcp", "TlsTime": "tls", "FirstByteTime": "first_byte", "TotalTime": "total"}
LONGEST_LIST = 20
"""Endpoints of one kind that a round names in the log."""
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
        services=EndpointServices(ec2),
        connections=connections,
        allow_list=AllowList(dynamodb, settings.allow_list_table),
        ledger=ledger,
        queue=BellQueue(clients.client("sqs"), settings.patrol_queue_url),
        lookout=Probing(connections, canaries, now),
        keeper=HealthRecorder(ledger, Bus(clients.client("events"), settings.event_bus), now),
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
            seen = patrol.visit([bell.parse(record["body"]) for record in event["Records"]], left)
        else:
            seen = patrol.walk(left)
    except Exception:
        metrics.emit(settings.stack, {"Failures": 1})
        raise
    others = _tell_troubles(settings.stack, seen, patrol.own_canary)
    for milliseconds in seen.times_to_verified:
        metrics.emit(settings.stack, {"TimeToVerified": milliseconds})
    if "Records" not in event:
        # Not everything was looked at: saying how much was would silence the alarm on silence.
        blind = bool(seen.failed) or patrol.own_canary in seen.absent
        _tell_round(settings.stack, seen, blind, others)


def _tell_troubles(stack: str, seen: Round, own: str) -> int:
    """Log what went wrong, and count what is ours of it; returns how many canaries of others did not come back."""
    for service, error in seen.failed.items():
        logger.error(f"could not patrol {service}: {type(error).__name__}: {error}", exc_info=error)
    for canary, error in seen.absent.items():
        logger.error(f"could not send {canary}: {type(error).__name__}: {error}", exc_info=error)
    others = len(seen.absent.keys() - {own})
    if failures := len(seen.failed) + len(seen.absent) - others:
        metrics.emit(stack, {"Failures": failures})
    return others


def _tell_round(stack: str, seen: Round, blind: bool, others: int) -> None:
    said = {endpoint: words for tally in seen.services.values() for endpoint, words in tally.said.items()}
    for endpoint, words in sorted(said.items())[:LONGEST_LIST]:
        logger.warning(f"{endpoint} could not be probed: {words}")
    by_service = {service: _counts(tally) for service, tally in seen.services.items()}
    whole = {name: sum(counts[name] for counts in by_service.values()) for name in _counts(Counts())}
    # Of no service: one canary may be sent to several. Not among the failures, which another's trouble would hide.
    whole["ProbeErrors"] += others
    logger.info("round", extra=whole)
    metrics.emit(stack, {name: count for name, count in whole.items() if not (blind and name == "ProbedEndpoints")})
    if days := [tally.days_left for tally in seen.services.values() if tally.days_left is not None]:
        metrics.emit(stack, {"CertificateDaysLeft": min(days)})
    for service, counts in by_service.items():
        metrics.emit(stack, counts, service)
        _tell_details(stack, service, seen.services[service])


def _counts(tally: Counts) -> dict[str, float]:
    return {
        "ProbedEndpoints": tally.probed,
        "UnhealthyEndpoints": len(tally.unhealthy),
        "UnprobedEndpoints": tally.unprobed,
        "UnexpectedlyOpenEndpoints": tally.open,
        "ProbeErrors": tally.errors,
    }


def _tell_details(stack: str, service: str, tally: Counts) -> None:
    """What is finer than a count; of a single endpoint only while it fails, since each metric costs."""
    if tally.days_left is not None:
        metrics.emit(stack, {"CertificateDaysLeft": tally.days_left}, service)
    metrics.spread(stack, {name: tally.phases[phase] for name, phase in TIMES.items()}, service)
    for zone, count in tally.addresses.items():
        metrics.emit(stack, {"UnhealthyAddresses": count}, service, Zone=zone)
    for endpoint in tally.unhealthy:
        metrics.emit(stack, {"UnhealthyEndpoints": 1}, service, Endpoint=endpoint)
