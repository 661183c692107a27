"""The edges of the application in memory, over one World.

Each fake is a subclass of the real edge and keeps state, so that a test says what must be true afterwards and
never which calls were made.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from linkgate.aws.allowlist import AllowList
from linkgate.aws.connections import Connections
from linkgate.aws.errors import Refusal
from linkgate.aws.services import EndpointService, EndpointServices
from linkgate.aws.topic import Topic
from linkgate.errors import Contended, Damaged
from linkgate.events import bell
from linkgate.events.bell import Bell
from linkgate.events.bus import LARGEST_CALL, VERSION, Bus, Event
from linkgate.events.queue import BellQueue
from linkgate.ledger.items import EndpointRecord
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.table import (
    ACTIONS_PER_CALL,
    CURRENT,
    Absent,
    Before,
    Condition,
    Is,
    ItemKey,
    LedgerTable,
    Present,
    Room,
    Write,
)
from linkgate.model import Connection, Outcome, RowKey
from linkgate.patrol.canaries import Canaries
from linkgate.policy.canary import region_of
from linkgate.policy.decide import Rows
from linkgate.policy.principals import Change
from linkgate.policy.rows import Item
from linkgate.retry import delay

from tests.gallery import hold_to_schema
from tests.world import Killed, World

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef, UnsuccessfulItemTypeDef

OWN_CANARY = "linkgate-own"


class FakeEndpointServices(EndpointServices):
    """The world's services."""

    def __init__(self, world: World) -> None:
        self.world, self.tag_value = world, "managed"

    def managed(self) -> dict[str, EndpointService]:
        if self.world.silence:
            raise self.world.silence
        return {
            name: EndpointService(
                name,
                service.acceptance_required,
                service.state,
                service.private_dns_state,
                service.private_dns_name,
                service.gateway,
            )
            for name, service in self.world.services.items()
            if service.managed
        }

    def ensure_notifications(self, services: Iterable[str], topic: str) -> dict[str, tuple[str, ...]]:
        wrong: dict[str, tuple[str, ...]] = {}
        for name in services:
            if not self.world.services[name].topics.setdefault(topic, True):
                wrong[name] = ("its connection notification is disabled or does not carry every event",)
        return wrong

    def principals(self, service: str) -> frozenset[str]:
        return frozenset(self.world.services[service].principals)

    def permit(self, service: str, change: Change) -> dict[str, Refusal]:
        if service in self.world.forbidden:
            why = Refusal("UnauthorizedOperation", "You are not authorized to perform this operation.")
            return dict.fromkeys(sorted(change.add | change.remove), why)
        allowed = self.world.services[service].principals
        allowed |= change.add
        allowed -= change.remove
        return {}


class FakeTopic(Topic):
    """A topic that somebody hears, or nobody."""

    def __init__(self) -> None:
        self.somebody = True

    def heard(self) -> bool:
        return self.somebody


class FakeConnections(Connections):
    """The world's connections."""

    def __init__(self, world: World) -> None:
        self.world = world

    def _described(self, services: Sequence[str], *narrow: "FilterTypeDef") -> Iterator[Connection]:
        for one in self.world.shown():
            if one.service in services and all(_passes(one, some) for some in narrow):
                yield one

    def _accept(self, service: str, endpoints: Sequence[str]) -> "list[UnsuccessfulItemTypeDef]":
        return self._tell(service, Outcome.ACCEPT, endpoints)

    def _reject(self, service: str, endpoints: Sequence[str]) -> "list[UnsuccessfulItemTypeDef]":
        return self._tell(service, Outcome.REJECT, endpoints)

    def _tell(self, service: str, outcome: Outcome, endpoints: Sequence[str]) -> "list[UnsuccessfulItemTypeDef]":
        """EC2's answer; what it means is the real edge's to say."""
        if self.world.before_act:
            self.world.before_act(outcome, endpoints)
        if service in self.world.broken:
            raise self.world.broken[service]
        answers = {endpoint: self.world.act(service, outcome, endpoint) for endpoint in endpoints}
        if self.world.killed_after_act:
            raise Killed
        return [
            {"ResourceId": endpoint, "Error": {"Code": why.code, "Message": why.message}}
            for endpoint, why in answers.items()
            if why
        ]

    def tag(self, connection_id: str, tags: Mapping[str, str]) -> str:
        (link,) = (link for link in self.world.links.values() if link.connection_id == connection_id)
        if link.service in self.world.forbidden:
            return "UnauthorizedOperation: You are not authorized to perform this operation."
        link.tags |= tags
        return ""


def _passes(connection: Connection, narrow: "FilterTypeDef") -> bool:
    seen = {"vpc-endpoint-owner": connection.account, "vpc-endpoint-state": connection.state}[narrow["Name"]]
    return seen in [value.lower() for value in narrow["Values"]]


