"""A storm of connection requests against EC2's token buckets: the real code on fakes, over a virtual clock.

`python -m bench.storm [connections services seconds accounts seed]` prints one line of figures.

Buckets as EC2 has them: mutating calls 5 a second, burst 50; describing ones 20 a second, burst 100; the same once more
for the organisation. Requests come at random moments, from random accounts, for random services. What counts:

* every call to AWS takes its time, and its share of the processor's (below); the clock goes on within a run;
* as many instances of the function as the template allows, with the processor that its memory buys; each is handed what
  the queue holds, ten messages at most, at once: the event source has no window;
* botocore asks three times before a throttle is ours; what is refused takes no token;
* every accept echoes: EC2's notification, and CloudTrail's event for each call, are answered by the same approvers.

`drained_s` is the moment at which the last accept stands answered in the ledger. `buckets_allow_s` is what no approver
could beat: as long as requests come, and as long as the fewest calls (a hundred connections of a service each) need
tokens. DynamoDB's and the processor's time are not in it. Not modelled: what DynamoDB throttles, and the adaptive
limiter of botocore.
"""

import heapq
import itertools
import json
import math
import random
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from linkgate.approve.approver import Approver
from linkgate.approve.context import ContextReader
from linkgate.aws.connections import PAGE
from linkgate.aws.dynamodb import KEYS_PER_CALL
from linkgate.aws.services import EndpointService
from linkgate.errors import Throttled
from linkgate.events import bell
from linkgate.events.bell import Bell
from linkgate.events.bus import ENTRIES_PER_CALL, Event
from linkgate.events.queue import MESSAGES_PER_CALL, BellQueue
from linkgate.ledger.breaker import Breaker
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.sets import NamedSets
from linkgate.ledger.table import ItemKey, Write
from linkgate.model import Connection, Outcome, RowKey, State, Status
from linkgate.policy.decide import Rows
from linkgate.policy.rows import Item
from linkgate.retry import delay

from bench.timeline import Timeline
from tests.fakes import FakeAllowList, FakeBus, FakeConnections, FakeEndpointServices, FakeTable
from tests.infrastructure.stack import ROOT, parsed
from tests.world import REGION, START, World, endpoint_id, service_id

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef, UnsuccessfulItemTypeDef

_TEMPLATE = parsed(ROOT / "template.yaml")
_FUNCTION = _TEMPLATE["Globals"]["Function"] | _TEMPLATE["Resources"]["ApproveFunction"]["Properties"]
_SOURCE = _FUNCTION["Events"]["Bells"]["Properties"]
BATCH = _SOURCE["BatchSize"]
APPROVERS = _TEMPLATE["Parameters"]["ApproveConcurrency"]["Default"]
PROCESSOR = min(1.0, _FUNCTION["MemorySize"] / 1769)
"""How much of a processor each has: 1,769 MB buy one, and Python uses no second (Lambda developer guide)."""
POLL, INVOKED = 0.1, 0.02
"""Seconds until a poller sees a message, and until the function has what the poller holds (assumed)."""
EC2, READ, WRITE, SEND = 0.2, 0.02, 0.05, 0.02
"""Seconds that AWS is taken to need (assumed): for EC2, a read of DynamoDB, a transaction, ten messages or events."""
CALL, SHOWN, KEY, WRITTEN, TOLD = 0.0015, 0.00011, 0.0001, 0.00017, 0.0001
"""Seconds of a whole processor for a call, and for each item shown, key asked for, item written, message or event told:
what `python -m bench.run` measures, shared out."""
ATTEMPTS = 3
"""What botocore does about a throttle (linkgate.aws.clients): full jitter up to 1, then 2 seconds."""
NOTIFIED, TRAILED = 2, 30
"""Seconds from an accept to EC2's notification of it, and to CloudTrail's, which finds it available."""


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


