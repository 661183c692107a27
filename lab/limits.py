"""Requests that are too much for SQS and EventBridge, where ministack takes them.

Sources: SQS API reference, SendMessage (DelaySeconds: 0 to 900); EventBridge user guide, "Calculating PutEvents event
entry size" (256 KB for all entries of a request; a higher limit, if newer pages give one, is not relied on), and its
API reference (Detail is "a valid JSON object"). Unconfirmed: the words for entries that are too large.
"""

import json
from collections.abc import Mapping
from typing import Any

from ministack.services import eventbridge, sqs  # type: ignore[import-untyped]

LONGEST_DELAY = 900
"""Seconds."""
LARGEST_REQUEST = 256 * 1024
"""Bytes."""

_Record = dict[str, Any]


def install() -> None:
    """Seams: a message on its own or in a batch, and PutEvents."""
    send, put = sqs._act_send_message, eventbridge._put_events

    def sent(message: _Record, url: str) -> Any:
        if not 0 <= int(message.get("DelaySeconds") or 0) <= LONGEST_DELAY:
            text = (
                f"Value {message['DelaySeconds']} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be"
            )
            raise sqs._Err("InvalidParameterValue", f"{text} >= 0 and <= {LONGEST_DELAY}.", 400)
        return send(message, url)

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

    sqs._act_send_message = sqs._HANDLERS["SendMessage"] = sent
    eventbridge._put_events = had


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
