"""What needs somebody, most urgent first, each with the command that mends it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from linkgate.ledger.items import EndpointRecord
from linkgate.model import Outcome, Reason, Reconcile, RowKey, Rule, ServiceSettings, Status
from linkgate.policy.rows import EVERY, parse

if TYPE_CHECKING:
    from linkgate_cli.overview import Overview, ServiceView

WORDS = {
    Reason.ALLOWED: "allowed",
    Reason.DENIED: "a deny row",
    Reason.REVIEW: "a review row: somebody decides",
    Reason.FROZEN: "the service is frozen",
    Reason.MALFORMED_ROW: "a row that cannot be read",
    Reason.OVER_LIMIT: "its limit is reached",
    Reason.BREAKER: "the breaker",
    Reason.UNKNOWN_REGION: "EC2 names no Region",
    Reason.UNKNOWN_ORGANIZATION: "Organizations cannot be asked",
    Reason.UNKNOWN_ACCOUNT: "EC2 names no account",
    Reason.EXPIRED: "its row has ended",
    Reason.NOT_YET_VALID: "its row has not begun",
    Reason.WRONG_REGION: "its row names other Regions",
    Reason.NOT_LISTED: "no row",
}
"""Why a connection stands as it does, in a few words; `linkgate why` has the sentence."""
PARTS = {
    "patrol-silent": "nobody probes: patrol has not run",
    "sweep-silent": "nobody sweeps: what bells miss is not found",
    "function-failures": "a function fails",
    "approve-errors": "approve fails",
    "sweep-errors": "the sweep fails",
    "patrol-errors": "patrol fails",
    "probe-errors": "a canary cannot probe",
    "certificate-expiring": "a certificate ends within two weeks",
    "ec2-refusals": "EC2 refuses what Linkgate asks",
    "allow-list-contradicted": "the allow-list is contradicted",
    "unreadable-notifications": "notifications cannot be read",
    "notifications-unread": "notifications are not taken from their queue",
    "bells-unread": "bells are not taken from their queue",
    "notification-dead-letters": "notifications were given up",
    "bell-dead-letters": "bells were given up",
    "round-dead-letters": "rounds were given up",
}
"""Alarms about Linkgate's own parts, by their runbook headings; the others say what is shown here anyway."""
_OWN_ROW = frozenset({Reason.REVIEW, Reason.NOT_YET_VALID, Reason.WRONG_REGION})
"""Where a row of the endpoint's own lets it in, and the row that keeps it waiting stays as it is."""
MEND = "linkgate export > rows.yaml; $EDITOR rows.yaml; linkgate apply rows.yaml"
"""What mends a row that cannot be read: nothing of it may be kept unseen, so somebody looks at it."""
NAMED = 3
"""Endpoints that a line and a command name."""
MOST_ALIKE = 5
"""Lines about the same thing on one service; the rest is one line."""


class Need(NamedTuple):
    """One line: what kind of trouble, since when (None: not known), who or what, and the command that mends it."""

    kind: str
    since: datetime | None
    subject: str
    text: str
    command: str
    service: str = ""


@dataclass(frozen=True, slots=True)
class Commands:
    """Commands as somebody would type them; the service is named unless it is the only one of these."""

    services: Sequence[str]

    def row(self, verb: str, key: RowKey, more: str = "") -> str:
        """A command that writes one row."""
        where = "" if list(self.services) == [key.service] else f" --service {_quoted(key.service)}"
        return f"linkgate {verb} {_quoted(key.consumer)}{where}{more}"

    def allow(self, service: str, account: str) -> str:
        """The command that lets an account in."""
        return self.row("allow", RowKey(service, account))


def needs(overview: "Overview") -> list[Need]:
    """Everything that needs somebody: parts that are silent first, since nothing else is sure then."""
    commands = Commands([one.service for one in overview.services])
    found = [Need("silent", None, name, PARTS[name], "linkgate doctor") for name in overview.alarms if name in PARTS]
    found += [Need("invalid", None, str(row.key), row.problem, MEND, row.key.service) for row in overview.malformed]
    for view in overview.services:
        found += _of_service(view)
        records = sorted(view.records.values(), key=_since)
        for some in (
            [_live(one, view) for one in records],
            [_waiting(one, view, overview, commands) for one in records],
        ):
            found += _shortened(filter(None, some))
    return found


def needs_of(record: EndpointRecord, overview: "Overview") -> list[Need]:
    """What one endpoint needs."""
    commands = Commands([one.service for one in overview.services])
    views = [view for view in overview.services if view.service == record.service]
    found = [one for view in views for one in (_live(record, view), _waiting(record, view, overview, commands))]
    return [one for one in found if one]


def _since(record: EndpointRecord) -> tuple[str, str]:
    return (record.requested_at.isoformat() if record.requested_at else ""), record.endpoint


