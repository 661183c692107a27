"""Two services and their sweeps: what was published of invalid rows, and which rows block which service."""

from linkgate.ledger.sets import block_name, unwritten
from linkgate.model import RowKey
from linkgate.sweep.sweeper import SweepResult

from tests.application import SERVICE, Application
from tests.world import CONSUMER, endpoint_id, service_id

SECOND = service_id(2)
INVALID = "Allow List Row Invalid"
A, B, C = endpoint_id(1), endpoint_id(2), endpoint_id(3)


def two_services() -> Application:
    """Two enforced services, which accept CONSUMER."""
    made = Application()
    made.world.offer(SECOND)
    made.allow_list.put(SECOND, "@settings", mode="enforce")
    made.allow_list.put("*", CONSUMER, effect="allow")
    return made


def published(app: Application) -> list[str]:
    """The rows that an event was published about, in order."""
    return [str(detail["row"]) for kind, detail in app.bus.published if kind == INVALID]


def swept(app: Application, times: int = 1) -> SweepResult:
    """Sweeps, a few minutes apart; the last finding."""
    finding = SweepResult()
    for _ in range(times):
        app.world.advance(300)
        finding = app.sweeper.sweep("a sweep")
        assert finding.failed == {}
    return finding


def seen(app: Application, row: RowKey, stream: bool) -> SweepResult:
    """The finding of the run that sees a row just written or deleted: by the table's stream, or by the next sweep."""
    return app.sweeper.edited({row: app.allow_list.table.get(row)}, "an edit") if stream else swept(app)


def blocking(app: Application) -> dict[str, set[RowKey]]:
    """By service, the rows that block it."""
    names = {block_name(service): service for service in (SERVICE, SECOND, "*")}
    found = app.sets.read(names)
    return {names[name]: set(map(unwritten, members)) for name, members in found.items()}
