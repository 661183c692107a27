"""The phase tcp: connecting, telling a dropped packet from a reset, and how often the kernel had to send again."""

import errno
import socket
import struct
import sys

from prober.clock import Clock, Failed

_OURS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EACCES,
        errno.EPERM,
    }
)
"""Errors of connect that arise on this side: no packet of the other one says anything."""
_TOTAL_RETRANS, _SIZE = 100, 104
"""Offset in bytes of tcpi_total_retrans, a u32, in `struct tcp_info` of linux/tcp.h, and where it ends.

The struct only ever grows at its end, so they hold for every kernel since 2.6.10.
"""


def connect(stream: socket.socket, address: str, port: int, clock: Clock) -> None:
    """Connect a socket; raises Failed.

    Whoever refuses a connection resets in answer to its SYN, which is ECONNREFUSED. A connection that stood and was
    reset before anybody looked is ECONNRESET: no fault of a listener's, and found again by the next phase.
    """
    where = f"{address}:{port}"
    try:
        stream.settimeout(clock.left())
        stream.connect((address, port))
    except TimeoutError:
        raise Failed("tcp_timeout", f"{where} did not answer within {clock.timeout:g} s") from None
    except ConnectionResetError:
        return
    except ConnectionError as error:
        raise Failed("tcp_refused", f"{where}: {error.strerror}") from None
    except OSError as error:
        cause = "probe_error" if error.errno in _OURS else "tcp_timeout"
        raise Failed(cause, f"{where}: {error.strerror or error}") from None


def retransmits(stream: socket.socket) -> int:
    """How many segments were sent again, SYNs included; 0 where the platform does not say."""
    if sys.platform != "linux":  # others have a TCP_INFO too, with another struct
        return 0
    try:
        info = stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    except OSError:
        return 0
    return int(struct.unpack_from("=I", info, _TOTAL_RETRANS)[0]) if len(info) >= _SIZE else 0
