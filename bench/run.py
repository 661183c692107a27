"""The processor's time that one run of the approver takes: the real code and clients, AWS in a process of its own.

`python -m bench.run` prints a line for each of three kinds of run, with what it takes for one connection and for a
hundred: requests that are accepted, accepted ones that EC2 now shows available, and such as the ledger knows already.
`call_ms` and `connection_ms` are the straight line through both.
"""

import functools
import json
import multiprocessing
import statistics
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection as Pipe
from typing import Any

import boto3
from linkgate.approve.approver import Approver
from linkgate.approve.context import ContextReader
from linkgate.aws.allowlist import AllowList
from linkgate.aws.connections import Connections
from linkgate.aws.services import EndpointServices
from linkgate.events.bell import Bell
from linkgate.events.bus import Bus
from linkgate.events.queue import BellQueue
from linkgate.ledger.breaker import Breaker
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.sets import NamedSets
from linkgate.ledger.table import LedgerTable
from linkgate.model import State, Status

from bench.aws import Aws, where
from bench.sweep import world
from tests.world import endpoint_id

MANY, TIMES = 100, 30
KINDS = ("accepted", "available", "known")


def serve(pipe: Pipe, kind: str, number: int) -> None:
    """AWS in a process of its own, so that its work is not counted; tells the calls since it was last asked."""
    shown, rows, ledger = world(1, number, number + 1)
    if kind == "accepted":
        shown, ledger = [replace(one, state=State.PENDING_ACCEPTANCE, tags={}) for one in shown], []
    if kind == "available":
        ledger = [{**item, "state": State.PENDING, "status": Status.ACCEPTED} for item in ledger if "state" in item]
    aws = Aws(shown, rows, ledger)
    url, _ = aws.serve()
    pipe.send(url)
    while pipe.recv():
        pipe.send(dict(aws.calls))
        aws.calls.clear()


def approver(url: str) -> Approver:
    """The real approver with real clients of a URL."""
    at = where(url)
    ec2, dynamodb = boto3.client("ec2", **at), boto3.resource("dynamodb", **at)
    store = LedgerTable(dynamodb, "ledger")
    return Approver(
        EndpointServices(ec2, "managed"),
        Connections(ec2),
        AllowList(dynamodb, "allow-list"),
        Ledger(store),
        ContextReader(NamedSets(store), Breaker(store), None),
        Bus(boto3.client("events", **at), "linkgate"),
        BellQueue(boto3.client("sqs", **at), f"{url}/111111111111/bells"),
        functools.partial(datetime.now, UTC),
    )


def measure(kind: str, number: int, times: int = TIMES) -> dict[str, Any]:
    """So many connections of as many accounts in one run: ms of the processor (median), and AWS's calls."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(there, kind, number), daemon=True)
    server.start()
    mine = approver(here.recv())
    bells = [Bell(frozenset(map(endpoint_id, range(number))), origin="Connect")]
    taken, calls = [], dict[str, int]()
    for _ in range(times + 1):
        begun = time.process_time()
        report = mine.answer(bells)
        taken.append((time.process_time() - begun) * 1000)
        assert not report.failed, report.failed
        here.send(True)
        calls = here.recv()
    here.send(False)
    server.join()
    return {"ms": round(statistics.median(taken[1:]), 2), "calls": calls, "lines": len(report.lines)}


def line(kind: str, times: int = TIMES) -> dict[str, Any]:
    """What a call takes, and what each connection takes beside."""
    one, many = measure(kind, 1, times), measure(kind, MANY, times)
    few, more = sum(one["calls"].values()), sum(many["calls"].values())
    each = (many["ms"] - one["ms"] * more / few) / (MANY - more / few)
    call = (one["ms"] - each) / few
    return {"run": kind, "call_ms": round(call, 2), "connection_ms": round(each, 3), "one": one, "hundred": many}


if __name__ == "__main__":
    for kind in sys.argv[1:] or KINDS:
        print(json.dumps(line(kind)))
