"""CloudFormation's AWS::EC2::VPCEndpoint, which is ours or ministack's by the service that it is made on."""

from collections.abc import Mapping
from typing import Any

from lab.privatelink import ministack
from lab.privatelink.api.endpoints import is_custom
from lab.privatelink.cloudformation.properties import Made, Properties, changes, flag, given, retag, succeeded, tagged
from lab.privatelink.rules.state import State


class Endpoints:
    """AWS::EC2::VPCEndpoint on custom services; on AWS's own it is `theirs`, ministack's handler."""

    def __init__(self, state: State, theirs: Mapping[str, Any]) -> None:
        self._state = state
        self._theirs = dict(theirs)

    def create(self, logical_id: str, properties: Properties, stack_name: str) -> Made:
        """A new endpoint; private DNS only where it may be enabled at once."""
        if not is_custom(properties.get("ServiceName", "")):
            made: Made = self._theirs["create"](logical_id, properties, stack_name)
            return made
        arguments = given(
            VpcId=properties["VpcId"],
            ServiceName=properties["ServiceName"],
            VpcEndpointType=properties.get("VpcEndpointType"),
            SubnetIds=properties.get("SubnetIds"),
            SecurityGroupIds=properties.get("SecurityGroupIds"),
            PrivateDnsEnabled=flag(properties, "PrivateDnsEnabled", False),
            TagSpecifications=tagged(properties, "vpc-endpoint"),
        )
        return _endpoint(ministack.call("CreateVpcEndpoint", arguments)["VpcEndpoint"])

    def update(self, endpoint_id: str, old: Properties, new: Properties, stack_name: str) -> Made:
        """Service, VPC and type are replacements, all else changes in place."""
        if endpoint_id not in self._state.connections and not is_custom(new.get("ServiceName", "")):
            made: Made = self._theirs["update"](endpoint_id, old, new, stack_name)
            return made
        if any(old.get(name) != new.get(name) for name in ("ServiceName", "VpcId", "VpcEndpointType")):
            return self.create("", new, stack_name)
        (subnets, no_subnets), (groups, no_groups) = (
            changes(name, old, new) for name in ("SubnetIds", "SecurityGroupIds")
        )
        private = [flag(properties, "PrivateDnsEnabled", False) for properties in (old, new)]
        arguments = given(
            VpcEndpointId=endpoint_id,
            AddSubnetIds=subnets,
            RemoveSubnetIds=no_subnets,
            AddSecurityGroupIds=groups,
            RemoveSecurityGroupIds=no_groups,
            PrivateDnsEnabled=private[1] if private[0] != private[1] else None,
        )
        ministack.call("ModifyVpcEndpoint", arguments)
        retag(endpoint_id, old, new)
        shown = ministack.call("DescribeVpcEndpoints", {"VpcEndpointIds": [endpoint_id]})["VpcEndpoints"]
        return _endpoint(shown[0])

    def delete(self, endpoint_id: str, properties: Properties) -> None:
        """Delete the endpoint; it may be gone already."""
        if endpoint_id not in self._state.connections and not is_custom(properties.get("ServiceName", "")):
            self._theirs["delete"](endpoint_id, properties)
            return
        answer = ministack.call("DeleteVpcEndpoints", {"VpcEndpointIds": [endpoint_id]})
        succeeded(answer, gone=("InvalidVpcEndpoint.NotFound",))


def _endpoint(endpoint: Mapping[str, Any]) -> Made:
    return endpoint["VpcEndpointId"], {
        "Id": endpoint["VpcEndpointId"],
        "CreationTimestamp": f"{endpoint['CreationTimestamp']:%Y-%m-%dT%H:%M:%SZ}",
        "DnsEntries": [f"{entry['HostedZoneId']}:{entry['DnsName']}" for entry in endpoint.get("DnsEntries", ())],
        "NetworkInterfaceIds": endpoint.get("NetworkInterfaceIds", []),
    }
