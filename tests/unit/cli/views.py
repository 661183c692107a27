"""Overviews and records for tests of what is shown."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from linkgate.aws.services import EndpointService
from linkgate.ledger.breaker import Tripped
from linkgate.ledger.items import EndpointRecord
from linkgate.model import Mode, RowKey, ServiceSettings, State, Status
from linkgate.policy.decide import Rows
from linkgate_cli.overview import Overview, ServiceView

from tests.world import CONSUMER, REGION, endpoint_id, service_id

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
SERVICE, ENDPOINT = service_id(1), endpoint_id(1)
WELL = EndpointService(SERVICE, True, "Available", "")


def record(status: Status, reason: str = "", number: int = 1, **more: Any) -> EndpointRecord:
    """What the ledger has of an endpoint that asked three hours ago."""
    given: dict[str, Any] = {"account": CONSUMER, "region": REGION, "mode": Mode.ENFORCE, "reason": reason}
    given |= {"state": State.PENDING_ACCEPTANCE, "requested_at": NOW - timedelta(hours=3), "outcome": "hold", **more}
    return EndpointRecord(endpoint=endpoint_id(number), service=SERVICE, status=status, **given)


def view(records: Sequence[EndpointRecord] = (), **more: Any) -> ServiceView:
    """A service that is well and enforces."""
    given: dict[str, Any] = {"described": WELL, "settings": ServiceSettings(mode=Mode.ENFORCE), "unreadable": {}}
    given |= {"cuts": Tripped(), "rejects": Tripped(), **more}
    return ServiceView(service=SERVICE, records={one.endpoint: one for one in records}, **given)


def overview(*views: ServiceView, rows: Rows | None = None, **more: Any) -> Overview:
    """A stack with some services."""
    return Overview("linkgate", REGION, NOW, views, rows or {}, **more)


def table(rows: Mapping[str, Mapping[str, object]], service: str = SERVICE) -> Rows:
    """Rows of one service, by their consumer."""
    return {RowKey(service, one): {"service": service, "consumer": one, **item} for one, item in rows.items()}
