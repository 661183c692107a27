"""Faults that AWS's own APIs make: pairs of functions that break something of the demo's stack and repair it.

`inject` returns what `repair` needs, as JSON can say it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.harness.deploy import client
from lab.harness.process import LabError, LabProcess
from lab.harness.shell import endpoints

Memory = Any


@dataclass(frozen=True)
class DemoStack:
    """The first consumer's endpoint of the demo's stack, whose outputs are `demo`, and the service behind it."""

    lab: LabProcess
    demo: Mapping[str, str]

    @property
    def ec2(self) -> Any:
        return client(self.lab, "ec2")

    @property
    def elb(self) -> Any:
        return client(self.lab, "elbv2")

    def endpoint(self) -> dict[str, Any]:
        """The endpoint as EC2 describes it: the stack's own, or the one that a repair put in its place."""
        live = endpoints(self.lab, self.demo, self.demo["ConsumerVpcId"])
        if not live:
            raise LabError(f"{self.demo['ConsumerVpcId']} has no endpoint to the demo's service")
        return min(live, key=lambda one: (one["VpcEndpointId"] != self.demo["EndpointId"], one["CreationTimestamp"]))

    def waiting(self) -> bool:
        """Whether there is an endpoint and it waits to be accepted."""
        found = endpoints(self.lab, self.demo, self.demo["ConsumerVpcId"])
        return bool(found) and self.endpoint()["State"].lower() == "pendingacceptance"

    def accept(self, endpoint_id: str, seconds: float = 10) -> None:
        """Accept a connection, as the provider, and wait until it is available."""
        self.ec2.accept_vpc_endpoint_connections(ServiceId=self.demo["ServiceId"], VpcEndpointIds=[endpoint_id])
        deadline = time.monotonic() + seconds
        while self._state(endpoint_id) != "available":
            if time.monotonic() > deadline:
                raise LabError(f"{endpoint_id} is {self._state(endpoint_id)}, not available")
            time.sleep(0.05)

    def _state(self, endpoint_id: str) -> str:
        (endpoint,) = self.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint_id])["VpcEndpoints"]
        return str(endpoint["State"])


def close_groups(stack: DemoStack) -> Memory:
    """Take every ingress rule from the endpoint's security groups."""
    groups = [group["GroupId"] for group in stack.endpoint()["Groups"]]
    found = stack.ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"]
    memory = [
        {
            "GroupId": group["GroupId"],
            "IpPermissions": [
                {name: value for name, value in rule.items() if value} for rule in group["IpPermissions"]
            ],
        }
        for group in found
        if group["IpPermissions"]
    ]
    for rules in memory:
        stack.ec2.revoke_security_group_ingress(**rules)
    return memory


def open_groups(stack: DemoStack, memory: Memory) -> None:
    for rules in memory:
        stack.ec2.authorize_security_group_ingress(**rules)


def deregister_targets(stack: DemoStack) -> Memory:
    groups = {}
    for arn in stack.demo["TargetGroupArns"].split(","):
        health = stack.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        groups[arn] = [one["Target"] for one in health]
        stack.elb.deregister_targets(TargetGroupArn=arn, Targets=groups[arn])
    return groups


def register_targets(stack: DemoStack, memory: Memory) -> None:
    for arn, targets in memory.items():
        stack.elb.register_targets(TargetGroupArn=arn, Targets=targets)


def stop_servers(stack: DemoStack) -> Memory:
    servers = stack.demo["ServerIds"].split(",")
    stack.ec2.stop_instances(InstanceIds=servers)
    return servers


def start_servers(stack: DemoStack, memory: Memory) -> None:
    stack.ec2.start_instances(InstanceIds=memory)


def delete_listeners(stack: DemoStack) -> Memory:
    arn = stack.demo["LoadBalancerArn"]
    listeners = stack.elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    for listener in listeners:
        stack.elb.delete_listener(ListenerArn=listener["ListenerArn"])
    return [
        {
            "LoadBalancerArn": arn,
            "Protocol": listener["Protocol"],
            "Port": listener["Port"],
            "DefaultActions": [
                {"Type": "forward", "TargetGroupArn": action["TargetGroupArn"]} for action in listener["DefaultActions"]
            ],
        }
        for listener in listeners
    ]


def create_listeners(stack: DemoStack, memory: Memory) -> None:
    for listener in memory:
        stack.elb.create_listener(**listener)


def disable_private_name(stack: DemoStack) -> Memory:
    endpoint = stack.endpoint()
    if not endpoint["PrivateDnsEnabled"]:
        command = f"aws ec2 modify-vpc-endpoint --private-dns-enabled --vpc-endpoint-id {endpoint['VpcEndpointId']}"
        first = "put the row that make lab printed, then enable one:" if stack.waiting() else "enable one first:"
        raise LabError(f"the endpoint uses no private name that could be disabled;\n{first}\n  {command}")
    stack.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint["VpcEndpointId"], PrivateDnsEnabled=False)
    return endpoint["VpcEndpointId"]


def enable_private_name(stack: DemoStack, memory: Memory) -> None:
    stack.ec2.modify_vpc_endpoint(VpcEndpointId=memory, PrivateDnsEnabled=True)


def delete_endpoint(stack: DemoStack) -> Memory:
    endpoint = stack.endpoint()
    stack.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
    return _recipe(endpoint)


def replace_endpoint(stack: DemoStack, memory: Memory) -> None:
    """Put a new endpoint in the old one's place, accepted and with the private name as before."""
    created = stack.ec2.create_vpc_endpoint(VpcEndpointType="Interface", **memory["endpoint"])
    endpoint_id = created["VpcEndpoint"]["VpcEndpointId"]
    stack.accept(endpoint_id)
    if memory["private_name"]:
        enable_private_name(stack, endpoint_id)


def reject_connection(stack: DemoStack) -> Memory:
    endpoint = stack.endpoint()
    stack.ec2.reject_vpc_endpoint_connections(
        ServiceId=stack.demo["ServiceId"], VpcEndpointIds=[endpoint["VpcEndpointId"]]
    )
    return {**_recipe(endpoint), "rejected": endpoint["VpcEndpointId"]}


def ask_again(stack: DemoStack, memory: Memory) -> None:
    """What a consumer does who was rejected: delete the endpoint and create another."""
    stack.ec2.delete_vpc_endpoints(VpcEndpointIds=[memory["rejected"]])
    replace_endpoint(stack, memory)


def _recipe(endpoint: Mapping[str, Any]) -> Memory:
    return {
        "private_name": endpoint["PrivateDnsEnabled"],
        "endpoint": {
            **{name: endpoint[name] for name in ("VpcId", "ServiceName", "SubnetIds")},
            "SecurityGroupIds": [group["GroupId"] for group in endpoint["Groups"]],
        },
    }
