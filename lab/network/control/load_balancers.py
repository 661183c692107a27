"""Network Load Balancers in their subnets: a network interface in each, in the subnet's zone, as on AWS.

ministack puts every balancer into the Region's first zone and a default VPC, and gives it no address.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import responses  # type: ignore[import-untyped]
from ministack.services import alb, ec2  # type: ignore[import-untyped]

from lab.privatelink.network import interface, taken
from lab.privatelink.rules.addresses import free_address
from lab.privatelink.rules.model import Address, Refusal, new_id

# ministack 1.5.33: stores by account and region ("scoped"), elbv2's actions, and what its answers are made of.
_subnets = ec2._subnets
_interfaces = ec2._network_interfaces
_balancers = alb._lbs
_actions = alb._ACTION_MAP
_members = alb._parse_member_list
_error = alb._error
_balancer_xml = alb._lb_xml

_KIND = "network_load_balancer"
lock = threading.RLock()
"""Held while an address is looked for and taken."""


def install() -> None:
    """Follow the actions that change balancers."""
    alb._lb_xml = _describe
    for action in ("CreateLoadBalancer", "SetSubnets", "DeleteLoadBalancer"):
        _actions[action] = _settling(_actions[action])


def free_address_in(subnet: Mapping[str, Any]) -> str:
    """A free address of the caller's subnet. Raises Refusal InsufficientFreeAddressesInSubnet."""
    held = taken(responses.get_account_id(), responses.get_region(), subnet["SubnetId"])
    return free_address(subnet["CidrBlock"], held)


def settle() -> None:
    """Give each of the caller's Network Load Balancers an interface in each of its subnets, and take the others away.

    Raises Refusal InsufficientFreeAddressesInSubnet.
    """
    with lock:
        wanted = set()
        for record in _balancers.values():
            if record["Type"] == "network":
                record["VpcId"] = _vpc(record)
                wanted |= {(_description(record), known) for known in record["Subnets"] if known in _subnets}
        there = {(one["Description"], one["SubnetId"]): key for key, one in _interfaces.items() if _is_balancers(one)}
        for gone in there.keys() - wanted:
            _interfaces.pop(there[gone], None)
        for description, subnet_id in sorted(wanted - there.keys()):
            _add_interface(description, _subnets[subnet_id])


def addresses(balancer: str) -> tuple[Address, ...]:
    """A Network Load Balancer's addresses, zone by zone; none if it does not exist. Safe in any thread."""
    account, region = scope(balancer)
    record = _balancers.get_scoped(account, region, balancer)
    if record is None:
        return ()
    mine = _description(record)
    found = [one for one in _interfaces.values_scoped(account, region) if one["Description"] == mine]
    return tuple(
        Address(one["SubnetId"], one["AvailabilityZone"], one["PrivateIpAddress"], one["NetworkInterfaceId"])
        for one in sorted(found, key=lambda one: str(one["AvailabilityZone"]))
    )


def scope(arn: str) -> tuple[str, str]:
    """Account and Region of an ARN; a malformed one is that of nothing."""
    region, account = (arn.split(":") + [""] * 5)[3:5]
    return account, region


def _settling(action: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(params: Any) -> Any:
        with lock:
            for subnet in filter(None, map(_subnets.get, _members(params, "Subnets"))):
                try:
                    free_address_in(subnet)
                except Refusal:
                    # ELB's words; it wants eight free addresses, the lab is content with one.
                    return _error("InvalidSubnet", f"Not enough IP space available in {subnet['SubnetId']}.")
            answer = action(params)
            settle()
        return answer

    return run


def _vpc(record: Mapping[str, Any]) -> str:
    known = (_subnets.get(subnet_id) for subnet_id in record["Subnets"])
    return next((str(subnet["VpcId"]) for subnet in known if subnet), str(record["VpcId"]))


def _description(record: Mapping[str, Any]) -> str:
    return "ELB net/" + str(record["LoadBalancerArn"]).split("/", 2)[2]


def _is_balancers(interface: Mapping[str, Any]) -> bool:
    return interface.get("InterfaceType") == _KIND


def _add_interface(description: str, subnet: Mapping[str, Any]) -> None:
    address = Address(subnet["SubnetId"], subnet["AvailabilityZone"], free_address_in(subnet), new_id("eni"))
    _interfaces[address.interface_id] = interface(
        _KIND, description, responses.get_account_id(), subnet["VpcId"], address
    )


def _describe(record: Mapping[str, Any]) -> str:
    """A balancer as DescribeLoadBalancers shows it, its subnets in their own zones."""
    text = str(_balancer_xml(record))
    first = f"<ZoneName>{responses.get_region()}a</ZoneName>"
    for subnet in filter(None, (_subnets.get(subnet_id) for subnet_id in record["Subnets"])):
        of_subnet = f"<SubnetId>{subnet['SubnetId']}</SubnetId>"
        text = text.replace(first + of_subnet, f"<ZoneName>{subnet['AvailabilityZone']}</ZoneName>{of_subnet}")
    return text
