"""Everything of the loopback plane that listens, made to agree with a look at the control plane."""

import asyncio
import logging

from lab.network.dns import Resolver, Zone
from lab.network.loopback.addresses import Addresses
from lab.network.loopback.forwarder import Forwarder
from lab.network.loopback.listening import ListeningSocket
from lab.network.servers import InstanceServers
from lab.network.topology import Place, Route, Target, Topology, Vpc, routes, vpc_of
from lab.privatelink.rules.model import Endpoint

_log = logging.getLogger("lab.network")


class Sockets:
    """The plane's sockets; to be used in the thread of the running loop, but for `addresses`."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._instances = InstanceServers(addresses.own)
        self._forwarders: dict[Place, Forwarder] = {}
        self._resolvers: dict[Vpc, asyncio.DatagramTransport] = {}
        self._zone = Zone((), self._address)
        self._unbound: set[tuple[int, str]] = set()
        self._void = ListeningSocket((addresses.own, 0))

    @property
    def void(self) -> Place:
        """A place where every packet is dropped."""
        return self._void.place

    async def resolver(self, vpc: Vpc) -> Place:
        """The DNS server of a VPC, started when first asked for."""
        if vpc not in self._resolvers:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: Resolver(vpc, lambda: self._zone), local_addr=(self._addresses.resolver(vpc), 0)
            )
            self._resolvers[vpc] = transport
            _log.info("DNS of %s of account %s: %s port %d", vpc.vpc_id, vpc.owner, *_name_of(transport))
        return _name_of(self._resolvers[vpc])

    async def apply(self, topology: Topology) -> None:
        """Make names, servers and listening sockets what the topology asks for."""
        wanted = routes(topology, self._address)
        targets = {target for route in wanted.values() for target in route.targets}
        await self._instances.keep({target.id for target in targets if target.is_instance and target.up})
        self._zone = Zone(topology.endpoints, self._address)
        for place in set(self._forwarders) - set(wanted):
            self._forwarders.pop(place).close()
        for place, route in wanted.items():
            self._forward(place, route)

    async def close(self) -> None:
        """Close everything; what still hangs of deleted endpoints goes with the process."""
        for forwarder in self._forwarders.values():
            forwarder.abort()
        for transport in self._resolvers.values():
            transport.close()
        self._instances.close()
        self._void.close()

    def _forward(self, place: Place, route: Route) -> None:
        try:
            forwarder = self._forwarders.get(place) or Forwarder(place, self._locate)
        except OSError as error:
            self._report(place[1], error)
            return
        self._forwarders[place] = forwarder
        forwarder.update(route)

    def _report(self, port: int, error: OSError) -> None:
        """Say once for each port what is wrong with it, and what to do."""
        reason = error.strerror or str(error)
        if (port, reason) not in self._unbound:
            self._unbound.add((port, reason))
            advice = (
                f"run the lab as root, or `sudo sysctl net.ipv4.ip_unprivileged_port_start={port}`, "
                "or give the NLB's listener a port above 1023"
                if isinstance(error, PermissionError)
                else "end what listens on it on every address of this machine, or give the NLB's listener another port"
            )
            _log.error("endpoints do not answer on port %d, which cannot be opened (%s): %s", port, reason, advice)

    def _address(self, endpoint: Endpoint, subnet_id: str) -> str:
        return self._addresses.endpoint(vpc_of(endpoint), endpoint.endpoint_id, subnet_id)

    def _locate(self, target: Target) -> Place | None:
        """Where a target listens; None for an address that is no loopback one: the lab stays on its machine."""
        if target.is_instance:
            return self._instances.place(target.id)
        return (target.id, target.port) if target.id.startswith("127.") else None


def _name_of(transport: asyncio.DatagramTransport) -> Place:
    place: Place = transport.get_extra_info("sockname")
    return place
