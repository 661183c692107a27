"""EC2's list of the services that an account may make endpoints on, as boto3 spells it."""

from lab.privatelink import ministack, network
from lab.privatelink.api import listing
from lab.privatelink.api.fields import Values, shown_tags
from lab.privatelink.rules import services
from lab.privatelink.rules.model import Caller, Refusal, Service
from lab.privatelink.rules.state import State


def describe_services(state: State, caller: Caller, request: Values) -> Values:
    """DescribeVpcEndpointServices: AWS's own, and the custom ones that the caller may connect to."""
    details = ministack.call("DescribeVpcEndpointServices", {}, ministack.ORIGINALS).get("ServiceDetails", [])
    details += [_detail(service) for service in services.visible(state, caller)]
    names = request.get("ServiceNames", [])
    if missing := set(names) - {detail["ServiceName"] for detail in details}:
        raise Refusal("InvalidServiceName", f"The Vpc Endpoint Service '{min(missing)}' does not exist")
    wanted = [detail for detail in details if not names or detail["ServiceName"] in names]
    found = listing.chosen(wanted, request.get("Filters", ()), _detail_facts)
    shown, token = listing.page(found, request, lambda detail: str(detail["ServiceName"]))
    return {"ServiceNames": [d["ServiceName"] for d in shown], "ServiceDetails": shown, "NextToken": token}


def _detail(service: Service) -> Values:
    detail: Values = {
        "ServiceName": service.name,
        "ServiceId": service.service_id,
        "ServiceType": [{"ServiceType": service.kind}],
        "ServiceRegion": service.region,
        "AvailabilityZoneIds": [network.zone_id(zone) for zone in service.zones],
        "AvailabilityZones": service.zones,
        "Owner": service.owner,
        "BaseEndpointDnsNames": [service.base_dns_name],
        "VpcEndpointPolicySupported": False,
        "AcceptanceRequired": service.acceptance_required,
        "ManagesVpcEndpoints": False,
        "Tags": shown_tags(ministack.tags(service.owner, service.region, service.service_id)),
        "SupportedIpAddressTypes": ["ipv4"],
    }
    if private := service.private_name:
        detail["PrivateDnsName"] = private.name
        detail["PrivateDnsNames"] = [{"PrivateDnsName": private.name}]
        detail["PrivateDnsNameVerificationState"] = private.state
    return detail


def _detail_facts(detail: Values) -> listing.Facts:
    return {
        "service-name": (detail["ServiceName"],),
        "service-type": tuple(kind["ServiceType"] for kind in detail["ServiceType"]),
        "service-region": (detail.get("ServiceRegion", ""),),
        "owner": (detail["Owner"],),
        "supported-ip-address-types": tuple(detail.get("SupportedIpAddressTypes", ())),
        **listing.tag_facts({tag["Key"]: tag["Value"] for tag in detail.get("Tags", ())}),
    }
