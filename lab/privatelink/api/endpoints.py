"""EC2 actions of an endpoint's owner: requests and answers as boto3 spells them.

Endpoints on AWS's own services stay ministack's; the actions here hand those over, and describe both.
"""

from collections.abc import Sequence

from lab.privatelink import ministack, network
from lab.privatelink.api import listing
from lab.privatelink.api.fields import Values, given_tags, public_names, shown_tags, unsuccessful
from lab.privatelink.rules import connections
from lab.privatelink.rules.model import (
    ATTACHMENT,
    GATEWAY,
    INTERFACE,
    Caller,
    Connection,
    Failure,
    Refusal,
    Service,
    Subnet,
)
from lab.privatelink.rules.state import State


def is_custom(service_name: str) -> bool:
    """Whether the name is meant for a custom service, not for a service of AWS; it may still be misspelt."""
    return ".vpce-svc-" in service_name


def create(state: State, caller: Caller, request: Values) -> Values | None:
    """CreateVpcEndpoint of type Interface or GatewayLoadBalancer on a custom service; None for the others.

    PrivateDnsEnabled counts as false unless given. SubnetConfigurations are not looked at.
    """
    name = request.get("ServiceName", "")
    if not is_custom(name):
        return None
    kind = request.get("VpcEndpointType", "Gateway")
    if kind not in (INTERFACE, GATEWAY):
        raise Refusal("InvalidParameter", f"Endpoint type ({kind}) does not match {name}.")
    vpc_id = request["VpcId"]
    default = network.default_security_group(caller, vpc_id)
    groups = request.get("SecurityGroupIds") or ([default] if kind == INTERFACE else [])
    network.require_groups(caller, vpc_id, groups)
    if request.get("PrivateDnsEnabled"):
        network.require_dns(caller, vpc_id)
    connection = connections.connect(
        state,
        caller,
        name,
        vpc_id,
        subnets=_subnets(caller, vpc_id, request.get("SubnetIds", [])),
        security_group_ids=groups,
        private_dns=request.get("PrivateDnsEnabled", False),
        kind=kind,
    )
    network.show_interfaces(caller, connection)
    ministack.tag(caller.account, caller.region, connection.endpoint_id, given_tags(request, "vpc-endpoint"))
    return {"VpcEndpoint": _endpoint(state, caller, connection), "ClientToken": request.get("ClientToken")}


def _subnets(caller: Caller, vpc_id: str, subnet_ids: Sequence[str]) -> list[Subnet]:
    return [network.subnet(caller, vpc_id, subnet_id) for subnet_id in dict.fromkeys(subnet_ids)]


def _endpoint(state: State, caller: Caller, connection: Connection) -> Values:
    with state.lock:
        service = state.services[connection.service_id]
    groups = [{"GroupId": g, "GroupName": network.group_name(caller, g) or g} for g in connection.security_group_ids]
    return {
        "VpcEndpointId": connection.endpoint_id,
        "VpcEndpointType": connection.kind,
        "VpcId": connection.vpc_id,
        "ServiceName": service.name,
        "State": connection.state,
        "RouteTableIds": [],
        "SubnetIds": [address.subnet_id for address in connection.addresses],
        "Groups": groups,
        "IpAddressType": "ipv4",
        "DnsOptions": {"DnsRecordIpType": "ipv4"},
        "PrivateDnsEnabled": connection.private_dns,
        "RequesterManaged": False,
        "NetworkInterfaceIds": [address.interface_id for address in connection.addresses],
        "DnsEntries": _dns_entries(connection, service),
        "CreationTimestamp": connection.created,
        "Tags": shown_tags(ministack.tags(caller.account, caller.region, connection.endpoint_id)),
        "OwnerId": connection.owner,
        "ServiceRegion": connection.region,
    }


def _dns_entries(connection: Connection, service: Service) -> list[dict[str, str]]:
    entries = public_names(connection, service)
    if connection.private_dns and service.verified_name:
        zone = f"Z{connection.endpoint_id[-17:].upper()}"
        entries.append({"DnsName": service.verified_name, "HostedZoneId": zone})
    return entries


