"""Rows as tests write them, and what is read of them."""

from linkgate.model import MalformedRow, Rule
from linkgate.policy.rows import Item, SettingsRow, parse

from tests.world import CONSUMER, service_id

SERVICE = service_id(1)


def row(attributes: Item, consumer: str = CONSUMER, service: str = SERVICE) -> Item:
    return {"service": service, "consumer": consumer, **attributes}


def rule(**attributes: object) -> Rule:
    read = parse(row({"effect": "allow"} | attributes))
    assert isinstance(read, Rule), read
    return read


def setting(name: str, value: object) -> object:
    read = parse(row({name: value}, "@settings"))
    assert isinstance(read, SettingsRow), read
    return read.values[name]


def problem(item: Item) -> MalformedRow:
    read = parse(item)
    assert isinstance(read, MalformedRow), read
    return read
