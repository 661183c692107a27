"""One address and port of an endpoint: a listening socket, and the connections made through it."""

import asyncio
import itertools
import socket
from collections.abc import Callable

from lab.network.loopback.listening import ListeningSocket
from lab.network.loopback.proxy import ProxiedConnection
from lab.network.servers import reset_on_close
from lab.network.topology import Place, Route, Target

_CONNECT_SECONDS = 1.0


class Forwarder:
    """Listens at `place`; `locate` says where a target really listens, None if it is not up.

    Starts closed. Must be used in the thread of the running loop. Raises OSError if the place cannot be bound.
    """

    def __init__(self, place: Place, locate: Callable[[Target], Place | None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._locate = locate
        self._route = Route(False, ())
        self._connections: set[ProxiedConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = itertools.count()
        self._socket = ListeningSocket(place)

    def update(self, route: Route) -> None:
        """Follow a change of the connection's state or of the targets; open connections keep their target."""
        was_open, self._route = self._route.open, route
        if route.open and not was_open:
            self._socket.open()
            self._loop.add_reader(self._socket, self._accept)
            for connection in self._connections:
                connection.restore()
        elif was_open and not route.open:
            self._shut()

    def _shut(self) -> None:
        self._socket.shut()
        self._loop.remove_reader(self._socket)
        for connection in self._connections:
            connection.cut()

    def close(self) -> None:
        """Listen no more; what is open hangs until an NLB would have forgotten it."""
        self.update(Route(False, ()))
        self._socket.close()

    def abort(self) -> None:
        """Listen no more, and reset what is open."""
        self.close()
        for connection in tuple(self._connections):
            connection.reset()

    def _accept(self) -> None:
        client = self._socket.accept()
        if client is None:
            return
        task = self._loop.create_task(self._carry(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, client: socket.socket) -> None:
        target = await self._reach()
        if target is None:
            reset_on_close(client)
            client.close()
            return
        connection = ProxiedConnection(self._connections.discard)
        await connection.join(client, target)
        self._connections.add(connection)
        # The state may have changed meanwhile.
        if not self._route.open:
            connection.cut()

    async def _reach(self) -> socket.socket | None:
        """A connection to a healthy target, each in its turn: one that is up and accepts now; None if none does."""
        targets = self._route.targets
        first = next(self._turn)
        for number in range(len(targets)):
            place = self._locate(targets[(first + number) % len(targets)])
            if place is not None and (sock := await self._connect(place)) is not None:
                return sock
        return None

    async def _connect(self, place: Place) -> socket.socket | None:
        sock = socket.socket()
        sock.setblocking(False)
        try:
            await asyncio.wait_for(self._loop.sock_connect(sock, place), _CONNECT_SECONDS)
        except (OSError, TimeoutError):
            sock.close()
            return None
        return sock
