"""Tags on accepted connections: what they say, and which connections are due for them."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkgate.ledger.items import EndpointRecord
from linkgate.model import Connection, State, Status
from linkgate.sweep.tags import due, labels

from tests.unit import values
from tests.world import CONSUMER, REGION, START, endpoint_id, service_id

SERVICE, ENDPOINT = service_id(1), endpoint_id(1)
DECISION = "0123456789abcdef"


@dataclass(frozen=True)
class Ticketed(EndpointRecord):
    """What the ledger knows of an endpoint, with the ticket of the row that let it in."""

    ticket: str = ""


def known(number: int = 1, **changed: Any) -> Ticketed:
    accepted = Ticketed(
        endpoint=endpoint_id(number),
        service=SERVICE,
        status=Status.ACCEPTED,
        state=State.AVAILABLE,
        account=CONSUMER,
        entry=f"2026-11-23T03:00:00.000000Z#{DECISION}",
        outcome="accept",
        reason="allowed",
        row=f"{SERVICE}/{CONSUMER}",
        mode="enforce",
    )
    return replace(accepted, **changed)


def connection(number: int = 1, **changed: Any) -> Connection:
    made = Connection(SERVICE, endpoint_id(number), CONSUMER, REGION, State.AVAILABLE, START, (), f"vpce-con-{number}")
    return replace(made, **changed)


SAID = {
    "linkgate:consumer": CONSUMER,
    "linkgate:row": f"{SERVICE}/{CONSUMER}",
    "linkgate:decision": DECISION,
}


def test_an_accepted_endpoint_is_labelled_with_consumer_row_and_decision() -> None:
    assert labels(known()) == SAID


def test_the_ticket_of_the_row_is_a_label_where_there_is_one() -> None:
    assert labels(known(ticket="NET-17")) == SAID | {"linkgate:ticket": "NET-17"}


@pytest.mark.parametrize("status", [Status.VERIFIED, Status.UNHEALTHY])
def test_health_changes_no_label(status: Status) -> None:
    assert labels(known(status=status)) == SAID


@pytest.mark.parametrize(
    "other",
    [
        {"status": Status.HELD},
        {"status": Status.REJECTED},
        {"status": Status.CUT},
        {"status": Status.CLOSED},
        {"outcome": "reject"},
        {"outcome": "hold"},
        {"outcome": "", "entry": ""},
        {"mode": "observe"},
        {"settled": False},
    ],
)
def test_what_linkgate_did_not_accept_or_is_not_live_has_no_labels(other: dict[str, Any]) -> None:
    assert labels(known(**other)) == {}


@pytest.mark.parametrize(
    ("row", "label"),
    [("*/*", "every/every"), (f"*/{CONSUMER}", f"every/{CONSUMER}"), (f"{SERVICE}/*", f"{SERVICE}/every")],
)
def test_an_asterisk_is_a_word_since_few_services_take_it_in_a_tag(row: str, label: str) -> None:
    assert labels(known(row=row))["linkgate:row"] == label


@pytest.mark.parametrize(
    ("ticket", "label"),
    [
        ("https://tickets.example/NET-17?a=b", "https://tickets.example/NET-17_a=b"),
        ("Straße 7, für Zoë", "Straße 7_ für Zoë"),
        ("NET-17\n\t<b>", "NET-17___b_"),
        ("1+1=2 a_b.c:d/e@f", "1+1=2 a_b.c:d/e@f"),
    ],
)
def test_what_a_tag_does_not_take_is_an_underscore(ticket: str, label: str) -> None:
    assert labels(known(ticket=ticket))["linkgate:ticket"] == label


@given(ticket=values.texts | st.text(min_size=200, max_size=600), row=values.texts)
def test_a_label_has_at_most_256_characters_that_tags_take(ticket: str, row: str) -> None:
    for name, label in labels(known(ticket=ticket, row=row)).items():
        assert 0 < len(label) <= 256
        assert all(one.isalnum() or one in "_ -+=.:/@" for one in label)
        assert name.startswith("linkgate:")


# ------------------------------------------------------------------ which are due


def test_a_connection_without_its_labels_is_due_for_them() -> None:
    assert due([connection()], {ENDPOINT: known()}) == [(connection(), SAID)]


def test_a_connection_with_its_labels_is_not_due_whatever_other_tags_it_has() -> None:
    assert due([connection(tags=SAID | {"team": "payments"})], {ENDPOINT: known()}) == []


@pytest.mark.parametrize("name", SAID)
def test_a_connection_that_lacks_one_label_or_says_it_otherwise_is_due(name: str) -> None:
    lacking = {other: label for other, label in SAID.items() if other != name}
    for tags in (lacking, SAID | {name: "otherwise"}):
        assert due([connection(tags=tags)], {ENDPOINT: known()}) == [(connection(), SAID)]


def test_the_ticket_of_a_former_decision_is_written_over() -> None:
    former = connection(tags=SAID | {"linkgate:ticket": "NET-17"})
    ((_, tags),) = due([former], {ENDPOINT: known()})
    assert tags == SAID | {"linkgate:ticket": ""}
    assert due([replace(former, tags=tags)], {ENDPOINT: known()}) == []


def test_the_oldest_are_due_first() -> None:
    young, old = connection(1, created=START + timedelta(days=1)), connection(2)
    older = connection(3, created=START - timedelta(days=1))
    ledger = {endpoint_id(number): known(number) for number in (1, 2, 3)}
    assert [one for one, _ in due([young, old, older], ledger)] == [older, old, young]


@pytest.mark.parametrize(
    "unfit",
    [{"state": State.REJECTED}, {"state": State.PENDING_ACCEPTANCE}, {"state": State.DELETING}, {"connection_id": ""}],
)
def test_what_is_not_live_or_has_no_id_is_not_due(unfit: dict[str, Any]) -> None:
    assert due([connection(**unfit)], {ENDPOINT: known()}) == []


def test_what_the_ledger_does_not_know_or_did_not_accept_is_not_due() -> None:
    assert due([connection(1), connection(2)], {endpoint_id(2): known(2, outcome="hold")}) == []


def test_a_connection_without_room_for_more_tags_is_not_due() -> None:
    full = {f"tag-{number}": "x" for number in range(48)}
    assert due([connection(tags=full)], {ENDPOINT: known()}) == []
    full.popitem()
    assert due([connection(tags=full)], {ENDPOINT: known()}) == [(connection(), SAID)]
