"""Policy tests: decisions as data. A file is a topic, a case a table and one request; a file of rows may hold some too.

A file says what it is `about`, has its `cases`, and for all of them `service`, `time`, `request`, `table`, `live`,
`organization` and `breaker`. A case has its sentence (`case`), what it `expect`s, and any of the others: the fields of
its request lie over the file's, its rows over the file's (same keys: replaced, as by a put-item), the rest stands
instead.

    request       {endpoint, account, region}; account and region may be `unknown`
    table         rows as people write them; one without `service` is of the case's service
    live          accepted connections on the service, {endpoint: account}; the request may be one of them
    organization  {account: [its OUs from the nearest on, the organization]}, `unavailable`, or `no role`
    breaker       `tripped`: as many requests were rejected within the hour as max_rejects lets through; `not tripped`
    expect        outcome, reason; row, as consumer or service/consumer (absent: none decided); cut_now (absent: false);
                  ends, for a live request; if they matter: mode, near_misses {row: reason}, note (words of it), people
                  {attribute: text}, settings (some of those in force)

Whatever is no list and no map is text, as in DynamoDB's console. A key that is not known is an error. The `tests` of a
file of rows are the same without `about`, or the list of cases alone: their table begins with the file's rows, and
`time` is now and `service` the only one of the file where they are not given.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml
from linkgate.model import Connection, DecisionContext, Lineage, MalformedRow, Mode, Outcome, Reason, RowKey, State
from linkgate.policy import attributes
from linkgate.policy.decide import Rows, decide, settings_for
from linkgate.policy.rows import EVERY, SETTINGS, UNIT_FORM, Item, SettingsRow, blocks, key_of, parse

from linkgate_cli.outlook import Table

SHARED = ("service", "time", "request", "table", "live", "organization", "breaker")
FORMS = {
    "service": re.compile(r"vpce-svc-[0-9a-f]{17}"),
    "endpoint": re.compile(r"vpce-[0-9a-f]{17}"),
    "account": re.compile(r"[0-9]{12}|unknown"),
    "region": re.compile(r"[a-z]+(-[a-z]+)+-[0-9]+|unknown"),
    "unit": UNIT_FORM,
}
REQUEST = ("endpoint", "account", "region")
EXPECT = ("outcome", "reason", "row", "cut_now", "ends", "mode", "near_misses", "note", "people", "settings")
UNKNOWN = {
    "unavailable": Lineage(unknown=Reason.UNKNOWN_ORGANIZATION, why="AWS Organizations does not answer"),
    "no role": Lineage(unknown=Reason.MALFORMED_ROW, why="the parameter OrganizationsRoleArn is empty"),
}
TRUTH = {"true": True, "false": False}
BREAKER = {"tripped": True, "not tripped": False}


class Unusable(ValueError):
    """A case that cannot be run: the message names the file, the case and what is wrong."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is read, and what is expected: by the words of a case's `expect`, in the types of a decision."""

    file: str
    name: str
    connection: Connection
    rows: Rows
    context: DecisionContext
    now: datetime
    expected: Mapping[str, Any]

    def differences(self) -> list[str]:
        """A sentence for each expectation that is not met."""
        found = self._found()
        return [
            f"{self.file}: {self.name}: {name}: expected {expected}, found {found[name]}"
            for name, expected in self.expected.items()
            if found[name] != expected
        ]

    def _found(self) -> dict[str, Any]:
        decision = decide(self.connection, self.rows, self.now, self.context)
        settings = settings_for(self.connection.service, self.rows)
        words = self.expected.get("note", "")
        return {
            "outcome": decision.outcome,
            "reason": decision.reason,
            "row": decision.row,
            "cut_now": decision.cut_now,
            "ends": decision.reason.ends,
            "mode": decision.mode,
            "near_misses": {miss.key: miss.reason for miss in decision.near_misses},
            "people": dict(decision.people),
            "note": words if words and words in decision.note else decision.note,
            "settings": {name: getattr(settings, name, settings) for name in self.expected.get("settings", ())},
        }


