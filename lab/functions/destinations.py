"""Where the failures of asynchronous invocations and of streams go, and only if the function's role may send there.

ministack sends its destination record to a dead-letter queue too; on AWS that queue gets the event itself, with
three message attributes (developer guide, "Adding a dead-letter queue"). Not like AWS: a function with both has its
failures sent to the destination alone, whose approximateInvokeCount is always 3.
"""

import json
import logging
from typing import Any

from ministack.services import lambda_svc, sqs  # type: ignore[import-untyped]

from lab.iam.permissions import DELIVERY, role_allows

log = logging.getLogger("lab.destinations")

_Record = dict[str, Any]


def install() -> None:
    """Seams: what ministack does with an event after its last try, and with the records a stream gives up."""
    route, send_stream_record = lambda_svc._route_async_failure, lambda_svc._send_ddb_stream_failure_record

    def routed(target_arn: str, name: str, event: object, result: _Record) -> None:
        function = lambda_svc._functions.get(name) or {}
        if not may_send(function, target_arn):
            return
        if target_arn == _dead_letter_queue(function):
            _send_event(target_arn, event, result)
        else:
            route(target_arn, name, event, result)

    def sent(mapping: _Record, function: _Record, *facts: Any) -> None:
        target_arn = ((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
        if target_arn and may_send(function, target_arn):
            send_stream_record(mapping, function, *facts)

    lambda_svc._route_async_failure = routed
    lambda_svc._send_ddb_stream_failure_record = sent


def may_send(function: _Record, target_arn: str) -> bool:
    """Whether the function's role may send to the destination; if not, a line of the log says so."""
    config = function.get("config") or {}
    action = DELIVERY.get(target_arn.split(":")[2], "")
    allowed = role_allows(config.get("Role", "::::::"), "lambda.amazonaws.com", action, target_arn)
    if not allowed:
        log.warning("a failure of %s is lost: its role lacks %s on %s", config.get("FunctionName"), action, target_arn)
    return allowed


def _dead_letter_queue(function: _Record) -> str | None:
    """The function's dead-letter queue, if it has one and no destination before it."""
    settings = [function.get("event_invoke_config") or {}, *(function.get("event_invoke_configs") or {}).values()]
    if any((setting.get("DestinationConfig") or {}).get("OnFailure") for setting in settings):
        return None
    target = ((function.get("config") or {}).get("DeadLetterConfig") or {}).get("TargetArn")
    return target if target and ":sqs:" in target else None


def _send_event(queue_arn: str, event: object, result: _Record) -> None:
    url = sqs._queue_url(queue_arn.rsplit(":", 1)[1])
    body = result.get("body")
    error = body if isinstance(body, dict) else {}
    attributes = {
        "RequestID": {"DataType": "String", "StringValue": error.get("requestId") or "unknown"},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": str(error.get("errorMessage") or "unknown")[:1024]},
    }
    sqs._act_send_message({"QueueUrl": url, "MessageBody": json.dumps(event), "MessageAttributes": attributes}, url)
