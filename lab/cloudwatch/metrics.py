"""The metrics that ministack lacks: EMF in log lines, AWS/SQS, and AWS/Lambda for every way of invoking.

ministack counts a function's invocations only when its Invoke API is called, not when a queue, a stream, a topic, a
rule or an asynchronous retry runs it; here each run counts, as on AWS, with the dimension FunctionName alone.
Metrics are stored at the times they happen; only alarm periods are shortened, so GetMetricStatistics with a period of
60 s spans `speed` alarm periods of 60 s.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from ministack.core.responses import request_scope  # type: ignore[import-untyped]
from ministack.services import (  # type: ignore[import-untyped]
    cloudwatch,
    cloudwatch_logs,
    lambda_svc,
    sqs,
)

from lab.cloudwatch import emf, timer

RETENTION_SECONDS = 14 * 86400.0
"""What ministack keeps; here it passes `speed` times faster, as alarms look back that much less."""

# Every private name of ministack that is read here; install() and what it calls replace six more.
_store = cloudwatch._store_datum
_metrics = cloudwatch._metrics
_queues = sqs._queues


Usage = tuple[str, str, str, str, int, int]
"""Account and Region of a provider, service, endpoint, open connections, bytes in a minute."""


def install(speed: float, usage: Callable[[], Iterable[Usage]] = tuple) -> None:
    """Add the metrics and the alarm evaluation to ministack; a minute of AWS takes 60/`speed` seconds.

    `usage` says what passed through endpoints since it was asked last. Raises ValueError if `speed` is not positive.
    """
    if speed <= 0:
        raise ValueError(f"speed must be positive, not {speed}")
    _take_embedded_metrics()
    _count_invocations()
    _count_throttles()
    _query_exactly()
    cloudwatch._evict_old_metrics = lambda: evict(time.time() - RETENTION_SECONDS / speed)

    def sample(minute: float) -> None:
        sample_queues(minute)
        sample_endpoints(minute, usage())

    timer.install(speed, sample)


def _take_embedded_metrics() -> None:
    """Seam: the one function through which all log events pass, in the account and Region of their log group."""
    append = cloudwatch_logs._append_log_events

    def append_and_measure(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
        append(stream, events)
        now = time.time()
        for event in events:
            for it in emf.extract(event.get("message"), now):
                _store(it.namespace, it.name, it.dimensions, it.time, it.unit, None, it.values, None, None)

    cloudwatch_logs._append_log_events = append_and_measure


def _count_invocations() -> None:
    """Seam: the function that writes the log of each run; the metrics of the Invoke API alone are switched off."""
    emit = lambda_svc._emit_lambda_logs

    def emit_and_count(
        func: dict[str, Any], request_id: str, text: str, error: bool, milliseconds: int, **options: Any
    ) -> None:
        emit(func, request_id, text, error, milliseconds, **options)
        function = func.get("config") or func
        _count(function, "Count", Invocations=1, Errors=int(error), Throttles=0)
        _count(function, "Milliseconds", Duration=milliseconds)

    lambda_svc._emit_lambda_logs = emit_and_count
    lambda_svc._emit_lambda_metrics = lambda *_args, **_options: None


def _count_throttles() -> None:
    """Seam: the function that refuses a run for want of concurrency; a throttle is no invocation."""
    acquire = lambda_svc._acquire_execution_slot

    def acquire_or_count(func: dict[str, Any], config: dict[str, Any]) -> Any:
        slot, limit = acquire(func, config)
        if slot is None:
            _count(config, "Count", Throttles=1)
        return slot, limit

    lambda_svc._acquire_execution_slot = acquire_or_count


def _count(function: dict[str, Any], unit: str, **values: float) -> None:
    for name, value in values.items():
        cloudwatch.record_metric("AWS/Lambda", name, value, unit, {"FunctionName": function["FunctionName"]})


class _Exactly(dict[str, str]):
    """Dimensions that are true even if there are none: ministack takes a false value to mean any dimensions."""

    def __bool__(self) -> bool:
        return True


def _query_exactly() -> None:
    """Seam: a query's dimensions. Without any it asks for the metric that has none, as on AWS, not for all."""
    from_list = cloudwatch._dims_from_list
    cloudwatch._dims_from_list = lambda dimensions: _Exactly(from_list(dimensions))


def sample_queues(minute: float) -> None:
    """One datapoint per queue, of now, stamped with `minute` (epoch seconds) as AWS stamps the minute just over.

    The age is reported while there is a message, the number in flight while there is one (SQS Developer Guide,
    "Available CloudWatch metrics"). Not as on AWS: the metrics of an idle queue go on after six hours; the age in a
    dead-letter queue counts from the first send, not from the move; a message received again and again still counts.
    """
    now = time.time()
    for (account, region, _), queue in _queues.all_items():
        with request_scope(account, region):
            for name, unit, value in queue_metrics(queue["messages"], now):
                _store("AWS/SQS", name, {"QueueName": queue["name"]}, minute, unit, value, None, None, None)


def sample_endpoints(minute: float, usage: Iterable[Usage]) -> None:
    """AWS/PrivateLinkServices of endpoints with traffic, as AWS reports them: of the others there is no datapoint."""
    for account, region, service, endpoint, connections, volume in usage:
        dimensions = {"Service Id": service, "VPC Endpoint Id": endpoint}
        with request_scope(account, region):
            for name, unit, value in (("ActiveConnections", "Count", connections), ("BytesProcessed", "Bytes", volume)):
                _store("AWS/PrivateLinkServices", name, dimensions, minute, unit, float(value), None, None, None)


def queue_metrics(messages: list[dict[str, Any]], now: float) -> list[tuple[str, str, float]]:
    """Name, unit and value of each metric of a queue with these messages of ministack's."""
    # Copied, since requests change the list while this thread reads it.
    messages = list(messages)
    visible = sum(message["visible_at"] <= now for message in messages)
    in_flight = sum(message["visible_at"] > now and message["receive_count"] > 0 for message in messages)
    found = [("ApproximateNumberOfMessagesVisible", "Count", float(visible))]
    if in_flight:
        found.append(("ApproximateNumberOfMessagesNotVisible", "Count", float(in_flight)))
    if messages:
        oldest = min(message["sent_at"] for message in messages)
        found.append(("ApproximateAgeOfOldestMessage", "Seconds", max(0.0, now - oldest)))
    return found


def evict(before: float) -> None:
    """Drop the request's account's datapoints older than `before` (epoch seconds).

    In place, since ministack's own way, a new list per metric, loses what another thread appends meanwhile.
    """
    for key, points in _metrics.items():
        expired = 0
        while expired < len(points) and points[expired]["Timestamp"] < before:
            expired += 1
        del points[:expired]
        if not points:
            _metrics.pop(key, None)
