"""What passes through an endpoint now: AWS/PrivateLinkServices, read on demand since every metric read costs.

AWS reports a minute only if something passed in it, and nothing about consumers in another Region.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from linkgate.aws.calls import parts
from linkgate.model import Connection

NAMESPACE = "AWS/PrivateLinkServices"
METRICS = (("ActiveConnections", "Maximum"), ("BytesProcessed", "Sum"))
WINDOW = timedelta(minutes=15)
"""How far back is looked: a metric is late by some minutes."""
PER_CALL = 250
"""Connections of one GetMetricData, which takes 500 queries (CloudWatch API reference)."""


class Traffic(NamedTuple):
    """In the last minute that AWS reported: connections that were open, and bytes."""

    connections: int
    bytes: int

    def __str__(self) -> str:
        size, unit = float(self.bytes), "B"
        for unit in ("B", "KB", "MB", "GB"):
            if size < 1000 or unit == "GB":
                break
            size /= 1000
        amount = f"{size:.1f}" if unit != "B" else f"{size:.0f}"
        return f"{self.connections} connections, {amount} {unit}/min"


def traffic(cloudwatch: Any, connections: Iterable[Connection], now: datetime) -> Mapping[str, Traffic]:
    """By endpoint what passed last; those of which AWS has no data are absent."""
    found: dict[str, Traffic] = {}
    for some in parts(connections, PER_CALL):
        queries = [
            _query(f"{'ab'[which]}{number}", one, *METRICS[which])
            for number, one in enumerate(some)
            for which in (0, 1)
        ]
        asked = {
            "MetricDataQueries": queries,
            "StartTime": now - WINDOW,
            "EndTime": now,
            "ScanBy": "TimestampDescending",
        }
        values: dict[str, float] = {}
        for page in cloudwatch.get_paginator("get_metric_data").paginate(**asked):
            for result in page["MetricDataResults"]:
                if result["Values"]:
                    values.setdefault(result["Id"], result["Values"][0])
        for number, one in enumerate(some):
            active, volume = values.get(f"a{number}"), values.get(f"b{number}")
            if active is not None or volume is not None:
                found[one.endpoint] = Traffic(int(active or 0), int(volume or 0))
    return found


def _query(name: str, connection: Connection, metric: str, stat: str) -> dict[str, Any]:
    dimensions = (("Service Id", connection.service), ("VPC Endpoint Id", connection.endpoint))
    about = {
        "Namespace": NAMESPACE,
        "MetricName": metric,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
    }
    return {"Id": name, "MetricStat": {"Metric": about, "Period": 60, "Stat": stat}}
