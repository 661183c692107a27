"""Door, inside the consumer's VPC: probe the targets that patrol names. No AWS API is called."""

import functools
import os
import time
from typing import Any

from aws_lambda_powertools import Logger
from linkgate.settings import Settings
from prober.run import probe_all
from prober.scope import Limits
from prober.verdict import report

logger = Logger(service="canary")
MARGIN = 3.0
"""Seconds of the function's time that are kept to write thousands of verdicts down."""
MOST_LOGGED = 100


@functools.cache
def application() -> Limits:
    settings = Settings.from_env(os.environ, ("canary_names", "canary_ports", "canary_cidrs"))
    return Limits.parse(settings.canary_names, settings.canary_ports, settings.canary_cidrs)


@logger.inject_lambda_context
def handler(event: Any, context: Any) -> dict[str, Any]:
    """`{"targets": [...]}` in, `{"verdicts": [...]}` out (design section 8); what failed is logged as well."""
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - MARGIN
    targets = event.get("targets") if isinstance(event, dict) else None
    verdicts = report(probe_all(targets, application(), deadline))
    bad = [verdict for verdict in verdicts if verdict["cause"]]
    for verdict in bad[:MOST_LOGGED]:
        logger.info("failed", **{f"probe_{name}": value for name, value in verdict.items()})
    logger.info("probed", probe_verdicts=len(verdicts), probe_failed=len(bad))
    return {"verdicts": verdicts}
