"""AWS::EC2::VPCEndpointService and AWS::EC2::VPCEndpointServicePermissions."""

from lab.privatelink import ministack
from lab.privatelink.cloudformation.properties import (
    Made,
    Properties,
    changes,
    flag,
    given,
    retag,
    succeeded,
    tagged,
)


def create_service(logical_id: str, properties: Properties, stack_name: str) -> Made:
    """AWS::EC2::VPCEndpointService."""
    arguments = given(
        NetworkLoadBalancerArns=properties.get("NetworkLoadBalancerArns"),
        GatewayLoadBalancerArns=properties.get("GatewayLoadBalancerArns"),
        PrivateDnsName=properties.get("PrivateDnsName"),
        TagSpecifications=tagged(properties, "vpc-endpoint-service"),
    )
    arguments["AcceptanceRequired"] = flag(properties, "AcceptanceRequired", True)
    service = ministack.call("CreateVpcEndpointServiceConfiguration", arguments)["ServiceConfiguration"]
    return _service(service["ServiceId"])


def _service(service_id: str) -> Made:
    return service_id, {"ServiceId": service_id}


def update_service(service_id: str, old: Properties, new: Properties, stack_name: str) -> Made:
    """Everything about a service changes in place."""
    added, removed = changes("NetworkLoadBalancerArns", old, new)
    more, fewer = changes("GatewayLoadBalancerArns", old, new)
    renamed = old.get("PrivateDnsName") != new.get("PrivateDnsName")
    arguments = given(
        ServiceId=service_id,
        AddNetworkLoadBalancerArns=added,
        RemoveNetworkLoadBalancerArns=removed,
        AddGatewayLoadBalancerArns=more,
        RemoveGatewayLoadBalancerArns=fewer,
        PrivateDnsName=new.get("PrivateDnsName") if renamed else None,
        RemovePrivateDnsName=True if renamed and not new.get("PrivateDnsName") else None,
    )
    arguments["AcceptanceRequired"] = flag(new, "AcceptanceRequired", True)
    ministack.call("ModifyVpcEndpointServiceConfiguration", arguments)
    retag(service_id, old, new)
    return _service(service_id)


def delete_service(service_id: str, properties: Properties) -> None:
    """Fails while the service has connections, as on AWS."""
    answer = ministack.call("DeleteVpcEndpointServiceConfigurations", {"ServiceIds": [service_id]})
    succeeded(answer, gone=("InvalidVpcEndpointService.NotFound",))


def create_permissions(logical_id: str, properties: Properties, stack_name: str) -> Made:
    """AWS::EC2::VPCEndpointServicePermissions; its Ref is the service's id."""
    return _permit(properties["ServiceId"], list(properties.get("AllowedPrincipals") or ()), [])


def _permit(service_id: str, add: list[str], remove: list[str]) -> Made:
    arguments = given(ServiceId=service_id, AddAllowedPrincipals=add, RemoveAllowedPrincipals=remove)
    ministack.call("ModifyVpcEndpointServicePermissions", arguments)
    return service_id, {}


def update_permissions(service_id: str, old: Properties, new: Properties, stack_name: str) -> Made:
    """The principals change in place; another service is a replacement."""
    if new["ServiceId"] != service_id:
        return create_permissions("", new, stack_name)
    return _permit(service_id, *changes("AllowedPrincipals", old, new))


def delete_permissions(service_id: str, properties: Properties) -> None:
    """Take back what was permitted."""
    known = ministack.call("DescribeVpcEndpointServiceConfigurations", {})["ServiceConfigurations"]
    if service_id in {service["ServiceId"] for service in known}:
        _permit(service_id, [], list(properties.get("AllowedPrincipals") or ()))
