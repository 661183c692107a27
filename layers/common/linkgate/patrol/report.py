"""What a run of patrol logs, and every metric of it; linkgate.metrics says which numbers are metrics."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from linkgate import metrics
from linkgate.errors import NotYet
from linkgate.patrol.assessment import Assessment
from linkgate.patrol.run import Run

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

LONGEST_LIST = 20
"""Endpoints of one kind that a round names in the log."""


def report_visit(logger: "Logger", stack: str, run: Run, own_canary: str) -> None:
    """Log what went wrong, and count what is ours of it; another stack's canary is not."""
    for service, error in run.failed.items():
        logger.error(f"could not patrol {service}: {type(error).__name__}: {error}", exc_info=error)
    for canary, error in run.absent.items():
        if isinstance(error, NotYet):
            logger.info(str(error))
            continue
        logger.error(f"could not send {canary}: {type(error).__name__}: {error}", exc_info=error)
    if failures := len(run.failed) + (own_canary in run.failing):
        metrics.emit(stack, {"Failures": failures})
    for milliseconds in run.times_to_verified:
        metrics.emit(stack, {"TimeToVerified": milliseconds})


def report_round(logger: "Logger", stack: str, run: Run, own_canary: str) -> None:
    """The same, and what the round found: for the stack, and for each service."""
    report_visit(logger, stack, run, own_canary)
    found = [one for assessments in run.services.values() for one in assessments]
    errors = {one.candidate.connection.endpoint: one.evidence.errors for one in found if not one.candidate.closed}
    for endpoint in sorted(filter(errors.get, errors))[:LONGEST_LIST]:
        logger.warning(f"{endpoint} could not be probed: {errors[endpoint][0]}")
    news = {one.candidate.connection.endpoint: one.left_out for one in found if one.left_out != one.candidate.left_out}
    for endpoint in sorted(filter(news.get, news))[:LONGEST_LIST]:
        logger.info(f"{endpoint} is not probed at {news[endpoint]}")
    whole = counts(found)
    # Of no service: one canary may serve several. Not among the failures, which another's trouble would hide.
    whole["ProbeErrors"] += len(run.failing - {own_canary})
    logger.info("round", extra=whole)
    del whole["UnprobedEndpoints"]
    if run.failed or own_canary in run.absent:
        # Not everything was probed: saying how much was would silence the alarm on silence.
        del whole["ProbedEndpoints"]
    metrics.emit(stack, whole | days_left(found))
    for service, assessments in run.services.items():
        counted = counts(assessments)
        logger.info(f"patrolled {service}", extra={"service_id": service, **counted})
        unhealthy = {"UnhealthyEndpoints": counted["UnhealthyEndpoints"]}
        metrics.emit(stack, unhealthy | days_left(assessments), service)
        _report_details(stack, service, assessments)


def counts(assessments: Sequence[Assessment]) -> dict[str, float]:
    """Endpoints in numbers; one that must stay out counts only where it gets in."""
    return {
        "ProbedEndpoints": sum(one.probed for one in assessments),
        "UnhealthyEndpoints": sum(one.unhealthy for one in assessments),
        "UnprobedEndpoints": sum(one.unprobed for one in assessments),
        "UnexpectedlyOpenEndpoints": sum(one.open for one in assessments),
        "ProbeErrors": sum(len(one.evidence.errors) for one in assessments if not one.candidate.closed),
    }


def days_left(assessments: Sequence[Assessment]) -> dict[str, float]:
    """Of the certificate that expires first; nothing where there is none."""
    days = [one.evidence.days_left for one in assessments if one.probed]
    return {"CertificateDaysLeft": min(known)} if (known := [one for one in days if one is not None]) else {}


def _report_details(stack: str, service: str, assessments: Sequence[Assessment]) -> None:
    """What is finer than a count; of a zone or an endpoint only while it fails, since each metric costs."""
    probed = [one.evidence for one in assessments if one.probed]
    slowest = [one.slowest.phases for one in probed if one.slowest]
    times = {"DnsTime": "dns", "TcpTime": "tcp", "TlsTime": "tls", "FirstByteTime": "first_byte", "TotalTime": "total"}
    spread = {name: [one[phase] for one in slowest if phase in one] for name, phase in times.items()}
    metrics.spread(stack, spread, service)
    by_zone = [one.unhealthy_addresses() for one in probed]
    for zone in sorted({zone for addresses in by_zone for zone in addresses}):
        if unhealthy := sum(addresses.get(zone, 0) for addresses in by_zone):
            metrics.emit(stack, {"UnhealthyAddresses": unhealthy}, service, Zone=zone)
    for one in assessments:
        if one.unhealthy:
            metrics.emit(stack, {"UnhealthyEndpoints": 1}, service, Endpoint=one.candidate.connection.endpoint)
