"""A full sweep of 10,000 connections and 100,000 rows that agree: calls, CPU and memory of the real code and clients.

`python -m bench.sweep [services connections rows]` prints one line of figures.
"""

import functools
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from typing import Any

import boto3
from linkgate.approve.context import ContextReader
from linkgate.aws.allowlist import AllowList
from linkgate.aws.connections import Connections
from linkgate.aws.services import EndpointServices
from linkgate.events.bus import Bus
from linkgate.events.queue import BellQueue
from linkgate.ledger.breaker import Breaker
from linkgate.ledger.items import Judgment
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.sets import NamedSets
from linkgate.ledger.table import LedgerTable
from linkgate.model import Connection, State, Status
from linkgate.policy.decide import decide
from linkgate.policy.rows import Item, key_of
from linkgate.sweep.compare import Comparer
from linkgate.sweep.expiring import ExpiringRows
from linkgate.sweep.gaps import StackGaps
from linkgate.sweep.lease import Lease
from linkgate.sweep.services import ServiceConfigurator
from linkgate.sweep.sweeper import Sweeper
from linkgate.sweep.tags import labels
from linkgate.sweep.validator import Validator

from bench.aws import TOPIC, Aws, where
from tests.fakes import FakeLedger, FakeTopic
from tests.world import START, endpoint_id, service_id


def world(services: int, connections: int, rows: int) -> tuple[list[Connection], list[Item], list[Item]]:
    """Connections that are live because of a row each, the rows, and a ledger that says so."""
    table: list[Item] = []
    for service in range(services):
        name = service_id(service + 1)
        table.append({"service": name, "consumer": "@settings", "mode": "enforce", "reconcile": "enforce"})
        for number in range(rows // services - 1):
            consumer = f"{service:03d}{number:09d}"
            table.append(
                {"service": name, "consumer": consumer, "effect": "allow", "owner": "payments", "ticket": "NET-17"}
            )
    by_key, ledger, shown = {key_of(row): row for row in table}, FakeLedger(), []
    for number in range(connections):
        service, mine = number % services, number // services
        name, endpoint = service_id(service + 1), endpoint_id(number)
        names = tuple(
            f"{endpoint}-abcdefgh{zone}.{name}.eu-west-1.vpce.amazonaws.com"
            for zone in ("", "-eu-west-1a", "-eu-west-1b")
        )
        asking = Connection(
            name, endpoint, f"{service:03d}{mine:09d}", "eu-west-1", State.PENDING_ACCEPTANCE, START, names
        )
        decision = decide(asking, by_key, START)
        entry = ledger.decided(Judgment(asking, None, decision, by_key), "Connect", START)
        ledger.answered(asking, entry, "done", Status.ACCEPTED, State.AVAILABLE, START)
        known = ledger.current([endpoint])[endpoint]
        ledger.probed(
            known, Status.VERIFIED, "11111", {"cause": "", "checked_at": datetime.now(UTC).isoformat()}, START
        )
        tags = labels(ledger.current([endpoint])[endpoint])
        shown.append(replace(asking, state=State.AVAILABLE, connection_id=f"vpce-conn-{number:017x}", tags=tags))
    items: list[Item] = [item for place, item in ledger.store.items.items() if place.entry == "current"]
    return shown, table, items


def sweeper(url: str) -> tuple[Sweeper, BellQueue]:
    """The real sweep with real clients of a URL."""
    at = where(url)
    ec2, sqs = boto3.client("ec2", **at), boto3.client("sqs", **at)
    dynamodb, now = boto3.resource("dynamodb", **at), functools.partial(datetime.now, UTC)
    store, bus = LedgerTable(dynamodb, "ledger"), Bus(boto3.client("events", **at), "linkgate")
    sets, bells = NamedSets(store), BellQueue(sqs, f"{url}/111111111111/bells")
    contexts, allow_list = ContextReader(sets, Breaker(store), None), AllowList(dynamodb, "allow-list")
    comparer = Comparer(Connections(ec2), allow_list, Ledger(store), contexts, bus, bells, now)
    configurator, validator = (
        ServiceConfigurator(EndpointServices(ec2, "managed"), sets, bus, TOPIC, now),
        Validator(sets, bus, False),
    )
    expiring = ExpiringRows(sets, bus, timedelta(days=14), now)
    gaps = StackGaps(sets, bus, FakeTopic(), ())
    return Sweeper(comparer, configurator, validator, expiring, gaps, Lease(store, now), bells), bells


def serve(pipe: Pipe, *size: int) -> None:
    """AWS in a process of its own, so that its work is not counted."""
    aws = Aws(*world(*size))
    url, _ = aws.serve()
    pipe.send(url)
    pipe.recv()
    pipe.send(dict(aws.calls))


def measure(services: int, connections: int, rows: int) -> dict[str, Any]:
    """One sweep: calls by operation, CPU seconds, peak memory of this process in MiB, and how many bells were sent."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(there, services, connections, rows), daemon=True)
    server.start()
    run, _ = sweeper(here.recv())
    begun, cpu = time.monotonic(), time.process_time()
    finding = run.sweep("bench")
    cpu, wall = time.process_time() - cpu, time.monotonic() - begun
    assert not finding.failed, finding.failed
    here.send(None)
    calls = here.recv()
    server.join()
    return {
        "services": services,
        "connections": connections,
        "rows": rows,
        "calls": sum(calls.values()),
        "cpu_s": round(cpu, 2),
        "wall_s": round(wall, 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "requeued": finding.sum(lambda found: found.requeued),
        "unwanted": finding.sum(lambda found: found.unwanted),
        "by_operation": calls,
    }


def lines(arguments: list[str]) -> Iterator[str]:
    sizes = tuple(map(int, arguments)) or (10, 10_000, 100_000)
    yield json.dumps(measure(*sizes))


if __name__ == "__main__":
    for line in lines(sys.argv[1:]):
        print(line)