def load(file: str, text: str) -> list[Case]:
    """The cases of one file. Raises Unusable."""
    try:
        topic = yaml.load(text, _Texts)  # noqa: S506
        _known(topic, (*SHARED, "about", "cases"), "about", "cases")
    except (ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise Unusable(f"{file}: {error}") from error
    return _cases(file, topic)


def of_rows(file: str, tests: Any, rows: Rows, services: Iterable[str], now: datetime) -> list[Case]:
    """The `tests` of a file of rows; `rows` are the file's, or a whole table with them. Raises Unusable."""
    only = [service for service in services if service != EVERY]
    given = {"time": now.isoformat()} | ({"service": only[0]} if len(only) == 1 else {})
    try:
        topic = given | dict(
            _known({"cases": tests} if isinstance(tests, list) else tests, (*SHARED, "cases"), "cases")
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise Unusable(f"{file}: tests: {error}") from error
    table = Table(rows)

    def read(connection: Connection) -> Rows:
        unmatched = {key: rows[key] for key in table.unmatched(connection.service)}
        return {**table.covering(connection.service).of(connection), **unmatched}

    return _cases(file, topic, read)


def _nothing(_: Connection) -> Rows:
    return {}


def _cases(file: str, topic: Mapping[str, Any], table: Callable[[Connection], Rows] = _nothing) -> list[Case]:
    where, cases = file, dict[str, Case]()
    try:
        for written in topic["cases"]:
            where = f"{file}: {written.get('case', 'a case without a name')}"
            if written.get("case") in cases:
                raise ValueError("another case has this name")
            one = _known(written, (*SHARED, "case", "expect"), "case", "expect")
            cases[written["case"]] = _case(file, topic, one, table)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unusable(f"{where}: {error}") from error
    return list(cases.values())


class _Texts(yaml.BaseLoader):
    """Every scalar is text; a key that stands twice in one map is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [str(key.value) for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise ValueError(f"line {node.start_mark.line + 1}: {', '.join(twice)} stands there twice")
        return dict(super().construct_mapping(node, deep))


def _known(found: Mapping[str, Any], names: Iterable[str], *needed: str) -> Mapping[str, Any]:
    """A map that has these keys at most, and those needed at least."""
    if unknown := sorted(found.keys() - set(names)):
        raise ValueError(f"{', '.join(unknown)} is not known: expected some of {', '.join(names)}")
    if missing := sorted(set(needed) - found.keys()):
        raise ValueError(f"{', '.join(missing)} is missing")
    return found


def _formed(name: str, text: str) -> str:
    if not FORMS[name].fullmatch(text):
        raise ValueError(f"{text} is no {name}")
    return text


def _case(file: str, topic: Mapping[str, Any], written: Mapping[str, Any], table: Callable[[Connection], Rows]) -> Case:
    shared = {name: topic[name] for name in SHARED if name in topic}
    given = _known(
        {"live": {}, "organization": {}, "breaker": "not tripped"} | shared | dict(written),
        (*SHARED, *written),
        *SHARED[:3],
    )
    fields = _known(topic.get("request", {}) | written.get("request", {}), REQUEST, *REQUEST)
    endpoint, account, region = (_formed(name, fields[name]) for name in REQUEST)
    service, now = _formed("service", given["service"]), attributes.moment(given["time"])
    state = State.AVAILABLE if endpoint in given["live"] else State.PENDING_ACCEPTANCE
    connection = Connection(
        service, endpoint, account.replace("unknown", ""), region.replace("unknown", ""), state, now
    )
    rows = {**table(connection), **_rows(service, topic.get("table", [])), **_rows(service, written.get("table", []))}
    live = {_formed("endpoint", one): _formed("account", whose) for one, whose in given["live"].items()}
    if live.get(endpoint, account) != account:
        raise ValueError(f"{endpoint} is live, and of {live[endpoint]}")
    others = [one for one, whose in live.items() if whose == account and one != endpoint]
    return Case(
        file=file,
        name=written["case"],
        connection=connection,
        rows=rows,
        context=DecisionContext(
            live=len(others),
            lineage=_lineage(given["organization"], account),
            unmatched=_unmatched(service, rows.values()),
            breaker=BREAKER[given["breaker"]],
        ),
        now=now,
        expected=_expected(service, state.live, written["expect"]),
    )


def _rows(service: str, table: Iterable[Item]) -> dict[RowKey, Item]:
    found: dict[RowKey, Item] = {}
    for row in table:
        item = {"service": service, **row}
        if key_of(item) in found:
            raise ValueError(f"row {key_of(item)} stands in the table twice")
        found[key_of(item)] = item
    return found


def _lineage(organization: Mapping[str, Iterable[str]] | str, account: str) -> Lineage:
    if isinstance(organization, str):
        return UNKNOWN[organization]
    known = {
        _formed("account", one): tuple(_formed("unit", unit) for unit in units) for one, units in organization.items()
    }
    return Lineage(known.get(account, ()))


def _unmatched(service: str, items: Iterable[Item]) -> tuple[RowKey, ...]:
    return tuple(sorted(key_of(item) for item in items if blocks(item) in (service, EVERY)))


def _expected(service: str, live: bool, written: Mapping[str, Any]) -> dict[str, Any]:
    """What is expected, in the types in which it is found."""
    if ("ends" in _known(written, EXPECT, "outcome", "reason")) != live:
        raise ValueError("a live request, and no other, says whether it `ends`")

    def key(row: str) -> RowKey:
        return RowKey(*row.split("/")) if "/" in row else RowKey(service, row)

    read: Mapping[str, Callable[[Any], object]] = {
        "outcome": Outcome,
        "reason": Reason,
        "row": key,
        "cut_now": TRUTH.__getitem__,
        "ends": TRUTH.__getitem__,
        "mode": Mode,
        "near_misses": lambda misses: {key(row): Reason(reason) for row, reason in misses.items()},
        "note": str,
        "people": dict,
        "settings": _settings,
    }
    return {"row": None, "cut_now": False} | {name: read[name](value) for name, value in written.items()}


def _settings(written: Item) -> Mapping[str, Any]:
    row = parse({"service": EVERY, "consumer": SETTINGS, **written})
    if not isinstance(row, SettingsRow):
        raise ValueError(row.problem if isinstance(row, MalformedRow) else f"{written} are no settings")
    return row.values
