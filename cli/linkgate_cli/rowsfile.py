"""The file of rows: the allow-list as YAML, by service and consumer, each row with its line. docs/rows-as-code.md.

Read from the parser's events: composing nodes with marks takes fifteen times as long. A plain scalar is a number where
JSON has one, `true`, `false` or `null`; every other one is text, dates and account ids too. What DynamoDB has beside
that is tagged: `!set`, `!binary`, and `!number` for what JSON does not write. `exported` writes the same, one text for
one table.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import yaml
from linkgate.model import RowKey
from linkgate.policy.decide import Rows
from linkgate.policy.rows import EVERY, KEYS, Item

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}
DIGITS = 38
"""Of DynamoDB's numbers. Python's own arithmetic would round them to 28."""
EXACT = Context(prec=100)
TOP = ("services", "tests")
WIDTH = 120
"""Columns of a row that stands on one line; a longer one has an attribute a line."""
LONGEST_KEY = 1000
"""Characters; YAML 1.1 ends a key without `?` at 1024."""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_TAGS = {"!set": "set", "!binary": "binary", "tag:yaml.org,2002:binary": "binary", "!number": "number"}


class FileError(ValueError):
    """A file cannot be read; the message names the file, the line, what stands there and what is expected."""


@dataclass(frozen=True, slots=True)
class RowsFile:
    """A file of rows: the rows by their keys, the services it names (without rows too), and its tests as they stand.

    `lines` has the line of each row under "" and of each of its attributes, from 1.
    """

    name: str
    rows: Rows = field(default_factory=dict)
    lines: Mapping[RowKey, Mapping[str, int]] = field(default_factory=dict)
    services: frozenset[str] = frozenset()
    tests: object = None

    def line(self, key: RowKey | None, attribute: str = "") -> int | None:
        """The line of a row, or of one attribute of it; None where the file does not have the row."""
        lines = self.lines.get(key) if key else None
        return lines.get(attribute, lines[""]) if lines else None


def read(name: str, text: str) -> RowsFile:
    """Read a file of rows; FileError names the first line that is not understood."""
    return _Reader(name, text).file()


class _Reader:
    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.CSafeLoader)

    def file(self) -> RowsFile:
        try:
            return self._document()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise FileError(f"{self._name} line {mark.line + 1 if mark else 1}: {error.problem}") from None
        except yaml.YAMLError as error:
            raise FileError(f"{self._name}: {str(error).splitlines()[0]}") from None
        except RecursionError:
            raise FileError(f"{self._name}: it is nested too deeply") from None

    def _document(self) -> RowsFile:
        rows, lines, services, tests = dict[RowKey, Item](), dict[RowKey, Mapping[str, int]](), frozenset[str](), None
        first = self._start()
        for name, line, event in self._entries(first, "services and tests") if first else ():
            if name == "services":
                services = self._services(event, rows, lines)
            elif name == "tests":
                tests = self._texts(event)
            else:
                raise self._error(line, f"{name!r} is not known here: expected {' or '.join(TOP)}")
        if first and not isinstance(end := self._skip(yaml.DocumentEndEvent), yaml.StreamEndEvent):
            raise self._error(end.start_mark.line + 1, "a second document begins: expected one")
        return RowsFile(self._name, rows, lines, services, tests)

    def _start(self) -> Any:
        """The first event of the document; None for an empty file."""
        event = self._skip(yaml.StreamStartEvent)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        return next(self._events)

    def _skip(self, kind: type[yaml.Event]) -> Any:
        event = next(self._events)
        return next(self._events) if isinstance(event, kind) else event

    def _services(self, event: Any, rows: dict[RowKey, Item], lines: dict[RowKey, Mapping[str, int]]) -> frozenset[str]:
        services = set()
        for service, _, consumers in self._entries(event, "services by their ids"):
            services.add(service)
            for consumer, line, attributes in self._entries(consumers, "consumers", service):
                item: dict[str, object] = {"service": service, "consumer": consumer}
                mine = {"": line}
                for name, at, value in self._entries(attributes, "attributes", f"{service}/{consumer}"):
                    if name in KEYS:
                        raise self._error(at, f"{name} is the row's key: expected attributes of {service}/{consumer}")
                    item[name], mine[name] = self._value(value, name), at
                rows[RowKey(service, consumer)], lines[RowKey(service, consumer)] = item, mine
        return frozenset(services)

    def _entries(self, event: Any, what: str, of: str = "") -> Iterator[tuple[str, int, Any]]:
        """The entries of a map: the key as it stands, its line, and the first event of its value."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.ScalarEvent) and not event.value and not event.style:
            return
        if not isinstance(event, yaml.MappingStartEvent):
            raise self._error(line, f"expected {what}{f' of {of}' if of else ''}: a map")
        seen = dict[str, int]()
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarEvent):
                raise self._error(line, "expected a key, which is text")
            if key.value in seen:
                raise self._error(line, f"{key.value} stands there twice, first in line {seen[key.value]}")
            seen[key.value] = line
            yield key.value, line, next(self._events)

    def _value(self, event: Any, name: str) -> object:
        line, tag = event.start_mark.line + 1, getattr(event, "tag", None)
        kind = _TAGS.get(tag or "", "")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._error(line, f"{name} has an anchor or an alias: expected the value itself")
        if tag and not kind and tag != "!":
            raise self._error(line, f"{name} has the tag {tag}: expected !set, !binary, !number or none")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, kind, name, line)
        if isinstance(event, yaml.MappingStartEvent):
            return {key: self._value(value, name) for key, _, value in self._entries(event, "a map", name)}
        values = []
        while not isinstance(one := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(one, name))
        return self._set(values, name, line) if kind == "set" else values

    def _scalar(self, event: Any, kind: str, name: str, line: int) -> object:
        text: str = event.value
        if kind == "binary":
            try:
                return base64.b64decode(text, validate=True)
            except ValueError:
                raise self._error(line, f"{name} is no base64") from None
        if kind == "number" or (not event.style and not event.tag and NUMBER.fullmatch(text)):
            return self._number(text, name, line)
        if not event.style and not event.tag:
            if not text:
                raise self._error(line, f"{name} has no value")
            return WORDS.get(text, text)
        return text

    def _number(self, text: str, name: str, line: int) -> Decimal:
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("NaN")
        digits = len(number.normalize(EXACT).as_tuple().digits) if number.is_finite() else DIGITS + 1
        if digits > DIGITS:
            raise self._error(line, f"{name} is {text[:60]}: expected a number of {DIGITS} digits at most, or text")
        return number

    def _set(self, values: list[Any], name: str, line: int) -> object:
        kinds = {type(value) for value in values}
        if len(kinds) != 1 or not kinds <= {str, Decimal, bytes} or len(set(values)) < len(values):
            raise self._error(line, f"{name} is no set: expected texts, numbers or bytes, each once, one at least")
        return set(values)

    def _texts(self, event: Any) -> object:
        """A value in which every scalar is text, as the policy tests have it."""
        if isinstance(event, yaml.ScalarEvent):
            return event.value
        if isinstance(event, yaml.MappingStartEvent):
            return {key: self._texts(value) for key, _, value in self._entries(event, "a map")}
        if not isinstance(event, yaml.SequenceStartEvent):
            raise self._error(event.start_mark.line + 1, "an alias: expected the value itself")
        values = []
        while not isinstance(one := next(self._events), yaml.SequenceEndEvent):
            values.append(self._texts(one))
        return values

    def _error(self, line: int, problem: str) -> FileError:
        return FileError(f"{self._name} line {line}: {problem}")


