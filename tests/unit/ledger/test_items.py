"""Items and facts that older versions wrote are read as they were meant."""

import json
from datetime import UTC, datetime

from linkgate.ledger.items import EndpointRecord, read, replay
from linkgate.model import Outcome, Reason, RowKey, State, Status

SERVICE, ENDPOINT, ACCOUNT = "vpce-svc-00000000000000001", "vpce-00000000000000001", "222222222222"
ENTRY = "2026-11-23T03:00:00.000000Z#0123456789abcdef"
ITEM = {
    "endpoint_id": ENDPOINT,
    "entry": "current",
    "service": SERVICE,
    "owner": ACCOUNT,
    "region": "eu-west-1",
    "status": "ACCEPTED",
    "state": "available",
    "decision": ENTRY,
    "outcome": "accept",
    "reason": "allowed",
    "row": f"{SERVICE}/{ACCOUNT}",
    "policy_hash": "hash",
    "mode": "enforce",
    "settled": True,
    "claimed": True,
    "open_until": "2026-11-23T03:01:00.000000Z",
    "requested_at": "2026-11-23T02:59:00.000000Z",
    "decided_at": "2026-11-23T03:00:00.000000Z",
    "answered_at": "2026-11-23T03:00:05.000000Z",
    "accepted_at": "2026-11-23T03:00:05.000000Z",
    "unwanted_at": "2026-11-23T04:00:00.000000Z",
    "verified_at": "",
}


def test_an_item_of_an_older_version_is_read_under_its_stored_names() -> None:
    assert read(ITEM) == EndpointRecord(
        endpoint=ENDPOINT,
        service=SERVICE,
        status=Status.ACCEPTED,
        state=State.AVAILABLE,
        account=ACCOUNT,
        region="eu-west-1",
        entry=ENTRY,
        outcome="accept",
        reason="allowed",
        row=f"{SERVICE}/{ACCOUNT}",
        policy_hash="hash",
        mode="enforce",
        claimed=True,
        open_until=datetime(2026, 11, 23, 3, 1, tzinfo=UTC),
        requested_at=datetime(2026, 11, 23, 2, 59, tzinfo=UTC),
        decided_at=datetime(2026, 11, 23, 3, 0, tzinfo=UTC),
        answered_at=datetime(2026, 11, 23, 3, 0, 5, tzinfo=UTC),
        accepted_at=datetime(2026, 11, 23, 3, 0, 5, tzinfo=UTC),
        unwanted_since=datetime(2026, 11, 23, 4, 0, tzinfo=UTC),
    )


def test_facts_of_an_older_version_say_owner_for_the_account_and_strays_for_rows_without_a_match() -> None:
    facts = {
        "connection": {
            "service": SERVICE,
            "endpoint": ENDPOINT,
            "owner": ACCOUNT,
            "region": "eu-west-1",
            "state": "pendingacceptance",
            "created": "2026-11-23T02:59:00.000000Z",
            "dns_names": [],
            "connection_id": "",
        },
        "rows": [{"service": SERVICE, "consumer": ACCOUNT, "effect": "allow"}],
        "standing": {
            "live": 0,
            "lineage": {"units": [], "unknown": None, "why": ""},
            "strays": [[SERVICE, "orders-team"]],
            "breaker": False,
        },
        "now": "2026-11-23T03:00:00.000000Z",
    }
    decision = replay(json.dumps(facts))
    assert (decision.outcome, decision.reason) == (Outcome.HOLD, Reason.MALFORMED_ROW)
    assert decision.row == RowKey(SERVICE, "orders-team")
