"""The rules of private DNS names: a service has one, its owner proves it, and endpoints enable it in their VPC."""

from dataclasses import replace

from lab.privatelink.rules import services
from lab.privatelink.rules.model import AVAILABLE, Caller, Connection, Refusal, Service
from lab.privatelink.rules.state import State

UNVERIFIED = "unverified.test"
"""The domain of private names that the lab never verifies."""


def verify(state: State, caller: Caller, service_id: str) -> None:
    """Count the private name as verified at once: no public DNS is asked, where AWS looks for the TXT record.

    Except for names in the domain `unverified.test`: those stay `pendingVerification`, as on AWS where the record is
    missing (there, they are `failed` after a while).
    """
    with state.change():
        service = services.find(state, caller, service_id)
        if service.private_name is None:
            raise Refusal("InvalidParameter", f"The service '{service_id}' has no private DNS name.")
        if not f".{service.private_name.name}".endswith(f".{UNVERIFIED}"):
            verified = replace(service.private_name, state="verified")
            state.services[service_id] = replace(service, private_name=verified)


def with_private_name(state: State, connection: Connection, service: Service) -> Connection:
    """The connection with its service's private name; the caller holds the lock.

    Raises Refusal InvalidParameter. The words are EC2's, seen in reports; in which order it looks is unconfirmed.
    """
    prefix = f"Private DNS can't be enabled because the service {service.name}"
    if service.private_name is None:
        raise Refusal("InvalidParameter", f"{prefix} does not provide a private DNS name.")
    if service.verified_name is None:
        raise Refusal("InvalidParameter", f"{prefix} has not verified the private DNS name.")
    if connection.state != AVAILABLE:
        raise Refusal(
            "InvalidParameter",
            "Private DNS can only be enabled after the endpoint connection is accepted by the owner of "
            f"{service.name}.",
        )
    if service.verified_name in _private_names(state, connection):
        raise Refusal(
            "InvalidParameter",
            "private-dns-enabled cannot be set because there is already a conflicting DNS domain for "
            f"{service.verified_name} in the VPC {connection.vpc_id}",
        )
    return replace(connection, private_dns=True)


def _private_names(state: State, connection: Connection) -> set[str | None]:
    """The private names that other endpoints have in the VPC of this one."""
    vpc = (connection.owner, connection.region, connection.vpc_id)
    others = (c for c in state.connections.values() if c.endpoint_id != connection.endpoint_id and c.private_dns)
    return {state.services[c.service_id].verified_name for c in others if (c.owner, c.region, c.vpc_id) == vpc}
