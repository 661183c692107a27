"""EC2 actions of a service's owner: requests and answers as boto3 spells them."""

from lab.privatelink import ministack, network
from lab.privatelink.api import listing
from lab.privatelink.api.fields import Values, given_tags, shown_tags, unsuccessful
from lab.privatelink.rules import private_dns, services
from lab.privatelink.rules.model import Caller, Service
from lab.privatelink.rules.principals import ATTACHMENTS, ENDPOINTS, allowed, principal_type
from lab.privatelink.rules.state import State


def create_service(state: State, caller: Caller, request: Values) -> Values:
    """CreateVpcEndpointServiceConfiguration."""
    arns, gateways = request.get("NetworkLoadBalancerArns", []), request.get("GatewayLoadBalancerArns", [])
    service = services.create(
        state,
        caller,
        load_balancer_arns=arns,
        zones=network.zones(caller, [*arns, *gateways]),
        acceptance_required=request.get("AcceptanceRequired", True),
        private_name=request.get("PrivateDnsName", ""),
        gateway_arns=gateways,
        supported_regions=request.get("SupportedRegions", ()),
    )
    ministack.tag(caller.account, caller.region, service.service_id, given_tags(request, "vpc-endpoint-service"))
    return {"ServiceConfiguration": _configuration(caller, service), "ClientToken": request.get("ClientToken")}


def _configuration(caller: Caller, service: Service) -> Values:
    tags = ministack.tags(caller.account, caller.region, service.service_id)
    shown: Values = {
        "ServiceType": [{"ServiceType": service.kind}],
        "ServiceId": service.service_id,
        "ServiceName": service.name,
        "ServiceState": "Available",
        "AvailabilityZoneIds": [network.zone_id(zone) for zone in service.zones],
        "AvailabilityZones": service.zones,
        "AcceptanceRequired": service.acceptance_required,
        "ManagesVpcEndpoints": False,
        "NetworkLoadBalancerArns": service.load_balancer_arns or None,
        "GatewayLoadBalancerArns": service.gateway_arns or None,
        "SupportedIpAddressTypes": ["ipv4"],
        "BaseEndpointDnsNames": [service.base_dns_name],
        # Unconfirmed: that it is there, and empty, without a private name too (moto's tests have it so).
        "PrivateDnsNameConfiguration": {},
        "SupportedRegions": [{"Region": r, "ServiceState": "Available"} for r in service.supported_regions] or None,
        "Tags": shown_tags(tags),
    }
    if private := service.private_name:
        shown["PrivateDnsName"] = private.name
        proof = {"State": private.state, "Type": "TXT", "Value": private.value, "Name": private.record}
        shown["PrivateDnsNameConfiguration"] = proof
    return shown


def describe_services(state: State, caller: Caller, request: Values) -> Values:
    """DescribeVpcEndpointServiceConfigurations: the caller's own, by id, by filter, in pages."""
    ids = request.get("ServiceIds", [])
    with state.lock:
        for service_id in ids:
            services.find(state, caller, service_id)
    own = [s for s in services.owned(state, caller) if not ids or s.service_id in ids]
    found = listing.chosen(own, request.get("Filters", ()), lambda s: _service_facts(caller, s))
    shown, token = listing.page(found, request, lambda s: s.service_id)
    return {"ServiceConfigurations": [_configuration(caller, s) for s in shown], "NextToken": token}


def _service_facts(caller: Caller, service: Service) -> listing.Facts:
    return {
        "service-name": (service.name,),
        "service-id": (service.service_id,),
        "service-state": ("Available",),
        "supported-ip-address-types": ("ipv4",),
        **listing.tag_facts(ministack.tags(caller.account, caller.region, service.service_id)),
    }


def modify_service(state: State, caller: Caller, request: Values) -> Values:
    """ModifyVpcEndpointServiceConfiguration."""
    with state.lock:
        service = services.find(state, caller, request["ServiceId"])
    arns = _changed(service.load_balancer_arns, request, "NetworkLoadBalancerArns")
    gateways = _changed(service.gateway_arns, request, "GatewayLoadBalancerArns")
    changed = (arns, gateways) != (service.load_balancer_arns, service.gateway_arns)
    services.modify(
        state,
        caller,
        service.service_id,
        acceptance_required=request.get("AcceptanceRequired"),
        load_balancer_arns=arns if changed else None,
        gateway_arns=gateways if changed else None,
        zones=network.zones(caller, [*arns, *gateways]) if changed else (),
        supported_regions=_changed(service.supported_regions, request, "SupportedRegions"),
        private_name="" if request.get("RemovePrivateDnsName") else request.get("PrivateDnsName"),
    )
    return {"Return": True}


def _changed(before: tuple[str, ...], request: Values, name: str) -> tuple[str, ...]:
    """A list of the service after the request, which adds to it and removes from it."""
    kept = [value for value in before if value not in request.get(f"Remove{name}", [])]
    return tuple(dict.fromkeys([*kept, *request.get(f"Add{name}", [])]))


def verify_private_name(state: State, caller: Caller, request: Values) -> Values:
    """StartVpcEndpointServicePrivateDnsVerification, which looks at the name alone: see private_dns.verify."""
    private_dns.verify(state, caller, request["ServiceId"])
    return {"ReturnValue": True}


def delete_services(state: State, caller: Caller, request: Values) -> Values:
    """DeleteVpcEndpointServiceConfigurations."""
    ids = request.get("ServiceIds", [])
    failures = services.delete(state, caller, ids)
    for service_id in set(ids) - {f.resource_id for f in failures}:
        ministack.untag(caller.account, caller.region, service_id)
    return unsuccessful(failures)


def modify_permissions(state: State, caller: Caller, request: Values) -> Values:
    """ModifyVpcEndpointServicePermissions."""
    service_id = request["ServiceId"]
    add, remove = request.get("AddAllowedPrincipals", []), request.get("RemoveAllowedPrincipals", [])
    permission = request.get("PermissionType", ENDPOINTS)
    added = services.permit(state, caller, service_id, add, remove, permission)
    return {"AddedPrincipals": [_permission(service_id, p, permission) for p in added], "ReturnValue": True}


def _permission(service_id: str, principal: str, permission: str) -> Values:
    return {
        "PrincipalType": principal_type(principal),
        "Principal": principal,
        "ServiceId": service_id,
        "PermissionType": permission,
    }


def describe_permissions(state: State, caller: Caller, request: Values) -> Values:
    """DescribeVpcEndpointServicePermissions: a principal with both types is in it twice (unconfirmed).

    Permissions have no ids and no tags of their own here.
    """
    with state.lock:
        service = services.find(state, caller, request["ServiceId"])
    known = [(principal, kind) for kind in (ENDPOINTS, ATTACHMENTS) for principal in allowed(service, kind)]
    found = listing.chosen(
        known,
        request.get("Filters", ()),
        lambda p: {"principal": (p[0],), "principal-type": (principal_type(p[0]),), "permission-type": (p[1],)},
    )
    shown, token = listing.page(found, request, " ".join)
    return {"AllowedPrincipals": [_permission(service.service_id, *p) for p in shown], "NextToken": token}
