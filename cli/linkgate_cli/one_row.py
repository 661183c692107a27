"""Which row an edit of one consumer is about, and what the options make of it."""

from collections.abc import Mapping, Set
from datetime import datetime
from decimal import Decimal

from linkgate.aws.connections import Connections
from linkgate.ledger.ledger import Ledger
from linkgate.model import Effect, Reason, RowKey, Rule
from linkgate.policy import attributes
from linkgate.policy.rows import PEOPLE, Item, ReleaseRow, parse

from linkgate_cli import keys
from linkgate_cli.failures import Failure
from linkgate_cli.rowsfile import same
from linkgate_cli.session import Session


def key_of(session: Session, consumer: str, service: str) -> RowKey:
    """The key of a consumer's row; the service is that of the endpoint, or the only one that is managed."""
    named, given = keys.consumer(consumer), keys.service(service) if service else ""
    if given:
        return RowKey(given, named)
    if named.startswith("vpce-"):
        known = Ledger(session.ledger).current([named]).get(named)
        return RowKey(known.service if known else _connected(session, named), named)
    return RowKey(only_service(session), named)


def only_service(session: Session) -> str:
    """The only service that is managed; Failure where there is another number of them."""
    managed = sorted(session.services.managed())
    if len(managed) != 1:
        which = f"{len(managed)} services are managed ({', '.join(managed)})" if managed else "no service is managed"
        raise Failure(f"{which}: give --service")
    return managed[0]


def _connected(session: Session, endpoint: str) -> str:
    """The managed service that EC2 shows an endpoint at."""
    found = Connections(session.client("ec2")).named({endpoint: ""}, session.services.managed())
    if not found:
        raise Failure(f"neither EC2 nor the ledger knows {endpoint}: check the id, or give --service")
    return found[0].service


def given(
    now: datetime, limit: int | None, regions: str, start: str, until: str, span: str, people: Mapping[str, str]
) -> dict[str, object]:
    """The attributes that options set. Failure where --until and --for are given both."""
    if until and span:
        raise Failure("--until and --for say the same: give one of them")
    if span:
        try:
            until = (now + attributes.span(span)).strftime("%Y-%m-%dT%H:%M:%SZ")
        except attributes.Unreadable as error:
            raise Failure(f"--for is {span!r}: expected {error}") from None
    texts = {"regions": regions, "starts_at": start, "expires_at": until, **people}
    return {name: text for name, text in texts.items() if text} | ({} if limit is None else {"limit": Decimal(limit)})


def row(key: RowKey, before: Item | None, effect: Effect, values: Mapping[str, object], now: datetime) -> Item:
    """The new row: options over what a row of the same effect says already; one of another effect is replaced.

    Of a deny only what is for people stays: a condition that nobody gives now (a date, a Region) would narrow it.
    Failure where an allow would keep an end that is over, and so let nobody in.
    """
    kept = dict(before) if before and str(before.get("effect", "")).strip().lower() == effect else {}
    if effect is Effect.DENY:
        kept = {name: kept[name] for name in PEOPLE if name in kept}
    made = {**kept, "service": key.service, "consumer": key.consumer, "effect": str(effect), **values}
    read = parse(made)
    if isinstance(read, Rule) and read.out_of_date(now) is Reason.EXPIRED and "expires_at" not in values:
        raise Failure(f"row {key} ended at {made['expires_at']}: give --until or --for, or linkgate remove it first")
    return before if before and same({**before, "effect": str(effect)}, made) else made


def released_row(key: RowKey, before: Item | None, endpoints: Set[str], people: Mapping[str, str]) -> Item:
    """The @release row with more endpoints: those it names already stay released."""
    row = parse(before) if before else None
    named = row.endpoints if isinstance(row, ReleaseRow) else frozenset[str]()
    kept = dict(before) if before and isinstance(row, ReleaseRow) else {}
    return {**kept, "service": key.service, "consumer": key.consumer, "endpoints": set(named | endpoints), **people}
