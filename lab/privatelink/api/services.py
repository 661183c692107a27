"""EC2 actions of a service's owner: requests and answers as boto3 spells them."""

from lab.privatelink import ministack, network
from lab.privatelink.api import listing
from lab.privatelink.api.fields import Values, given_tags, shown_tags, unsuccessful
from lab.privatelink.rules import private_dns, services
from lab.privatelink.rules.model import Caller, Refusal, Service
from lab.privatelink.rules.principals import principal_type
from lab.privatelink.rules.state import State


def create_service(state: State, caller: Caller, request: Values) -> Values:
    """CreateVpcEndpointServiceConfiguration. Only Network Load Balancers: the lab has no GWLB endpoints."""
    if "GatewayLoadBalancerArns" in request:
        raise Refusal("UnsupportedOperation", "The local AWS has no Gateway Load Balancer endpoint services.")
    arns = request.get("NetworkLoadBalancerArns", [])
    service = services.create(
        state,
        caller,
        load_balancer_arns=arns,
        zones=network.zones(caller, arns),
        acceptance_required=request.get("AcceptanceRequired", True),
        private_name=request.get("PrivateDnsName", ""),
    )
    ministack.tag(caller.account, caller.region, service.service_id, given_tags(request, "vpc-endpoint-service"))
    return {"ServiceConfiguration": _configuration(caller, service), "ClientToken": request.get("ClientToken")}


def _configuration(caller: Caller, service: Service) -> Values:
    tags = ministack.tags(caller.account, caller.region, service.service_id)
    shown: Values = {
        "ServiceType": [{"ServiceType": "Interface"}],
        "ServiceId": service.service_id,
        "ServiceName": service.name,
        "ServiceState": "Available",
        "AvailabilityZoneIds": [network.zone_id(zone) for zone in service.zones],
        "AvailabilityZones": service.zones,
        "AcceptanceRequired": service.acceptance_required,
        "ManagesVpcEndpoints": False,
        "NetworkLoadBalancerArns": service.load_balancer_arns,
        "SupportedIpAddressTypes": ["ipv4"],
        "BaseEndpointDnsNames": [service.base_dns_name],
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
    removed = request.get("RemoveNetworkLoadBalancerArns", [])
    kept = [a for a in service.load_balancer_arns if a not in removed]
    arns = tuple(dict.fromkeys([*kept, *request.get("AddNetworkLoadBalancerArns", [])]))
    changed = arns != service.load_balancer_arns
    services.modify(
        state,
        caller,
        service.service_id,
        acceptance_required=request.get("AcceptanceRequired"),
        load_balancer_arns=arns if changed else None,
        zones=network.zones(caller, arns) if changed else (),
        private_name="" if request.get("RemovePrivateDnsName") else request.get("PrivateDnsName"),
    )
    return {"Return": True}


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
    added = services.permit(state, caller, service_id, add, remove)
    return {"AddedPrincipals": [_permission(service_id, p) for p in added], "ReturnValue": True}


def _permission(service_id: str, principal: str) -> Values:
    return {"PrincipalType": principal_type(principal), "Principal": principal, "ServiceId": service_id}


def describe_permissions(state: State, caller: Caller, request: Values) -> Values:
    """DescribeVpcEndpointServicePermissions. Permissions have no ids and no tags of their own here."""
    with state.lock:
        service = services.find(state, caller, request["ServiceId"])
    found = listing.chosen(
        service.principals,
        request.get("Filters", ()),
        lambda p: {"principal": (p,), "principal-type": (principal_type(p),)},
    )
    shown, token = listing.page(found, request, lambda p: p)
    return {"AllowedPrincipals": [_permission(service.service_id, p) for p in shown], "NextToken": token}
