"""EC2's actions: which function answers which, how it is called, and what is recorded of it."""

from collections.abc import Callable, Mapping
from typing import Any

from lab.privatelink import acceptance, catalogue, consumer, delivery, host, provider, shapes, trail
from lab.privatelink.model import Caller, Refusal
from lab.privatelink.state import State

Handler = Callable[[State, Caller, dict[str, Any]], dict[str, Any] | None]
Background = Callable[[Callable[[], None]], object]

HANDLERS: Mapping[str, Handler] = {
    "CreateVpcEndpointServiceConfiguration": provider.create_service,
    "DescribeVpcEndpointServiceConfigurations": provider.describe_services,
    "ModifyVpcEndpointServiceConfiguration": provider.modify_service,
    "StartVpcEndpointServicePrivateDnsVerification": provider.verify_private_name,
    "DeleteVpcEndpointServiceConfigurations": provider.delete_services,
    "ModifyVpcEndpointServicePermissions": provider.modify_permissions,
    "DescribeVpcEndpointServicePermissions": provider.describe_permissions,
    "DescribeVpcEndpointConnections": acceptance.describe_connections,
    "AcceptVpcEndpointConnections": acceptance.accept,
    "RejectVpcEndpointConnections": acceptance.reject,
    "CreateVpcEndpointConnectionNotification": delivery.create,
    "DescribeVpcEndpointConnectionNotifications": delivery.describe,
    "ModifyVpcEndpointConnectionNotification": delivery.modify,
    "DeleteVpcEndpointConnectionNotifications": delivery.delete,
    "DescribeVpcEndpointServices": catalogue.describe_services,
    "CreateVpcEndpoint": consumer.create,
    "DescribeVpcEndpoints": consumer.describe,
    "ModifyVpcEndpoint": consumer.modify,
    "DeleteVpcEndpoints": consumer.delete,
}


def install(state: State, background: Background) -> None:
    """Put the actions into ministack's EC2. `background(act)` runs `act` off the request's thread, in order."""
    for action, handler in HANDLERS.items():
        host.ACTIONS[action] = _action(state, action, handler, background)


def _action(state: State, action: str, handler: Handler, background: Background) -> host.Action:
    def run(parameters: Mapping[str, Any]) -> host.Answer:
        query = flat(parameters)
        caller = host.caller()
        answer = _answer(state, caller, action, handler, query) or host.ORIGINALS[action](parameters)
        if action in trail.RECORDED:
            record = trail.record(caller, action, query, answer[2])
            background(lambda: host.put_event(caller.account, caller.region, trail.SOURCE, trail.DETAIL_TYPE, record))
        return answer

    return run


def flat(parameters: Mapping[str, Any]) -> dict[str, str]:
    """ministack's parameters, whose values may be lists of one, as a client sent them."""
    first = {key: value[0] if isinstance(value, list) else value for key, value in parameters.items()}
    return {key: str(value) for key, value in first.items()}


def _answer(state: State, caller: Caller, action: str, handler: Handler, query: shapes.Query) -> host.Answer | None:
    headers = {"Content-Type": "text/xml;charset=UTF-8"}
    try:
        request = shapes.request(action, query)
        if request.pop("DryRun", False):
            raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        values = handler(state, caller, request)
    except Refusal as refusal:
        return refusal.status, headers, shapes.refusal(refusal)
    return None if values is None else (200, headers, shapes.answer(action, values))
