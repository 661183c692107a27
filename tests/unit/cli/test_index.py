"""Endpoints read by the index without botocore's parser are those that the layer reads with it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
from linkgate.ledger.items import EndpointRecord, Records
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.table import LedgerTable
from linkgate.model import Connection, State, Status
from linkgate_cli.index import endpoints
from linkgate_cli.session import Session

from tests.unit.tables import LEDGER, REGION, dynamodb
from tests.world import CONSUMER, endpoint_id, service_id

SERVICE, NOW = service_id(1), datetime(2026, 11, 28, tzinfo=UTC)


def asked(number: int, state: State) -> Connection:
    return Connection(SERVICE, endpoint_id(number), CONSUMER, REGION, state, NOW)


@pytest.fixture
def session() -> Iterator[Session]:
    """A session whose stack has the tables of moto, with a live endpoint (which holds a slot) and one that is gone."""
    with dynamodb() as resource:
        ledger = Ledger(LedgerTable(resource, LEDGER))
        ledger.seen(asked(1, State.AVAILABLE), Status.ACCEPTED, None, NOW)
        ledger.seen(asked(2, State.DELETED), Status.CLOSED, None, NOW)
        known = ledger.current([endpoint_id(1)])[endpoint_id(1)]
        health = {"cause": "", "detail": "d", "errors": ["e"], "phases": {"tcp": 1}, "checked_at": NOW.isoformat()}
        ledger.probed(known, Status.VERIFIED, "1", health, NOW)
        made = Session()
        made.__dict__["outputs"] = {"LedgerTable": LEDGER}
        made.__dict__["aws"] = boto3.Session("testing", "testing", region_name=REGION)
        yield made


def bare(record: EndpointRecord) -> EndpointRecord:
    """Without what is not shown."""
    shown = {name: record.health[name] for name in ("cause", "detail", "errors", "checked_at") if name in record.health}
    return replace(record, health=shown, policy_hash="", open_until=None, claimed=False, by_hand="", tags_refused="")


def test_what_is_not_gone_is_read_without_slots_and_with_all_that_is_shown(session: Session) -> None:
    wanted, _ = Ledger(session.ledger).whole(SERVICE)
    assert Records(endpoints(session, SERVICE, closed=False)) == {name: bare(one) for name, one in wanted.items()}
    assert set(wanted) == {endpoint_id(1)}


def test_what_is_gone_is_read_where_it_is_asked_for(session: Session) -> None:
    assert set(Records(endpoints(session, SERVICE, closed=True))) == {endpoint_id(1), endpoint_id(2)}
    assert list(endpoints(session, service_id(2), closed=True)) == []


def test_a_table_that_is_not_there_is_still_told_by_aws(session: Session) -> None:
    session.__dict__["outputs"] = {"LedgerTable": "elsewhere"}
    with pytest.raises(Exception, match="ResourceNotFoundException"):
        list(endpoints(session, SERVICE, closed=False))
