"""EC2 actions of a transit gateway's owner: attachments to services of Gateway Load Balancers, as boto3 spells them."""

from lab.privatelink.api.fields import Values
from lab.privatelink.rules import connections
from lab.privatelink.rules.model import Caller, Connection
from lab.privatelink.rules.state import State


def create(state: State, caller: Caller, request: Values) -> Values:
    """CreateTransitGatewayNetworkFunctionAttachment; zones are not looked at."""
    return _shown(connections.attach(state, caller, request["ServiceName"], request["TransitGatewayId"]))


def delete(state: State, caller: Caller, request: Values) -> Values:
    """DeleteTransitGatewayNetworkFunctionAttachment."""
    return _shown(connections.detach(state, caller, request["TransitGatewayAttachmentId"]))


def _shown(connection: Connection) -> Values:
    return {
        "TransitGatewayNetworkFunctionAttachment": {
            "TransitGatewayAttachmentId": connection.endpoint_id,
            "TransitGatewayId": connection.vpc_id,
            "ResourceOwnerId": connection.service_owner,
            "State": connection.state,
        }
    }
