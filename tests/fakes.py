"""The edges of the house in memory, over one World.

Each fake is a subclass of the real edge and keeps state, so that a test says what must be true afterwards and
never which calls were made.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from linkgate import bell
from linkgate.allowlist import AllowList
from linkgate.bell import Bell
from linkgate.bus import VERSION, Bus, Event
from linkgate.connections import Connections
from linkgate.entry import LEASE, Current, decision_id, stamp
from linkgate.errors import Contended
from linkgate.gate import Gate, Gates
from linkgate.ledger import Ledger
from linkgate.model import Connection, Decision, Outcome, RowKey, State, Status, Verdict
from linkgate.patrol import Canary, Target, VerdictDict
from linkgate.policy import Rows
from linkgate.ring import Ringer, delay
from linkgate.rows import Item

from tests.gallery import hold_to_schema
from tests.world import Killed, World

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import UnsuccessfulItemTypeDef


class FakeGates(Gates):
    """The world's services."""

    def __init__(self, world: World) -> None:
        self.world = world

    def managed(self) -> dict[str, Gate]:
        if self.world.silence:
            raise self.world.silence
        return {
            name: Gate(name, service.acceptance_required, service.state, service.private_dns_state)
            for name, service in self.world.services.items()
            if service.managed
        }

    def wire(self, services: Mapping[str, Gate], topic: str) -> dict[str, str]:
        unwired = {}
        for name in services:
            if not self.world.services[name].topics.setdefault(topic, True):
                unwired[name] = "its connection notification is disabled or does not carry every event"
        return unwired


class FakeConnections(Connections):
    """The world's connections."""

    def __init__(self, world: World) -> None:
        self.world = world

    def named(self, endpoints: Iterable[str]) -> list[Connection]:
        wanted = set(endpoints)
        return [connection for connection in self.world.shown() if connection.endpoint in wanted]

    def of(self, service: str) -> list[Connection]:
        if service in self.world.hidden:
            raise self.world.hidden[service]
        return [connection for connection in self.world.shown() if connection.service == service]

    def _tell(self, service: str, outcome: Outcome, endpoints: Sequence[str]) -> "list[UnsuccessfulItemTypeDef]":
        """EC2's answer; what it means is the real edge's to say."""
        if self.world.before_act:
            self.world.before_act(outcome, endpoints)
        if service in self.world.broken:
            raise self.world.broken[service]
        answers = {endpoint: self.world.tell(service, outcome, endpoint) for endpoint in endpoints}
        if self.world.killed_after_act:
            raise Killed
        return [
            {"ResourceId": endpoint, "Error": {"Code": why.code, "Message": why.message}}
            for endpoint, why in answers.items()
            if why
        ]


