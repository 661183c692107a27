"""The provider's servers in their VPCs' namespaces: HTTP, or HTTPS with a certificate of the lab's authority."""

import os
import socket
import ssl
from collections.abc import Mapping, Set
from dataclasses import dataclass

from lab.network.namespaces.certificates import Authority
from lab.network.namespaces.kernel import Namespace
from lab.network.namespaces.plan import Host
from lab.network.servers import Behaviour, Server
from lab.network.topology import Vpc


@dataclass(frozen=True)
class _Running:
    server: Server
    context: ssl.SSLContext | None


class Servers:
    """The running servers; to be used in the thread of the running loop.

    `complaints` has a sentence for each that could not be started.
    """

    def __init__(self, authority: Authority) -> None:
        self.behaviour = Behaviour()
        self._authority = authority
        self.complaints: list[str] = []
        self._flaw = ""
        self._running: dict[tuple[Vpc, Host], _Running] = {}

    async def keep(self, wanted: Mapping[Vpc, Set[Host]], namespaces: Mapping[Vpc, Namespace]) -> None:
        """Start what is wanted and does not run yet; end the others, with their connections."""
        hosts = {(vpc, host) for vpc, found in wanted.items() for host in found}
        for key in set(self._running) - hosts:
            self._running.pop(key).server.stop()
        self.complaints.clear()
        for vpc, host in sorted(hosts - set(self._running), key=repr):
            try:
                self._running[vpc, host] = await self._start(host, namespaces[vpc])
            except OSError as error:
                self.complaints.append(
                    f"{host.name} does not serve on port {host.place[1]} in {vpc.vpc_id}: "
                    f"{os.strerror(error.errno or 0)}; end what listens there, or register the target with another port"
                )

    def demand(self, certificates: bool) -> None:
        """From now on demand certificates of clients, or none."""
        for running in self._running.values():
            if running.context:
                running.context.verify_mode = ssl.CERT_REQUIRED if certificates else ssl.CERT_NONE

    def show(self, flaw: str) -> None:
        """From now on show certificates with this flaw; "" is none."""
        if flaw == self._flaw:
            return
        self._flaw = flaw
        for (_, host), running in self._running.items():
            if running.context:
                self._authority.load(running.context, host.names or (), flaw)

    def close(self) -> None:
        """End every server."""
        for running in self._running.values():
            running.server.stop()
        self._running.clear()

    async def _start(self, host: Host, namespace: Namespace) -> _Running:
        context = None
        if host.names is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._authority.load(context, host.names, self._flaw)
        server = Server(host.name, self.behaviour)
        await server.start(namespace.inside(lambda: socket.create_server(host.place)), context)
        return _Running(server, context)
