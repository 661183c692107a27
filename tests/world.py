"""A provider's and its consumers' EC2 in memory: services, connections and their states over a virtual clock.

Where AWS's behaviour is not documented (accepting a connection that does not wait, the codes of refusals), the
world's is unconfirmed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from linkgate.aws.errors import Refusal
from linkgate.model import Connection, Outcome, State

START = datetime(2026, 11, 23, 3, tzinfo=UTC)
PROVIDER, CONSUMER, OTHER = "111111111111", "222222222222", "333333333333"
REGION = "eu-west-1"
SETTLING = timedelta(seconds=5)
"""How long an accepted connection is `pending` before it is `available`."""


def service_id(number: int) -> str:
    return f"vpce-svc-{number:017x}"


def endpoint_id(number: int) -> str:
    return f"vpce-{number:017x}"


class Killed(BaseException):
    """The function was ended by Lambda in the middle of its work: nothing that catches Exception sees it."""


@dataclass
class Service:
    """An endpoint service; `topics` says which notifications it has and whether they are enabled."""

    managed: bool = True
    acceptance_required: bool = True
    state: str = "Available"
    private_dns_state: str = ""
    private_dns_name: str = ""
    gateway: bool = False
    topics: dict[str, bool] = field(default_factory=dict)
    principals: set[str] = field(default_factory=set)


@dataclass
class Link:
    """One endpoint connection: who asked, and since when it has been in which state."""

    service: str
    endpoint: str
    account: str
    region: str
    history: list[tuple[datetime, State]]
    dns_names: tuple[str, ...]
    tags: dict[str, str] = field(default_factory=dict)
    raw_state: str = "hibernating"
    """What Describe calls a state that nobody knows."""
    ip_type: str = "ipv4"

    @property
    def connection_id(self) -> str:
        """What the provider calls the connection, and tags."""
        return self.endpoint.replace("vpce-", "vpce-con-", 1)

    def state(self, at: datetime) -> State | None:
        """The state at a time; None before it existed."""
        return next((state for since, state in reversed(self.history) if since <= at), None)

    def turn(self, at: datetime, state: State) -> None:
        """Enter a state; what was to come does not."""
        self.history = [entry for entry in self.history if entry[0] <= at] + [(at, state)]


@dataclass
class World:
    """EC2's truth and the time. Describe shows the truth of `lag` ago; acts meet the truth of now."""

    now: datetime = START
    lag: timedelta = timedelta()
    services: dict[str, Service] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    acts: list[tuple[Outcome, str]] = field(default_factory=list)
    """Everything EC2 was told and did, in order."""
    asked: list[tuple[Outcome, str]] = field(default_factory=list)
    """Everything EC2 was told, done or not."""
    described: int = 0
    """How often EC2 was asked to describe connections, a page or two hundred names each."""
    silence: Exception | None = None
    """Raised by every Describe."""
    broken: dict[str, Exception] = field(default_factory=dict)
    """Raised by every Accept and Reject of a service."""
    forbidden: set[str] = field(default_factory=set)
    """Services whose connections the role may not accept or reject."""
    refusals: dict[str, list[Refusal]] = field(default_factory=dict)
    """What EC2 answers to the next acts on an endpoint, one each."""
    accepts_rejected: bool = False
    """Whether EC2 accepts a connection once rejected: AWS does not say."""
    before_act: Callable[[Outcome, Sequence[str]], None] | None = None
    killed_after_act: bool = False

    def clock(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def offer(self, service: str, **values: Any) -> Service:
        """A provider creates a service."""
        self.services[service] = Service(**values)
        return self.services[service]

    def connect(
        self,
        endpoint: str,
        service: str,
        account: str = CONSUMER,
        region: str = REGION,
        state: State = State.PENDING_ACCEPTANCE,
    ) -> Link:
        """A consumer creates an endpoint now."""
        names = (f"{endpoint}-abcdefgh.{service}.{REGION}.vpce.amazonaws.com",)
        link = Link(service, endpoint, account, region, [(self.now, state)], names)
        self.links[endpoint] = link
        return link

    def turn(self, endpoint: str, state: State) -> None:
        """Somebody other than Linkgate changed a connection."""
        self.links[endpoint].turn(self.now, state)

    def forget(self, endpoint: str) -> None:
        """EC2 no longer shows a deleted endpoint."""
        del self.links[endpoint]

    def state(self, endpoint: str) -> State | None:
        """The true state of a connection now."""
        return self.links[endpoint].state(self.now)

    def shown(self) -> list[Connection]:
        """What Describe shows now."""
        if self.silence:
            raise self.silence
        self.described += 1
        found = (_connection(link, self.now - self.lag) for link in self.links.values())
        return [one for one in found if one]

    def connection(self, endpoint: str) -> Connection:
        """What Describe shows now of one endpoint, which it shows."""
        (found,) = filter(None, [_connection(self.links[endpoint], self.now - self.lag)])
        return found

    def act(self, service: str, outcome: Outcome, endpoint: str) -> Refusal | None:
        """Accept or reject one connection; what EC2 has against it."""
        self.asked.append((outcome, endpoint))
        if service in self.forbidden:
            return Refusal("UnauthorizedOperation", "You are not authorized to perform this operation.")
        if prepared := self.refusals.get(endpoint):
            return prepared.pop(0)
        link = self.links.get(endpoint)
        if link is None or link.service != service:
            return Refusal("InvalidVpcEndpointId.NotFound", f"The Vpc Endpoint Id '{endpoint}' does not exist")
        state = link.state(self.now)
        takes = {State.PENDING_ACCEPTANCE}
        if outcome is Outcome.REJECT:
            takes |= {State.PENDING, State.AVAILABLE, State.PARTIAL}
        elif self.accepts_rejected:
            takes.add(State.REJECTED)
        if state not in takes:
            return Refusal("InvalidState", f"{endpoint} is {state}")
        if outcome is Outcome.ACCEPT:
            link.turn(self.now, State.PENDING)
            link.history.append((self.now + SETTLING, State.AVAILABLE))
        else:
            link.turn(self.now, State.REJECTED)
        self.acts.append((outcome, endpoint))
        return None


def _connection(link: Link, moment: datetime) -> Connection | None:
    """What Describe showed of a link at a moment; None before it was there."""
    state = link.state(moment)
    if state is None:
        return None
    return Connection(
        link.service,
        link.endpoint,
        link.account,
        link.region,
        state,
        link.history[0][0],
        link.dns_names,
        link.connection_id,
        dict(link.tags),
        raw_state=link.raw_state if state is State.UNKNOWN else "",
        ip_type=link.ip_type,
    )
