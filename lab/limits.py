"""Requests that are too much for SQS and EventBridge, where ministack takes them; functions/limits.py has Lambda's.

Sources: SQS API reference, SendMessage (DelaySeconds: 0 to 900) and CreateQueue (a name has up to 80 characters);
EventBridge user guide, "Calculating PutEvents event entry size" (256 KB for all entries of a request; a higher limit,
if newer pages give one, is not relied on), and its API reference, PutEvents (Detail is "a valid JSON object"), PutRule
(a name has up to 64 characters) and PutTargets ("up to five (5) targets"; "Input, InputPath, and InputTransformer are
mutually exclusive"). Unconfirmed: the words for what is too large or too long.
"""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ministack.services import eventbridge, sqs  # type: ignore[import-untyped]
from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]

LONGEST_DELAY = 900
"""Seconds."""
LARGEST_REQUEST = 256 * 1024
"""Bytes."""
MOST_TARGETS = 5
LONGEST_QUEUE, LONGEST_RULE = 80, 64
"""Characters of a name."""
Objection = tuple[str, str]
"""An error's code and words."""

_Record = dict[str, Any]


def install() -> None:
    """Seams: what sends messages and events and makes queues and rules, CloudFormation's ways among it."""
    _messages()
    _events()
    guard("AWS::SQS::Queue", queue_objection)
    guard("AWS::Events::Rule", rule_objection)


def queue_objection(asked: Mapping[str, Any]) -> Objection | None:
    """Why SQS makes no such queue."""
    if len(asked.get("QueueName") or "") > LONGEST_QUEUE:
        words = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        return "InvalidParameterValue", words
    return None


def rule_objection(asked: Mapping[str, Any], before: Collection[str] = ()) -> Objection | None:
    """Why EventBridge takes no such rule, or no such targets of one that has targets with these ids already."""
    targets = asked.get("Targets") or ()
    if long := too_long("name", asked.get("Name") or "", LONGEST_RULE):
        return long
    if len({*before, *(one["Id"] for one in targets)}) > MOST_TARGETS:
        return "LimitExceededException", "The requested resource exceeds the maximum number allowed."
    for one in targets:
        if len({"Input", "InputPath", "InputTransformer"} & one.keys()) > 1:
            words = f"Only one of Input, InputPath, or InputTransformer must be provided for target {one['Id']}."
            return "ValidationException", words
    return None


def too_long(parameter: str, name: str, most: int) -> Objection | None:
    """Why a service whose names have so many characters does not take this one."""
    if len(name) <= most:
        return None
    where = f"Value '{name}' at '{parameter}' failed to satisfy constraint"
    words = f"1 validation error detected: {where}: Member must have length less than or equal to {most}"
    return "ValidationException", words


def guard(kind: str, objection: Callable[[_Record], Objection | None]) -> None:
    """Let CloudFormation's resources of a type fail with the words of the service that objects to their properties."""
    handler = provisioners._RESOURCE_HANDLERS[kind]
    make, update = handler["create"], handler["update"]

    def require(properties: _Record) -> None:
        if found := objection(properties):
            raise ValueError(f"{found[1]} ({found[0]})")

    def made(logical_id: str, properties: _Record, *more: Any, **named: Any) -> Any:
        require(properties)
        return make(logical_id, properties, *more, **named)

    def updated(physical_id: str, old: _Record, new: _Record, *more: Any, **named: Any) -> Any:
        require(new)
        return update(physical_id, old, new, *more, **named)

    handler.update(create=made, update=updated)


def _messages() -> None:
    send, create = sqs._act_send_message, sqs._HANDLERS["CreateQueue"]

    def sent(message: _Record, url: str) -> Any:
        if not 0 <= int(message.get("DelaySeconds") or 0) <= LONGEST_DELAY:
            text = (
                f"Value {message['DelaySeconds']} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be"
            )
            raise sqs._Err("InvalidParameterValue", f"{text} >= 0 and <= {LONGEST_DELAY}.", 400)
        return send(message, url)

    def created(asked: _Record, url: str) -> Any:
        if found := queue_objection(asked):
            raise sqs._Err(*found, 400)
        return create(asked, url)

    sqs._act_send_message = sqs._HANDLERS["SendMessage"] = sent
    sqs._HANDLERS["CreateQueue"] = created


def _events() -> None:
    put, put_rule, put_targets = eventbridge._put_events, eventbridge._put_rule, eventbridge._put_targets

    def had(request: _Record, **more: Any) -> Any:
        entries = request.get("Entries", [])
        if sum(map(size, entries)) > LARGEST_REQUEST:
            text = "Total size of the entries in the request is over the limit."
            return eventbridge.error_response_json("ValidationException", text, 400)
        if all(map(is_well_formed, entries)):
            return put(request, **more)
        answers = [_one(entry, put, more) for entry in entries]
        failed = sum("ErrorCode" in answer for answer in answers)
        return eventbridge.json_response({"FailedEntryCount": failed, "Entries": answers})

    def ruled(asked: _Record) -> Any:
        found = rule_objection(asked)
        return eventbridge.error_response_json(*found, 400) if found else put_rule(asked)

    def targeted(asked: _Record) -> Any:
        key = eventbridge._rule_key(asked.get("Rule"), asked.get("EventBusName", "default"))
        found = rule_objection(asked, [one["Id"] for one in eventbridge._targets.get(key, ())])
        return eventbridge.error_response_json(*found, 400) if found else put_targets(asked)

    eventbridge._put_events, eventbridge._put_rule, eventbridge._put_targets = had, ruled, targeted


def _one(entry: _Record, put: Any, more: _Record) -> Any:
    if not is_well_formed(entry):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    _, _, body = put({"Entries": [entry]}, **more)
    return json.loads(body)["Entries"][0]


def is_well_formed(entry: Mapping[str, Any]) -> bool:
    """Whether the detail of an entry is a JSON object."""
    try:
        return isinstance(json.loads(entry.get("Detail", "{}")), dict)
    except (TypeError, ValueError):
        return False


def size(entry: Mapping[str, Any]) -> int:
    """Bytes of an entry as PutEvents counts them: its texts, and 14 for a time that is given."""
    texts = [str(entry.get(name) or "") for name in ("Source", "DetailType", "Detail")]
    resources = [str(resource) for resource in entry.get("Resources") or ()]
    return sum(len(text.encode()) for text in (*texts, *resources)) + (14 if entry.get("Time") else 0)
