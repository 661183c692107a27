"""EC2 instances in their subnets: in its zone, at an address of it, as on AWS.

ministack puts every instance into the Region's first zone, at an address of no subnet and a public one.
"""

from collections.abc import Callable
from typing import Any

from ministack.core import responses  # type: ignore[import-untyped]
from ministack.services import ec2  # type: ignore[import-untyped]

from lab.network.control import load_balancers
from lab.privatelink.rules.model import Refusal

# ministack 1.5.33: stores by account and region, EC2's actions, and how an instance comes to be.
_subnets = ec2._subnets
_instances = ec2._instances
_volumes = ec2._volumes
_actions = ec2._ACTION_MAP
_launch = ec2._launch_instances_internal
_error = ec2._error


def install() -> None:
    """Take the place of ministack's launch."""
    ec2._launch_instances_internal = launch
    _actions["RunInstances"] = _refusing(_actions["RunInstances"])


def launch(**arguments: Any) -> list[dict[str, Any]]:
    """Instances as ministack launches them, moved into their subnet.

    Raises Refusal InsufficientFreeAddressesInSubnet.
    """
    with load_balancers.lock:
        launched: list[dict[str, Any]] = _launch(**arguments)
        try:
            for record in launched:
                _place(record, arguments.get("requested_private_ip"))
        except Refusal:
            for record in launched:
                _instances.pop(record["InstanceId"], None)
            raise
    return launched


def _place(record: dict[str, Any], asked_for: str | None) -> None:
    subnet = _subnets.get(record["SubnetId"])
    if subnet is None:
        return
    address = asked_for or load_balancers.free_address_in(subnet)
    record["Placement"]["AvailabilityZone"] = subnet["AvailabilityZone"]
    record["PrivateIpAddress"] = address
    record["PrivateDnsName"] = f"ip-{address.replace('.', '-')}.{responses.get_region()}.compute.internal"
    if not subnet.get("MapPublicIpOnLaunch"):
        record["PublicIpAddress"] = record["PublicDnsName"] = ""
    for mapping in record["BlockDeviceMappings"]:
        _volumes[mapping["Ebs"]["VolumeId"]]["AvailabilityZone"] = subnet["AvailabilityZone"]


def _refusing(action: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(params: Any) -> Any:
        try:
            return action(params)
        except Refusal as refusal:
            return _error(refusal.code, refusal.message, refusal.status)

    return run
