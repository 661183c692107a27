"""How long the `linkgate` command takes: to start, and to show so many connections, as a person waits for it.

`python -m bench.command [connections]` prints one line of figures. Tables and service are in a lab without Linkgate's
functions; what the lab's DynamoDB takes to answer is part of it, as a network would be.
"""

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from linkgate.ledger.items import VERSION, stamp
from linkgate.model import State, Status
from linkgate_cli.index import endpoints
from linkgate_cli.session import Session

from lab.harness.deploy import client
from lab.harness.process import PROVIDER_ACCOUNT, REGION, LabProcess
from tests.command import Command

STARTS, SHOWN = 9, 3
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


def fill(lab: LabProcess, connections: int) -> None:
    """A stack with Linkgate's outputs, a managed service, and its endpoints in the ledger."""
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
    for start in range(0, connections, 25):
        some = range(start, min(start + 25, connections))
        puts = [{"PutRequest": {"Item": current(service, number)}} for number in some]
        dynamodb.batch_write_item(RequestItems={ledger: puts})


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


def asleep() -> float:
    """How long the lab's DynamoDB keeps the command waiting: reading all endpoints once, without our own work."""
    session = Session()
    (service,) = session.services.managed()
    begun, before = time.perf_counter(), time.process_time()
    assert list(endpoints(session, service, closed=False))
    return time.perf_counter() - begun - (time.process_time() - before)


def measure(connections: int) -> dict[str, Any]:
    """Figures: medians in seconds."""
    with LabProcess(plane="loopback") as lab, tempfile.TemporaryDirectory() as home:
        fill(lab, connections)
        command = Command(Path(home), lab.environment())
        os.environ.update(lab.environment())
        return {
            "connections": connections,
            "help": seconds("--help", times=STARTS, command=command),
            "status": seconds("status", times=SHOWN, command=command),
            "status_json": seconds("--output", "json", times=SHOWN, command=command),
            "lab_s": round(asleep(), 3),
        }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)))
