"""docs/ledger.md names every item of the ledger and every attribute of each, and no others."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from linkgate.aws.errors import Refusal
from linkgate.events.bell import Bell
from linkgate.ledger.ledger import Ledger
from linkgate.ledger.table import CURRENT, Write
from linkgate.model import State, Status

from tests.application import SERVICE, Application
from tests.world import CONSUMER, OTHER, endpoint_id, service_id

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "ledger.md").read_text()
HEADINGS = ("current", "health", "decisions", "by hand")
A, B, C, D, E = map(endpoint_id, range(1, 6))
ADMIN = "CloudTrail AcceptVpcEndpointConnections arn:aws:iam::111111111111:role/admin"


def documented() -> dict[str, set[str]]:
    """Attributes by item, as the document has them."""
    sections = dict(re.findall(r"^##+ ([a-z ]+)\n(.*?)(?=^##|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL))
    found = {name: {word for row in _rows(sections[name]) for word in _words(row[0])} for name in HEADINGS}
    for row in _rows(sections["internal"]):
        found |= {name.partition("#")[0]: set(_words(row[1])) for name in _words(row[0])}
    return found


def _rows(section: str) -> Iterator[list[str]]:
    for line in section.splitlines():
        if line.startswith("| `"):
            yield line.strip("| ").split(" | ")


def _words(cell: str) -> Sequence[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def written() -> dict[str, set[str]]:
    """Attributes by item, as a history in which everything happens wrote them."""
    app, found = Application(), defaultdict[str, set[str]](set)
    write = app.ledger.store.write

    def noting(*writes: Write) -> None:
        for one in writes:
            names = {*one.values, *one.add, *one.drop, *one.forget}
            found[_kind(one)] |= names
            found["health"] |= set(one.values.get("health", {}))
        write(*writes)

    app.ledger.store.write = noting  # type: ignore[method-assign]
    _everything(app)
    return dict(found)


def _kind(one: Write) -> str:
    subject, entry = one.place
    if entry != CURRENT:
        return "by hand" if "who" in one.values else "decisions"
    return "current" if subject.startswith("vpce-") else subject.partition("#")[0]


def _everything(app: Application) -> None:
    app.allow_list.put(SERVICE, CONSUMER, effect="allow", ticket="NET-17", limit=3)
    app.allow_list.put(SERVICE, OTHER, effect="deny")
    app.allow_list.put(SERVICE, endpoint_id(9), effect="allow", expires_at="2026-11-25T00:00:00Z")
    app.allow_list.put(service_id(7), "@settings", mode="enforce")
    app.world.services[SERVICE].acceptance_required = False
    settings = {"mode": "enforce", "reconcile": "enforce", "grace": "1s", "max_cuts": "0", "max_rejects": "1"}
    app.allow_list.put(SERVICE, "@settings", **settings)
    for endpoint, account in ((A, CONSUMER), (B, OTHER), (E, OTHER), (C, "444444444444")):
        app.connect(endpoint, account)  # accepted, rejected, withheld, held
    app.work(60)
    app.settle()
    app.round()
    app.world.turn(C, State.AVAILABLE)  # by hand
    app.settle()
    app.bells.send([Bell(frozenset({C}), origin=ADMIN)])
    app.world.refusals[A] = [Refusal("InternalError", "not now")]
    app.edit(SERVICE, CONSUMER, effect="deny")
    app.work(60)
    app.edit(SERVICE, "@settings", **settings | {"max_cuts": "5"})
    app.world.advance(60)
    app.settle()
    app.ledger.untagged(app.known(A))
    app.allow_list.put("*", "3333-3333-3333", effect="deny")
    app.settle()
    lasting = Ledger(app.ledger.store, timedelta(days=1))
    app.world.connect(D, SERVICE)
    asked = app.world.connection(D)
    view = app.approver.contexts.view(SERVICE, [asked], app.allow_list.rows_for([asked]), {})
    lasting.decided(view.judge(asked, app.world.now), "Connect", app.world.now)
    lasting.seen(replace(asked, state=State.AVAILABLE), Status.ACCEPTED, app.known(D), app.world.now, "")


def test_the_document_names_every_item_and_every_attribute(written: dict[str, set[str]]) -> None:
    assert written == documented()
