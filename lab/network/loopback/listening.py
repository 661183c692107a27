"""A listening socket that refuses as a network does, not as a program does: by silence, without privileges.

The kernel drops the SYNs for a listening socket whose queue of connections to accept is full, so that a connect times
out (Linux, listen(2)). A shut one is such a socket: its queue has one place, and a connection of its own in it.
A socket filter (SO_ATTACH_FILTER) would drop every packet, but needs CAP_NET_ADMIN on TCP since Linux commit
5d39580f68e6. Tried on Linux only.
"""

import contextlib
import socket

from lab.network.servers import reset_on_close
from lab.network.topology import Place

_BACKLOG = 128


class ListeningSocket:
    """A listening TCP socket that starts shut. Raises OSError if the place cannot be bound."""

    def __init__(self, place: Place) -> None:
        self._plug: socket.socket | None = None
        self._socket = socket.socket()
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.setblocking(False)
            self._socket.bind(place)
            self.shut()
        except OSError:
            self.close()
            raise

    @property
    def place(self) -> Place:
        place: Place = self._socket.getsockname()
        return place

    def fileno(self) -> int:
        """What a selector waits for."""
        return self._socket.fileno()

    def shut(self) -> None:
        """Drop every connect from now on; who is in the queue already stays there unanswered."""
        self._socket.listen(0)
        if self._plug is None:
            self._plug = socket.socket()
            self._plug.setblocking(False)
            # A plug in TIME_WAIT would keep its port from a later socket at the same address.
            reset_on_close(self._plug)
            # No client has this address: that is how accept() knows the plug.
            self._plug.bind((self.place[0], 0))
            with contextlib.suppress(BlockingIOError):
                self._plug.connect(self.place)

    def open(self) -> None:
        """Let connects through; one that was dropped comes again when its client repeats the SYN (after 1, 3, 7 s)."""
        self._socket.listen(_BACKLOG)
        if self._plug is not None:
            self._plug.close()
            self._plug = None

    def accept(self) -> socket.socket | None:
        """The next client's connection, non-blocking; None if there is none after all."""
        try:
            client, (host, _) = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        if host == self.place[0]:
            client.close()
            return None
        client.setblocking(False)
        return client

    def close(self) -> None:
        """Listen no more: connects are refused."""
        if self._plug is not None:
            self._plug.close()
            self._plug = None
        self._socket.close()
