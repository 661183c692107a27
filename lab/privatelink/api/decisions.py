"""EC2 actions by which a service's owner sees and decides connections: requests and answers as boto3 spells them."""

from lab.privatelink import ministack
from lab.privatelink.api import listing
from lab.privatelink.api.fields import Values, public_names, shown_tags, unsuccessful
from lab.privatelink.rules import decisions, services
from lab.privatelink.rules.model import Caller, Connection, Service
from lab.privatelink.rules.state import State


def describe_connections(state: State, caller: Caller, request: Values) -> Values:
    """DescribeVpcEndpointConnections: those on the caller's own services."""
    own = {service.service_id: service for service in services.owned(state, caller)}
    with state.lock:
        theirs = [c for c in state.connections.values() if c.service_id in own]
    found = listing.chosen(theirs, request.get("Filters", ()), _connection_facts)
    shown, token = listing.page(found, request, lambda c: c.endpoint_id)
    return {"VpcEndpointConnections": [_connection(c, own[c.service_id]) for c in shown], "NextToken": token}


def _connection_facts(connection: Connection) -> listing.Facts:
    return {
        "service-id": (connection.service_id,),
        "vpc-endpoint-owner": (connection.owner,),
        "vpc-endpoint-state": (connection.state,),
        "vpc-endpoint-id": (connection.endpoint_id,),
        "vpc-endpoint-region": (connection.region,),
        "ip-address-type": ("ipv4",),
    }


def _connection(connection: Connection, service: Service) -> Values:
    tags = ministack.tags(service.owner, service.region, connection.connection_id)
    return {
        "ServiceId": connection.service_id,
        "VpcEndpointId": connection.endpoint_id,
        "VpcEndpointOwner": connection.owner,
        "VpcEndpointState": connection.state,
        "CreationTimestamp": connection.created,
        "DnsEntries": public_names(connection, service),
        "NetworkLoadBalancerArns": service.load_balancer_arns,
        "IpAddressType": "ipv4",
        "VpcEndpointConnectionId": connection.connection_id,
        "Tags": shown_tags(tags),
        "VpcEndpointRegion": connection.region,
    }


def accept(state: State, caller: Caller, request: Values) -> Values:
    """AcceptVpcEndpointConnections."""
    return unsuccessful(decisions.accept(state, caller, request["ServiceId"], request.get("VpcEndpointIds", [])))


def reject(state: State, caller: Caller, request: Values) -> Values:
    """RejectVpcEndpointConnections."""
    return unsuccessful(decisions.reject(state, caller, request["ServiceId"], request.get("VpcEndpointIds", [])))
