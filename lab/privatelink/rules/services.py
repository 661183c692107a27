"""The rules of endpoint services and of who may connect to them."""

import secrets
from collections.abc import Sequence
from dataclasses import replace

from lab.privatelink.rules.model import (
    ATTACHMENT,
    AVAILABLE,
    GATEWAY,
    INTERFACE,
    PENDING,
    PENDING_ACCEPTANCE,
    Caller,
    Failure,
    PrivateName,
    Refusal,
    Service,
    new_id,
    refused,
)
from lab.privatelink.rules.principals import (
    ENDPOINTS,
    allowed,
    may_connect,
    principal_type,
    require_permission,
    with_allowed,
)
from lab.privatelink.rules.state import State


def create(
    state: State,
    caller: Caller,
    load_balancer_arns: Sequence[str],
    zones: Sequence[str],
    acceptance_required: bool = True,
    private_name: str = "",
    gateway_arns: Sequence[str] = (),
    supported_regions: Sequence[str] = (),
) -> Service:
    """A new service of the caller.

    Raises Refusal InvalidParameter unless there are load balancers of one kind. One without a listener is taken, as
    nothing says that EC2 refuses it: connections to it are reset, that is all.
    """
    if bool(load_balancer_arns) == bool(gateway_arns):
        raise Refusal(
            "InvalidParameter",
            "exactly one of network_load_balancer_arn or gateway_load_balancer_arn is a required member",
        )
    service = Service(
        service_id=new_id("vpce-svc"),
        owner=caller.account,
        region=caller.region,
        acceptance_required=acceptance_required,
        load_balancer_arns=tuple(load_balancer_arns),
        zones=tuple(zones),
        private_name=_unverified(private_name),
        kind=GATEWAY if gateway_arns else INTERFACE,
        gateway_arns=tuple(gateway_arns),
        supported_regions=tuple(supported_regions),
    )
    with state.change():
        state.services[service.service_id] = service
    return service


def _unverified(name: str) -> PrivateName | None:
    token = secrets.token_hex(10)
    return PrivateName(name, f"_{token}", f"vpce:{secrets.token_urlsafe(15)}") if name else None


def owned(state: State, caller: Caller) -> list[Service]:
    """The services of the caller's account in its Region."""
    with state.lock:
        return [s for s in state.services.values() if _owns(caller, s)]


def _owns(caller: Caller, service: Service) -> bool:
    return not service.deleted and caller.owns(service)


def find(state: State, caller: Caller, service_id: str) -> Service:
    """The caller's own service. Raises Refusal InvalidVpcEndpointServiceId.NotFound, also for a foreign one."""
    service = state.services.get(service_id)
    if service is None or not _owns(caller, service):
        raise Refusal(
            "InvalidVpcEndpointServiceId.NotFound", f"The VpcEndpointService Id '{service_id}' does not exist"
        )
    return service


def visible(state: State, caller: Caller) -> list[Service]:
    """The services in the caller's Region that it may make endpoints on."""
    with state.lock:
        here = [s for s in state.services.values() if s.region == caller.region and not s.deleted]
    return [s for s in here if may_connect(s, caller)]


def offered(state: State, caller: Caller, name: str, kind: str) -> Service:
    """The service of that name, if the caller may make a connection of the kind.

    Raises Refusal InvalidServiceName: AWS hides the rest; InvalidParameter if the service is of another type.
    """
    with state.lock:
        here = [s for s in state.services.values() if s.region == caller.region and not s.deleted and s.name == name]
    for service in here:
        if may_connect(service, caller, kind):
            if service.kind != (GATEWAY if kind == ATTACHMENT else kind):
                raise Refusal("InvalidParameter", f"Endpoint type ({kind}) does not match {name}.")
            return service
    raise Refusal("InvalidServiceName", f"The Vpc Endpoint Service '{name}' does not exist")


def modify(
    state: State,
    caller: Caller,
    service_id: str,
    acceptance_required: bool | None = None,
    load_balancer_arns: tuple[str, ...] | None = None,
    zones: tuple[str, ...] = (),
    private_name: str | None = None,
    gateway_arns: tuple[str, ...] | None = None,
    supported_regions: tuple[str, ...] | None = None,
) -> None:
    """Change a service in place; what is None stays. A new private name starts unverified, an empty one is none.

    Both lists of load balancers are given together, with their zones. Unconfirmed: that a service keeps its type, and
    may get load balancers of the other kind as well; creating one with both is refused.
    """
    with state.change():
        service = find(state, caller, service_id)
        if acceptance_required is not None:
            service = replace(service, acceptance_required=acceptance_required)
        if load_balancer_arns is not None:
            kept = load_balancer_arns if service.kind == INTERFACE else gateway_arns
            if not kept:
                raise Refusal("InvalidParameter", "A service must keep at least one load balancer of its type.")
            service = replace(
                service, load_balancer_arns=load_balancer_arns, gateway_arns=gateway_arns or (), zones=zones
            )
        if supported_regions is not None:
            service = replace(service, supported_regions=supported_regions)
        if private_name is not None:
            service = replace(service, private_name=_unverified(private_name))
        state.services[service_id] = service


def permit(
    state: State,
    caller: Caller,
    service_id: str,
    add: Sequence[str],
    remove: Sequence[str],
    permission: str = ENDPOINTS,
) -> tuple[str, ...]:
    """Change who may connect by one type of permission; the principals that did not have it before.

    No connection ends by it. A principal may have either type or both (ModifyVpcEndpointServicePermissions).
    """
    for principal in (*add, *remove):
        principal_type(principal)
    with state.change():
        service = find(state, caller, service_id)
        require_permission(service, permission)
        kept = tuple(p for p in allowed(service, permission) if p not in remove)
        added = tuple(dict.fromkeys(p for p in add if p not in kept))
        state.services[service_id] = with_allowed(service, permission, kept + added)
    return added


def delete(state: State, caller: Caller, service_ids: Sequence[str]) -> list[Failure]:
    """Delete services; those with a connection that is live or waits stay, and are answered.

    The code for an id that does not exist is not find's (terraform-provider-aws, moto). AWS documents that available
    and pendingAcceptance block; that `pending` does is unconfirmed.
    """

    def delete_one(service_id: str) -> None:
        try:
            service = find(state, caller, service_id)
        except Refusal as unknown:
            raise Refusal("InvalidVpcEndpointService.NotFound", unknown.message) from unknown
        states = {c.state for c in state.connections.values() if c.service_id == service_id}
        if states & {AVAILABLE, PENDING, PENDING_ACCEPTANCE}:
            message = f"Service {service_id} has existing active VPC Endpoint connections!"
            raise Refusal("ExistingVpcEndpointConnections", message)
        # Rejected endpoints outlive their service on the consumer's side, so the record stays for them.
        state.services[service_id] = replace(service, deleted=True)
        for notification in list(state.notifications.values()):
            if notification.source_id == service_id:
                del state.notifications[notification.notification_id]

    with state.change():
        return refused(service_ids, delete_one)
