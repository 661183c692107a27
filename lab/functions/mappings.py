"""Event source mappings that Lambda refuses, of queues and of streams; ministack takes any.

Sources: Lambda API reference, CreateEventSourceMapping (ranges); developer guide, "Using Lambda with Amazon SQS" (a
window where a batch is larger than ten; a visibility timeout not below the function's). The words are those of reports.
"""

from collections.abc import Mapping
from typing import Any

from ministack.services import lambda_svc, sqs  # type: ignore[import-untyped]
from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]

from lab.iam.permissions import role_allows

_TYPE = "AWS::Lambda::EventSourceMapping"
_Record = dict[str, Any]


def objection(mapping: Mapping[str, Any], visibility: int, timeout: int) -> str:
    """Why Lambda takes no such mapping of a queue to a function with this timeout (both in seconds), or ""."""
    size, window = (int(mapping.get(name) or default) for name, default in _DEFAULTS)
    if not 1 <= size <= 10_000:
        return f"Value {size} for parameter BatchSize is invalid. It must be between 1 and 10000."
    if not 0 <= window <= 300:
        return f"Value {window} for parameter MaximumBatchingWindowInSeconds is invalid. It must be at most 300."
    if size > 10 and not window:
        return "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
    if visibility < timeout:
        return f"Queue visibility timeout: {visibility} seconds is less than Function timeout: {timeout} seconds"
    return ""


NEEDED: Mapping[str, tuple[str, ...]] = {
    "sqs": ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    "dynamodb": ("dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream", "dynamodb:ListStreams"),
}
"""What the function's role must be allowed on the source, by its service (developer guide, permissions of the execution
role; the words of the refusal are ours)."""
_DEFAULTS = (("BatchSize", 10), ("MaximumBatchingWindowInSeconds", 0))


def install() -> None:
    """Seams: the API's creation of a mapping, and CloudFormation's creation and update."""
    create = lambda_svc._create_esm
    handler = provisioners._RESOURCE_HANDLERS[_TYPE]
    make, update = handler["create"], handler["update"]

    def created(data: _Record) -> Any:
        if text := _objection(data):
            return lambda_svc.error_response_json("InvalidParameterValueException", text, 400)
        return create(data)

    def made(logical_id: str, properties: _Record, *more: Any) -> Any:
        _require(properties)
        return make(logical_id, with_numbers(properties), *more)

    def updated(physical_id: str, old: _Record, new: _Record, *more: Any) -> Any:
        _require(new)
        return update(physical_id, with_numbers(old), with_numbers(new), *more)

    lambda_svc._create_esm = created
    handler.update(create=made, update=updated)


def with_numbers(properties: Mapping[str, Any]) -> _Record:
    """The properties of a template with a MaximumConcurrency that is a number; the Ref of a parameter is a text.

    ministack turns the other numbers by itself, and its poller would fail for all mappings over this one.
    """
    scaling = properties.get("ScalingConfig") or {}
    if "MaximumConcurrency" not in scaling:
        return dict(properties)
    return {**properties, "ScalingConfig": {**scaling, "MaximumConcurrency": int(scaling["MaximumConcurrency"])}}


def _require(properties: _Record) -> None:
    if text := _objection(properties):
        raise ValueError(text)


def _objection(properties: _Record) -> str:
    source = properties.get("EventSourceArn", "")
    function, config, _ = lambda_svc._get_func_record_for_ref(properties.get("FunctionName", ""))
    if function is None or source.count(":") < 5:
        return ""
    if lacking := [action for action in NEEDED.get(source.split(":")[2], ()) if not _may(config, action, source)]:
        return f"The function's execution role lacks {', '.join(lacking)} on {source}."
    queue = sqs._queue_by_arn(source)
    if queue is None:
        return ""
    return objection(properties, int(queue["attributes"]["VisibilityTimeout"]), int(config.get("Timeout", 3)))


def _may(config: _Record, action: str, source: str) -> bool:
    # ListStreams knows no resource (service authorization reference, DynamoDB).
    resource = "*" if action == "dynamodb:ListStreams" else source
    return role_allows(config.get("Role", "::::::"), "lambda.amazonaws.com", action, resource)
