"""Door, inside the consumer's VPC: probe the targets that patrol names. No AWS API is called."""

import functools
import os
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger
from linkgate.limits import Limits
from linkgate.probe import probe_all
from linkgate.settings import Settings

logger = Logger(service="canary")


@functools.cache
def application() -> Limits:
    settings = Settings.from_env(os.environ, ("canary_names", "canary_ports", "canary_cidrs"))
    return Limits.parse(settings.canary_names, settings.canary_ports, settings.canary_cidrs)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{"targets": [...]}` in, `{"verdicts": [...]}` out (design section 8)."""
    verdicts = [asdict(verdict) for verdict in probe_all(event["targets"], application())]
    for verdict in verdicts:
        logger.info("probed", **{f"probe_{name}": value for name, value in verdict.items()})
    return {"verdicts": verdicts}