class FakeAllowList(AllowList):
    """A table of rows, edited as people do."""

    def __init__(self) -> None:
        self.table: dict[RowKey, Item] = {}
        self.name = "allow-list"

    def put(self, service: str, consumer: str, **attributes: object) -> RowKey:
        """Write a row, replacing the one under its key; numbers become what DynamoDB makes of them."""
        key = RowKey(service, consumer)
        values = {
            name: Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value
            for name, value in attributes.items()
        }
        self.table[key] = {"service": service, "consumer": consumer, **values}
        return key

    def delete(self, service: str, consumer: str) -> RowKey:
        key = RowKey(service, consumer)
        del self.table[key]
        return key

    def rows(self, keys: Iterable[RowKey]) -> Rows:
        return {key: self.table[key] for key in keys if key in self.table}

    def whole_table(self) -> Rows:
        return dict(self.table)

    def _query(self, service: str, prefix: str = "") -> Iterator[Item]:
        return iter(
            [item for key, item in self.table.items() if key.service == service and key.consumer.startswith(prefix)]
        )


class FakeTable(LedgerTable):
    """The ledger's table in memory, under the same conditions. `rival` runs once before the next write: who is faster.

    Whatever writes an item of a subject in `refuses` fails, and every query about a service there. `index_lags` keeps
    the index as it was: it is eventually consistent.
    """

    def __init__(self) -> None:
        self.items: dict[ItemKey, dict[str, Any]] = {}
        self.rival: Callable[[], None] | None = None
        self.refuses: dict[str, Exception] = {}
        self._stale: dict[ItemKey, dict[str, Any]] | None = None

    def index_lags(self) -> None:
        self._stale = deepcopy(self.items)

    def read(self, places: Iterable[ItemKey]) -> list[dict[str, Any]]:
        return [deepcopy(self.items[place]) for place in sorted(set(places)) if place in self.items]

    def query(self, service: str, status: str) -> Iterator[dict[str, Any]]:
        return (item for item in self._indexed(service) if item["status"] == status)

    def query_but(self, service: str, status: str) -> Iterator[dict[str, Any]]:
        return (item for item in self._indexed(service) if item["status"] != status)

    def _indexed(self, service: str) -> list[dict[str, Any]]:
        if service in self.refuses:
            raise self.refuses[service]
        items = (self.items if self._stale is None else self._stale).values()
        return deepcopy([item for item in items if item.get("service") == service and "status" in item])

    def write(self, *writes: Write) -> None:
        rival, self.rival = self.rival, None
        if rival:
            rival()
        assert len({write.place for write in writes}) == len(writes), "DynamoDB refuses two changes of one item"
        assert len(writes) <= ACTIONS_PER_CALL, "DynamoDB takes a hundred actions"
        for error in (self.refuses[write.place.subject] for write in writes if write.place.subject in self.refuses):
            raise error
        for write in writes:
            assert not write.values.keys() & {"endpoint_id", "entry"}, "DynamoDB does not change a key"
            assert not write.add.keys() & write.drop.keys(), "DynamoDB refuses to add to a set and take from it at once"
            item = self.items.get(write.place, {})
            if not all(_holds(condition, item) for condition in write.conditions):
                raise Contended("the ledger changed meanwhile")
            _require_sets(item, write)
        for write in writes:
            _change(self.items.setdefault(write.place, _new(write.place)), write)


def _new(place: ItemKey) -> dict[str, Any]:
    return {"endpoint_id": place.subject, "entry": place.entry}


def _holds(condition: Condition, item: Mapping[str, Any]) -> bool:
    there = item.get(condition.name)
    match condition:
        case Is(name, value, or_absent):
            return (or_absent and name not in item) or (name in item and there == value)
        case Absent(name):
            return name not in item
        case Present(name):
            return name in item
        case Before(_, text):
            return there is None or (isinstance(there, str) and there < text)
        case Room(_, member, limit):
            return there is None or member in there or len(there) < limit


def _require_sets(item: Mapping[str, Any], write: Write) -> None:
    for name in (*write.add, *write.drop):
        if not (isinstance(item.get(name, set()), Set) and all(isinstance(one, str) for one in item.get(name, set()))):
            raise Damaged("An operand in the update expression has an incorrect data type")


def _change(item: dict[str, Any], write: Write) -> None:
    item.update(deepcopy(dict(write.values)))
    for name, members in write.add.items():
        item[name] = set(item.get(name, ())) | members
    for name in write.forget:
        item.pop(name, None)
    for name, members in write.drop.items():
        item[name] = set(item.get(name, ())) - members
        if not item[name]:
            del item[name]


@dataclass(frozen=True)
class BookLine:
    """One recorded decision; `answer` "" until there is one."""

    entry: str
    outcome: str
    reason: str
    row: str
    policy_hash: str
    mode: str
    rang: str
    answer: str = ""


class FakeLedger(Ledger):
    """The ledger over a table in memory, and what a test wants to see of it."""

    def __init__(self) -> None:
        self.store = FakeTable()
        super().__init__(self.store)

    @property
    def currents(self) -> dict[str, EndpointRecord]:
        """What is known of every endpoint."""
        return self.current([place.subject for place in self.store.items if place.subject.startswith("vpce-")])

    def lines(self, endpoint: str) -> list[BookLine]:
        """The decisions on one endpoint, oldest first."""
        items = [item for place, item in sorted(self.store.items.items()) if place.subject == endpoint]
        return [line_of(item) for item in items if item["entry"] != CURRENT]

    def alter(self, endpoint: str, **values: Any) -> None:
        """Change what is known of an endpoint, past every condition."""
        self.store.items[ItemKey(endpoint)] |= values


