"""The rules of endpoint services and of who may connect to them."""

import secrets
from collections.abc import Sequence
from dataclasses import replace

from lab.privatelink.rules.model import (
    AVAILABLE,
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
from lab.privatelink.rules.principals import may_connect, principal_type
from lab.privatelink.rules.state import State


def create(
    state: State,
    caller: Caller,
    load_balancer_arns: Sequence[str],
    zones: Sequence[str],
    acceptance_required: bool = True,
    private_name: str = "",
) -> Service:
    """A new service of the caller.

    Raises Refusal InvalidParameter without a load balancer. One without a listener is taken, as nothing says that EC2
    refuses it: connections to it are reset, that is all.
    """
    if not load_balancer_arns:
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
    """The services in the caller's Region that it may connect to."""
    with state.lock:
        here = [s for s in state.services.values() if s.region == caller.region and not s.deleted]
    return [s for s in here if may_connect(s, caller)]


def offered(state: State, caller: Caller, name: str) -> Service:
    """The service of that name, if the caller may connect. Raises Refusal InvalidServiceName: AWS hides the rest."""
    for service in visible(state, caller):
        if service.name == name:
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
) -> None:
    """Change a service in place; what is None stays. A new private name starts unverified, an empty one is none."""
    with state.change():
        service = find(state, caller, service_id)
        if acceptance_required is not None:
            service = replace(service, acceptance_required=acceptance_required)
        if load_balancer_arns is not None:
            if not load_balancer_arns:
                raise Refusal("InvalidParameter", "A service must keep at least one Network Load Balancer.")
            service = replace(service, load_balancer_arns=load_balancer_arns, zones=zones)
        if private_name is not None:
            service = replace(service, private_name=_unverified(private_name))
        state.services[service_id] = service


def permit(state: State, caller: Caller, service_id: str, add: Sequence[str], remove: Sequence[str]) -> tuple[str, ...]:
    """Change who may connect; the principals that were not allowed before. No connection ends by it."""
    for principal in (*add, *remove):
        principal_type(principal)
    with state.change():
        service = find(state, caller, service_id)
        kept = tuple(p for p in service.principals if p not in remove)
        added = tuple(dict.fromkeys(p for p in add if p not in kept))
        state.services[service_id] = replace(service, principals=kept + added)
    return added


def delete(state: State, caller: Caller, service_ids: Sequence[str]) -> list[Failure]:
    """Delete services; those with a connection that is live or waits stay, and are answered.

    AWS documents that available and pendingAcceptance block; that `pending` does is unconfirmed.
    """

    def delete_one(service_id: str) -> None:
        service = find(state, caller, service_id)
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
