"""Endpoint services: which are managed, whether they notify us of connections, and what leaves them open or shut."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import ClientError

from linkgate.aws.errors import INDIVISIBLE, ec2_errors
from linkgate.model import RowKey
from linkgate.policy.principals import Change
from linkgate.policy.rows import SERVICE_ID, SETTINGS

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import (
        ModifyVpcEndpointServicePermissionsRequestTypeDef,
        ServiceConfigurationTypeDef,
    )

TAG, MANAGED = "linkgate", "managed"
EVENTS = ("Accept", "Connect", "Delete", "Reject")
"""Every event that EC2's connection notifications know."""
PRINCIPALS_PER_CALL = 50
"""Principals that one call adds or removes; how many EC2 takes is not documented."""
PAGE = 1000

_What = Literal["AddAllowedPrincipals", "RemoveAllowedPrincipals"]


@dataclass(frozen=True, slots=True)
class EndpointService:
    """One managed endpoint service, as EC2 describes its configuration."""

    service: str
    acceptance_required: bool
    state: str
    private_dns_state: str
    private_dns_name: str = ""
    """The name that consumers may enable in their VPCs, possibly with a wildcard; "" where there is none."""

    def problems(self) -> tuple[str, ...]:
        """What leaves the gate open or shut, one sentence each."""
        found = []
        if not self.acceptance_required:
            found.append("AcceptanceRequired is off: EC2 accepts every connection by itself")
        if self.state.lower() != "available":
            found.append(f"the service is {self.state or 'in no state'}, not Available")
        if self.private_dns_state.lower() not in ("", "verified"):
            found.append(f"the private DNS name is {self.private_dns_state}, not verified")
        return tuple(found)


def lost(managed: Iterable[str], rows: Iterable[RowKey]) -> dict[str, str]:
    """Services that have a `@settings` row of their own, so somebody enrolled them, and are not managed: why, by id."""
    enrolled = {key.service for key in rows if key.consumer == SETTINGS and SERVICE_ID.fullmatch(key.service)}
    why = f"it has a row {SETTINGS}, but no tag {TAG} = {MANAGED}, or it is gone: nobody looks after it"
    return dict.fromkeys(sorted(enrolled - set(managed)), why)


class EndpointServices:
    """The endpoint services of this account and Region that carry the tag linkgate = managed."""

    def __init__(self, ec2: "EC2Client") -> None:
        self._ec2 = ec2

    def managed(self) -> dict[str, EndpointService]:
        """Every managed service by its id. Untagged services are none of our business."""
        pages = self._ec2.get_paginator("describe_vpc_endpoint_service_configurations").paginate(
            Filters=[{"Name": f"tag:{TAG}", "Values": [MANAGED]}]
        )
        with ec2_errors():
            found = [
                _endpoint_service(response) for page in pages for response in page.get("ServiceConfigurations", [])
            ]
        return {one.service: one for one in found}

    def ensure_notifications(self, services: Mapping[str, EndpointService], topic: str) -> dict[str, str]:
        """Make every service ring the topic; returns why not, by service id, where one still does not."""
        notified = self._notified(topic)
        return {service: why for service in services if (why := self._mend(service, notified.get(service), topic))}

    def principals(self, service: str) -> frozenset[str]:
        """Who may ask for a connection to a service: ARNs, or `*` for everybody."""
        pages = self._ec2.get_paginator("describe_vpc_endpoint_service_permissions").paginate(
            ServiceId=service, PaginationConfig={"PageSize": PAGE}
        )
        with ec2_errors():
            allowed = [one for page in pages for one in page.get("AllowedPrincipals", [])]
        return frozenset(one["Principal"] for one in allowed if "Principal" in one)

    def permit(self, service: str, change: Change) -> str:
        """Add and remove principals; returns EC2's refusals in words, "" if there is none.

        What is added comes first, so that who changes from one principal to another may ask all the time. One that EC2
        refuses (no such account) holds nobody else up.
        """
        refused = self._each(service, change.add, "AddAllowedPrincipals")
        refused += self._each(service, change.remove, "RemoveAllowedPrincipals")
        more = f"; and {len(refused) - 1} more" if len(refused) > 1 else ""
        return f"{refused[0]}{more}" if refused else ""

    def _each(self, service: str, principals: Iterable[str], what: _What) -> list[str]:
        rest, refused = iter(sorted(principals)), list[str]()
        while chunk := list(islice(rest, PRINCIPALS_PER_CALL)):
            refused += self._permit(service, chunk, what)
        return refused

    def _permit(self, service: str, principals: Sequence[str], what: _What) -> list[str]:
        """Why EC2 refuses principals, one sentence each. A list refused as a whole is halved."""
        request: ModifyVpcEndpointServicePermissionsRequestTypeDef = {"ServiceId": service}
        request[what] = principals
        try:
            with ec2_errors():
                self._ec2.modify_vpc_endpoint_service_permissions(**request)
        except ClientError as error:
            if len(principals) == 1 or error.response["Error"]["Code"] in INDIVISIBLE:
                return [f"EC2 refuses the principal {one}: {error}" for one in principals]
            half = len(principals) // 2
            return self._permit(service, principals[:half], what) + self._permit(service, principals[half:], what)
        return []

    def _notified(self, topic: str) -> dict[str, bool]:
        """By service id, whether its notification to our topic is enabled for every event."""
        found: dict[str, bool] = {}
        pages = self._ec2.get_paginator("describe_vpc_endpoint_connection_notifications").paginate()
        with ec2_errors():
            notes = [note for page in pages for note in page.get("ConnectionNotificationSet", [])]
        for note in notes:
            if note.get("ConnectionNotificationArn") == topic and "ServiceId" in note:
                complete = set(EVENTS) <= set(note.get("ConnectionEvents", []))
                enabled = note.get("ConnectionNotificationState") == "Enabled"
                found[note["ServiceId"]] = found.get(note["ServiceId"], False) or (complete and enabled)
        return found

    def _mend(self, service: str, healthy: bool | None, topic: str) -> str:
        if healthy:
            return ""
        if healthy is False:
            return "its connection notification is disabled or does not carry every event"
        try:
            self._ec2.create_vpc_endpoint_connection_notification(
                ServiceId=service, ConnectionNotificationArn=topic, ConnectionEvents=list(EVENTS)
            )
        except ClientError as error:
            return f"it has no connection notification, and EC2 makes none: {error}"
        return ""


def _endpoint_service(response: "ServiceConfigurationTypeDef") -> EndpointService:
    return EndpointService(
        service=response["ServiceId"],
        acceptance_required=response.get("AcceptanceRequired", False),
        state=response.get("ServiceState", ""),
        private_dns_state=response.get("PrivateDnsNameConfiguration", {}).get("State", ""),
        private_dns_name=response.get("PrivateDnsName", ""),
    )
