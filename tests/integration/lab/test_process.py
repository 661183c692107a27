"""A lab's process: without privileges, and an end that leaves nothing behind, however it comes."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.harness.dataplane import DataPlane
from lab.harness.deploy import client
from lab.harness.process import CHECKOUT, PROVIDER_ACCOUNT, REGION, LabProcess
from tests.integration.conftest import Await
from tests.integration.vpcs import lack

# Without privileges


@pytest.mark.skipif(bool(lack()), reason=f"no network namespaces here: {lack()}")
def test_a_user_namespace_is_privilege_enough(tmp_path: Path) -> None:
    with subprocess.Popen(
        [
            "/usr/bin/env",
            "unshare",
            "--user",
            "--map-root-user",
            "--",
            sys.executable,
            "-c",
            UNPRIVILEGED,
            str(tmp_path),
        ],
        cwd=CHECKOUT,
        env={**os.environ, "LAB_UNPRIVILEGED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as plane:
        assert plane.stdout
        enter = json.loads(plane.stdout.readline())
        seen = subprocess.run([*enter, "cat", "/etc/resolv.conf"], capture_output=True, text=True)
    assert seen.stdout.startswith("nameserver 10.7.0.2\n"), seen.stderr


UNPRIVILEGED = """
import json, sys
from pathlib import Path
from lab.network.namespaces import NamespacesPlane
from lab.network.topology import Topology, Vpc
vpc = Vpc("111111111111", "vpc-1")
plane = NamespacesPlane(lambda: Topology(subnets={vpc: ("10.7.0.0/16", "10.7.1.0/24")}), Path(sys.argv[1]), 1)
plane.start()
plane.refresh()
print(json.dumps(plane.command_prefix(vpc)), flush=True)
sys.stdin.read()
"""


# The end


def namespaces(pid: int) -> set[str]:
    """The network namespaces that a process holds beside its own, as the kernel names them."""
    held = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.exists()}
    return {name for name in held if name.startswith("net:")} - {os.readlink(f"/proc/{pid}/ns/net")}


def holders(names: set[str]) -> list[str]:
    """What still has one of them; the kernel removes those that nothing has."""
    found = []
    for link in [*Path("/proc").glob("[0-9]*/fd/*"), *Path("/proc").glob("[0-9]*/task/*/ns/net")]:
        try:
            found += [str(link)] if os.readlink(link) in names else []
        except OSError:
            continue
    return found


@pytest.mark.skipif(bool(lack()), reason=f"no network namespaces here: {lack()}")
def test_the_end_of_a_lab_is_the_end_of_its_namespaces(until: Await) -> None:
    with LabProcess(plane="namespaces") as lab:
        names = namespaces(make_vpc(lab, until))
        assert len(names) >= 2
    assert holders(names) == []
    assert not lab.folder.exists()


@pytest.mark.skipif(bool(lack()), reason=f"no network namespaces here: {lack()}")
def test_nothing_is_left_after_sigkill_once_another_lab_has_started(until: Await) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout
            port, folder = owner.stdout.readline().split()
            killed = LabProcess(int(port))
            killed.folder = Path(folder)
            pid = make_vpc(killed, until)
            names = namespaces(pid)
            assert holders(names)
            os.kill(pid, signal.SIGKILL)
        finally:
            owner.kill()
    until(lambda: holders(names), [])
    assert killed.folder.exists()
    with LabProcess(plane="namespaces"):
        assert not killed.folder.exists()


OWNER = """
import time
from lab.harness.process import LabProcess
with LabProcess(plane="namespaces") as lab:
    print(lab.port, lab.folder, flush=True)
    time.sleep(600)
"""


def make_vpc(lab: LabProcess, until: Await) -> int:
    """Make a VPC with a load balancer, which has a namespace; the id of the process that holds it."""
    ec2 = client(lab, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24", AvailabilityZone=f"{REGION}a")["Subnet"]["SubnetId"]
    client(lab, "elbv2").create_load_balancer(Name="alone", Type="network", Scheme="internal", Subnets=[subnet])
    data_plane = DataPlane(lab.folder)
    until(lambda: f"{PROVIDER_ACCOUNT}/{vpc}" in data_plane.vpcs(), True)
    (found,) = re.findall(r"--net=/proc/(\d+)/fd", " ".join(data_plane.enter(vpc)))
    return int(found)
