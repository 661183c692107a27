"""What became of a batch of bells: for the log, the metrics and the queue."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from aws_lambda_powertools import Logger

from linkgate.aws.errors import Refusal
from linkgate.events.bell import Bell
from linkgate.ledger.items import Judgment


@dataclass(slots=True)
class Report:
    """What became of a batch."""

    lines: list[Judgment] = field(default_factory=list)
    unreadable: int = 0
    unmanaged: set[str] = field(default_factory=set)
    refused: dict[str, Refusal] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)
    damaged: dict[str, str] = field(default_factory=dict)
    """Endpoints whose items of the ledger cannot be read, and why: nothing is done for them."""
    failed: dict[Bell, Exception] = field(default_factory=dict)
    throttled: bool = False

    @property
    def counts(self) -> dict[str, float]:
        """Metrics of the whole stack; what did not happen is left out."""
        counts: dict[str, float] = {
            "Decisions": len(self.lines),
            "Failures": len(self.failed) + len(self.damaged),
            "UnreadableNotifications": self.unreadable,
        }
        return {name: count for name, count in counts.items() if count}


def log(report: Report, logger: Logger, unreadable: Iterable[str]) -> None:
    """Log each decision and each trouble; `unreadable` are the bodies of messages that name nothing."""
    for line in report.lines:
        connection, decision = line.connection, line.decision
        outcome, reason, row = decision.says()
        logger.info(
            f"{connection.endpoint} of {connection.account} on {connection.service}: {outcome} ({reason})",
            extra={
                "endpoint_id": connection.endpoint,
                "decision": line.entry,
                "row": row,
                "mode": decision.mode,
                "note": decision.note,
            },
        )
    if report.unreadable:
        bodies = [body[:2000] for body in unreadable]
        logger.warning("no id in a notification: looking at every managed service", bodies=bodies)
    for service in sorted(report.unmanaged):
        logger.warning(f"{service} does not carry the tag linkgate = TagValue of this stack: nothing is done for it")
    for endpoint, why in report.refused.items():
        logger.error(f"EC2 refused to act on {endpoint}: {why}; the sweep will ask again")
    for endpoint, problem in report.damaged.items():
        logger.error(f"the ledger's item of {endpoint} cannot be read, so it is left alone: {problem}")
    for endpoint in sorted(report.given_up):
        logger.warning(f"EC2 still does not show {endpoint}, or others are busy with it: left to the sweep")
    for error in report.failed.values():
        logger.error(f"a service could not be judged: {type(error).__name__}: {error}", exc_info=error)
