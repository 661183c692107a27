"""What one sweep saw and did, for the log and the metrics."""

from collections import Counter

from aws_lambda_powertools import Logger

from linkgate import metrics
from linkgate.model import Status
from linkgate.sweep.compare import ComparisonResult
from linkgate.sweep.sweeper import SweepResult

SHOWN = tuple(status for status in Status if status is not Status.CLOSED)
"""Whose connections are counted: of closed ones there are ever more."""

LONGEST_LIST = 20
"""Rows that mean nothing and that a sweep names in its log."""


def log(result: SweepResult, logger: Logger) -> None:
    """Log what is wrong, and what was seen and done on each service."""
    for problem in result.malformed.values():
        logger.warning(f"allow-list, {problem}")
    for row in result.unused[:LONGEST_LIST]:
        logger.warning(f"allow-list, {row}")
    if len(result.unused) > LONGEST_LIST:
        logger.warning(f"allow-list, {len(result.unused)} rows mean nothing, of which {LONGEST_LIST} are named")
    for gap in result.gaps:
        logger.warning(f"the stack is incomplete: {gap}")
    for service, problems in result.configuration.misconfigured.items():
        logger.warning(f"{service}: {'; '.join(problems)}")
    for service, note in result.configuration.notes.items():
        logger.info(f"{service}: {note}")
    if result.expiring:
        logger.info(f"{result.expiring} rows of the allow-list end soon")
    for service, found in result.services.items():
        _log_service(service, found, logger)
    if result.whole:
        statuses = sum((found.statuses for found in result.services.values()), Counter[Status]())
        logger.info("connections", extra={str(status): statuses[status] for status in SHOWN})
    for doing, error in result.failed.items():
        logger.error(f"could not sweep {doing}: {type(error).__name__}: {error}", exc_info=error)


def emit(result: SweepResult, stack: str) -> None:
    """Write the metrics of one sweep; gauges of the whole stack only if it looked at everything."""
    metrics.emit(stack, _counts(result))


def _log_service(service: str, found: ComparisonResult, logger: Logger) -> None:
    logger.info(
        f"swept {service}", pending=found.pending, requeued=found.requeued, unwanted=found.unwanted, cut=found.cut
    )
    if found.attachments:
        logger.info(f"left alone on {service}: transit gateway attachments", attachments=found.attachments)
    for withheld in found.withheld:
        logger.warning(f"the breaker of {service} is tripped: {withheld}")
    for endpoint, why in found.refusals.items():
        logger.error(f"EC2 refused an act on {endpoint}: {why}")
    for name, why in found.unreadable.items():
        logger.error(f"the ledger's item {name} cannot be read: {why}")
    for endpoint, state in sorted(found.unknown.items()):
        logger.error(f"EC2 shows {endpoint} in a state that nobody knows ({state!r}): it is held, or stays what it was")
    for account, why in found.unplaced.items():
        logger.error(f"nobody can tell where {account} stands in its organisation: {why}")


def _counts(result: SweepResult) -> dict[str, float]:
    some = {
        "Failures": len(result.failed)
        + result.sum(lambda found: len(found.unplaced) + len(found.unknown) + len(found.unreadable)),
        "Cuts": result.sum(lambda found: len(found.cut)),
        "TrippedBreakers": result.sum(lambda found: bool(found.withheld)),
    }
    counts: dict[str, float] = {"InvalidRows": len(result.malformed)}
    counts |= {name: count for name, count in some.items() if count}
    if result.whole:
        counts |= {
            "TrippedBreakers": some["TrippedBreakers"],
            "PendingRequests": result.sum(lambda found: found.pending),
            "StaleRequests": result.sum(lambda found: found.stale),
            "RefusedConnections": result.sum(lambda found: found.refused),
            "UnusedRows": len(result.unused),
            "MisconfiguredGates": len(result.configuration.misconfigured),
        }
    return counts
