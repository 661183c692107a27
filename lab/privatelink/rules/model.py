"""Services, connections, notifications and what they are made of; ids and names as EC2 forms them."""

import secrets
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

PENDING_ACCEPTANCE = "pendingAcceptance"
PENDING = "pending"
AVAILABLE = "available"
REJECTED = "rejected"
DELETING = "deleting"
"""States of a connection as EC2 answers them: lower camel case, unlike the enum in botocore's model."""

INTERFACE = "Interface"
GATEWAY = "GatewayLoadBalancer"
ATTACHMENT = "TransitGatewayAttachment"
"""Kinds of connections. The first two are EC2's types of endpoints and of services. An attachment, of a transit gateway
to a service of the second type, is no endpoint and has its own ids (tgw-attach-…)."""

EVENTS = ("Accept", "Connect", "Delete", "Reject")
NAME_PREFIX = "com.amazonaws.vpce"
"""What the name of a custom service begins with: of the form com.amazonaws.vpce.us-east-1.vpce-svc-… are the names
that providers publish; a sample in AWS's documentation reads com.amazonaws.vpc."""


class Refusal(Exception):
    """EC2 says no: its error `code`, its message and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True)
class Failure:
    """One item of an `Unsuccessful` list: a refusal inside an answer with HTTP status 200."""

    resource_id: str
    code: str
    message: str


def refused(resource_ids: Iterable[str], act: Callable[[str], None]) -> list[Failure]:
    """Do `act` for each resource, once; those that it raised a Refusal for, in their order."""
    failures = []
    for resource_id in dict.fromkeys(resource_ids):
        try:
            act(resource_id)
        except Refusal as refusal:
            failures.append(Failure(resource_id, refusal.code, refusal.message))
    return failures


@dataclass(frozen=True)
class Caller:
    """Who calls, and where: a 12-digit account, a Region, and the ARN that IAM knows the caller by."""

    account: str
    region: str
    arn: str

    def owns(self, resource: "Service | Connection | Notification") -> bool:
        """Whether the resource is one of the caller's account, in the Region of the call."""
        return (resource.owner, resource.region) == (self.account, self.region)


@dataclass(frozen=True)
class PrivateName:
    """The private DNS name of a service and the TXT record that proves who owns its domain."""

    name: str
    record: str
    value: str
    state: str = "pendingVerification"


@dataclass(frozen=True)
class Service:
    """An endpoint service. `zones` are the names of the zones that its load balancers are in.

    `principals` may make endpoints on it, `attaching` may attach transit gateways to it; `supported_regions` are kept
    and shown, but no endpoint of another Region can be made here.
    """

    service_id: str
    owner: str
    region: str
    acceptance_required: bool
    load_balancer_arns: tuple[str, ...]
    zones: tuple[str, ...]
    private_name: PrivateName | None = None
    principals: tuple[str, ...] = ()
    deleted: bool = False
    kind: str = INTERFACE
    gateway_arns: tuple[str, ...] = ()
    attaching: tuple[str, ...] = ()
    supported_regions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{NAME_PREFIX}.{self.region}.{self.service_id}"

    @property
    def base_dns_name(self) -> str:
        return f"{self.service_id}.{self.region}.vpce.amazonaws.com"

    @property
    def arn(self) -> str:
        return f"arn:aws:ec2:{self.region}:{self.owner}:vpc-endpoint-service/{self.service_id}"

    @property
    def verified_name(self) -> str | None:
        return self.private_name.name if self.private_name and self.private_name.state == "verified" else None


@dataclass(frozen=True)
class Subnet:
    """A consumer's subnet. `taken` are the addresses in it that others than endpoints hold."""

    subnet_id: str
    vpc_id: str
    zone: str
    cidr: str
    taken: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Address:
    """An endpoint's address in one subnet: `ip` is IPv4, `zone` the name of the subnet's zone, as eu-west-1a."""

    subnet_id: str
    zone: str
    ip: str
    interface_id: str


@dataclass(frozen=True)
class Connection:
    """An endpoint and its connection to a service: one thing, seen by the consumer and by the provider.

    Where the kind is ATTACHMENT, `endpoint_id` is that of the attachment and `vpc_id` of its transit gateway. Only
    interface endpoints have DNS names.
    """

    connection_id: str
    endpoint_id: str
    label: str
    service_id: str
    service_owner: str
    owner: str
    region: str
    vpc_id: str
    state: str
    created: datetime
    addresses: tuple[Address, ...]
    security_group_ids: tuple[str, ...]
    private_dns: bool = False
    kind: str = INTERFACE

    def dns_names(self, service: Service) -> tuple[str, ...]:
        """The regional name, then one zonal name for each subnet, in their order (recorded from AWS)."""
        if self.kind != INTERFACE:
            return ()
        zonal = (f"{self.label}-{address.zone}.{service.base_dns_name}" for address in self.addresses)
        return (f"{self.label}.{service.base_dns_name}", *zonal)


@dataclass(frozen=True)
class Notification:
    """What publishes to a topic the events of one source, a service or an endpoint."""

    notification_id: str
    owner: str
    region: str
    source_id: str
    topic_arn: str
    events: tuple[str, ...]


@dataclass(frozen=True)
class ConnectionEvent:
    """What happened to a connection: `name` is one of EVENTS, `notifications` are those that must publish it."""

    name: str
    service: Service
    connection: Connection
    notifications: tuple[Notification, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """A snapshot of an interface endpoint on a custom service.

    `state` is the connection's state as EC2 answers it. `dns_names` are the regional one, then the zonal ones in the
    order of the subnets, whose addresses are `addresses`. `private_dns_name` is set only where the endpoint
    enabled it and the service verified it.
    """

    endpoint_id: str
    owner: str
    region: str
    vpc_id: str
    service_id: str
    service_owner: str
    load_balancer_arns: tuple[str, ...]
    state: str
    dns_names: tuple[str, ...]
    addresses: tuple[Address, ...]
    security_group_ids: tuple[str, ...]
    private_dns_name: str | None


def new_id(prefix: str) -> str:
    """`prefix` and 17 hexadecimal digits, as EC2 names its resources."""
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


def new_label(endpoint_id: str) -> str:
    """The first label of an endpoint's DNS names: its id and 8 random letters or digits."""
    return f"{endpoint_id}-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
