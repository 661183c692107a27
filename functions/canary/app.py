"""Handler inside the consumer's VPC: probes the targets that patrol names. No AWS API is called."""

import functools
import logging
import os
import time
from dataclasses import asdict
from typing import Any

from prober.run import probe_all
from prober.scope import Scope
from prober.verdict import report

logger = logging.getLogger("canary")
logger.setLevel(logging.INFO)
MARGIN = 3.0
"""Seconds of the function's time that are kept to write thousands of verdicts down."""
MOST_LOGGED = 100


@functools.cache
def application() -> Scope:
    return Scope.from_env(os.environ)


def handler(event: Any, context: Any) -> dict[str, Any]:
    """`{"targets": [...]}` in, `{"verdicts": [...]}` out; what failed is logged as well, in Lambda's own JSON."""
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - MARGIN
    targets = event.get("targets") if isinstance(event, dict) else None
    verdicts = probe_all(targets, application(), deadline)
    bad = [verdict for verdict in verdicts if not verdict.good]
    for verdict in bad[:MOST_LOGGED]:
        logger.info("failed", extra={f"probe_{name}": value for name, value in asdict(verdict).items()})
    logger.info("probed", extra={"probe_verdicts": len(verdicts), "probe_failed": len(bad)})
    return {"verdicts": report(verdicts)}
