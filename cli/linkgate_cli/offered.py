"""Endpoint services as EC2 has them, managed or not: what is offered, who is notified, who else manages them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from linkgate.aws.services import EVENTS, TAG

from linkgate_cli.session import Session

WRITERS = {
    "aws:cloudformation:stack-name": "CloudFormation stack",
    "aws:cdk:path": "CDK",
    "crossplane-name": "Crossplane",
    "terraform": "Terraform",
    "managed-by": "managed-by",
    "managed_by": "managed_by",
    "managedby": "ManagedBy",
    "pulumi:project": "Pulumi project",
}
"""Tags by which tools mark what they manage, in lower case (CloudFormation's are AWS's own, the others usual)."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A connection notification of a service: its id, its topic, and whether every event reaches it."""

    name: str
    topic: str
    complete: bool
    enabled: bool


@dataclass(frozen=True, slots=True)
class Offered:
    """One endpoint service; times and ids as EC2 writes them."""

    service: str
    name: str
    kind: str
    state: str
    acceptance_required: bool
    tags: Mapping[str, str]
    managed: bool
    """Whether this stack looks after it."""
    zones: tuple[str, ...] = ()
    zone_ids: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    private_name: str = ""
    private_state: str = ""
    load_balancers: tuple[str, ...] = ()
    notifications: tuple[Notification, ...] = field(default=())

    @property
    def writers(self) -> tuple[str, ...]:
        """Tools that say by a tag that they manage it, too."""
        return tuple(f"{WRITERS[key.lower()]} {value}" for key, value in self.tags.items() if key.lower() in WRITERS)

    def wired(self, topic: str) -> bool:
        """Whether every event of its connections reaches a topic; gateway services notify of none."""
        mine = [one for one in self.notifications if one.topic == topic]
        return self.kind == "GatewayLoadBalancer" or any(one.complete and one.enabled for one in mine)


def offered(session: Session) -> dict[str, Offered]:
    """Every endpoint service of the account and Region, by id."""
    ec2 = session.client("ec2")
    notes: dict[str, list[Notification]] = {}
    for note in _pages(ec2, "describe_vpc_endpoint_connection_notifications", "ConnectionNotificationSet"):
        complete = set(EVENTS) <= set(note.get("ConnectionEvents", []))
        enabled = note.get("ConnectionNotificationState") == "Enabled"
        one = Notification(
            note.get("ConnectionNotificationId", ""), note.get("ConnectionNotificationArn", ""), complete, enabled
        )
        notes.setdefault(note.get("ServiceId", ""), []).append(one)
    found = _pages(ec2, "describe_vpc_endpoint_service_configurations", "ServiceConfigurations")
    return {one["ServiceId"]: _offered(one, tuple(notes.get(one["ServiceId"], ())), session.tag_value) for one in found}


def principals(session: Session, service: str) -> frozenset[str]:
    """Who may ask for a connection: ARNs, or `*`."""
    return session.services.principals(service)


def _pages(client: Any, operation: str, name: str) -> Iterator[Any]:
    for page in client.get_paginator(operation).paginate():
        yield from page.get(name, [])


def _offered(one: Any, notifications: tuple[Notification, ...], tag_value: str) -> Offered:
    tags = {tag["Key"]: tag.get("Value", "") for tag in one.get("Tags", [])}
    private = one.get("PrivateDnsNameConfiguration", {})
    return Offered(
        service=one["ServiceId"],
        name=one.get("ServiceName", ""),
        kind=next((kind["ServiceType"] for kind in one.get("ServiceType", [])), ""),
        state=one.get("ServiceState", ""),
        acceptance_required=one.get("AcceptanceRequired", False),
        tags=tags,
        managed=tags.get(TAG) == tag_value,
        zones=tuple(one.get("AvailabilityZones", ())),
        zone_ids=tuple(one.get("AvailabilityZoneIds", ())),
        regions=tuple(region["Region"] for region in one.get("SupportedRegions", [])),
        private_name=one.get("PrivateDnsName", ""),
        private_state=private.get("State", ""),
        load_balancers=(*one.get("NetworkLoadBalancerArns", ()), *one.get("GatewayLoadBalancerArns", ())),
        notifications=notifications,
    )
