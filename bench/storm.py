"""A storm of connection requests against EC2's token buckets: the real code on fakes, over a virtual clock.

`python -m bench.storm [connections services seconds workers]` prints one line of figures. Buckets as EC2 has them:
mutating calls 5 a second, burst 50; describing ones 20 a second, burst 100; the same once more for the organisation.
"""

import heapq
import itertools
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from linkgate import bell
from linkgate.approve import Approver
from linkgate.bell import Bell
from linkgate.breaker import Breaker
from linkgate.errors import Throttled
from linkgate.gate import Gate
from linkgate.model import Connection, Outcome, State, Status
from linkgate.register import Register
from linkgate.ring import Ringer, delay
from linkgate.standing import Census

from tests.fakes import FakeAllowList, FakeBus, FakeConnections, FakeGates, FakeLedger
from tests.world import REGION, START, World, endpoint_id, service_id

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import UnsuccessfulItemTypeDef

BATCH, WINDOW = 1000, timedelta(seconds=1)
"""Of the event source of ApproveFunction (template.yaml)."""
CALL, CONNECTION = 0.03, 0.02
"""Seconds that a call of EC2, and what DynamoDB has to do with one connection, are taken to last."""


@dataclass
class Bucket:
    """A token bucket."""

    rate: float
    burst: float
    tokens: float = field(init=False)
    at: datetime = START

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def fill(self, now: datetime) -> None:
        self.tokens = min(self.burst, self.tokens + (now - self.at).total_seconds() * self.rate)
        self.at = now


class Throttle:
    """Several buckets of which every call needs a token; what is refused takes none."""

    def __init__(self, *buckets: Bucket) -> None:
        self.buckets = buckets
        self.passed = self.refused = 0

    def passes(self, now: datetime) -> bool:
        for bucket in self.buckets:
            bucket.fill(now)
        if any(bucket.tokens < 1 for bucket in self.buckets):
            self.refused += 1
            return False
        for bucket in self.buckets:
            bucket.tokens -= 1
        self.passed += 1
        return True


class Ec2:
    """The buckets of an account and of its organisation."""

    def __init__(self) -> None:
        self.describing = Throttle(Bucket(20, 100), Bucket(20, 100))
        self.mutating = Throttle(Bucket(5, 50), Bucket(5, 50))
        self.acts: Counter[tuple[str, str]] = Counter()


class SlowGates(FakeGates):
    """Describes a page of services a call."""

    def __init__(self, world: World, ec2: Ec2) -> None:
        super().__init__(world)
        self.ec2 = ec2

    def managed(self) -> dict[str, Gate]:
        if not self.ec2.describing.passes(self.world.now):
            raise Throttled("RequestLimitExceeded")
        return super().managed()


class SlowConnections(FakeConnections):
    """Describes two hundred endpoints a call."""

    def __init__(self, world: World, ec2: Ec2) -> None:
        super().__init__(world)
        self.ec2 = ec2

    def named(self, endpoints: Iterable[str]) -> list[Connection]:
        wanted = sorted(endpoints)
        for _ in range(math.ceil(len(wanted) / 200)):
            if not self.ec2.describing.passes(self.world.now):
                raise Throttled("RequestLimitExceeded")
        links = [self.world.links[endpoint] for endpoint in wanted if endpoint in self.world.links]
        return [
            Connection(one.service, one.endpoint, one.owner, one.region, state, one.history[0][0], one.dns_names)
            for one in links
            if (state := one.state(self.world.now))
        ]

    def _tell(self, service: str, outcome: Outcome, endpoints: Sequence[str]) -> "list[UnsuccessfulItemTypeDef]":
        if not self.ec2.mutating.passes(self.world.now):
            error: Any = {"Error": {"Code": "RequestLimitExceeded", "Message": "Request limit exceeded."}}
            raise ClientError(error, "AcceptVpcEndpointConnections")
        self.ec2.acts[service, outcome] += 1
        return super()._tell(service, outcome, endpoints)


