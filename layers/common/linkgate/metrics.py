"""Every metric that Linkgate emits: its name and its unit, once. EMF on stdout, by Powertools.

Alarms in template.yaml read `Stack` alone, since services are not known when the stack is deployed. CloudWatch bills
each metric by the hour in which it is written: what is written of a service in peace is one of SERVICE, what is finer
(a zone, a failing endpoint) is written only while something fails, and what neither an alarm nor the dashboard reads is
a field of the log.
"""

from collections.abc import Mapping, Sequence

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
    "UnusedRows": MetricUnit.Count,
    "Cuts": MetricUnit.Count,
    "TrippedBreakers": MetricUnit.Count,
    "Contradictions": MetricUnit.Count,
    "ProbedEndpoints": MetricUnit.Count,
    "UnhealthyEndpoints": MetricUnit.Count,
    "UnexpectedlyOpenEndpoints": MetricUnit.Count,
    "UnhealthyAddresses": MetricUnit.Count,
    "ProbeErrors": MetricUnit.Count,
    "CertificateDaysLeft": MetricUnit.NoUnit,
    "DnsTime": MetricUnit.Milliseconds,
    "TcpTime": MetricUnit.Milliseconds,
    "TlsTime": MetricUnit.Milliseconds,
    "FirstByteTime": MetricUnit.Milliseconds,
    "TotalTime": MetricUnit.Milliseconds,
    "TimeToVerified": MetricUnit.Milliseconds,
}
"""CertificateDaysLeft counts days, for which CloudWatch has no unit."""
SERVICE = frozenset({"UnhealthyEndpoints", "CertificateDaysLeft", "TotalTime"})
"""Written of every service, whether anything fails or not."""


def emit(stack: str, values: Mapping[str, float], service: str = "", **finer: str) -> None:
    """Write metrics of the whole stack, or of one service, to stdout as one EMF line; `finer` are more dimensions."""
    dimensions = {"Stack": stack} | ({"Service": service} if service else {}) | finer
    _write(_provider(dimensions), {name: [value] for name, value in values.items()})


def spread(stack: str, values: Mapping[str, Sequence[float]], service: str) -> None:
    """Write raw values of one service as the stack's, those of SERVICE as its own too; a line takes 100 of a metric."""
    own = {name: values[name] for name in values.keys() & SERVICE}
    _write(_provider({"Stack": stack}), {name: several for name, several in values.items() if name not in own})
    provider = _provider({"Stack": stack})
    provider.add_dimensions(Service=service)
    _write(provider, own)


def _provider(dimensions: Mapping[str, str]) -> AmazonCloudWatchEMFProvider:
    return AmazonCloudWatchEMFProvider(namespace=NAMESPACE, default_dimensions=dict(dimensions))


def _write(provider: AmazonCloudWatchEMFProvider, values: Mapping[str, Sequence[float]]) -> None:
    for name, several in values.items():
        for value in several:
            provider.add_metric(name, UNITS[name], value)  # writes a line by itself where one is full
    if provider.metric_set:
        provider.flush_metrics()
