"""The rules of connections on the consumer's side: requested, modified, deleted.

Their states, with what the provider does in decisions.py:

pendingAcceptance --accept--> pending --soon--> available        any --delete--> deleting --soon--> gone
pendingAcceptance, available --reject--> rejected
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from lab.privatelink.rules import services
from lab.privatelink.rules.addresses import free_address
from lab.privatelink.rules.model import (
    ATTACHMENT,
    AVAILABLE,
    DELETING,
    GATEWAY,
    INTERFACE,
    PENDING_ACCEPTANCE,
    Address,
    Caller,
    Connection,
    Refusal,
    Service,
    Subnet,
    new_id,
    new_label,
)
from lab.privatelink.rules.private_dns import with_private_name
from lab.privatelink.rules.state import State


def connect(
    state: State,
    caller: Caller,
    service_name: str,
    vpc_id: str,
    subnets: Sequence[Subnet],
    security_group_ids: Sequence[str],
    private_dns: bool = False,
    kind: str = INTERFACE,
) -> Connection:
    """An endpoint of the caller, of type `kind`, on a service that lets it in.

    Raises Refusal InvalidServiceName, InvalidParameter (another type, a zone without the service, private DNS; for a
    Gateway Load Balancer more than one subnet), DuplicateSubnetsInSameZone, InsufficientFreeAddressesInSubnet.
    """
    service = services.offered(state, caller, service_name, kind)
    if kind == GATEWAY and (len(subnets) > 1 or security_group_ids or private_dns):
        # CreateVpcEndpoint: "For a Gateway Load Balancer endpoint, you can specify only one subnet"; groups and private
        # names are for interface endpoints. The words are unconfirmed.
        raise Refusal("InvalidParameter", f"An endpoint of type {kind} has one subnet, no groups, no private DNS name.")
    with state.change() as events:
        connection = _request(caller, service, kind, new_id("vpce"), vpc_id, security_group_ids)
        connection = replace(connection, addresses=_with_addresses(state, service, (), subnets))
        if private_dns:
            connection = with_private_name(state, connection, service)
        state.connections[connection.endpoint_id] = connection
        events.append(state.event("Connect", connection))
    return connection


def attach(state: State, caller: Caller, service_name: str, transit_gateway_id: str) -> Connection:
    """A network function attachment of the caller's transit gateway to a service of Gateway Load Balancers.

    "You can create one network function attachment for each combination of transit gateway and endpoint service. The
    attachment remains in the pendingAcceptance state until the endpoint service owner accepts the endpoint connection"
    (EC2 API reference; code and words of the refusal are unconfirmed). Whether the gateway exists is not looked at.
    """
    service = services.offered(state, caller, service_name, ATTACHMENT)
    with state.change() as events:
        there = {(c.service_id, c.vpc_id) for c in state.connections.values() if c.kind == ATTACHMENT}
        if (service.service_id, transit_gateway_id) in there:
            raise Refusal("DuplicateTransitGatewayAttachment", f"{transit_gateway_id} has an attachment to it already.")
        connection = _request(caller, service, ATTACHMENT, new_id("tgw-attach"), transit_gateway_id, ())
        state.connections[connection.endpoint_id] = connection
        events.append(state.event("Connect", connection))
    return connection


def detach(state: State, caller: Caller, attachment_id: str) -> Connection:
    """Delete the caller's attachment, which "must be in the available or pendingAcceptance state" (API reference)."""
    with state.change() as events:
        connection = state.connections.get(attachment_id)
        if connection is None or connection.kind != ATTACHMENT or not caller.owns(connection):
            raise Refusal("InvalidTransitGatewayAttachmentID.NotFound", f"The attachment '{attachment_id}' is unknown")
        if connection.state not in (AVAILABLE, PENDING_ACCEPTANCE):
            raise Refusal("IncorrectState", f"{attachment_id} is in invalid state")
        events.append(state.move(connection, DELETING, "Delete"))
    state.later(state.settle_after, lambda: _forget(state, attachment_id))
    return state.connections[attachment_id]


