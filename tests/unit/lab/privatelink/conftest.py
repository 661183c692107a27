"""The rules of the local AWS's PrivateLink, without ministack: what their tests begin with."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.privatelink.rules import connections, services
from lab.privatelink.rules.model import Caller, Connection, ConnectionEvent, Refusal, Service, Subnet
from lab.privatelink.rules.state import State

REGION = "eu-west-1"
PROVIDER = Caller("111111111111", REGION, "arn:aws:iam::111111111111:root")
CONSUMER = Caller("222222222222", REGION, "arn:aws:iam::222222222222:root")
ROLE = replace(CONSUMER, arn="arn:aws:sts::222222222222:assumed-role/Builder/session")
BALANCER = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/net/web/0123456789abcdef"
NET = Subnet("subnet-a", "vpc-1", "eu-west-1a", "10.0.1.0/24")


class Clock:
    """What was put off, until the test lets it happen."""

    def __init__(self) -> None:
        self._acts: list[Callable[[], None]] = []

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self._acts.append(act)

    def pass_(self) -> None:
        acts, self._acts = self._acts, []
        for act in acts:
            act()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events() -> list[ConnectionEvent]:
    return []


@pytest.fixture
def state(clock: Clock, events: list[ConnectionEvent]) -> State:
    return State(clock.later, events.append)


def offer(state: State, acceptance_required: bool = True, private_name: str = "") -> Service:
    zones = ["eu-west-1a", "eu-west-1b"]
    service = services.create(state, PROVIDER, [BALANCER], zones, acceptance_required, private_name)
    services.permit(state, PROVIDER, service.service_id, ["*"], [])
    return service


def connect(
    state: State, service: Service, *subnets: Subnet, caller: Caller = CONSUMER, private_dns: bool = False
) -> Connection:
    return connections.connect(state, caller, service.name, "vpc-1", subnets or (NET,), ["sg-1"], private_dns)


def of(state: State, connection: Connection) -> str:
    return state.connections[connection.endpoint_id].state


def code(refused: pytest.ExceptionInfo[Refusal]) -> str:
    return refused.value.code