class Queue:
    """The bell queue, as its event source receives it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._later: list[tuple[datetime, int, str]] = []
        self._visible: deque[str] = deque()
        self._number = itertools.count()

    def put(self, one: Bell, due: datetime) -> None:
        heapq.heappush(self._later, (due, next(self._number), json.dumps(one.event())))

    @property
    def empty(self) -> bool:
        return not self._later and not self._visible

    def receive(self, most: int) -> list[Bell]:
        """Some of the bells that are due."""
        while self._later and self._later[0][0] <= self.world.now:
            self._visible.append(heapq.heappop(self._later)[2])
        return [bell.parse(self._visible.popleft()) for _ in range(min(most, len(self._visible)))]


class Cloud:
    """All that the approvers share."""

    def __init__(self, seed: int) -> None:
        self.world, self.store, self.allow_list = World(), FakeTable(), FakeAllowList()
        self.timeline, self.queue = Timeline(self.world), Queue(self.world)
        self.describing = Throttle(Bucket(20, 100), Bucket(20, 100))
        self.mutating = Throttle(Bucket(5, 50), Bucket(5, 50))
        self.random = random.Random(seed)  # noqa: S311
        self.calls: Counter[str] = Counter()
        self.runs = self.busy = 0
        self.waiting: defaultdict[str, set[str]] = defaultdict(set)
        self.owned: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self.all: defaultdict[str, set[str]] = defaultdict(set)
        """Endpoints by service; `owned` by service and account."""

    def among(self, service: str, narrow: "Sequence[FilterTypeDef]") -> Iterable[str]:
        """Endpoints of a service that may pass a filter."""
        if not narrow:
            return self.all[service]
        if narrow[0]["Name"] == "vpc-endpoint-state":
            return self.waiting[service]
        return {one for account in narrow[0]["Values"] for one in self.owned.get((service, account), ())}

    @property
    def quiet(self) -> bool:
        """Whether no bell is left, and nobody may ring one."""
        return self.queue.empty and not self.busy


@dataclass(frozen=True)
class Instance:
    """One instance of the function: the time that its calls take."""

    cloud: Cloud

    def call(self, seconds: float, work: float = 0) -> None:
        """Make a call that takes AWS so long, and the processor so many seconds beside the call itself."""
        self.cloud.timeline.sleep(seconds + (CALL + work) / PROCESSOR)

    def ask(self, throttle: Throttle, work: float = 0) -> bool:
        """Ask EC2, as often as botocore does; whether it answered."""
        for attempt in range(ATTEMPTS):
            self.call(EC2, work)
            if throttle.passes(self.cloud.world.now):
                return True
            if attempt < ATTEMPTS - 1:
                self.cloud.timeline.sleep(self.cloud.random.random() * 2**attempt)
        return False


class SlowGates(FakeEndpointServices):
    """Describes a page of services a call."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance.cloud.world)
        self.instance = instance

    def managed(self) -> dict[str, EndpointService]:
        if not self.instance.ask(self.instance.cloud.describing):
            raise Throttled("RequestLimitExceeded")
        return super().managed()


class SlowConnections(FakeConnections):
    """Describes a page of connections a call."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance.cloud.world)
        self.instance = instance

    def _described(self, services: Sequence[str], *narrow: "FilterTypeDef") -> Iterator[Connection]:
        cloud, now = self.instance.cloud, self.world.now
        links = [self.world.links[one] for service in services for one in cloud.among(service, narrow)]
        shown = [
            Connection(one.service, one.endpoint, one.account, one.region, state, one.history[0][0], one.dns_names)
            for one in links
            if (state := one.state(now))
        ]
        for start in range(0, max(1, len(shown)), PAGE):
            page = shown[start : start + PAGE]
            if not self.instance.ask(cloud.describing, SHOWN * len(page)):
                raise Throttled("RequestLimitExceeded")
            yield from page

    def _tell(self, service: str, outcome: Outcome, endpoints: Sequence[str]) -> "list[UnsuccessfulItemTypeDef]":
        cloud = self.instance.cloud
        if not self.instance.ask(cloud.mutating):
            error: Any = {"Error": {"Code": "RequestLimitExceeded", "Message": "Request limit exceeded."}}
            raise ClientError(error, "AcceptVpcEndpointConnections")
        cloud.calls[service] += 1
        cloud.waiting[service] -= set(endpoints)
        mine, now = frozenset({service}), self.world.now
        for endpoint in endpoints:
            cloud.queue.put(Bell(frozenset({endpoint}), mine, "Accept"), now + timedelta(seconds=NOTIFIED))
        cloud.queue.put(Bell(frozenset(endpoints), mine, "CloudTrail Accept"), now + timedelta(seconds=TRAILED))
        return super()._tell(service, outcome, endpoints)


class SlowAllowList(FakeAllowList):
    """Reads a hundred keys a call."""

    def __init__(self, instance: Instance) -> None:
        self.table, self.instance = instance.cloud.allow_list.table, instance

    def rows(self, keys: Iterable[RowKey]) -> Rows:
        wanted = set(keys)
        for start in range(0, len(wanted), KEYS_PER_CALL):
            self.instance.call(READ, KEY * min(KEYS_PER_CALL, len(wanted) - start))
        return super().rows(wanted)

    def _query(self, service: str, prefix: str = "") -> Iterator[Item]:
        self.instance.call(READ)
        return super()._query(service, prefix)


class SlowStore(FakeTable):
    """Reads and writes a hundred items a call."""

    def __init__(self, instance: Instance) -> None:
        super().__init__()
        self.items, self.instance = instance.cloud.store.items, instance

    def read(self, places: Iterable[ItemKey]) -> list[dict[str, Any]]:
        wanted = sorted(set(places))
        for start in range(0, len(wanted), KEYS_PER_CALL):
            self.instance.call(READ, SHOWN * sum(one in self.items for one in wanted[start : start + KEYS_PER_CALL]))
        return super().read(wanted)

    def write(self, *writes: Write) -> None:
        self.instance.call(WRITE, WRITTEN * len(writes))
        super().write(*writes)


class SlowBus(FakeBus):
    """Takes ten events a call, and keeps none."""

    def __init__(self, instance: Instance) -> None:
        super().__init__()
        self.instance = instance

    def publish(self, events: Sequence[Event]) -> None:
        for start in range(0, len(events), ENTRIES_PER_CALL):
            self.instance.call(SEND, TOLD * min(ENTRIES_PER_CALL, len(events) - start))


class SlowRinger(BellQueue):
    """Takes ten bells a call."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    def send(self, bells: Iterable[Bell], later: int | None = None) -> None:
        cloud, requeued = self.instance.cloud, list(bells)
        for start in range(0, len(requeued), MESSAGES_PER_CALL):
            self.instance.call(SEND, TOLD * min(MESSAGES_PER_CALL, len(requeued) - start))
        for one in requeued:
            wait = delay(one.attempt) if later is None else later
            cloud.queue.put(one, cloud.world.now + timedelta(seconds=wait))


