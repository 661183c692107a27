"""EC2 actions by which a service's owner sees and decides connections: requests and answers as boto3 spells them."""

from typing import Any

from lab.privatelink import ministack
from lab.privatelink.api import listing
from lab.privatelink.api.services import shown_tags, unsuccessful
from lab.privatelink.rules import decisions, services
from lab.privatelink.rules.model import Caller, Connection, Service
from lab.privatelink.rules.state import State

Values = dict[str, Any]
HOSTED_ZONE = "Z38GZ743OKFT7T"
"""AWS's hosted zone for the public names of endpoints in eu-west-1; the lab uses it in every Region."""


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
        "DnsEntries": [{"DnsName": n, "HostedZoneId": HOSTED_ZONE} for n in connection.dns_names(service)],
        "NetworkLoadBalancerArns": service.load_balancer_arns,
        "IpAddressType": "ipv4",
        "VpcEndpointConnectionId": connection.connection_id,
        "Tags": shown_tags(tags),
        "VpcEndpointRegion": connection.region,
    }


def accept(state: State, caller: Caller, request: Values) -> Values:
    """AcceptVpcEndpointConnections."""
    failures = decisions.accept(state, caller, request["ServiceId"], request.get("VpcEndpointIds", []))
    return {"Unsuccessful": unsuccessful(failures)}


def reject(state: State, caller: Caller, request: Values) -> Values:
    """RejectVpcEndpointConnections."""
    failures = decisions.reject(state, caller, request["ServiceId"], request.get("VpcEndpointIds", []))
    return {"Unsuccessful": unsuccessful(failures)}
