"""Event source mappings of DynamoDB streams, with an end to retries.

ministack's own poller retries for ever, handles all tables one after the other in one thread, and knows neither
bisecting nor partial answers. As on AWS (developer guide, "Process DynamoDB records with Lambda"): one batch of a
mapping at a time, in order; a failed batch is retried until it succeeds, MaximumRetryAttempts are used up or its
oldest record is older than MaximumRecordAgeInSeconds, and is then given to the OnFailure destination.
Not like AWS: one shard only, no ParallelizationFactor, no tumbling windows; approximateInvokeCount is always 1; the
role's permission to read the stream is not looked at. Unconfirmed: that each part of a bisected batch has the full
number of retries.
"""

import time
from dataclasses import dataclass
from typing import Any

from ministack.core.arn import parse_arn  # type: ignore[import-untyped]
from ministack.core.responses import request_scope  # type: ignore[import-untyped]
from ministack.services import dynamodb, lambda_svc  # type: ignore[import-untyped]

from lab.functions import batches

BACKOFF = 1.0
"""Seconds before a failed batch is tried again."""

_Record = dict[str, Any]
_windows = batches.Windows()


def install() -> None:
    """Seam: the part of ministack's poller that looks at the streams of tables."""
    lambda_svc._poll_dynamodb_streams = poll


def poll() -> bool:
    """Start a batch of every mapping that has records and no batch under way; whether any was started."""
    started = False
    for account, region, mapping in lambda_svc._iter_all_esms():
        if mapping.get("Enabled", True) and ":dynamodb:" in mapping.get("EventSourceArn", ""):
            with request_scope(account, region):
                started = _start(mapping) or started
    return started


def _start(mapping: _Record) -> bool:
    identity, source = mapping["UUID"], mapping["EventSourceArn"]
    table = parse_arn(source).resource.split("/")[1]
    function, _config = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
    current = (dynamodb._tables.get(table) or {}).get("LatestStreamArn") == source
    if function is None or not current or lambda_svc._esm_inflight.get(identity):
        return False
    lambda_svc._init_stream_position(identity, source, mapping.get("StartingPosition", "LATEST"))
    position = max(lambda_svc._dynamodb_stream_positions[identity], dynamodb.stream_start_position(table))
    size = mapping.get("BatchSize", 100)
    records = dynamodb.stream_records_since(table, position, size)
    if not _windows.is_due(identity, len(records), size, float(mapping.get("MaximumBatchingWindowInSeconds") or 0)):
        return False
    lambda_svc._dispatch_esm_batch(identity, _process, mapping, function, records, position)
    return True


def _process(mapping: _Record, function: _Record, records: list[_Record], position: int) -> None:
    wanted = lambda_svc._apply_filter_criteria(records, mapping)
    if not wanted or _Batch(mapping, function).deliver(wanted):
        lambda_svc._dynamodb_stream_positions[mapping["UUID"]] = position + len(records)


@dataclass(frozen=True)
class _Batch:
    """The retries of one batch of a mapping towards its function."""

    mapping: _Record
    function: _Record

    def deliver(self, records: list[_Record]) -> bool:
        """Whether the records are done with: taken by the function or given up. False: the mapping is gone."""
        attempts = 0
        while self._is_wanted():
            result = lambda_svc._execute_function(self.function, {"Records": records})
            records, done = self._failed(result, records), len(records)
            if not records:
                self.mapping["LastProcessingResult"] = "OK"
                return True
            self.mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
            # Progress is a new batch: only what fails again uses up its retries.
            attempts = attempts + 1 if len(records) == done else 1
            if self._is_exhausted(records, attempts, result):
                return True
            time.sleep(BACKOFF)
            if self.mapping.get("BisectBatchOnFunctionError") and len(records) > 1:
                middle = len(records) // 2
                return self.deliver(records[:middle]) and self.deliver(records[middle:])
        return False

    def _is_wanted(self) -> bool:
        return self.mapping["UUID"] in lambda_svc._esms and bool(self.mapping.get("Enabled", True))

    def _failed(self, result: _Record, records: list[_Record]) -> list[_Record]:
        """What is left to do: from the first record reported as failed on, since a stream keeps its order."""
        if result.get("error"):
            return records
        if "ReportBatchItemFailures" not in (self.mapping.get("FunctionResponseTypes") or []):
            return []
        answer = result.get("body")
        reported = (answer.get("batchItemFailures") if isinstance(answer, dict) else None) or []
        failed = {failure.get("itemIdentifier") for failure in reported}
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        if not failed <= set(numbers):
            return records
        return records[min(numbers.index(number) for number in failed) :] if failed else []

    def _is_exhausted(self, records: list[_Record], attempts: int, result: _Record) -> bool:
        """Whether these records are given up; they then go to the destination of the mapping, if it has one."""
        retries, age = self.mapping.get("MaximumRetryAttempts"), self.mapping.get("MaximumRecordAgeInSeconds")
        oldest = min(float(record["dynamodb"].get("ApproximateCreationDateTime", time.time())) for record in records)
        if age and age > 0 and time.time() - oldest > age:
            condition = "RecordAgeExceeded"
        elif retries is not None and retries >= 0 and attempts > retries and not self._will_bisect(records):
            condition = "RetryAttemptsExhausted"
        else:
            return False
        source = self.mapping["EventSourceArn"]
        lambda_svc._send_ddb_stream_failure_record(self.mapping, self.function, records, source, result, condition)
        return True

    def _will_bisect(self, records: list[_Record]) -> bool:
        return bool(self.mapping.get("BisectBatchOnFunctionError")) and len(records) > 1
