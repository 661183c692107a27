"""The provider's servers: a real HTTP server for each running EC2 instance that is a target."""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Set
from dataclasses import dataclass
from typing import Protocol

from lab.network.topology import Place

_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)
_LAST = re.compile(rb"^connection:[ \t]*close|^\S+ \S+ HTTP/1\.0\r", re.IGNORECASE | re.MULTILINE)


class Options(Protocol):
    """A socket, or asyncio's stand-in for one: anything with options to set."""

    def setsockopt(self, level: int, name: int, value: bytes, /) -> None: ...


def reset_on_close(sock: Options) -> None:
    """Let closing the socket send RST, with nothing lingering."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class InstanceServers:
    """HTTP servers by instance id, each on a free port of one loopback address."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._servers: dict[str, Server] = {}

    async def keep(self, running: Set[str]) -> None:
        """Start what runs and is not served yet; end what no longer runs, with its connections."""
        for instance_id in set(self._servers) - running:
            self._servers.pop(instance_id).stop()
        for instance_id in sorted(running - set(self._servers)):
            server = Server(instance_id)
            await server.start(socket.create_server((self._host, 0)))
            self._servers[instance_id] = server

    def place(self, instance_id: str) -> Place | None:
        """Where an instance's server listens, whatever port is asked for; None while it does not run."""
        server = self._servers.get(instance_id)
        return server.place if server else None

    def close(self) -> None:
        """End every server."""
        for server in self._servers.values():
            server.stop()


@dataclass
class Behaviour:
    """How servers answer: the status line, and after how many seconds.

    `resets` what they accept, before a byte is read; `wants_proxy`: what does not begin with a header of the PROXY
    protocol is hung up on, before any TLS.
    """

    status: str = "200 OK"
    delay: float = 0
    resets: bool = False
    wants_proxy: bool = False


class Server:
    """Answers every request with `hello from <name>`; 200 at once, unless its behaviour says otherwise."""

    place: Place

    def __init__(self, name: str, behaviour: Behaviour | None = None) -> None:
        self._body = f"hello from {name}\n".encode()
        self._behaviour = behaviour or Behaviour()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, listener: socket.socket, context: ssl.SSLContext | None = None) -> None:
        """Serve on a listening socket, which is the server's from now on; over TLS with a context."""
        self._context = context
        self._server = await asyncio.start_server(self._serve, sock=listener)
        self.place = self._server.sockets[0].getsockname()

    def stop(self) -> None:
        """Listen no more, and reset what is open."""
        self._server.close()
        for writer in self._writers:
            # None where TLS has ended already.
            if sock := writer.get_extra_info("socket"):
                reset_on_close(sock)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if await self._welcomes(reader, writer):
                while await self._exchange(reader, writer):
                    pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _welcomes(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether a connection is served; over TLS from here on, with a context."""
        if self._behaviour.resets:
            reset_on_close(writer.get_extra_info("socket"))
            return False
        if self._behaviour.wants_proxy:
            await reader.read(1)  # no client of the lab sends the header
            return False
        if self._context and self._context.verify_mode is ssl.CERT_REQUIRED:
            await _refuse(reader, writer, self._context)
            return False
        if self._context:
            await writer.start_tls(self._context)
        return True

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        if length := _LENGTH.search(head):
            await reader.readexactly(int(length[1]))
        await asyncio.sleep(self._behaviour.delay)
        is_last = _LAST.search(head) is not None
        writer.write(
            b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: %b\r\n\r\n"
            % (self._behaviour.status.encode(), len(self._body), b"close" if is_last else b"keep-alive")
        )
        if not head.startswith(b"HEAD "):
            writer.write(self._body)
        await writer.drain()
        return not is_last


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
    """Shake hands with a client that has no certificate, up to the alert that says so; asyncio would not send it."""
    handshake = Handshake(context)
    while not handshake.refused and (received := await reader.read(65536)):
        writer.write(handshake.answer(received))
        await writer.drain()


class Handshake:
    """A server's side of a TLS handshake, without a socket, with a client that it refuses."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.refused = False

    def answer(self, received: bytes) -> bytes:
        """What the server says to what the client sent: its own part, or the alert."""
        self._incoming.write(received)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.refused = True
        return self._outgoing.read()
