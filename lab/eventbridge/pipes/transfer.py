"""One batch of an EventBridge pipe: from a queue, through filter and template, to a bus."""

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ministack.services import lambda_svc  # type: ignore[import-untyped]

from lab.eventbridge.pipes.template import decoded, rendered, value_at

log = logging.getLogger("lab.pipes")

_Record = dict[str, Any]


class Refused(Exception):
    """The role, the queue or the bus does not let the pipe do its work; the message says what."""


@dataclass(frozen=True)
class Mover:
    """The two clients of a pipe, with the credentials of its role."""

    sqs: Any
    events: Any

    def move(self, pipe: _Record, url: str) -> None:
        """Move up to ten messages of the queue at `url`.

        Those that a filter drops are deleted. Those that the bus does not take stay: the queue shows them again
        after its visibility timeout, or gives them to its dead-letter queue.

        Raises botocore's ClientError where the role may not do something, Refused where an event is not taken.
        """
        received = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
        )
        records = [record_of(message, pipe) for message in received.get("Messages", [])]
        source = pipe.get("SourceParameters") or {}
        kept = lambda_svc._apply_filter_criteria(records, source)
        dropped = [record for record in records if record not in kept]
        refused, taken = self._put(kept, pipe)
        self._delete(url, [*dropped, *taken])
        if refused:
            raise Refused(f"{pipe['Target']} did not take {len(refused)} of {len(kept)} events: {refused[0]}")

    def _put(self, records: list[_Record], pipe: _Record) -> tuple[list[str], list[_Record]]:
        """Why some were not taken, and those that were."""
        reasons: list[str] = []
        sent: list[_Record] = []
        entries: list[_Record] = []
        for record in records:
            try:
                entries.append(entry(record, pipe))
                sent.append(record)
            except ValueError as unusable:
                reasons.append(str(unusable))
        answers = self.events.put_events(Entries=entries)["Entries"] if entries else []
        for answer in answers:
            if answer.get("ErrorCode"):
                reasons.append(f"{answer['ErrorCode']}: {answer.get('ErrorMessage', '')}")
        return reasons, [record for record, answer in zip(sent, answers, strict=True) if not answer.get("ErrorCode")]

    def _delete(self, url: str, records: list[_Record]) -> None:
        entries = [
            {"Id": str(number), "ReceiptHandle": record["receiptHandle"]} for number, record in enumerate(records)
        ]
        failed = self.sqs.delete_message_batch(QueueUrl=url, Entries=entries).get("Failed") if entries else None
        if failed:
            raise Refused(f"{url} did not delete {len(failed)} messages: {failed[0].get('Message')}")


def record_of(message: _Record, pipe: _Record) -> _Record:
    """An SQS message as a pipe sees it, its body still a text."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: {key[0].lower() + key[1:]: value for key, value in attribute.items()}
            for name, attribute in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": pipe["Source"],
        "awsRegion": pipe["Arn"].split(":")[3],
    }


def entry(record: _Record, pipe: _Record) -> _Record:
    """The PutEvents entry for one record; a ValueError where its detail is no JSON object.

    Unconfirmed: the source and detail type of a pipe that names none. ministack's bus overwrites Time.
    """
    parameters = pipe.get("TargetParameters") or {}
    bus = parameters.get("EventBridgeEventBusParameters") or {}
    template = parameters.get("InputTemplate")
    detail = rendered(template, record, pipe) if template else json.dumps(record)
    if not isinstance(_parsed(detail), dict):
        raise ValueError(f"the detail is not a JSON object: {detail}")
    made = {
        "EventBusName": pipe["Target"],
        "Source": _filled(bus.get("Source", f"Pipe {pipe['Name']}"), record),
        "DetailType": _filled(bus.get("DetailType", "Event from aws:sqs"), record),
        "Resources": [_filled(resource, record) for resource in bus.get("Resources", [])],
        "Detail": detail,
    }
    if bus.get("Time"):
        made["Time"] = _time(value_at(bus["Time"], decoded(record)))
    return made


def _parsed(detail: str) -> Any:
    try:
        return json.loads(detail)
    except ValueError:
        return None


def _filled(value: str, record: _Record) -> str:
    """A target parameter, which may be a path into the record."""
    return str(value_at(value, decoded(record))) if value.startswith("$.") else value


def _time(value: Any) -> datetime:
    """An ISO 8601 time, or seconds since 1970 (milliseconds where the number is that large)."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return datetime.fromisoformat(str(value))
    return datetime.fromtimestamp(number / 1000 if number > 1e11 else number).astimezone()