# ------------------------------------------------------------------ writing


def exported(rows: Rows) -> str:
    """A table as a file of rows: services and consumers in order, reserved rows first of a service."""
    services: dict[str, dict[str, Item]] = {}
    for key in sorted(rows, key=lambda key: (key.service != EVERY, key.service, key.consumer[:1] != "@", key.consumer)):
        services.setdefault(key.service, {})[key.consumer] = rows[key]
    if not services:
        return "services: {}\n"
    lines = ["services:"]
    for service, consumers in services.items():
        lines.append(f"{_key(service, 2)}:")
        for consumer, item in consumers.items():
            lines += _row(consumer, item)
    return "\n".join(lines) + "\n"


def _row(consumer: str, item: Item) -> list[str]:
    values = {name: item[name] for name in sorted(item) if name not in KEYS}
    line = f"{_key(consumer, 4)}: {written(values)}"
    if len(line) <= WIDTH or not values:
        return [line]
    return [f"{_key(consumer, 4)}:", *(f"{_key(name, 6)}: {written(value)}" for name, value in values.items())]


def _key(text: str, indent: int) -> str:
    key = _text(text, key=True)
    return f"{' ' * indent}? {key}\n{' ' * indent}" if len(key) > LONGEST_KEY else f"{' ' * indent}{key}"


def written(value: object) -> str:
    """A value of DynamoDB as YAML on one line: the same text exactly for what DynamoDB keeps as the same value."""
    if isinstance(value, Mapping):
        parts = (f"{_flow_key(str(name))}: {written(inner)}" for name, inner in value.items())
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, Set):
        return "!set [" + ", ".join(sorted(map(written, value))) + "]"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(written, value)) + "]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Decimal | int):
        return _number(Decimal(value))
    if isinstance(value, str):
        return _text(value)
    raw: Any = getattr(value, "value", value)  # boto3's Binary
    return f"!binary {base64.b64encode(raw).decode() or _quoted('')}"


def _flow_key(name: str) -> str:
    key = _text(name)
    return f"? {key} " if len(key) > LONGEST_KEY else key


def _number(number: Decimal) -> str:
    exact = number.normalize(EXACT) if number else Decimal(0)  # DynamoDB has no zero with a sign
    plain = format(exact, "f")
    return plain if len(plain) <= 40 and NUMBER.fullmatch(plain) else f"!number {_quoted(str(exact))}"


def _text(text: str, key: bool = False) -> str:
    """A text as a scalar: plain where nobody could take it for something else."""
    plain = _PLAIN.fullmatch(text) and text not in WORDS and len(text) <= LONGEST_KEY
    return text if plain or (key and re.fullmatch("[1-9][0-9]{11}", text)) else _quoted(text)


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in quoted)


def same(one: Item | None, other: Item | None) -> bool:
    """Whether two rows are the same to DynamoDB, types included; None is no row."""
    if one is None or other is None:
        return one is other
    return one.keys() == other.keys() and all(_alike(one[name], other[name]) for name in one)


def _alike(one: object, other: object) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return written(one) == written(other)  # to Python, true is 1
