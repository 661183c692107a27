"""How long the `linkgate` command takes: to start, and to show so many connections, as a person waits for it.

`python -m bench.command [connections]` prints one line of figures. Tables and service are in a lab without Linkgate's
functions. The lab's DynamoDB filters its whole table for each page, so the endpoints come from prepared pages, as large
as DynamoDB's, each after a wait: `status`. With the lab's own it is `status_lab`.
"""

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path
from typing import Any

import urllib3
from linkgate.ledger.items import VERSION, stamp
from linkgate.model import State, Status
from linkgate_cli.index import SHOWN as ATTRIBUTES

from bench.aws import pages, served
from lab.harness.deploy import client
from lab.harness.process import PROVIDER_ACCOUNT, REGION, LabProcess
from tests.command import Command

STARTS, SHOWN = 9, 5
JSON = "application/x-amz-json-1.0"
PAGE_SECONDS = 0.03
"""What DynamoDB takes for a page of 1 MB, with the network: an assumption, in the range of what people report."""
BALANCER = f"arn:aws:elasticloadbalancing:{REGION}:{PROVIDER_ACCOUNT}:loadbalancer/net/web/0123456789abcdef"
TEMPLATE = """
Resources:
  AllowList:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: service, AttributeType: S}, {AttributeName: consumer, AttributeType: S}]
      KeySchema: [{AttributeName: service, KeyType: HASH}, {AttributeName: consumer, KeyType: RANGE}]
  Ledger:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - {AttributeName: endpoint_id, AttributeType: S}
        - {AttributeName: entry, AttributeType: S}
        - {AttributeName: service, AttributeType: S}
        - {AttributeName: status, AttributeType: S}
      KeySchema: [{AttributeName: endpoint_id, KeyType: HASH}, {AttributeName: entry, KeyType: RANGE}]
      GlobalSecondaryIndexes:
        - IndexName: by_service
          KeySchema: [{AttributeName: service, KeyType: HASH}, {AttributeName: status, KeyType: RANGE}]
          Projection: {ProjectionType: ALL}
Outputs:
  AllowListTable: {Value: !Ref AllowList}
  LedgerTable: {Value: !Ref Ledger}
  EventBusName: {Value: none}
  SweepFunction: {Value: none}
"""


def current(service: str, number: int) -> dict[str, Any]:
    """The item of one endpoint, with as many attributes as the ledger's have; one in a hundred waits, one ails."""
    now = datetime.now(UTC)
    status = {1: Status.HELD, 2: Status.UNHEALTHY}.get(number % 100, Status.VERIFIED)
    texts = {
        **{"endpoint_id": f"vpce-{number:017x}", "entry": "current", "service": service, "region": REGION},
        **{"account": f"{200000000000 + number % 500}", "status": str(status), "ticket": "NET-1"},
        "state": str(State.PENDING_ACCEPTANCE if status is Status.HELD else State.AVAILABLE),
        "outcome": "hold" if status is Status.HELD else "accept",
        "reason": "not_listed" if status is Status.HELD else "allowed",
        **{
            "row": f"{service}/{200000000000 + number % 500}",
            "policy_hash": "0" * 64,
            "mode": "enforce",
            "refusal": "",
        },
        "decision": f"{stamp(now)}#{number:016x}",
        "why": f"Accepted: row {service}/{200000000000 + number % 500} (owner payments) allows it.",
        **{
            name: stamp(now - timedelta(days=2))
            for name in ("requested_at", "decided_at", "answered_at", "accepted_at")
        },
        **{"verified_at": stamp(now), "recent": "11111", "open_until": stamp(now), "unwanted_at": ""},
    }
    phases = {name: {"N": "1.25"} for name in ("dns", "tcp", "first_byte", "total")}
    seen = ("url", "address", "zone", "phase", "detail", "private_seen_at")
    health = {
        "cause": {"S": "tcp_refused" if status is Status.UNHEALTHY else ""},
        "phases": {"M": phases},
        "also": {"L": []},
    }
    health |= {name: {"S": "" if name == "private_seen_at" else "x" * 20} for name in seen}
    health |= {"checked_at": {"S": now.isoformat()}, "looked_at": {"S": now.isoformat()}, "errors": {"L": []}}
    flags = {"settled": {"BOOL": True}, "claimed": {"BOOL": True}, "final": {"BOOL": False}}
    numbers = {"version": {"N": str(VERSION)}, "tries": {"N": "0"}}
    return {**{name: {"S": text} for name, text in texts.items()}, **flags, **numbers, "health": {"M": health}}