def approver(cloud: Cloud) -> Approver:
    """The function on an instance of its own."""
    instance = Instance(cloud)
    store = SlowStore(instance)
    return Approver(
        SlowGates(instance),
        SlowConnections(instance),
        SlowAllowList(instance),
        Ledger(store),
        ContextReader(NamedSets(store), Breaker(store), None),
        SlowBus(instance),
        SlowRinger(instance),
        cloud.world.clock,
    )


def poll(cloud: Cloud) -> list[Bell]:
    """What the event source hands over as soon as there is anything."""
    while not cloud.quiet:
        if bells := cloud.queue.receive(BATCH):
            cloud.busy += 1
            cloud.timeline.sleep(INVOKED)
            return bells
        cloud.timeline.sleep(POLL)
    return []


def serve(cloud: Cloud, mine: Approver) -> None:
    """Answer one batch after the other, until no bell is left and nobody may ring one."""
    while bells := poll(cloud):
        cloud.runs += 1
        begun = cloud.world.now
        report = mine.answer(bells)
        assert not report.failed, report.failed
        assert not report.given_up, report.given_up
        assert cloud.world.now - begun < timedelta(seconds=60), "the function's timeout"
        cloud.busy -= 1


def arrive(cloud: Cloud, connections: int, services: int, seconds: float, accounts: int) -> Counter[str]:
    """Everybody asks to be connected; how many do for each service."""
    names = [service_id(number + 1) for number in range(services)]
    for name in names:
        cloud.world.offer(name)
        cloud.allow_list.put(name, "@settings", mode="enforce")
        cloud.allow_list.put(name, "*", effect="allow")
    asked: Counter[str] = Counter()
    for number, moment in enumerate(sorted(cloud.random.uniform(0, seconds) for _ in range(connections))):
        name, account = cloud.random.choice(names), f"{cloud.random.randrange(accounts):012d}"
        cloud.world.now = START + timedelta(seconds=moment)
        cloud.world.connect(endpoint_id(number), name, account, REGION)
        asking = endpoint_id(number)
        cloud.waiting[name].add(asking)
        cloud.owned[name, account].add(asking)
        cloud.all[name].add(asking)
        cloud.queue.put(Bell(frozenset({asking}), frozenset({name}), origin="Connect"), cloud.world.now)
        asked[name] += 1
    cloud.world.now = START
    return asked


def simulate(
    connections: int, services: int = 10, seconds: float = 60, accounts: int = 5000, seed: int = 1
) -> dict[str, Any]:
    """Drain a storm; figures, and an AssertionError if anything is lost or done twice."""
    begun, cloud = time.monotonic(), Cloud(seed)
    asked = arrive(cloud, connections, services, seconds, accounts)
    works = [approver(cloud) for _ in range(APPROVERS)]
    cloud.timeline.side_by_side(lambda mine: serve(cloud, mine), works)
    cloud.world.advance(60)
    states = Counter(cloud.world.state(endpoint) for endpoint in cloud.world.links)
    assert states == {State.AVAILABLE: connections}, states
    assert len(cloud.world.acts) == len(set(cloud.world.acts)) == connections
    known = [
        item for place, item in cloud.store.items.items() if place == ItemKey(place.subject) and "answered_at" in item
    ]
    assert Counter(item["status"] for item in known) == {Status.ACCEPTED: connections}
    lines = [item for place, item in cloud.store.items.items() if "facts" in item]
    assert Counter(item.get("answer") for item in lines) == {"done": connections}
    drained = (datetime.fromisoformat(max(item["accepted_at"] for item in known)) - START).total_seconds()
    fewest = sum(math.ceil(count / 100) for count in asked.values())
    bound = max((fewest - 50) / 5, seconds)
    return {
        "connections": connections,
        "services": services,
        "arrive_in_s": seconds,
        "accounts": accounts,
        "seed": seed,
        "approvers": APPROVERS,
        "processor": round(PROCESSOR, 2),
        "drained_s": round(drained, 1),
        "buckets_allow_s": round(bound, 1),
        "ratio": round(drained / bound, 2),
        "accept_calls": sum(cloud.calls.values()),
        "fewest_calls": fewest,
        "throttled": cloud.mutating.refused,
        "describes": cloud.describing.passed,
        "describes_throttled": cloud.describing.refused,
        "runs": cloud.runs,
        "wall_s": round(time.monotonic() - begun, 1),
    }


if __name__ == "__main__":
    print(json.dumps(simulate(*(int(one) for one in sys.argv[1:] or ["50000"]))))
