"""Endpoint services: which are managed, whether they notify of connections, who may ask, and what is misconfigured."""

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from linkgate.aws.calls import listed, parts, refusals
from linkgate.aws.errors import Refusal, ec2_errors
from linkgate.model import RowKey
from linkgate.policy.principals import Change
from linkgate.policy.rows import SERVICE_ID, SETTINGS

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import ConnectionNotificationTypeDef, ServiceConfigurationTypeDef

TAG = "linkgate"
TOPIC = "linkgate-notifications-"
"""What the name of the topic that a stack is notified by begins with; the stack's name follows (template.yaml)."""
EVENTS = ("Accept", "Connect", "Delete", "Reject")
"""Every event that EC2's connection notifications know."""
ENDPOINTS = "vpc-endpoint"
"""EC2's word for a permission to connect endpoints; where it says nothing, there is no other."""
PRINCIPALS_PER_CALL = 50
"""Principals that one call adds or removes; how many EC2 takes is not documented."""
PAGE = 1000


@dataclass(frozen=True, slots=True)
class EndpointService:
    """One managed endpoint service, as EC2 describes its configuration."""

    service: str
    acceptance_required: bool
    state: str
    private_dns_state: str
    private_dns_name: str = ""
    """The name that consumers may enable in their VPCs, possibly with a wildcard; "" where there is none."""
    gateway: bool = False
    """Behind Gateway Load Balancers: EC2 documents connection notifications for interface endpoints alone, and there is
    no name to probe, so that its connections are found by sweeps and are unprobed."""

    def problems(self) -> tuple[str, ...]:
        """What is wrong with its configuration, one sentence each."""
        found = []
        if not self.acceptance_required:
            found.append("AcceptanceRequired is off: EC2 accepts every connection by itself")
        if self.state.lower() != "available":
            found.append(f"the service is {self.state or 'in no state'}, not Available")
        if self.private_dns_state.lower() not in ("", "verified"):
            found.append(f"the private DNS name is {self.private_dns_state}, not verified")
        return tuple(found)


def lost(managed: Iterable[str], rows: Iterable[RowKey], tag_value: str) -> dict[str, str]:
    """Services that have a `@settings` row of their own, so somebody enrolled them, and are not managed: why, by id."""
    enrolled = {key.service for key in rows if key.consumer == SETTINGS and SERVICE_ID.fullmatch(key.service)}
    why = f"it has a row {SETTINGS}, but no tag {TAG} = {tag_value}, or it is gone: nobody looks after it"
    return dict.fromkeys(sorted(enrolled - set(managed)), why)