def fill(lab: LabProcess, connections: int) -> list[dict[str, Any]]:
    """A stack with Linkgate's outputs, a managed service, and its endpoints in the ledger, which are returned."""
    cloudformation = client(lab, "cloudformation")
    cloudformation.create_stack(StackName="linkgate", TemplateBody=TEMPLATE)
    cloudformation.get_waiter("stack_create_complete").wait(StackName="linkgate", WaiterConfig={"Delay": 1})
    outputs = cloudformation.describe_stacks(StackName="linkgate")["Stacks"][0]["Outputs"]
    ledger = next(one["OutputValue"] for one in outputs if one["OutputKey"] == "LedgerTable")
    tags = [{"ResourceType": "vpc-endpoint-service", "Tags": [{"Key": "linkgate", "Value": "managed"}]}]
    made = client(lab, "ec2").create_vpc_endpoint_service_configuration(
        NetworkLoadBalancerArns=[BALANCER], AcceptanceRequired=True, TagSpecifications=tags
    )
    service, dynamodb = made["ServiceConfiguration"]["ServiceId"], client(lab, "dynamodb")
    items = [current(service, number) for number in range(connections)]
    for start in range(0, connections, 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        dynamodb.batch_write_item(RequestItems={ledger: puts})
    return items


def seconds(*arguments: str, times: int, command: Command) -> dict[str, float]:
    """Medians of some runs: how long one takes, and how much of a processor the command itself."""
    waited, worked = [], []
    for _ in range(times):
        begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = command.run(*arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        waited.append(time.perf_counter() - begun)
        worked.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert ran.code == 0, ran.err
    return {"s": round(statistics.median(waited), 3), "cpu_s": round(statistics.median(worked), 3)}


class Index:
    """A service's endpoints in the ledger's index as DynamoDB answers for them; all else is the lab's to answer."""

    def __init__(self, items: Iterable[Mapping[str, Any]], lab: LabProcess) -> None:
        below, above = list[Any](), list[Any]()
        for item in sorted(items, key=lambda one: str(one["status"]["S"])):
            (below if item["status"]["S"] < Status.CLOSED else above).append(item)
        # A page is full before its items are cut to what was asked for (API reference, Query).
        self._pages = {sign: [_cut(page) for page in pages(some)] for sign, some in (("<", below), (">", above))}
        self.pages = sum(map(len, self._pages.values()))
        self._lab = lab.environment()["AWS_ENDPOINT_URL"]

    def answer(self, headers: Message, body: bytes) -> tuple[int, bytes, str]:
        """An `Answer` to `served`."""
        asked = json.loads(body)
        condition = asked.get("KeyConditionExpression", "")
        if "IndexName" not in asked or (sign := condition[-len("< :closed")]) not in self._pages:
            passed = {name: value for name, value in headers.items() if name.lower() != "content-length"}
            said = urllib3.request("POST", self._lab, body=body, headers=passed)
            return said.status, said.data, JSON
        time.sleep(PAGE_SECONDS)
        number = int(asked.get("ExclusiveStartKey", {}).get("endpoint_id", {}).get("S", "0"))
        found = self._pages[sign]
        more = {"LastEvaluatedKey": {"endpoint_id": {"S": str(number + 1)}}} if number + 1 < len(found) else {}
        return 200, json.dumps({"Items": found[number], **more}).encode(), JSON


def _cut(page: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    kept = {name.partition(".")[0] for name in ATTRIBUTES}
    return [{name: value for name, value in item.items() if name in kept} for item in page]


def measure(connections: int) -> dict[str, Any]:
    """Figures: medians in seconds."""
    with LabProcess(plane="loopback") as lab, tempfile.TemporaryDirectory() as home:
        index = Index(fill(lab, connections), lab)
        slow = Command(Path(home), lab.environment())
        url, end = served(index.answer)
        command = Command(Path(home), {**lab.environment(), "AWS_ENDPOINT_URL_DYNAMODB": url})
        try:
            seen, known = (one.run("--output", "json").json | {"at": ""} for one in (command, slow))
            assert seen == known, "the prepared pages say something else than the lab"
            return {
                "connections": connections,
                "help": seconds("--help", times=STARTS, command=command),
                "status": seconds("status", times=SHOWN, command=command),
                "status_json": seconds("--output", "json", times=SHOWN, command=command),
                "pages": index.pages,
                "status_lab": seconds("status", times=1, command=slow),
            }
        finally:
            end()


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)))