class FakeAllowList(AllowList):
    """A table of rows, edited as people do."""

    def __init__(self) -> None:
        self.table: dict[RowKey, Item] = {}

    def put(self, service: str, consumer: str, **attributes: object) -> RowKey:
        """Write a row, replacing the one under its key; numbers become what DynamoDB makes of them."""
        key = RowKey(service, consumer)
        values = {
            name: Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value
            for name, value in attributes.items()
        }
        self.table[key] = {"service": service, "consumer": consumer, **values}
        return key

    def delete(self, service: str, consumer: str) -> None:
        del self.table[RowKey(service, consumer)]

    def rows(self, keys: Iterable[RowKey]) -> Rows:
        return {key: self.table[key] for key in keys if key in self.table}


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
    """The ledger with the same conditions on its writes. `rival` runs once before the next write: somebody faster."""

    def __init__(self) -> None:
        self.currents: dict[str, Current] = {}
        self.book: dict[tuple[str, str], BookLine] = {}
        self.texts: dict[str, str] = {}
        self.rival: Callable[[], None] | None = None

    def lines(self, endpoint: str) -> list[BookLine]:
        """The decisions on one endpoint, oldest first."""
        return [line for (of, _), line in sorted(self.book.items()) if of == endpoint]

    def current(self, endpoints: Iterable[str]) -> dict[str, Current]:
        return {endpoint: self.currents[endpoint] for endpoint in endpoints if endpoint in self.currents}

    def of(self, service: str, status: Status) -> list[Current]:
        return [one for one in self.currents.values() if (one.service, one.status) == (service, status)]

    def decided(
        self, connection: Connection, decision: Decision, rows: Rows, known: Current | None, cause: str, now: datetime
    ) -> str:
        before = known.entry if known else ""
        entry = f"{stamp(now)}#{decision_id(connection, decision, before)}"
        outcome, reason, row = decision.says()
        self._interrupted()
        there = self.currents.get(connection.endpoint)
        self._require((there.entry if there else "") == before and (connection.endpoint, entry) not in self.book)
        self.book[connection.endpoint, entry] = BookLine(
            entry, outcome, reason, row, decision.policy_hash, decision.mode, cause
        )
        self.currents[connection.endpoint] = replace(
            self._facts(there, connection, Status.HELD),
            entry=entry,
            outcome=outcome,
            reason=reason,
            row=row,
            policy_hash=decision.policy_hash,
            mode=decision.mode,
            settled=False,
            open_until=stamp(now + LEASE),
            refusal="",
            tries=0,
            decided_at=stamp(now),
        )
        if known and before and not known.settled:
            answer = f"superseded; {known.refusal or 'not known to be done'}"
            self.book[connection.endpoint, before] = replace(self.book[connection.endpoint, before], answer=answer)
        return entry

    def taken_over(self, known: Current, now: datetime) -> None:
        self._interrupted()
        there = self.currents.get(known.endpoint)
        mine = bool(there and (there.entry, there.settled, there.open_until) == (known.entry, False, known.open_until))
        self._require(mine)
        assert there is not None
        self.currents[known.endpoint] = replace(there, open_until=stamp(now + LEASE), refusal="")

    def refused(self, connection: Connection, entry: str, why: str, tries: int, until: datetime) -> None:
        self._interrupted()
        there = self.currents.get(connection.endpoint)
        self._require(bool(there and there.entry == entry and not there.settled))
        assert there is not None
        self.currents[connection.endpoint] = replace(
            there, refusal=why, tries=tries, open_until=stamp(until), status=Status.HELD
        )

    def answered(
        self, connection: Connection, entry: str, answer: str, status: Status, state: State, now: datetime
    ) -> None:
        self._interrupted()
        line, there = self.book.get((connection.endpoint, entry)), self.currents.get(connection.endpoint)
        self._require(bool(line and not line.answer and there and there.entry == entry and not there.settled))
        assert line is not None
        assert there is not None
        self.book[connection.endpoint, entry] = replace(line, answer=answer)
        answered = replace(there, settled=True, refusal="", status=status, state=state, answered_at=stamp(now))
        self.currents[connection.endpoint] = self._accepted(answered, now) if status is Status.ACCEPTED else answered

    def seen(self, connection: Connection, status: Status, known: Current | None, now: datetime) -> None:
        there = self._guard(connection.endpoint, known)
        seen = self._facts(there, connection, status)
        first = status is Status.ACCEPTED and (known is None or not known.status.live)
        self.currents[connection.endpoint] = self._accepted(seen, now) if first else seen

    def closed(self, known: Current, now: datetime) -> None:
        there = self._guard(known.endpoint, known)
        assert there is not None
        if known.entry and not known.settled:
            line = self.book[known.endpoint, known.entry]
            self.book[known.endpoint, known.entry] = replace(line, answer="the endpoint is gone")
        self.currents[known.endpoint] = replace(
            there, status=Status.CLOSED, state=State.DELETED, settled=True, refusal="", tries=0
        )

    def probed(self, known: Current, status: Status, recent: str, health: Mapping[str, object], now: datetime) -> None:
        there = self._guard(known.endpoint, known)
        assert there is not None
        self._require(there.recent == known.recent)
        first = status is Status.VERIFIED and not known.verified_at
        self.currents[known.endpoint] = replace(
            there,
            status=status,
            recent=recent,
            health=dict(health),
            verified_at=stamp(now) if first else there.verified_at,
        )

    def remembered(self, subject: str) -> str:
        return self.texts.get(subject, "")

    def remember(self, subject: str, text: str) -> None:
        self.texts[subject] = text

    def _guard(self, endpoint: str, known: Current | None) -> Current | None:
        self._interrupted()
        there = self.currents.get(endpoint)
        self._require((there and there.status) == (known and known.status))
        return there

    def _interrupted(self) -> None:
        rival, self.rival = self.rival, None
        if rival:
            rival()

    @staticmethod
    def _accepted(current: Current, now: datetime) -> Current:
        """Accepted now, and not probed yet."""
        return replace(current, accepted_at=stamp(now), recent="", verified_at="", health={})

    @staticmethod
    def _require(condition: bool) -> None:
        if not condition:
            raise Contended("the ledger changed meanwhile")

    @staticmethod
    def _facts(there: Current | None, connection: Connection, status: Status) -> Current:
        blank = Current(connection.endpoint, connection.service, status, connection.state)
        return replace(
            there or blank,
            service=connection.service,
            owner=connection.owner,
            region=connection.region,
            state=connection.state,
            status=status,
            requested_at=stamp(connection.created),
        )


class FakeBus(Bus):
    """Keeps what was told, and holds every event to its schema. `refusal` is raised by the next `tell`."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.refusal: BaseException | None = None

    def tell(self, events: Sequence[Event]) -> None:
        if events and self.refusal:
            refusal, self.refusal = self.refusal, None
            raise refusal
        for event in events:
            detail = json.loads(json.dumps({"version": VERSION, **event.detail}))
            hold_to_schema(event.kind, detail)
            self.told.append((event.kind, detail))

    def kinds(self, endpoint: str = "") -> list[str]:
        """The kinds of what was told, of one endpoint or of all."""
        return [kind for kind, detail in self.told if detail.get("endpoint_id", "") == endpoint or not endpoint]


class FakeRinger(Ringer):
    """A queue with SQS's delays; bells pass through it as text. `refusal` is raised by the next `ring`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.queue: list[tuple[datetime, str]] = []
        self.refusal: Exception | None = None

    def ring(self, bells: Iterable[Bell]) -> None:
        for one in bells:
            if self.refusal:
                refusal, self.refusal = self.refusal, None
                raise refusal
            due = self.world.now + timedelta(seconds=delay(one.attempt))
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


class FakeCanary(Canary):
    """Finds what `causes` says of an endpoint ("" or absent: it answers); says nothing at all of the `mute`."""

    def __init__(self) -> None:
        self.causes: dict[str, str] = {}
        self.mute: set[str] = set()
        self.error: Exception | None = None
        self.targets: list[Target] = []

    def probe(self, targets: Sequence[Target]) -> list[VerdictDict]:
        if self.error:
            raise self.error
        self.targets += targets
        return [self._verdict(target) for target in targets if target["endpoint_id"] not in self.mute]

    def _verdict(self, target: Target) -> VerdictDict:
        cause = self.causes.get(target["endpoint_id"], "")
        verdict = Verdict(
            endpoint_id=target["endpoint_id"],
            service_id=target["service_id"],
            name=target["name"],
            url=target["url"],
            address="10.1.0.7",
            cause=cause,
            detail="as told" if cause else "",
            phases={"dns": 1.25, "tcp": 0.5, "total": 1.75},
        )
        read: VerdictDict = json.loads(json.dumps(asdict(verdict)))
        return read