def describe(state: State, caller: Caller, request: Values) -> Values:
    """DescribeVpcEndpoints: those on custom services and ministack's, by id, by filter, in pages."""
    with state.lock:
        own = [c for c in state.connections.values() if caller.owns(c) and c.kind != ATTACHMENT]
    known = ministack.call("DescribeVpcEndpoints", {}, ministack.ORIGINALS).get("VpcEndpoints", [])
    known += [_endpoint(state, caller, connection) for connection in own]
    ids = request.get("VpcEndpointIds", [])
    if missing := set(ids) - {endpoint["VpcEndpointId"] for endpoint in known}:
        message = f"The Vpc Endpoint Id '{min(missing)}' does not exist"
        raise Refusal("InvalidVpcEndpointId.NotFound", message)
    wanted = [endpoint for endpoint in known if not ids or endpoint["VpcEndpointId"] in ids]
    found = listing.chosen(wanted, request.get("Filters", ()), _endpoint_facts)
    shown, token = listing.page(found, request, lambda endpoint: str(endpoint["VpcEndpointId"]))
    return {"VpcEndpoints": shown, "NextToken": token}


def _endpoint_facts(endpoint: Values) -> listing.Facts:
    return {
        "vpc-endpoint-id": (endpoint["VpcEndpointId"],),
        "vpc-endpoint-state": (endpoint["State"],),
        "vpc-endpoint-type": (endpoint["VpcEndpointType"],),
        "vpc-id": (endpoint["VpcId"],),
        "service-name": (endpoint["ServiceName"],),
        "service-region": (endpoint.get("ServiceRegion", ""),),
        "ip-address-type": (endpoint.get("IpAddressType", ""),),
        **listing.tag_facts({tag["Key"]: tag["Value"] for tag in endpoint.get("Tags", ())}),
    }


def modify(state: State, caller: Caller, request: Values) -> Values | None:
    """ModifyVpcEndpoint: subnets, security groups and private DNS; None for endpoints that are ministack's."""
    endpoint_id = request["VpcEndpointId"]
    if endpoint_id not in state.connections:
        return None
    with state.lock:
        connection = connections.find(state, caller, endpoint_id)
    dropped = request.get("RemoveSecurityGroupIds", [])
    groups = [g for g in connection.security_group_ids if g not in dropped]
    groups = list(dict.fromkeys([*groups, *request.get("AddSecurityGroupIds", [])]))
    network.require_groups(caller, connection.vpc_id, request.get("AddSecurityGroupIds", []))
    if request.get("PrivateDnsEnabled"):
        network.require_dns(caller, connection.vpc_id)
    connection = connections.modify(
        state,
        caller,
        endpoint_id,
        add_subnets=_subnets(caller, connection.vpc_id, request.get("AddSubnetIds", [])),
        remove_subnet_ids=request.get("RemoveSubnetIds", []),
        security_group_ids=groups,
        private_dns=request.get("PrivateDnsEnabled"),
    )
    network.hide_interfaces(connection)
    network.show_interfaces(caller, connection)
    return {"Return": True}


def delete(state: State, caller: Caller, request: Values) -> Values:
    """DeleteVpcEndpoints; the code for an id that does not exist is the one terraform-provider-aws expects."""
    failures = []
    for endpoint_id in request.get("VpcEndpointIds", []):
        try:
            _delete(state, caller, endpoint_id)
        except Refusal:
            message = f"The Vpc Endpoint Id '{endpoint_id}' does not exist"
            failures.append(Failure(endpoint_id, "InvalidVpcEndpoint.NotFound", message))
    return unsuccessful(failures)


def _delete(state: State, caller: Caller, endpoint_id: str) -> None:
    if endpoint_id not in state.connections:
        describe(state, caller, {"VpcEndpointIds": [endpoint_id]})
        ministack.call("DeleteVpcEndpoints", {"VpcEndpointIds": [endpoint_id]}, ministack.ORIGINALS)
        return
    with state.lock:
        connection = connections.find(state, caller, endpoint_id)
    connections.delete(state, caller, endpoint_id)
    network.hide_interfaces(connection)
    ministack.untag(caller.account, caller.region, endpoint_id)
    ministack.untag(connection.service_owner, connection.region, connection.connection_id)
