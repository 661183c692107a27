"""How long the data plane of namespaces takes: to start, and to lay 50 endpoints over 10 VPCs. Prints a JSON object.

Run it with `.venv/lab/bin/python -m bench.network` on a machine that has namespaces.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lab.harness.dataplane import DataPlane
from lab.harness.deploy import client
from lab.harness.process import LabProcess
from lab.network.namespaces import NamespacesPlane
from lab.network.topology import Topology

VPCS, ENDPOINTS = 10, 5
"""Endpoints are per VPC."""
PORT = 80
CONNECT = """
import socket, sys, time
for address in sys.argv[1:]:
    while True:
        try:
            socket.create_connection((address, 80), timeout=0.2).close()
            break
        except OSError:
            time.sleep(0.01)
"""


def start() -> dict[str, float]:
    """Seconds until the plane alone runs, and until it has stopped."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        plane = NamespacesPlane(Topology, Path(folder), 1)
        plane.start()
        plane.refresh()
        started = time.monotonic()
        plane.stop()
        return {"start_s": started - begun, "stop_s": time.monotonic() - started}


def provide(ec2: Any, elb: Any) -> str:
    """A service that accepts everybody, with an instance behind it; its name."""
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"]
    ran = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet)
    made = elb.create_load_balancer(Name="many", Type="network", Scheme="internal", Subnets=[subnet])
    balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
    made = elb.create_target_group(Name="many", Protocol="TCP", Port=PORT, VpcId=vpc)
    group = made["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": ran["Instances"][0]["InstanceId"]}])
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    elb.create_listener(LoadBalancerArn=balancer, Protocol="TCP", Port=PORT, DefaultActions=forward)
    made = ec2.create_vpc_endpoint_service_configuration(AcceptanceRequired=False, NetworkLoadBalancerArns=[balancer])
    return str(made["ServiceConfiguration"]["ServiceName"])


def consumer(ec2: Any) -> tuple[str, str, str]:
    """A VPC whose CIDR all have: the ids of itself, its subnet and a security group that admits it."""
    vpc = ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.2.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="all", Description="all", VpcId=vpc)["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": PORT, "ToPort": PORT, "IpRanges": [{"CidrIp": "10.2.0.0/16"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    return vpc, subnet, group


def many() -> dict[str, float]:
    """Seconds until every endpoint exists, and until each has been connected to from inside its VPC."""
    with LabProcess(plane="namespaces") as lab:
        ec2, data_plane = client(lab, "ec2"), DataPlane(lab.folder)
        service = provide(ec2, client(lab, "elbv2"))
        begun = time.monotonic()
        addresses: dict[str, list[str]] = {}
        for vpc, subnet, group in (consumer(ec2) for _ in range(VPCS)):
            for _ in range(ENDPOINTS):
                ec2.create_vpc_endpoint(
                    VpcEndpointType="Interface",
                    VpcId=vpc,
                    ServiceName=service,
                    SubnetIds=[subnet],
                    SecurityGroupIds=[group],
                )
            interfaces = ec2.describe_network_interfaces()["NetworkInterfaces"]
            addresses[vpc] = [one["PrivateIpAddress"] for one in interfaces if one["VpcId"] == vpc]
        created = time.monotonic()
        for vpc, found in addresses.items():
            while not any(known.endswith(vpc) for known in data_plane.vpcs()):
                time.sleep(0.01)
            data_plane.run(vpc, sys.executable, "-c", CONNECT, *found).check_returncode()
        return {
            "endpoints": sum(map(len, addresses.values())),
            "created_s": created - begun,
            "connected_s": time.monotonic() - begun,
        }


if __name__ == "__main__":
    print(json.dumps({"plane": start(), "many": many()}, indent=2))
