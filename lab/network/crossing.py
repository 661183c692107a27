"""One client's connection through an endpoint: two sockets, and bytes carried both ways."""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from lab.network.gate import reset_on_close

IDLE_SECONDS = 350.0
"""An NLB forgets a TCP flow that is idle this long, and answers what comes later with RST (NLB user guide)."""


class Crossing:
    """A connection in the middle of which the plane sits; cut, it hangs for both ends.

    A cut is that nothing is read any more. Both ends see silence and no reset, as when packets are dropped; but the
    kernel still acknowledges what they send until its buffers are full, which on AWS would be sent again and again.
    """

    def __init__(self, ended: "Callable[[Crossing], None]") -> None:
        self._ended = ended
        self._client, self._target = _Side(self), _Side(self)
        self._expiry: asyncio.TimerHandle | None = None

    async def join(self, client: socket.socket, target: socket.socket) -> None:
        """Carry bytes between two connected sockets, which belong to the crossing from now on."""
        loop = asyncio.get_running_loop()
        for sock, side in ((client, self._client), (target, self._target)):
            await loop.connect_accepted_socket(lambda side=side: side, sock)  # type: ignore[misc]
        for side in (self._client, self._target):
            side.transport.resume_reading()

    def other(self, side: "_Side") -> "_Side":
        return self._target if side is self._client else self._client

    @property
    def is_cut(self) -> bool:
        return self._expiry is not None

    def cut(self) -> None:
        """Let nothing pass any more, and tell nobody; after IDLE_SECONDS both sockets are reset."""
        if self.is_cut:
            return
        for side in (self._client, self._target):
            side.transport.pause_reading()
        self._expiry = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.reset)

    def mend(self) -> None:
        """Let bytes pass again."""
        if self._expiry is None:
            return
        self._expiry.cancel()
        self._expiry = None
        for side in (self._client, self._target):
            side.transport.resume_reading()

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
            other.transport.close()
        else:
            other.reset()
        self._ended(self)


class _Side(asyncio.Protocol):
    """One of the two sockets: what arrives at it is written to the other."""

    def __init__(self, crossing: Crossing) -> None:
        self._crossing = crossing
        self._has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        # The other side may not be there yet.
        self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self._crossing.other(self).transport.write(data)

    def eof_received(self) -> bool:
        other = self._crossing.other(self)
        self._has_ended = True
        if other._has_ended:
            return False
        other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        self._crossing.other(self).transport.pause_reading()

    def resume_writing(self) -> None:
        if not self._crossing.is_cut:
            self._crossing.other(self).transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._crossing.end(self, exc)

    def reset(self) -> None:
        if not self.transport.is_closing():
            reset_on_close(self.transport.get_extra_info("socket"))
        self.transport.abort()