class EndpointServices:
    """The endpoint services of this account and Region whose tag linkgate has this value: those of one stack."""

    def __init__(self, ec2: "EC2Client", tag_value: str) -> None:
        self._ec2 = ec2
        self.tag_value = tag_value

    def managed(self) -> dict[str, EndpointService]:
        """Every managed service by its id. Nothing is done for services without the tag."""
        asked = {"Filters": [{"Name": f"tag:{TAG}", "Values": [self.tag_value]}]}
        found = listed(
            self._ec2.get_paginator("describe_vpc_endpoint_service_configurations"), "ServiceConfigurations", **asked
        )
        return {one.service: one for one in map(endpoint_service, found)}

    def ensure_notifications(self, services: Iterable[str], topic: str) -> dict[str, tuple[str, ...]]:
        """Make every service notify the topic of every event; returns, by service id, why one still does not, and
        which other Linkgate stacks are notified.

        Raises Throttled and Unavailable; what was made until then stays.
        """
        notes, found = self._notifications(), {}
        for service in services:
            if wrong := (*self._ensured(service, notes[service], topic), *_strangers(notes[service], topic)):
                found[service] = wrong
        return found

    def principals(self, service: str) -> frozenset[str]:
        """Who may ask for an endpoint's connection to a service: ARNs, or `*` for everybody.

        What is allowed to transit gateway attachments alone (PermissionType) is none of ours.
        """
        asked = {"ServiceId": service, "PaginationConfig": {"PageSize": PAGE}}
        allowed = listed(
            self._ec2.get_paginator("describe_vpc_endpoint_service_permissions"), "AllowedPrincipals", **asked
        )
        return frozenset(
            one["Principal"]
            for one in allowed
            if "Principal" in one and one.get("PermissionType", ENDPOINTS) == ENDPOINTS
        )

    def permit(self, service: str, change: Change) -> dict[str, Refusal]:
        """Add and remove principals; returns what EC2 refused, by principal. Raises Throttled and Unavailable.

        What is added comes first, so that who changes from one principal to another may ask all the time. One that EC2
        refuses (no such account) holds nobody else up.
        """
        refused: dict[str, Refusal] = {}
        for name, principals in (("AddAllowedPrincipals", change.add), ("RemoveAllowedPrincipals", change.remove)):
            for some in parts(sorted(principals), PRINCIPALS_PER_CALL):
                refused |= refusals(functools.partial(self._modify, service, name), some)
        return refused

    def _modify(self, service: str, name: str, principals: Sequence[str]) -> dict[str, Refusal]:
        with ec2_errors():
            self._ec2.modify_vpc_endpoint_service_permissions(ServiceId=service, **{name: principals})  # type: ignore[arg-type]
        return {}

    def _notifications(self) -> "defaultdict[str, list[ConnectionNotificationTypeDef]]":
        """The connection notifications of every service, by its id."""
        found = defaultdict(list)
        for note in listed(
            self._ec2.get_paginator("describe_vpc_endpoint_connection_notifications"), "ConnectionNotificationSet"
        ):
            if "ServiceId" in note:
                found[note["ServiceId"]].append(note)
        return found

    def _ensured(self, service: str, notes: "Iterable[ConnectionNotificationTypeDef]", topic: str) -> tuple[str, ...]:
        """Why a service does not notify the topic; where it has no notification to it, it gets one."""
        ours = [note for note in notes if note.get("ConnectionNotificationArn") == topic]
        if ours:
            whole = any(_enabled(note) and set(EVENTS) <= set(note.get("ConnectionEvents", [])) for note in ours)
            return () if whole else ("its connection notification is disabled or does not carry every event",)
        try:
            with ec2_errors():  # what passes by itself is no misconfiguration
                self._ec2.create_vpc_endpoint_connection_notification(
                    ServiceId=service, ConnectionNotificationArn=topic, ConnectionEvents=list(EVENTS)
                )
        except ClientError as error:
            why = Refusal.read(error.response["Error"]).lasting
            return (f"it has no connection notification, and EC2 makes none: {why}",)
        return ()


def _enabled(note: "ConnectionNotificationTypeDef") -> bool:
    return note.get("ConnectionNotificationState") == "Enabled"


def _strangers(notes: "Iterable[ConnectionNotificationTypeDef]", topic: str) -> Iterator[str]:
    """Which other Linkgate stacks a service notifies: each decides by a table of its own."""
    for note in notes:
        name = note.get("ConnectionNotificationArn", "").rpartition(":")[2]
        if note.get("ConnectionNotificationArn") != topic and name.startswith(TOPIC) and _enabled(note):
            yield stranger(name.removeprefix(TOPIC), note["ConnectionNotificationId"])


def stranger(stack: str, notification: str) -> str:
    """That another Linkgate stack is notified of a service's connections, and what to do."""
    return (
        f"the Linkgate stack {stack} is notified of its connections too, and decides about them by a table of its own "
        f"if its TagValue is the same: give each stack a TagValue of its own; if {stack} is gone or has left the "
        f"service to this one, delete its notification {notification}"
    )


def endpoint_service(response: "ServiceConfigurationTypeDef") -> EndpointService:
    """What EC2's description of a service's configuration says."""
    return EndpointService(
        service=response["ServiceId"],
        acceptance_required=response.get("AcceptanceRequired", False),
        state=response.get("ServiceState", ""),
        private_dns_state=response.get("PrivateDnsNameConfiguration", {}).get("State", ""),
        gateway=any(one.get("ServiceType") == "GatewayLoadBalancer" for one in response.get("ServiceType", [])),
        private_dns_name=response.get("PrivateDnsName", ""),
    )
