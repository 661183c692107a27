"""Every metric that Linkgate emits: its name, its unit and its dimensions, once. EMF on stdout, by Powertools.

Alarms in template.yaml read `Stack` alone, since services are not known when the stack is deployed; the
dashboard reads `Stack` and `Service`.
"""

from collections.abc import Mapping

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

NAMESPACE = "Linkgate"
UNITS = {
    "Decisions": MetricUnit.Count,
    "Failures": MetricUnit.Count,
    "UnreadableNotifications": MetricUnit.Count,
    "RefusedConnections": MetricUnit.Count,
    "PendingRequests": MetricUnit.Count,
    "StaleRequests": MetricUnit.Count,
    "InvalidRows": MetricUnit.Count,
    "UnwantedConnections": MetricUnit.Count,
    "Cuts": MetricUnit.Count,
    "TrippedBreakers": MetricUnit.Count,
    "MisconfiguredGates": MetricUnit.Count,
    "ProbedEndpoints": MetricUnit.Count,
    "UnhealthyEndpoints": MetricUnit.Count,
    "UnprobedEndpoints": MetricUnit.Count,
    "TimeToVerified": MetricUnit.Milliseconds,
}


def emit(stack: str, values: Mapping[str, float], service: str = "") -> None:
    """Write metrics of the whole stack, or of one service, to stdout as one EMF line."""
    if not values:
        return
    dimensions = {"Stack": stack} | ({"Service": service} if service else {})
    provider = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, default_dimensions=dimensions)
    for name, value in values.items():
        provider.add_metric(name, UNITS[name], value)
    provider.flush_metrics()
