"""The ledger's table: items read by key or by the index, and written all or none, under conditions.

An item's key is a subject (an endpoint id, or a name such as `limit#…`) and an entry. Writes are plain values, so that
a test can keep a table in memory and hold it to the same conditions.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from linkgate.aws.dynamodb import TRIES, by_keys, conflicting, dynamodb_errors
from linkgate.errors import Contended, Damaged, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

CURRENT = "current"
BY_SERVICE = "by_service"

ACTIONS_PER_CALL = 100
"""Of one TransactWriteItems (DynamoDB API reference)."""

Item = dict[str, Any]


class ItemKey(NamedTuple):
    """The key of an item."""

    subject: str
    entry: str = CURRENT


@dataclass(frozen=True, slots=True)
class Is:
    """The attribute has this value; with `or_absent` it may be missing instead."""

    name: str
    value: object
    or_absent: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """The item has no such attribute; an item that does not exist has none."""

    name: str


@dataclass(frozen=True, slots=True)
class Present:
    """The item has the attribute."""

    name: str


@dataclass(frozen=True, slots=True)
class Before:
    """The attribute sorts before this text, or is missing."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Room:
    """A set has the member already, or fewer members than `limit`; one that does not exist yet is empty."""

    name: str
    member: str
    limit: int


Condition = Is | Absent | Present | Before | Room


@dataclass(frozen=True, slots=True)
class Write:
    """A change of one item, made if every condition holds: attributes set, members added to and taken from sets.

    An item that does not exist is made. A set that loses its last member is gone, and so is what is to `forget`.
    """

    place: ItemKey
    values: Mapping[str, Any] = field(default_factory=dict)
    conditions: Sequence[Condition] = ()
    add: Mapping[str, frozenset[str]] = field(default_factory=dict)
    drop: Mapping[str, frozenset[str]] = field(default_factory=dict)
    forget: Sequence[str] = ()


