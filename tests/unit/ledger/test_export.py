"""What the ledger keeps, and for how long, leaves it as JSON lines."""

import json
from datetime import timedelta

import pytest
from linkgate.ledger.export import lines, main
from linkgate.ledger.items import Judgment
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.table import LedgerTable
from linkgate.model import Connection, State, Status
from linkgate.policy.decide import decide

from tests.fakes import FakeTable
from tests.unit.tables import LEDGER, dynamodb
from tests.world import CONSUMER, REGION, START, endpoint_id, service_id

SERVICE, ENDPOINT = service_id(1), endpoint_id(1)
ASKING = Connection(SERVICE, ENDPOINT, CONSUMER, REGION, State.PENDING_ACCEPTANCE, START)


def test_every_item_is_a_line_of_json() -> None:
    with dynamodb() as resource:
        store = LedgerTable(resource, LEDGER)
        ledger = Ledger(store)
        entry = ledger.decided(Judgment(ASKING, None, decide(ASKING, {}, START), {}), "Connect", START)
        ledger.answered(ASKING, entry, "nothing to do", Status.HELD, ASKING.state, START)
        found = [json.loads(line) for line in lines(store)]
    assert {(one["endpoint_id"], one["entry"]) for one in found} == {(ENDPOINT, "current"), (ENDPOINT, entry)}
    decision = next(one for one in found if one["entry"] == entry)
    assert (decision["outcome"], decision["reason"], decision["answer"]) == ("hold", "not_listed", "nothing to do")
    assert json.loads(decision["facts"])["connection"]["account"] == CONSUMER


def test_without_a_table_the_command_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: PYTHONPATH=layers/common python3 -m linkgate.ledger.export TABLE" in capsys.readouterr().err


@pytest.mark.parametrize("days", [None, 30])
def test_lines_expire_after_the_retention_and_what_is_current_never_does(days: int | None) -> None:
    store = FakeTable()
    ledger = Ledger(store, timedelta(days=days) if days else None)
    ledger.decided(Judgment(ASKING, None, decide(ASKING, {}, START), {}), "Connect", START)
    expires = {place.entry == "current": item.get("expires") for place, item in store.items.items()}
    assert expires == {True: None, False: int(START.timestamp()) + days * 86400 if days else None}
