"""A stack with endpoint A, its rounds, and what is to be read from them."""

from typing import Any

from linkgate.ledger.table import ItemKey
from linkgate.model import State, Status
from linkgate.patrol.assessment import Assessment
from linkgate.patrol.report import counts
from linkgate.patrol.run import Run

from tests.application import SERVICE, Application
from tests.world import CONSUMER, OTHER, endpoint_id

A, B = endpoint_id(1), endpoint_id(2)
VERIFIED, UNHEALTHY, RECOVERED = "Endpoint Verified", "Endpoint Unhealthy", "Endpoint Recovered"
FOREIGN = f"arn:aws:lambda:us-east-1:{OTHER}:function:linkgate-canary-payments"
PRIVATE = "api.example.com"
ZONES = ("eu-west-1a", "eu-west-1b")


def walk(app: Application, rounds: str = "1", cause: str = "tcp_refused") -> list[Run]:
    """One round a minute, good (1) or bad (0) for A."""
    seen = []
    for one in rounds:
        app.canary.causes[A] = "" if one == "1" else cause
        seen.append(app.round())
        app.world.advance(60)
    return seen


def found(app: Application) -> list[Assessment]:
    """What one more round finds."""
    return app.round().services[SERVICE]


def unhealthy(assessments: list[Assessment]) -> list[str]:
    return [one.candidate.connection.endpoint for one in assessments if one.unhealthy]


def numbers(assessments: list[Assessment]) -> tuple[float, list[str], float]:
    """How many were probed, which are unhealthy, and how many are unprobed."""
    counted = counts(assessments)
    assert counted["UnhealthyEndpoints"] == len(unhealthy(assessments))
    return counted["ProbedEndpoints"], unhealthy(assessments), counted["UnprobedEndpoints"]


def join(app: Application, endpoint: str, account: str = CONSUMER, status: Status = Status.ACCEPTED) -> None:
    """An endpoint that was accepted a while ago."""
    app.world.connect(endpoint, SERVICE, account, state=State.AVAILABLE)
    app.ledger.seen(app.world.connection(endpoint), status, None, app.world.now)


def regional(endpoint: str = A) -> str:
    return f"{endpoint}-abcdefgh.{SERVICE}.eu-west-1.vpce.amazonaws.com"


def zonal(zone: str, endpoint: str = A) -> str:
    return regional(endpoint).replace("-abcdefgh.", f"-abcdefgh-{zone}.")


def in_zones(app: Application) -> None:
    """EC2 lists zonal names of A."""
    app.world.links[A].dns_names = (regional(), *map(zonal, ZONES))


def ledger_items(app: Application) -> dict[ItemKey, dict[str, Any]]:
    """The ledger as it is now."""
    return {key: dict(item) for key, item in app.ledger.store.items.items()}


def unknown(app: Application, seen: Run) -> None:
    """Nobody knows how A is: it is unprobed, and nothing is published or counts for its health."""
    assert numbers(seen.services[SERVICE]) == (0, [], 1)
    assert (app.known(A).status, app.known(A).recent, app.bus.published) == (Status.ACCEPTED, "", [])