class LedgerTable:
    """A table on DynamoDB. Raises Contended where a condition does not hold or another writer was faster."""

    def __init__(
        self, dynamodb: "DynamoDBServiceResource", table: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = dynamodb.meta.client
        self._table = table
        self._sleep = sleep

    def read(self, places: Iterable[ItemKey]) -> list[Item]:
        """The items under these keys, consistently read; those that do not exist are left out."""
        wanted = (_key(place) for place in sorted(set(places)))
        return list(by_keys(self._client.batch_get_item, self._table, wanted, self._sleep))

    def query(self, service: str, status: str) -> Iterator[Item]:
        """The items of a service in one status, by the index: eventually consistent."""
        return self._pages(service, "#status = :status", status)

    def query_but(self, service: str, status: str) -> Iterator[Item]:
        """The items of a service in every status but one, of which there may be any number."""
        yield from self._pages(service, "#status < :status", status)
        yield from self._pages(service, "#status > :status", status)

    def _pages(self, service: str, condition: str, status: str) -> Iterator[Item]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=BY_SERVICE,
            KeyConditionExpression=f"service = :service AND {condition}",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":service": service, ":status": status},
        )
        with dynamodb_errors(self._table):
            for page in pages:
                yield from page["Items"]

    def dump(self) -> Iterator[Item]:
        """Every item of the table, a page at a time."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._table)
        with dynamodb_errors(self._table):
            for page in pages:
                yield from page["Items"]

    def write(self, *writes: Write) -> None:
        """Make several changes, or none of them."""
        updates = [{"TableName": self._table, **_update(write)} for write in writes]
        with dynamodb_errors(self._table):
            if len(updates) == 1:
                self._client.update_item(**updates[0])
            else:
                self._together([{"Update": update} for update in updates])

    def write_each(self, changes: Sequence[Sequence[Write]]) -> list[Unavailable | None]:
        """Make several changes, each of them all or none; what kept each of them from being made.

        Many go in one call. Of a call that does not go through each change is tried alone, until DynamoDB cannot take
        two of them in a row: then nothing more is tried.
        """
        found = list[Unavailable | None]()
        for some in _packed(changes):
            trouble = found[-1] if _down(found) else self._tried(*some)
            if trouble is None or len(some) == 1:
                found += [trouble] * len(some)
                continue
            for one in some:
                found.append(found[-1] if _down(found) else self._tried(one))
        return found

    def _tried(self, *changes: Sequence[Write]) -> Unavailable | None:
        try:
            self.write(*(write for change in changes for write in change))
        except Unavailable as error:
            return error
        except ClientError as error:
            if len(changes) == 1:
                raise
            return Contended(str(error))  # one of them is too large, or all together are: alone it shows which
        return None

    def _together(self, actions: list[dict[str, Any]]) -> None:
        """A transaction; one that met another on the same item is tried again at once, since botocore does not."""
        for attempt in range(TRIES):
            try:
                self._client.transact_write_items(TransactItems=actions)  # type: ignore[arg-type]
                return
            except self._client.exceptions.TransactionCanceledException as error:
                if attempt == TRIES - 1 or not conflicting(error):
                    raise
                self._sleep(0.02 * 2**attempt)


def _down(found: Sequence[Unavailable | None]) -> bool:
    """Whether DynamoDB could not take the last two; a faster writer and a damaged item say nothing of it."""
    return len(found) > 1 and all(one and not isinstance(one, Contended | Damaged) for one in found[-2:])


def _packed(changes: Iterable[Sequence[Write]]) -> Iterator[list[Sequence[Write]]]:
    """Changes in their order, as many together as a call takes; no call touches an item twice."""
    pack, places = list[Sequence[Write]](), set[ItemKey]()
    for change in changes:
        mine = {write.place for write in change}
        if pack and (mine & places or len(places) + len(mine) > ACTIONS_PER_CALL):
            yield pack
            pack, places = [], set()
        pack.append(change)
        places |= mine
    if pack:
        yield pack


def _key(place: ItemKey) -> Item:
    return {"endpoint_id": place.subject, "entry": place.entry}


def _update(write: Write) -> dict[str, Any]:
    """A change in the words of UpdateItem."""
    words = _Words()
    clauses = [
        f"{verb} {', '.join(f'{words.name(name)}{between}{words.value(value)}' for name, value in values.items())}"
        for verb, between, values in (
            ("SET", " = ", write.values),
            ("ADD", " ", write.add),
            ("DELETE", " ", write.drop),
        )
        if values
    ]
    if write.forget:
        clauses.append(f"REMOVE {', '.join(map(words.name, write.forget))}")
    update: dict[str, Any] = {"Key": _key(write.place), "UpdateExpression": " ".join(clauses)}
    if write.conditions:
        update["ConditionExpression"] = " AND ".join(words.condition(one) for one in write.conditions)
    values = {"ExpressionAttributeValues": words.values} if words.values else {}  # DynamoDB takes no empty ones
    return update | {"ExpressionAttributeNames": words.names} | values


class _Words:
    """The placeholders of one expression."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}

    def name(self, name: str) -> str:
        self.names[f"#{name}"] = name
        return f"#{name}"

    def value(self, value: object) -> str:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = set(value) if isinstance(value, frozenset) else value
        return placeholder

    def condition(self, condition: Condition) -> str:
        name = self.name(condition.name)
        match condition:
            case Is(_, value, or_absent):
                absent = f" OR attribute_not_exists({name})" if or_absent else ""
                return f"({name} = {self.value(value)}{absent})"
            case Absent():
                return f"attribute_not_exists({name})"
            case Present():
                return f"attribute_exists({name})"
            case Before(_, text):
                return f"(attribute_not_exists({name}) OR {name} < {self.value(text)})"
            case Room(_, member, limit):
                there = f"contains({name}, {self.value(member)})"
                return f"(attribute_not_exists({name}) OR {there} OR size({name}) < {self.value(limit)})"
