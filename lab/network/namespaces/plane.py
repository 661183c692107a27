"""The data plane of namespaces: one per VPC, packets translated, dropped and reset by the kernel.

What it does not look at: network ACLs, route tables, the security groups of load balancers and instances, IPv6, UDP
listeners, TLS listeners. All processes of a VPC have one address, the last of its first subnet, whatever subnet their
function names; a rule of a security group that names a group admits them all.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.launch import Launch
from lab.network.dns import Zone
from lab.network.follower import Follower
from lab.network.namespaces.certificates import FLAWS, Authority
from lab.network.namespaces.fabric import Fabric
from lab.network.namespaces.health_checks import Checks
from lab.network.namespaces.plan import Plan, complaints, plans
from lab.network.namespaces.rules import ruleset
from lab.network.namespaces.servers import Servers
from lab.network.namespaces.vpc import VpcNamespace, require_machine
from lab.network.plane import Usage
from lab.network.topology import Target, Topology, Vpc, vpc_of, vpc_of_function
from lab.privatelink.rules.model import Endpoint

DNS_DOWN, PACKET_LOSS, ZONE_DOWN = "dns-down", "packet-loss", "zone-down"
SERVER_503, SERVER_SLOW, SERVER_DEAD = "server-503", "server-slow", "server-dead"
SERVER_RESETS, SERVER_WANTS_PROXY = "server-resets", "server-wants-proxy-protocol"
SERVER_WANTS_CERTIFICATE = "server-wants-client-certificate"
LARGE_DROPPED, ANSWERS_DROPPED = "large-packets-dropped", "acl-without-ephemeral-ports"
DNS64, DUAL_STACK = "dns64", "dual-stack"
FAMILIES = {DNS64: "64:ff9b::/96", DUAL_STACK: "fd00:6c::/96"}
"""What names have beside their addresses of IPv4; no packet gets to either, as in a VPC without IPv6."""
SLOW_SECONDS = 4.0
"""Longer than a probe waits (health/targets.py, TIMEOUT_SECONDS)."""
_RETRY_SECONDS = 1.0
"""After which a server is started again whose port was in use."""
_log = logging.getLogger("lab.network")


class NamespacesPlane:
    """Follows `look`, the control plane's state and the faults that are to be in force.

    Its files lie in `folder`; `lab_port` is where the local AWS listens outside. Raises KernelError where this machine
    allows no namespaces.
    """

    def __init__(self, look: Callable[[], Topology], folder: Path, lab_port: int) -> None:
        self._folder, self._lab_port = folder, lab_port
        self._fabric = Fabric()
        require_machine(self._fabric, folder)
        self._authority = Authority(folder)
        self._servers = Servers(self._authority)
        self._topology, self._zone = Topology(), Zone((), _address)
        self._vpcs: dict[Vpc, VpcNamespace] = {}
        self._making = asyncio.Lock()
        self._complaints: list[str] = []
        self._follower = Follower(look, self._apply, self._close)
        self._checks = Checks(self._follower.forget)
        self.start, self.stop = self._follower.start, self._follower.stop
        self.wake, self.refresh = self._follower.wake, self._follower.refresh

    def launch(self, config: Mapping[str, Any]) -> Launch:
        """How a Lambda process is started: one in a VPC, and its Runtime API, inside the VPC's namespace."""
        vpc = vpc_of_function(config)
        if vpc is None:
            return Launch()
        self.refresh()
        namespace = self._follower.call(self._namespace(vpc))
        environment = {"SSL_CERT_FILE": str(self._authority.root)}
        return Launch(prefix=namespace.inner, environment=environment, inside=namespace.network.inside)

    def fails(self, target: Target) -> bool:
        """Whether the last health check of a target that is up failed."""
        return self._checks.fails(target)

    def usage(self) -> list[Usage]:
        """What passed through each endpoint since the last call."""
        found = list[Usage]()
        for vpc, namespace in list(self._vpcs.items()):
            endpoints = [one for one in self._topology.endpoints if vpc_of(one) == vpc]
            found += namespace.usage(endpoints)
        return found

    def command_prefix(self, vpc: Vpc) -> tuple[str, ...]:
        """What goes before a command, of this user on this machine, so that it runs in a VPC."""
        return self._follower.call(self._namespace(vpc)).outer

    async def _namespace(self, vpc: Vpc) -> VpcNamespace:
        async with self._making:
            if vpc not in self._vpcs:
                namespace = VpcNamespace(self._fabric, vpc, self._topology.subnets.get(vpc, ()), self._folder)
                await namespace.open(lambda: self._zone)
                self._rule(namespace, Plan())
                self._vpcs[vpc] = namespace
                self._write_status()
            return self._vpcs[vpc]

    async def _apply(self, topology: Topology) -> None:
        """Make names, servers and rules what the topology asks for."""
        self._topology = topology
        prefixes = tuple(prefix for name, prefix in FAMILIES.items() if name in topology.faults)
        self._zone = Zone(topology.endpoints, _address, topology.balancers, prefixes)
        wanted = plans(topology, self._checks.healthy, _zones_down(topology), self._fabric.front)
        for vpc, plan in wanted.items():
            (await self._namespace(vpc)).set_addresses(plan.addresses)
        for vpc in set(self._vpcs) - set(wanted) - set(topology.subnets):
            self._vpcs.pop(vpc).close()
        namespaces = {vpc: namespace.network for vpc, namespace in self._vpcs.items()}
        self._apply_faults(topology)
        dead = SERVER_DEAD in topology.faults
        await self._servers.keep({vpc: set() if dead else plan.hosts for vpc, plan in wanted.items()}, namespaces)
        self._servers.demand(SERVER_WANTS_CERTIFICATE in topology.faults)
        self._checks.keep(topology, namespaces)
        for vpc, namespace in self._vpcs.items():
            self._rule(namespace, wanted.get(vpc, Plan()))
        self._complain([*complaints(topology), *self._servers.complaints])
        if self._servers.complaints:
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._follower.forget)
        self._write_status()

    def _complain(self, found: list[str]) -> None:
        """Log each new problem of what is deployed, once."""
        for complaint in found:
            if complaint not in self._complaints:
                _log.warning("%s", complaint)
        self._complaints = found

    def _apply_faults(self, topology: Topology) -> None:
        """Let the servers answer as the faults say."""
        faults = topology.faults
        self._servers.behaviour.status = "503 Service Unavailable" if SERVER_503 in faults else "200 OK"
        self._servers.behaviour.delay = SLOW_SECONDS if SERVER_SLOW in faults else 0
        self._servers.behaviour.resets = SERVER_RESETS in faults
        self._servers.behaviour.wants_proxy = SERVER_WANTS_PROXY in faults
        flaws = [flaw for flaw in FLAWS if flaw in faults]
        self._servers.show(flaws[0] if flaws else "")

    def _rule(self, namespace: VpcNamespace, plan: Plan) -> None:
        faults = self._topology.faults
        namespace.rule(
            ruleset(
                plan,
                namespace.link,
                self._lab_port,
                lossy=PACKET_LOSS in faults,
                dns_down=DNS_DOWN in faults,
                narrow=LARGE_DROPPED in faults,
                mute=ANSWERS_DROPPED in faults,
            )
        )

    def _write_status(self) -> None:
        """Write to plane.json what is in force, and what starts a command in each VPC."""
        status = {
            "plane": "namespaces",
            "faults": sorted(self._topology.faults),
            "complaints": self._complaints,
            "authority": str(self._authority.root),
            "vpcs": {f"{vpc.owner}/{vpc.vpc_id}": namespace.outer for vpc, namespace in self._vpcs.items()},
        }
        fresh = self._folder / "plane.new"
        fresh.write_text(json.dumps(status))
        os.replace(fresh, self._folder / "plane.json")

    async def _close(self) -> None:
        self._servers.close()
        for namespace in self._vpcs.values():
            namespace.close()
        self._fabric.close()


def _address(endpoint: Endpoint, subnet_id: str) -> str:
    return next(address.ip for address in endpoint.addresses if address.subnet_id == subnet_id)


def _zones_down(topology: Topology) -> set[str]:
    """The zone that is down: the first that a load balancer is in."""
    zones = sorted({address.zone for balancer in topology.balancers for address in balancer.addresses})
    return set(zones[:1]) if ZONE_DOWN in topology.faults else set()
