"""The default security group of a VPC admits its own members, as on AWS (VPC guide, "Default security groups").

ministack's admits nobody, so an endpoint without a group of its own would be out of reach.
"""

from typing import Any

from ministack.services import ec2  # type: ignore[import-untyped]

# ministack 1.5.33: stores by account and region, and EC2's actions.
_vpcs = ec2._vpcs
_groups = ec2._security_groups
_actions = ec2._ACTION_MAP


def install() -> None:
    """Follow the action that makes VPCs; CloudFormation is followed by lab.network.control.cloudformation."""
    create = _actions["CreateVpc"]

    def create_vpc(params: Any) -> Any:
        before = set(_vpcs.keys())
        answer = create(params)
        for vpc_id in set(_vpcs.keys()) - before:
            admit_members(vpc_id)
        return answer

    _actions["CreateVpc"] = create_vpc


def admit_members(vpc_id: str) -> None:
    """Let the members of a new VPC's default group reach each other."""
    group = _groups[_vpcs[vpc_id]["DefaultSecurityGroupId"]]
    itself = {"GroupId": group["GroupId"], "UserId": group["OwnerId"]}
    everything = {"IpProtocol": "-1", "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": []}
    group["IpPermissions"] = [{**everything, "UserIdGroupPairs": [itself]}]