def _of_service(view: "ServiceView") -> Iterator[Need]:
    if view.described is None:
        text = "has settings, and is not managed: no tag linkgate = managed, or it is gone"
        yield Need("lost", None, view.service, text, f"linkgate enroll {view.service}", view.service)
    else:
        for problem in view.described.problems():
            yield Need("misconfigured", None, view.service, problem, "linkgate doctor", view.service)
    for what, tripped in (("cuts", view.cuts), ("rejections", view.rejects)):
        if tripped.endpoints:
            kept = sorted(tripped.endpoints)
            more = f" and {len(kept) - NAMED} more" if len(kept) > NAMED else ""
            text = f"{len(kept)} {what} are kept back: {', '.join(kept[:NAMED])}{more}"
            whom = " ".join(kept) if len(kept) <= NAMED else f"--service {view.service}"
            yield Need("breaker", None, view.service, text, f"linkgate release {whom}", view.service)
    for endpoint, why in view.unreadable.items():
        yield Need("unreadable", None, endpoint, f"its item in the ledger: {why}", "linkgate doctor", view.service)


def _live(record: EndpointRecord, view: "ServiceView") -> Need | None:
    """What is wrong with a connection that is let in."""
    endpoint, account, service = record.endpoint, record.account, record.service
    if record.status is Status.UNHEALTHY:
        ticket = f" (ticket {record.ticket})" if record.ticket else ""
        text = f"{account}: {record.cause or 'does not answer'}{ticket}"
        return Need("failing", None, endpoint, text, f"linkgate why {endpoint}", service)
    if record.unwanted_since and record.status.live:
        text = f"{account}: live and no longer allowed: {_words(record)}, {_cut_when(record.unwanted_since, view)}"
        return Need("unwanted", record.unwanted_since, endpoint, text, f"linkgate why {endpoint}", service)
    if record.status is Status.ACCEPTED and record.recent == "" and record.state.passes:
        errors = record.health.get("errors")
        why = str(record.health.get("detail") or (errors[0] if isinstance(errors, list) and errors else ""))
        text = f"{account}: {why or 'nobody has probed it yet'}"
        return Need("unprobed", record.accepted_at, endpoint, text, f"linkgate probe {endpoint}", service)
    return None


def _cut_when(unwanted: datetime, view: "ServiceView") -> str:
    """When a live connection that is no longer wanted is cut."""
    settings = view.settings
    if not isinstance(settings, ServiceSettings) or view.observes or settings.reconcile is not Reconcile.ENFORCE:
        return "and stays, since nothing is cut here"
    return f"to be cut from {unwanted + settings.grace:%H:%M:%S} UTC on"


def _waiting(record: EndpointRecord, view: "ServiceView", overview: "Overview", commands: Commands) -> Need | None:
    """What a connection that waits needs to be let in, or the consumer of one that EC2 takes no more."""
    endpoint, account, service = record.endpoint, record.account, record.service
    if record.status is Status.REJECTED and record.final and record.outcome == Outcome.ACCEPT:
        text = f"{account}: allowed, and EC2 accepts it no more: they must recreate it"
        return Need("tell", record.decided_at, endpoint, text, f"linkgate why {endpoint} --for-consumer", service)
    if record.status is not Status.HELD:
        return None
    since = record.requested_at
    if view.observes and record.outcome in (Outcome.ACCEPT, Outcome.REJECT):
        text = f"{account}: would be {record.outcome}ed: the service is only observed"
        return Need("waits", since, endpoint, text, f"linkgate enroll {service}", service)
    if record.refusal:
        return Need(
            "waits", since, endpoint, f"{account}: EC2 refuses: {record.refusal}", f"linkgate why {endpoint}", service
        )
    return Need("waits", since, endpoint, f"{account}: {_words(record)}", _lets_in(record, overview, commands), service)


def _words(record: EndpointRecord) -> str:
    return WORDS[Reason(record.reason)] if record.reason in WORDS else record.reason or "not decided yet"


def _lets_in(record: EndpointRecord, overview: "Overview", commands: Commands) -> str:
    """The command that writes the row which lets a connection in; where none does, the one that says more."""
    account = RowKey(record.service, record.account)
    if record.reason in (Reason.NOT_LISTED, Reason.EXPIRED) and record.account:
        return commands.row("allow", account, " --for 90d" if record.reason == Reason.EXPIRED else "")
    if record.reason in _OWN_ROW:
        return commands.row("allow", RowKey(record.service, record.endpoint))
    if record.reason == Reason.BREAKER:
        return f"linkgate release {record.endpoint}"
    if record.reason == Reason.OVER_LIMIT and "/" in record.row:
        key = RowKey(*record.row.split("/", 1))
        row = parse(overview.rows[key]) if key in overview.rows else None
        if isinstance(row, Rule) and row.limit is not None:
            return commands.row("allow", key, f" --limit {row.limit + 1}")
    return f"linkgate why {record.endpoint}"


def _shortened(needs: Iterable[Need]) -> Iterator[Need]:
    """At most some lines of each kind; then one that counts the rest."""
    kinds: dict[str, list[Need]] = {}
    for one in needs:
        kinds.setdefault(one.kind, []).append(one)
    statuses = {"waits": Status.HELD, "failing": Status.UNHEALTHY, "unprobed": Status.ACCEPTED, "tell": Status.REJECTED}
    for kind, some in kinds.items():
        yield from some[:MOST_ALIKE]
        if rest := some[MOST_ALIKE:]:
            named = f" --status {statuses[kind]}" if kind in statuses else ""
            command = f"linkgate status --service {rest[0].service}{named}"
            yield Need(kind, rest[0].since, f"{len(rest)} more", "", command, rest[0].service)


def _quoted(word: str) -> str:
    return f"'{word}'" if word == EVERY else word
