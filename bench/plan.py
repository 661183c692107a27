"""How long `linkgate plan` takes, and how much memory: a file of 100,000 rows against 10,000 connections, no AWS.

What is timed, in seconds of CPU, is the command's own work: reading the file, planning, the document.
`python -m bench.plan [ROWS CONNECTIONS]`
"""

import json
import random
import resource
import sys
import time
from datetime import UTC, datetime, timedelta

from linkgate.approve.context import ContextReader, LedgerState
from linkgate.ledger.breaker import Breaker
from linkgate.ledger.items import EndpointRecord, Records
from linkgate.ledger.sets import NamedSets
from linkgate.model import Connection, RowKey, State, Status
from linkgate.policy.decide import Rows
from linkgate.policy.rows import Item
from linkgate_cli.outlook import Seen
from linkgate_cli.planning import file_edits, plan
from linkgate_cli.rowsfile import exported, read
from linkgate_cli.showing import document, exit_code

from tests.fakes import FakeTable

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
SERVICES = [f"vpce-svc-{number:017x}" for number in range(10)]


def main(rows: int, connections: int) -> None:
    """Print the figures of one run."""
    chance = random.Random(1)  # noqa: S311 - the same work each time
    text, old = _file(rows, chance)
    services, contexts = _world(connections, rows, chance), _contexts()
    start = time.process_time()
    file = read("rows.yaml", text)
    was = time.process_time()
    made = plan(services, old, file_edits(file, old, prune=True), contexts, NOW, file)
    planned = time.process_time()
    size = len(json.dumps(document(made, {}), default=str))
    end = time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{rows} rows, {connections} connections: "
        f"{end - start:.1f} s (file {was - start:.1f}, plan {planned - was:.1f}, "
        f"JSON {end - planned:.1f}, {size / 1e6:.1f} MB), {memory:.0f} MB; {len(made.rows)} rows change, "
        f"{len(made.changes)} connections, {len(made.cuts)} cut, exit {exit_code(made)}"
    )


def _file(rows: int, chance: random.Random) -> tuple[str, Rows]:
    """A file in which one row of a hundred differs from the table, and the table."""
    old, new = dict[RowKey, Item](), dict[RowKey, Item]()
    for service in SERVICES:
        key = RowKey(service, "@settings")
        old[key] = new[key] = {**key._asdict(), "mode": "enforce", "reconcile": "enforce", "max_cuts": "100%"}
    for number in range(rows - len(SERVICES)):
        key = RowKey(SERVICES[number % len(SERVICES)], f"{100000000000 + number}")
        row = {**key._asdict(), "effect": "allow", "owner": f"team-{number % 50}", "ticket": f"NET-{number}"}
        old[key], new[key] = row, {**row, "effect": "deny"} if chance.random() < 0.01 else row
    return exported(new), old


def _world(connections: int, rows: int, chance: random.Random) -> list[Seen]:
    """Connections of accounts with a row, nine of ten live."""
    found = {service: ([], [], {}) for service in SERVICES}  # type: ignore[var-annotated]
    for number in range(connections):
        account = 100000000000 + chance.randrange(rows)
        service = SERVICES[(account - 100000000000) % len(SERVICES)]
        live = chance.random() < 0.9
        endpoint, state = f"vpce-{number:017x}", State.AVAILABLE if live else State.PENDING_ACCEPTANCE
        created = NOW - timedelta(minutes=number)
        shown, known, slots = found[service]
        shown.append(Connection(service, endpoint, f"{account}", "eu-west-1", state, created))
        status = Status.VERIFIED if live else Status.HELD
        known.append(EndpointRecord(endpoint, service, status, state, f"{account}", claimed=live))
        if live:
            slots[f"{account}"] = slots.get(f"{account}", frozenset()) | {endpoint}
    seen = []
    for service, (shown, known, slots) in found.items():
        records = Records()
        records.update({one.endpoint: one for one in known})
        seen.append(Seen(service, shown, records, slots, LedgerState()))
    return seen


def _contexts() -> ContextReader:
    table = FakeTable()
    return ContextReader(NamedSets(table), Breaker(table), None)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3] or (100_000, 10_000)))
