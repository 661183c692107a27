"""EC2's actions: which function answers which, how it is called, and what is recorded of it."""

from collections.abc import Callable, Mapping
from typing import Any

from lab.privatelink import ministack, protocol
from lab.privatelink.api import attachments, catalogue, cloudtrail, decisions, endpoints, notifications, services
from lab.privatelink.rules.model import Caller, Refusal
from lab.privatelink.rules.state import State

Handler = Callable[[State, Caller, dict[str, Any]], dict[str, Any] | None]
Background = Callable[[Callable[[], None]], object]

HANDLERS: Mapping[str, Handler] = {
    "CreateVpcEndpointServiceConfiguration": services.create_service,
    "DescribeVpcEndpointServiceConfigurations": services.describe_services,
    "ModifyVpcEndpointServiceConfiguration": services.modify_service,
    "StartVpcEndpointServicePrivateDnsVerification": services.verify_private_name,
    "DeleteVpcEndpointServiceConfigurations": services.delete_services,
    "ModifyVpcEndpointServicePermissions": services.modify_permissions,
    "DescribeVpcEndpointServicePermissions": services.describe_permissions,
    "DescribeVpcEndpointConnections": decisions.describe_connections,
    "AcceptVpcEndpointConnections": decisions.accept,
    "RejectVpcEndpointConnections": decisions.reject,
    "CreateVpcEndpointConnectionNotification": notifications.create,
    "DescribeVpcEndpointConnectionNotifications": notifications.describe,
    "ModifyVpcEndpointConnectionNotification": notifications.modify,
    "DeleteVpcEndpointConnectionNotifications": notifications.delete,
    "DescribeVpcEndpointServices": catalogue.describe_services,
    "CreateVpcEndpoint": endpoints.create,
    "DescribeVpcEndpoints": endpoints.describe,
    "ModifyVpcEndpoint": endpoints.modify,
    "DeleteVpcEndpoints": endpoints.delete,
    "CreateTransitGatewayNetworkFunctionAttachment": attachments.create,
    "DeleteTransitGatewayNetworkFunctionAttachment": attachments.delete,
}


def install(state: State, background: Background) -> None:
    """Put the actions into ministack's EC2. `background(act)` runs `act` off the request's thread, in order."""
    for action, handler in HANDLERS.items():
        ministack.ACTIONS[action] = _action(state, action, handler, background)


def _action(state: State, action: str, handler: Handler, background: Background) -> ministack.Action:
    def run(parameters: Mapping[str, Any]) -> ministack.Answer:
        query = ministack.flat(parameters)
        caller = ministack.caller()
        answer = _answer(state, caller, action, handler, query) or ministack.ORIGINALS[action](parameters)
        if action in cloudtrail.RECORDED:
            record = cloudtrail.record(caller, action, query, answer[2])
            background(
                lambda: ministack.put_event(
                    caller.account, caller.region, cloudtrail.SOURCE, cloudtrail.DETAIL_TYPE, record
                )
            )
        return answer

    return run


def _answer(
    state: State, caller: Caller, action: str, handler: Handler, query: protocol.Query
) -> ministack.Answer | None:
    headers = {"Content-Type": "text/xml;charset=UTF-8"}
    try:
        request = protocol.request(action, query)
        if request.pop("DryRun", False):
            raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        values = handler(state, caller, request)
    except Refusal as refusal:
        return refusal.status, headers, protocol.refusal(refusal)
    return None if values is None else (200, headers, protocol.answer(action, values))