def _request(
    caller: Caller, service: Service, kind: str, endpoint_id: str, vpc_id: str, security_group_ids: Sequence[str]
) -> Connection:
    return Connection(
        connection_id=new_id("vpce-con"),
        endpoint_id=endpoint_id,
        label=new_label(endpoint_id),
        service_id=service.service_id,
        service_owner=service.owner,
        owner=caller.account,
        region=caller.region,
        vpc_id=vpc_id,
        state=PENDING_ACCEPTANCE if service.acceptance_required else AVAILABLE,
        created=datetime.now(UTC),
        addresses=(),
        security_group_ids=tuple(security_group_ids),
        kind=kind,
    )


def _with_addresses(
    state: State, service: Service, held: tuple[Address, ...], subnets: Sequence[Subnet]
) -> tuple[Address, ...]:
    """`held`, and an address in each further subnet; the caller holds the lock."""
    for subnet in subnets:
        if subnet.zone not in service.zones:
            raise Refusal(
                "InvalidParameter",
                f"The VPC endpoint service {service.name} does not support the availability zone of the subnet: "
                f"{subnet.subnet_id}.",
            )
        if subnet.zone in {address.zone for address in held}:
            raise Refusal(
                "DuplicateSubnetsInSameZone",
                f"Found another VPC endpoint subnet in the availability zone of {subnet.subnet_id}",
            )
        near = (c for c in state.connections.values() if c.vpc_id == subnet.vpc_id)
        others = {a.ip for c in near for a in c.addresses if a.subnet_id == subnet.subnet_id}
        ip = free_address(subnet.cidr, subnet.taken | others)
        held += (Address(subnet.subnet_id, subnet.zone, ip, new_id("eni")),)
    return held


def find(state: State, caller: Caller, endpoint_id: str) -> Connection:
    """The caller's own endpoint. Raises Refusal InvalidVpcEndpointId.NotFound."""
    connection = state.connections.get(endpoint_id)
    if connection is None or connection.kind == ATTACHMENT or not caller.owns(connection):
        raise Refusal("InvalidVpcEndpointId.NotFound", f"The Vpc Endpoint Id '{endpoint_id}' does not exist")
    return connection


def modify(
    state: State,
    caller: Caller,
    endpoint_id: str,
    add_subnets: Sequence[Subnet] = (),
    remove_subnet_ids: Sequence[str] = (),
    security_group_ids: Sequence[str] | None = None,
    private_dns: bool | None = None,
) -> Connection:
    """Change an endpoint in place; what is None stays. A subnet that it is in already is left alone."""
    with state.change():
        connection = find(state, caller, endpoint_id)
        service = state.services[connection.service_id]
        kept = tuple(a for a in connection.addresses if a.subnet_id not in remove_subnet_ids)
        new = [s for s in add_subnets if s.subnet_id not in {a.subnet_id for a in kept}]
        connection = replace(connection, addresses=_with_addresses(state, service, kept, new))
        if security_group_ids is not None:
            connection = replace(connection, security_group_ids=tuple(security_group_ids))
        if private_dns:
            connection = with_private_name(state, connection, service)
        elif private_dns is False:
            connection = replace(connection, private_dns=False)
        state.connections[endpoint_id] = connection
    return connection


def delete(state: State, caller: Caller, endpoint_id: str) -> None:
    """Delete the caller's endpoint: it is deleting for a moment, its addresses are free after that."""
    with state.change() as events:
        connection = find(state, caller, endpoint_id)
        if connection.state == DELETING:
            return
        events.append(state.move(connection, DELETING, "Delete"))
    state.later(state.settle_after, lambda: _forget(state, endpoint_id))


def _forget(state: State, endpoint_id: str) -> None:
    with state.change():
        state.connections.pop(endpoint_id, None)
