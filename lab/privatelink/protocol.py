"""EC2's query protocol in both directions, in the shapes of botocore's model of EC2 2016-11-15.

A request is a flat mapping (`VpcEndpointId.1`), an answer is XML; in between both are dicts spelt as in boto3.
"""

import functools
import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

import botocore.parsers
import botocore.serialize
import botocore.session
from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StructureShape

from lab.privatelink import newer
from lab.privatelink.rules.model import Refusal

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
Query = Mapping[str, str]


@functools.cache
def _ec2() -> ServiceModel:
    loader = botocore.session.get_session().get_component("data_loader")
    return ServiceModel(newer.merged(loader.load_service_model("ec2", "service-2", "2016-11-15")), "ec2")


def _operation(action: str) -> OperationModel:
    return _ec2().operation_model(action)


def request(action: str, query: Query) -> dict[str, Any]:
    """The parameters of a request in boto3's spelling. Raises Refusal UnknownParameter for one that the model lacks."""
    shape = _operation(action).input_shape
    members = shape.members if isinstance(shape, StructureShape) else {}
    known = {"Action", "Version", *(_query_name(member, name) for name, member in members.items())}
    if unknown := sorted(key for key in query if key.partition(".")[0] not in known):
        raise Refusal("UnknownParameter", f"The parameter {unknown[0]} is not recognized")
    return _request(shape, query, "") or {}


def _request(shape: Shape | None, query: Query, prefix: str) -> Any:
    if isinstance(shape, StructureShape):
        parts = {name: _request(m, query, _joined(prefix, _query_name(m, name))) for name, m in shape.members.items()}
        return {name: part for name, part in parts.items() if part is not None} or None
    if isinstance(shape, ListShape):
        numbers = {int(m[1]) for key in query if (m := re.match(re.escape(prefix) + r"\.(\d+)(\.|$)", key))}
        return [_request(shape.member, query, f"{prefix}.{number}") for number in sorted(numbers)] or None
    text = query.get(prefix)
    if text is None or shape is None:
        return None
    if shape.type_name == "boolean":
        return text.lower() == "true"
    return int(text) if shape.type_name in ("integer", "long") else text


def _query_name(shape: Shape, name: str) -> str:
    # The rule of botocore's EC2 serializer: queryName, else the location name with a capital, else the member's own.
    serialization: Mapping[str, Any] = shape.serialization
    if "queryName" in serialization:
        return str(serialization["queryName"])
    location = str(serialization.get("name", name))
    return location[0].upper() + location[1:]


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def answer(action: str, values: Mapping[str, Any]) -> bytes:
    """The XML of a successful answer; members that are None are left out."""
    shape = _operation(action).output_shape
    inner = "".join(_members(shape, values)) if isinstance(shape, StructureShape) else ""
    root = f"{action}Response"
    return f'<{root} xmlns="{NAMESPACE}"><requestId>{uuid.uuid4()}</requestId>{inner}</{root}>'.encode()


def _members(shape: StructureShape, values: Mapping[str, Any]) -> list[str]:
    if unknown := values.keys() - shape.members.keys():
        raise KeyError(f"{shape.name} has no member {sorted(unknown)}")
    present = ((name, member) for name, member in shape.members.items() if values.get(name) is not None)
    return [_element(member, str(member.serialization.get("name", name)), values[name]) for name, member in present]


def _element(shape: Shape, tag: str, value: Any) -> str:
    if isinstance(shape, StructureShape):
        inner = "".join(_members(shape, value))
    elif isinstance(shape, ListShape):
        inner = "".join(_element(shape.member, str(shape.member.serialization.get("name", "item")), v) for v in value)
    elif isinstance(value, bool):
        inner = str(value).lower()
    elif isinstance(value, datetime):
        inner = f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
    else:
        inner = escape(str(value))
    return f"<{tag}>{inner}</{tag}>"


def refusal(error: Refusal) -> bytes:
    """The XML of an error."""
    code, message = escape(error.code), escape(error.message)
    errors = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
    return f"<Response>{errors}<RequestID>{uuid.uuid4()}</RequestID></Response>".encode()


def query(action: str, arguments: Mapping[str, Any]) -> dict[str, str]:
    """A request as a client would send it."""
    serializer = botocore.serialize.create_serializer("ec2", include_validation=True)
    body = serializer.serialize_to_request(dict(arguments), _operation(action))["body"]
    return {key: str(value) for key, value in body.items()}


def values(action: str, status: int, body: bytes) -> dict[str, Any]:
    """An answer as a client would read it. Raises Refusal if it is an error."""
    parser = botocore.parsers.create_parser("ec2")
    shape = _operation(action).output_shape
    # Actions without an answer, such as CreateTags, have no shape; the parser takes that, its stubs do not.
    parsed: dict[str, Any] = parser.parse({"status_code": status, "headers": {}, "body": body}, shape)  # type: ignore[arg-type]
    if "Error" in parsed:
        raise Refusal(parsed["Error"]["Code"], parsed["Error"]["Message"], status)
    parsed.pop("ResponseMetadata", None)
    return parsed
