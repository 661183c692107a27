"""CloudTrail's records of PrivateLink calls, as EventBridge gets them in the caller's account.

Shapes and traps are those of a real record of CreateVpcEndpoint (research notes, 1c); those of the other calls are
made by analogy, unconfirmed. AWS is not known to copy a consumer's records to the provider, so nothing does here.
Calls that IAM refused leave no record here, though they do on AWS.
"""

import json
import re
import uuid
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lab.privatelink import protocol
from lab.privatelink.rules.model import Caller

SOURCE = "aws.ec2"
DETAIL_TYPE = "AWS API Call via CloudTrail"
RECORDED = ("CreateVpcEndpoint", "DeleteVpcEndpoints", "AcceptVpcEndpointConnections", "RejectVpcEndpointConnections")


def record(caller: Caller, action: str, query: protocol.Query, body: bytes) -> str:
    """The record of one call, as JSON: the request as it was sent, and what EC2 answered."""
    detail: dict[str, Any] = {
        "eventVersion": "1.09",
        "userIdentity": _identity(caller),
        "eventTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "ec2.amazonaws.com",
        "eventName": action,
        "awsRegion": caller.region,
        "requestParameters": {f"{action}Request": _request(query)},
        "responseElements": None,
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": caller.account,
        "eventCategory": "Management",
    }
    # The body is our own or ministack's, never that of a stranger.
    root = ElementTree.fromstring(body)  # noqa: S314
    detail["requestID"] = next((e.text for e in root.iter() if _name(e) in ("requestId", "RequestID")), "")
    if (error := root.find("Errors/Error")) is not None:
        detail["errorCode"] = f"Client.{error.findtext('Code')}"
        detail["errorMessage"] = error.findtext("Message")
    else:
        response = _element(root)
        detail["responseElements"] = {f"{action}Response": {"xmlns": protocol.NAMESPACE, **response}}
    return json.dumps(detail)


def _identity(caller: Caller) -> dict[str, str]:
    kinds = {":assumed-role/": "AssumedRole", ":user/": "IAMUser", ":root": "Root"}
    kind = next((kinds[mark] for mark in kinds if mark in caller.arn), "Unknown")
    return {"type": kind, "arn": caller.arn, "accountId": caller.account}


def _scalar(text: str) -> Any:
    """CloudTrail guesses types from the text: an account id becomes a number and loses its leading zeros."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"\d+", text) else text


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _element(element: ElementTree.Element) -> Any:
    """An element as JSON: nothing is "", one child of a name is an object, several of the same name are a list."""
    if not len(element):
        return _scalar((element.text or "").strip())
    children: dict[str, Any] = {}
    for child in element:
        children.setdefault(_name(child), []).append(_element(child))
    return {name: values[0] if len(values) == 1 else values for name, values in children.items()}


def _request(query: protocol.Query) -> Any:
    tree: dict[str, Any] = {}
    for key, value in query.items():
        if key in ("Action", "Version"):
            continue
        *path, last = key.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = _scalar(value)
    return _numbered(tree)


def _numbered(node: Any) -> Any:
    if not isinstance(node, Mapping):
        return node
    if node and all(key.isdigit() for key in node):
        items = [_item(int(key), _numbered(value)) for key, value in sorted(node.items(), key=lambda kv: int(kv[0]))]
        return items[0] if len(items) == 1 else items
    return {key: _numbered(value) for key, value in node.items()}


def _item(number: int, value: Any) -> dict[str, Any]:
    return {**value, "tag": number} if isinstance(value, dict) else {"content": value, "tag": number}
