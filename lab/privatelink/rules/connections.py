"""The rules of connections on the consumer's side: requested, modified, deleted.

Their states, with what the provider does in decisions.py:

pendingAcceptance --accept--> pending --soon--> available        any --delete--> deleting --soon--> gone
pendingAcceptance, pending, available --reject--> rejected
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from lab.privatelink.rules import services
from lab.privatelink.rules.addresses import free_address
from lab.privatelink.rules.model import (
    AVAILABLE,
    DELETING,
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
) -> Connection:
    """An interface endpoint of the caller on a service that lets it in.

    Raises Refusal InvalidServiceName, InvalidParameter (a zone without the service, private DNS),
    DuplicateSubnetsInSameZone, InsufficientFreeAddressesInSubnet.
    """
    service = services.offered(state, caller, service_name)
    with state.change() as events:
        connection = _request(caller, service, vpc_id, security_group_ids)
        connection = replace(connection, addresses=_with_addresses(state, service, (), subnets))
        if private_dns:
            connection = with_private_name(state, connection, service)
        state.connections[connection.endpoint_id] = connection
        events.append(state.event("Connect", connection))
    return connection


def _request(caller: Caller, service: Service, vpc_id: str, security_group_ids: Sequence[str]) -> Connection:
    endpoint_id = new_id("vpce")
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
    if connection is None or not caller.owns(connection):
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
