"""AWS's side of a sweep, or of a run of the approver, over HTTP: prepared answers in pages as large as AWS's."""

import json
import operator
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from boto3.dynamodb.types import TypeSerializer
from linkgate.model import Connection
from linkgate.policy.rows import Item

PAGE_BYTES = 1_000_000
"""What one page of a Query or a Scan holds (DynamoDB developer guide)."""
KEYS = ("endpoint_id", "entry", "service", "consumer")
"""The attributes of the keys of both tables, hash before range."""
NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


Answer = Callable[[Message, bytes], tuple[int, bytes, str]]
"""From a request's headers and body to status, body and content type."""


def served(answer: Answer) -> tuple[str, Callable[[], None]]:
    """The URL at which such answers are given over HTTP, and how to end that."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, said, kind = answer(self.headers, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}", server.shutdown


class Aws:
    """Tables and connections to be asked for; `calls` counts what was, by operation."""

    def __init__(self, connections: Iterable[Connection], rows: Iterable[Item], ledger: Iterable[Item]) -> None:
        self.calls: Counter[str] = Counter()
        self._connections: dict[str, list[str]] = {}
        self._named: dict[str, str] = {}
        for connection in connections:
            text = self._named[connection.endpoint] = _connection(connection)
            self._connections.setdefault(connection.service, []).append(text)
        table = {(str(row["service"]), str(row["consumer"])): _typed(row) for row in rows}
        self._scan = pages(table.values())
        self._items = {(str(item["endpoint_id"]), str(item["entry"])): _typed(item) for item in ledger}
        self._keyed = table | self._items
        self._index: dict[tuple[str, str], list[list[dict[str, Any]]]] = {}
        for service in self._connections:
            mine = [
                item
                for item in self._items.values()
                if item.get("service", {}).get("S") == service and "status" in item
            ]
            for sign, keep in (("<", operator.lt), (">", operator.gt)):
                self._index[service, sign] = pages(one for one in mine if keep(one["status"]["S"], "CLOSED"))

    def serve(self) -> tuple[str, Callable[[], None]]:
        """The URL to point clients at, and how to end it."""
        return served(self._answer)

    def _answer(self, headers: Message, body: bytes) -> tuple[int, bytes, str]:
        target = headers.get("X-Amz-Target", "")
        return 200, *(self._json(target, json.loads(body)) if target else self._xml(parse_qs(body.decode())))

    def _json(self, target: str, asked: Mapping[str, Any]) -> tuple[bytes, str]:
        operation = target.rpartition(".")[2]
        self.calls[operation] += 1
        start = int(asked.get("ExclusiveStartKey", {}).get("endpoint_id", {}).get("S", "0"))
        answer: dict[str, Any] = {}
        if operation == "Scan":
            answer = _page(self._scan, start)
        elif operation == "Query":
            sign = "<" if "<" in asked["KeyConditionExpression"] else ">"
            answer = _page(self._index.get((asked["ExpressionAttributeValues"][":service"]["S"], sign), []), start)
        elif operation == "BatchGetItem":
            answer = {
                "Responses": {table: self._batch(wanted["Keys"]) for table, wanted in asked["RequestItems"].items()}
            }
        elif operation == "PutEvents":
            answer = {"FailedEntryCount": 0, "Entries": []}
        return json.dumps(answer).encode(), "application/x-amz-json-1.0"

    def _batch(self, keys: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        wanted = (tuple(key[name]["S"] for name in sorted(key, key=KEYS.index)) for key in keys)
        return [self._keyed[key] for key in wanted if key in self._keyed]

    def _xml(self, asked: Mapping[str, Sequence[str]]) -> tuple[bytes, str]:
        action = asked["Action"][0]
        self.calls[action] += 1
        inner = ""
        if action == "DescribeVpcEndpointServiceConfigurations":
            inner = _set("serviceConfigurationSet", map(_service, self._connections))
        elif action == "DescribeVpcEndpointConnections":
            services = [value[0] for name, value in asked.items() if name.startswith("Filter.1.Value.")]
            found = [one for service in services for one in self._connections.get(service, [])]
            start = int(asked.get("NextToken", ["0"])[0])
            inner = _set("vpcEndpointConnectionSet", found[start : start + 1000])
            if start + 1000 < len(found):
                inner += f"<nextToken>{start + 1000}</nextToken>"
        elif action == "DescribeVpcEndpointConnectionNotifications":
            inner = _set("connectionNotificationSet", map(_notification, self._connections))
        return f'<{action}Response xmlns="{NAMESPACE}">{inner}</{action}Response>'.encode(), "text/xml"


def where(url: str) -> dict[str, Any]:
    """What a client of boto3 needs to ask such an AWS."""
    return {
        "region_name": "eu-west-1",
        "endpoint_url": url,
        "aws_access_key_id": "111111111111",
        "aws_secret_access_key": "bench",
    }


TOPIC = "arn:aws:sns:eu-west-1:111111111111:topic"


def _set(name: str, items: Iterable[str]) -> str:
    return f"<{name}>{''.join(f'<item>{item}</item>' for item in items)}</{name}>"


def _fields(**fields: str) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())


def _service(service: str) -> str:
    return _fields(serviceId=service, serviceState="Available", acceptanceRequired="true")


def _notification(service: str) -> str:
    events = "".join(f"<item>{event}</item>" for event in ("Accept", "Connect", "Delete", "Reject"))
    head = _fields(serviceId=service, connectionNotificationArn=TOPIC, connectionNotificationState="Enabled")
    return f"{head}<connectionEvents>{events}</connectionEvents>"


def _connection(one: Connection) -> str:
    names = _set("dnsEntrySet", (_fields(dnsName=name, hostedZoneId="Z38GZ743OKFT7T") for name in one.dns_names))
    head = _fields(
        serviceId=one.service,
        vpcEndpointId=one.endpoint,
        vpcEndpointOwner=one.account,
        vpcEndpointState=one.state,
        vpcEndpointRegion=one.region,
        creationTimestamp=one.created.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        vpcEndpointConnectionId=one.connection_id,
        ipAddressType="ipv4",
    )
    tags = _set("tagSet", (_fields(key=name, value=value) for name, value in one.tags.items()))
    return f"{head}{names}{tags}"


def _typed(item: Item) -> dict[str, Any]:
    return {name: TypeSerializer().serialize(value) for name, value in item.items()}


def pages(items: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Items in pages; DynamoDB counts names and values, of which JSON's text is somewhat more."""
    pages: list[list[dict[str, Any]]] = [[]]
    size = 0
    for item in items:
        size += sum(len(name) + len(str(next(iter(value.values())))) for name, value in item.items())
        if size > PAGE_BYTES:
            pages.append([])
            size = 0
        pages[-1].append(item)
    return pages


def _page(pages: Sequence[list[dict[str, Any]]], start: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"Items": pages[start] if start < len(pages) else []}
    if start + 1 < len(pages):
        answer["LastEvaluatedKey"] = {"endpoint_id": {"S": str(start + 1)}, "entry": {"S": "current"}}
    return answer
