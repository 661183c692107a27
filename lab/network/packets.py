"""Dropping a socket's incoming packets, which needs no privileges on Linux.

A classic BPF program of the single instruction "return 0" makes the kernel throw away every packet for the socket:
on a listening socket the SYNs, so that a connect times out; on an established one everything, so that it hangs
(Linux, Documentation/networking/filter.rst). Elsewhere both functions do nothing.
"""

import contextlib
import ctypes
import socket
import struct
import sys
from typing import Protocol

SUPPORTED = sys.platform == "linux"

# linux/asm-generic/socket.h and linux/bpf_common.h; the socket module lacks them.
_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27
_RETURN_ZERO = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0), 8)
_PROGRAM = struct.pack("HP", 1, ctypes.addressof(_RETURN_ZERO))


class Options(Protocol):
    """A socket, or asyncio's stand-in for one: whatever options can be set on."""

    def setsockopt(self, level: int, name: int, value: bytes, /) -> None: ...


def drop(sock: Options) -> None:
    """From now on no packet reaches this socket, and nobody is told."""
    if SUPPORTED:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _PROGRAM)


def let_pass(sock: Options) -> None:
    """Packets reach this socket again; what TCP sends again now arrives."""
    if SUPPORTED:
        # There may be no filter to take away.
        with contextlib.suppress(FileNotFoundError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, struct.pack("i", 0))


def reset_on_close(sock: Options) -> None:
    """Let closing the socket send RST, with nothing lingering."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
