"""The input of an EventBridge pipe's target: a template with `<$.path>` and `<aws.pipes...>` in it.

Source: EventBridge user guide, "Pipes input transformation". Unconfirmed, as AWS does not say: a path that leads
nowhere becomes an empty string; a text within quotes is escaped (the guide promises "valid JSON output"); an object
within quotes is not, which is no valid JSON (the guide forbids it); of wildcards, none is supported here.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|<[^<>]*>')
_VARIABLE = re.compile(r"<((?:\$|aws\.pipes\.)[^<>]*)>")
_STEP = re.compile(r"\.([\w/-]+)|\[(?:(\d+)|'([^']*)')\]")

Record = Mapping[str, Any]


def decoded(record: Record) -> dict[str, Any]:
    """The record with a body that is JSON in the place of its text, as paths and filters see it."""
    try:
        return {**record, "body": json.loads(record["body"])}
    except ValueError:
        return dict(record)


def value_at(path: str, record: Record) -> Any:
    """What `$.a.b[0]` leads to in the (decoded) record, or None."""
    found: Any = record
    for key, index, quoted in _STEP.findall(path):
        try:
            found = found[int(index)] if index else found[key or quoted]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def rendered(template: str, record: Record, pipe: Record) -> str:
    """The template filled in from one SQS record (its body as text) and from the pipe (Arn, Name, Source, Target)."""

    def filled(match: re.Match[str]) -> str:
        token = match.group(0)
        if token.startswith('"'):
            return _VARIABLE.sub(lambda variable: _within_quotes(_value(variable.group(1), record, pipe)), token)
        variable = _VARIABLE.fullmatch(token)
        return json.dumps(_value(variable.group(1), record, pipe)) if variable else token

    return _TOKEN.sub(filled, template)


def _within_quotes(value: Any) -> str:
    return json.dumps(value)[1:-1] if isinstance(value, str) else json.dumps(value)


def _value(name: str, record: Record, pipe: Record) -> Any:
    if name.startswith("$"):
        found = value_at(name, decoded(record))
        return "" if found is None else found
    known = {
        "aws.pipes.pipe-arn": pipe["Arn"],
        "aws.pipes.pipe-name": pipe["Name"],
        "aws.pipes.source-arn": pipe["Source"],
        "aws.pipes.target-arn": pipe["Target"],
        "aws.pipes.event.ingestion-time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws.pipes.event": json.dumps(record),
        "aws.pipes.event.json": decoded(record),
    }
    return known.get(name, "")
