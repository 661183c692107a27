"""EC2 actions by which a service's owner sees and decides connections: requests and answers as boto3 spells them."""

from lab.privatelink import ministack
from lab.privatelink.api import listing
from lab.privatelink.api.fields import Values, public_names, shown_tags, unsuccessful
from lab.privatelink.rules import decisions, services
from lab.privatelink.rules.model import ATTACHMENT, Caller, Connection, Refusal, Service
from lab.privatelink.rules.state import State

FILTERS = (
    "ip-address-type",
    "service-id",
    "transit-gateway-attachment-id",
    "vpc-endpoint-owner",
    "vpc-endpoint-region",
    "vpc-endpoint-state",
)
"""Those of DescribeVpcEndpointConnections. Its API reference has vpc-endpoint-id as well, but terraform-provider-aws
notes that EC2 answers "InvalidFilter: The filter vpc-endpoint-id is invalid" (internal/service/ec2/find.go)."""


def describe_connections(state: State, caller: Caller, request: Values) -> Values:
    """DescribeVpcEndpointConnections: those on the caller's own services."""
    listing.require_known(request.get("Filters", ()), FILTERS)
    own = {service.service_id: service for service in services.owned(state, caller)}
    with state.lock:
        theirs = [c for c in state.connections.values() if c.service_id in own]
    found = listing.chosen(theirs, request.get("Filters", ()), _connection_facts)
    shown, token = listing.page(found, request, lambda c: c.endpoint_id)
    return {"VpcEndpointConnections": [_connection(c, own[c.service_id]) for c in shown], "NextToken": token}


def _connection_facts(connection: Connection) -> listing.Facts:
    is_attachment = connection.kind == ATTACHMENT
    return {
        "service-id": (connection.service_id,),
        "transit-gateway-attachment-id": (connection.endpoint_id,) if is_attachment else (),
        "vpc-endpoint-owner": () if is_attachment else (connection.owner,),
        "vpc-endpoint-state": (connection.state,),
        "vpc-endpoint-region": (connection.region,),
        "ip-address-type": ("ipv4",),
    }


def _connection(connection: Connection, service: Service) -> Values:
    tags = ministack.tags(service.owner, service.region, connection.connection_id)
    return {
        **_identity(connection),
        "ServiceId": connection.service_id,
        "VpcEndpointState": connection.state,
        "CreationTimestamp": connection.created,
        "DnsEntries": public_names(connection, service),
        "NetworkLoadBalancerArns": service.load_balancer_arns or None,
        "GatewayLoadBalancerArns": service.gateway_arns or None,
        "IpAddressType": "ipv4",
        "VpcEndpointConnectionId": connection.connection_id,
        "Tags": shown_tags(tags),
        "VpcEndpointRegion": connection.region,
    }


def _identity(connection: Connection) -> Values:
    """Who is connected.

    Unconfirmed: that the connection of an attachment has neither an endpoint's id nor an endpoint's owner. The API
    reference says of the two members here that they are for attachments, and of the others that they are endpoints'.
    """
    if connection.kind == ATTACHMENT:
        return {
            "TransitGatewayAttachmentId": connection.endpoint_id,
            "TransitGatewayAttachmentOwner": connection.owner,
        }
    return {"VpcEndpointId": connection.endpoint_id, "VpcEndpointOwner": connection.owner}


def accept(state: State, caller: Caller, request: Values) -> Values:
    """AcceptVpcEndpointConnections."""
    return unsuccessful(decisions.accept(state, caller, request["ServiceId"], *_ids(request)))


def reject(state: State, caller: Caller, request: Values) -> Values:
    """RejectVpcEndpointConnections."""
    return unsuccessful(decisions.reject(state, caller, request["ServiceId"], *_ids(request)))


def _ids(request: Values) -> tuple[list[str], bool]:
    """The ids of a request, and whether they are of attachments.

    "You must specify either VpcEndpointIds or TransitGatewayAttachmentIds, but not both" (API reference; the code is
    unconfirmed). Raises Refusal InvalidParameterCombination for both, MissingParameter for neither.
    """
    endpoints, attachments = request.get("VpcEndpointIds", []), request.get("TransitGatewayAttachmentIds", [])
    if endpoints and attachments:
        raise Refusal("InvalidParameterCombination", "Specify VpcEndpointIds or TransitGatewayAttachmentIds, not both.")
    if not endpoints and not attachments:
        raise Refusal("MissingParameter", "The request must contain the parameter VpcEndpointId")
    return endpoints or attachments, bool(attachments)
