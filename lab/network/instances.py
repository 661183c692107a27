"""The provider's servers: a real HTTP server for each running EC2 instance that is a target."""

import asyncio
import re
from collections.abc import Set

from lab.network.gate import reset_on_close
from lab.network.topology import Place

_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)
_LAST = re.compile(rb"^connection:[ \t]*close|^\S+ \S+ HTTP/1\.0\r", re.IGNORECASE | re.MULTILINE)


class Instances:
    """HTTP servers by instance id, each on a free port of one loopback address."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._servers: dict[str, _Server] = {}

    async def keep(self, running: Set[str]) -> None:
        """Start what runs and is not served yet; end what no longer runs, with its connections."""
        for instance_id in set(self._servers) - running:
            self._servers.pop(instance_id).stop()
        for instance_id in sorted(running - set(self._servers)):
            server = _Server(instance_id)
            await server.start(self._host)
            self._servers[instance_id] = server

    def place(self, instance_id: str) -> Place | None:
        """Where an instance's server listens, whatever port is asked for; None while it does not run."""
        server = self._servers.get(instance_id)
        return server.place if server else None

    def close(self) -> None:
        """End every server."""
        for server in self._servers.values():
            server.stop()


class _Server:
    """Answers every request with 200 and `hello from <instance id>`."""

    place: Place

    def __init__(self, instance_id: str) -> None:
        self._body = f"hello from {instance_id}\n".encode()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, host: str) -> None:
        self._server = await asyncio.start_server(self._serve, host, 0)
        self.place = self._server.sockets[0].getsockname()

    def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            reset_on_close(writer.get_extra_info("socket"))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        if length := _LENGTH.search(head):
            await reader.readexactly(int(length[1]))
        is_last = _LAST.search(head) is not None
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
            b"Content-Length: %d\r\nConnection: %b\r\n\r\n" % (len(self._body), b"close" if is_last else b"keep-alive")
        )
        if not head.startswith(b"HEAD "):
            writer.write(self._body)
        await writer.drain()
        return not is_last
