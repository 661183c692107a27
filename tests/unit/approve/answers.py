"""What the approver did: for its tests."""

from botocore.exceptions import ClientError
from linkgate.model import Outcome
from linkgate.sweep.sweeper import SweepResult

from tests.application import Application
from tests.world import endpoint_id, service_id

A, B, C = endpoint_id(1), endpoint_id(2), endpoint_id(3)
SECOND = service_id(2)
ACCEPTED, REJECTED = "Endpoint Connection Accepted", "Endpoint Connection Rejected"
HELD, CLOSED = "Endpoint Connection Held", "Endpoint Connection Closed"


def denied(code: str = "UnauthorizedOperation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "AcceptVpcEndpointConnections")


def requeued(finding: SweepResult) -> int:
    """How many endpoints a sweep sent bells for."""
    return finding.sum(lambda found: found.requeued)


def answers(app: Application, endpoint: str) -> list[str]:
    return [line.answer for line in app.ledger.lines(endpoint)]


def assert_acted_once(app: Application, endpoint: str = A) -> None:
    assert app.world.asked == [(Outcome.ACCEPT, endpoint)]
    assert answers(app, endpoint) == ["done"]
    assert app.bus.kinds(endpoint) == [ACCEPTED]
