"""One client's connection through an endpoint: two sockets, and bytes carried both ways."""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from lab.network.servers import reset_on_close

IDLE_SECONDS = 350.0
"""An NLB forgets a TCP flow that is idle this long, and answers what comes later with RST (NLB user guide)."""


class ProxiedConnection:
    """A connection that the plane proxies; cut, it hangs for both ends.

    A cut is that nothing is read any more. Both ends see silence and no reset, as when packets are dropped; but the
    kernel still acknowledges what they send until its buffers are full, which on AWS would be sent again and again.
    """

    def __init__(self, ended: "Callable[[ProxiedConnection], None]") -> None:
        self._ended = ended
        self._client, self._target = _Side(self), _Side(self)
        self._expiry: asyncio.TimerHandle | None = None

    async def join(self, client: socket.socket, target: socket.socket) -> None:
        """Carry bytes between two connected sockets, which are the connection's own from now on."""
        loop = asyncio.get_running_loop()
        for sock, side in ((client, self._client), (target, self._target)):
            await loop.connect_accepted_socket(lambda side=side: side, sock)  # type: ignore[misc]
        for side in (self._client, self._target):
            side.resume()

    def other(self, side: "_Side") -> "_Side":
        return self._target if side is self._client else self._client

    @property
    def is_cut(self) -> bool:
        return self._expiry is not None

    def cut(self) -> None:
        """Let nothing pass any more, without a sign to either end; after IDLE_SECONDS both sockets are reset."""
        if self.is_cut:
            return
        for side in (self._client, self._target):
            side.pause()
        self._expiry = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.reset)

    def restore(self) -> None:
        """Let bytes pass again."""
        if self._expiry is None:
            return
        self._expiry.cancel()
        self._expiry = None
        for side in (self._client, self._target):
            side.resume()

    def reset(self) -> None:
        """End both connections with RST."""
        for side in (self._client, self._target):
            side.reset()

    def end(self, side: "_Side", error: Exception | None) -> None:
        """One side is gone: end the other in the same way."""
        if self._expiry is not None:
            self._expiry.cancel()
        other = self.other(side)
        if error is None:
            other.close()
        else:
            other.reset()
        self._ended(self)


class _Side(asyncio.Protocol):
    """One of the two sockets: what arrives at it is written to the other.

    It can be written to and ended before it is connected: some Pythons (3.11.2 is one) begin to read a socket although
    it was paused while it was made, so that the first bytes may come before the other side is there.
    """

    def __init__(self, connection: ProxiedConnection) -> None:
        self._connection = connection
        self._has_ended = False
        self._transport: asyncio.Transport | None = None
        self._early: list[Callable[[], None]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # The other side may not be there yet.
        self.pause()
        for act in self._early:
            act()

    def data_received(self, data: bytes) -> None:
        self._connection.other(self).write(data)

    def eof_received(self) -> bool:
        other = self._connection.other(self)
        self._has_ended = True
        if other._has_ended:
            return False
        other.write_eof()
        return True

    def pause_writing(self) -> None:
        self._connection.other(self).pause()

    def resume_writing(self) -> None:
        if not self._connection.is_cut:
            self._connection.other(self).resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.end(self, exc)

    def write(self, data: bytes) -> None:
        self._once_connected(lambda transport: transport.write(data))

    def write_eof(self) -> None:
        self._once_connected(lambda transport: transport.write_eof())

    def pause(self) -> None:
        self._once_connected(lambda transport: transport.pause_reading())

    def resume(self) -> None:
        self._once_connected(lambda transport: transport.resume_reading())

    def close(self) -> None:
        self._once_connected(lambda transport: transport.close())

    def reset(self) -> None:
        self._once_connected(_reset)

    def _once_connected(self, act: Callable[[asyncio.Transport], None]) -> None:
        if self._transport is None:
            self._early.append(lambda: self._once_connected(act))
        else:
            act(self._transport)


def _reset(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        reset_on_close(transport.get_extra_info("socket"))
    transport.abort()
