"""The gallery in events/: samples of what comes in, rows that cannot be read, and the schemas of what goes out."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeDeserializer
from jsonschema import Draft202012Validator, FormatChecker
from linkgate.policy.rows import Item

EVENTS = Path(__file__).parents[1] / "events"
SCHEMAS = EVENTS / "schemas"
VERDICTS = "Canary Verdicts"
"""What a canary answers; the other schemas are those of events."""


def text(name: str) -> str:
    """A sample as it lies in the file."""
    return (EVENTS / f"{name}.json").read_text()


def sample(name: str) -> dict[str, Any]:
    """A sample, read."""
    read: dict[str, Any] = json.loads(text(name))
    return read


def malformed() -> dict[str, Item]:
    """Every row that cannot be read, by the name of its file without `malformed-` and `.json`."""
    paths = sorted(EVENTS.glob("malformed-*.json"))
    return {path.stem.removeprefix("malformed-"): item(json.loads(path.read_text())) for path in paths}


def item(typed: Mapping[str, Any]) -> Item:
    """A row in DynamoDB's own JSON (as `aws dynamodb put-item` takes it) as the client gives it."""
    return {name: TypeDeserializer().deserialize(value) for name, value in typed.items()}


def kinds() -> set[str]:
    """Every kind of event that has a schema."""
    return {json.loads(path.read_text())["title"] for path in SCHEMAS.glob("*.json")} - {VERDICTS}


@functools.cache
def schema(kind: str) -> dict[str, Any]:
    """The schema of the detail of one kind of event, or of VERDICTS; AssertionError if it has none."""
    path = SCHEMAS / f"{kind.lower().replace(' ', '-')}.json"
    assert path.exists(), f"an event {kind!r} is published, and events/schemas/ does not describe it"
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def hold_to_schema(kind: str, detail: Mapping[str, Any]) -> None:
    """AssertionError that says where a detail is not as its schema describes it."""
    validator = Draft202012Validator(schema(kind), format_checker=FormatChecker())
    problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(detail)]
    assert not problems, f"{kind}: {'; '.join(problems)}"


def records(*bodies: str) -> dict[str, Any]:
    """An SQS event with messages m0, m1 and so on."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "AQEB",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1795402801456"},
                "messageAttributes": {},
                "md5OfBody": "7b270e59b47ff90a553787216d55d91d",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:111111111111:bells",
                "awsRegion": "eu-west-1",
            }
            for number, body in enumerate(bodies)
        ]
    }