class Queue(Ringer):
    """The bell queue."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.heap: list[tuple[datetime, int, str]] = []
        self._number = itertools.count()

    def ring(self, bells: Iterable[Bell], later: int | None = None) -> None:
        for one in bells:
            wait = delay(one.attempt) if later is None else later
            self.put(one, self.world.now + timedelta(seconds=wait))

    def put(self, one: Bell, due: datetime) -> None:
        heapq.heappush(self.heap, (due, next(self._number), json.dumps(one.event())))

    def take(self, now: datetime) -> list[Bell]:
        found = []
        while self.heap and self.heap[0][0] <= now and len(found) < BATCH:
            found.append(bell.parse(heapq.heappop(self.heap)[2]))
        return found

    def ready(self, now: datetime) -> bool:
        """Whether a batch is full, or its window over."""
        return bool(self.heap) and (
            self.heap[0][0] + WINDOW <= now or sum(1 for due, _, _ in self.heap[:BATCH] if due <= now) >= BATCH
        )


def simulate(connections: int, services: int, seconds: float, workers: int) -> dict[str, Any]:
    """Drain a storm; figures, and an AssertionError if anything is lost or done twice."""
    begun = time.monotonic()
    world, ec2, ledger, allow_list = World(), Ec2(), FakeLedger(), FakeAllowList()
    names = [service_id(number + 1) for number in range(services)]
    for name in names:
        world.offer(name)
        allow_list.put(name, "@settings", mode="enforce")
        allow_list.put(name, "*", effect="allow")
    queue, gates, edge = Queue(world), SlowGates(world, ec2), SlowConnections(world, ec2)
    census, bus = Census(Register(ledger.store), Breaker(ledger.store), None), Quiet()
    approvers = [Approver(gates, edge, allow_list, ledger, census, bus, queue, world.clock) for _ in range(workers)]
    for number in range(connections):
        at = START + timedelta(seconds=seconds * number / connections)
        world.now = at
        world.connect(endpoint_id(number), names[number % services], f"{number % 5000:012d}", REGION)
        queue.put(Bell(frozenset({endpoint_id(number)}), cause="Endpoint Connection Notification"), at)
    world.now = START
    drained, runs = drain(world, ec2, queue, approvers)
    states = Counter(link.state(world.now + timedelta(seconds=60)) for link in world.links.values())
    assert states == {State.AVAILABLE: connections}, states
    assert len(world.acts) == len(set(world.acts)) == connections
    statuses = Counter(
        item.get("status")
        for place, item in ledger.store.items.items()
        if place.entry == "current" and "requested_at" in item
    )
    assert statuses == {Status.ACCEPTED: connections}, statuses
    fewest = sum(math.ceil(connections / services / 100) for _ in names)
    bound = max((fewest - 50) / 5, seconds, 1)
    return {
        "connections": connections,
        "services": services,
        "arrive_in_s": seconds,
        "workers": workers,
        "drained_s": round(drained, 1),
        "buckets_allow_s": round(bound, 1),
        "ratio": round(drained / bound, 2),
        "accept_calls": sum(ec2.acts.values()),
        "fewest_calls": fewest,
        "throttled": ec2.mutating.refused,
        "describes": ec2.describing.passed,
        "describes_throttled": ec2.describing.refused,
        "runs": runs,
        "wall_s": round(time.monotonic() - begun, 1),
    }


class Quiet(FakeBus):
    """Hears everything and keeps nothing."""

    def tell(self, events: Any) -> None:
        pass


def drain(world: World, ec2: Ec2, queue: Queue, approvers: Sequence[Approver]) -> tuple[float, int]:
    """Let time pass until the queue is empty; seconds, and runs of the function."""
    free = [(START, number) for number in range(len(approvers))]
    heapq.heapify(free)
    runs, last = 0, START
    while queue.heap:
        at, number = heapq.heappop(free)
        world.now = max(world.now, at)
        while queue.heap and not queue.ready(world.now):
            world.now += timedelta(milliseconds=100)
        bells = queue.take(world.now)
        if not bells:
            heapq.heappush(free, (world.now, number))
            continue
        before = ec2.describing.passed + ec2.mutating.passed + ec2.mutating.refused
        report = approvers[number].answer(bells)
        assert not report.failed, report.failed
        assert not report.given_up, report.given_up
        calls = ec2.describing.passed + ec2.mutating.passed + ec2.mutating.refused - before
        busy = timedelta(seconds=CALL * calls + CONNECTION * len(report.lines))
        runs, last = runs + 1, max(last, world.now + busy)
        heapq.heappush(free, (world.now + busy, number))
    return (last - START).total_seconds(), runs


if __name__ == "__main__":
    asked = [float(one) for one in sys.argv[1:]] or [50_000, 10, 60, 10]
    print(json.dumps(simulate(int(asked[0]), int(asked[1]), asked[2], int(asked[3]))))