def line_of(item: Mapping[str, Any]) -> BookLine:
    names = ("entry", "outcome", "reason", "row", "policy_hash", "mode", "rang")
    return BookLine(**{name: str(item[name]) for name in names}, answer=str(item.get("answer", "")))


class FakeBus(Bus):
    """Keeps what was published, and holds every event to its schema. `refusal` is raised by the next `publish`."""

    def __init__(self) -> None:
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.refusal: BaseException | None = None

    def publish(self, events: Sequence[Event]) -> None:
        if events and self.refusal:
            refusal, self.refusal = self.refusal, None
            raise refusal
        for event in events:
            detail = json.loads(json.dumps({"version": VERSION, **event.detail}))
            hold_to_schema(event.kind, detail)
            assert len(json.dumps(detail)) < LARGEST_CALL, "the bus takes no such event"
            self.published.append((event.kind, detail))

    def kinds(self, endpoint: str = "") -> list[str]:
        """The kinds of what was told, of one endpoint or of all."""
        return [kind for kind, detail in self.published if detail.get("endpoint_id", "") == endpoint or not endpoint]


class FakeQueue(BellQueue):
    """A queue with SQS's delays; bells pass through it as text. `refusal` is raised by the next `send`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.queue: list[tuple[datetime, str]] = []
        self.refusal: Exception | None = None

    def send(self, bells: Iterable[Bell], later: int | None = None) -> None:
        for one in bells:
            if self.refusal:
                refusal, self.refusal = self.refusal, None
                raise refusal
            due = self.world.now + timedelta(seconds=delay(one.attempt) if later is None else later)
            self.queue.append((due, json.dumps(one.event())))

    def waiting(self) -> list[Bell]:
        """Every bell in the queue, due or not."""
        return [bell.parse(body) for _, body in self.queue]

    def take(self) -> list[Bell]:
        """Receive what is due."""
        due = [body for moment, body in self.queue if moment <= self.world.now]
        self.queue = [entry for entry in self.queue if entry[0] > self.world.now]
        return [bell.parse(body) for body in due]

    def next_due(self) -> datetime | None:
        return min((due for due, _ in self.queue), default=None)


class FakeCanaries(Canaries):
    """Canary functions behind Lambda's Invoke, JSON in and JSON out; every one finds the same world.

    `causes` says what is found of an endpoint or of one name of it ("" or absent: it answers); nothing is said of the
    `mute`. `error` is raised by every Invoke, `errors` by those of one function; `answers` are payloads of one function
    in place of verdicts. `nowhere` are names that do not exist.
    """

    def __init__(self) -> None:
        super().__init__(self._client, OWN_CANARY)
        self.causes: dict[str, str] = {}
        self.mute: set[str] = set()
        self.nowhere: set[str] = set()
        self.error: Exception | None = None
        self.errors: dict[str, Exception] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.extra: dict[str, Any] = {}
        """Laid over every verdict."""
        self.during: Callable[[], object] | None = None
        """What happens in the world while a canary is on its way."""
        self.regions: list[str] = []
        self.calls: list[tuple[str, list[dict[str, Any]]]] = []
        """Every Invoke: the function, and its targets."""

    @property
    def targets(self) -> list[dict[str, Any]]:
        """Every target that a canary was sent to."""
        return [target for _, targets in self.calls for target in targets]

    def _client(self, region: str) -> Any:
        self.regions.append(region)
        return SimpleNamespace(invoke=lambda **asked: self._invoked(region, **asked))

    def _invoked(self, region: str, FunctionName: str, Payload: str) -> dict[str, Any]:
        assert region == region_of(FunctionName), "a function is known in its own Region only"
        targets = json.loads(Payload)["targets"]
        self.calls.append((FunctionName, targets))
        if self.during:
            self.during()
        if error := self.errors.get(FunctionName, self.error):
            raise error
        if answer := self.answers.get(FunctionName):
            return answer
        found = [self._verdict(target) for target in targets if target["endpoint_id"] not in self.mute]
        return {"Payload": BytesIO(json.dumps({"verdicts": found}).encode())}

    def _verdict(self, target: dict[str, Any]) -> dict[str, Any]:
        endpoint, name = target["endpoint_id"], target["name"]
        cause = self.causes.get(name, self.causes.get(endpoint, ""))
        if name in self.nowhere:
            cause = "dns_not_found"
        if target["expect"] == "closed":
            cause = "unexpectedly_open" if cause == "" else "" if cause == "tcp_timeout" else cause
        answered = not cause.startswith(("dns", "probe"))
        return {
            "endpoint_id": endpoint,
            "service_id": target["service_id"],
            "name": name,
            "url": target["url"],
            "address": f"10.1.0.{int(endpoint[-2:], 16)}" if answered else "",
            "cause": cause,
            "detail": "as told" if cause else "",
            "phases": {"dns": 1.25, "tcp": 0.5, "total": 1.75},
            **self.extra,
        }
