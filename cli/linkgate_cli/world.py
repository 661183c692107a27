"""What an edit is planned against: the table, and every managed service as EC2 and the ledger show it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from linkgate.approve.context import ContextReader
from linkgate.aws.connections import Connections
from linkgate.aws.dynamodb import dynamodb_errors
from linkgate.aws.organizations import Organization
from linkgate.ledger.breaker import Breaker
from linkgate.ledger.items import recalled, stamp
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.sets import NamedSets
from linkgate.model import RowKey
from linkgate.policy.decide import Rows
from linkgate.policy.rows import EVERY, Item
from linkgate.policy.unused import unused

from linkgate_cli import planning
from linkgate_cli.outlook import Seen
from linkgate_cli.planning import Plan
from linkgate_cli.rowsfile import RowsFile
from linkgate_cli.session import Session

ROLE = "OrganizationsRoleArn"


@dataclass(frozen=True, slots=True)
class World:
    """The table as it was read, and the services that were looked at."""

    rows: Rows
    services: list[Seen]
    contexts: ContextReader
    now: datetime
    managed: frozenset[str]

    @property
    def judges_units(self) -> bool:
        """Whether rows about OUs and organisations can be judged."""
        return self.contexts.organization is not None

    def plan(self, edits: Mapping[RowKey, Item | None], file: RowsFile | None = None) -> Plan:
        """What edits of the table do."""
        made = planning.plan(self.services, self.rows, edits, self.contexts, self.now, file)
        written = {row.key: row.after for row in made.rows if row.after is not None}
        made.notes = [str(row) for row in unused(written, self.managed)]
        return made


def look(session: Session, touched: Iterable[str], rows: Rows) -> World:
    """Of the services that are touched (`*`: all that are managed), what is there; `rows` were read before.

    Who holds a slot is read before EC2 is, as the sweep does.
    """
    managed, wanted = frozenset(session.services.managed()), set(touched)
    return look_at(session, sorted(managed if EVERY in wanted else managed & wanted), rows, managed)


def look_at(session: Session, services: list[str], rows: Rows, managed: frozenset[str]) -> World:
    """The same of some services; those that are `managed`, or are about to be."""
    contexts = _contexts(session)
    return World(rows, _seen(session, services, contexts), contexts, session.now, managed)


def _seen(session: Session, services: list[str], contexts: ContextReader) -> list[Seen]:
    ledger = Ledger(session.ledger)
    kept = {service: ledger.whole(service) for service in services}
    states = contexts.states(services)
    shown = Connections(session.client("ec2")).of(services) if services else {}
    return [Seen(one, shown[one].connections, *kept[one], states[one]) for one in services]


def _contexts(session: Session) -> ContextReader:
    return ContextReader(NamedSets(session.ledger), Breaker(session.ledger), _organization(session))


def _organization(session: Session) -> Organization | None:
    """The organisation, as the stack's role sees it, or as the operator does where that role is not for them."""
    role = session.parameters.get(ROLE, "")
    if not role:
        return None
    client: Any = _Lazily(lambda: _member(session, role))
    return Organization(client, lambda: session.now)


class _Lazily:
    """A client that is made by its first call: most tables have no row about an OU."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        self._made = self._made or self._make()
        return getattr(self._made, name)


def _member(session: Session, role: str) -> Any:
    try:
        keys = session.client("sts").assume_role(RoleArn=role, RoleSessionName="linkgate")["Credentials"]
    except ClientError:
        return session.client("organizations")
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    words = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    return session.aws.client("organizations", **{word: keys[name] for word, name in zip(words, names, strict=True)})


def requests(session: Session, since: datetime) -> Iterator[str]:
    """The facts of the last decision since a time on each request: on what waited, not on what was live.

    The whole ledger is read: nothing lists decisions by their time.
    """
    last: dict[str, tuple[str, str]] = {}
    asked = {
        "TableName": session.outputs["LedgerTable"],
        "FilterExpression": "#entry BETWEEN :since AND :end",
        "ProjectionExpression": "endpoint_id, #entry, facts",
        "ExpressionAttributeNames": {"#entry": "entry"},
        "ExpressionAttributeValues": {":since": stamp(since), ":end": "9"},
    }
    with dynamodb_errors(session.outputs["LedgerTable"]):
        for page in session.dynamodb.meta.client.get_paginator("scan").paginate(**asked):
            for item in page["Items"]:
                known, facts = last.get(item["endpoint_id"], ("", "")), item.get("facts", "")
                if facts and item["entry"] > known[0] and recalled(facts).connection.waits:
                    last[item["endpoint_id"]] = (item["entry"], facts)
    yield from (facts for _, facts in last.values())
