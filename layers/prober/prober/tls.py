"""The phase tls: a handshake with every check, what is wrong with a certificate, and how long it lasts."""

import contextlib
import functools
import socket
import ssl
import time
from collections.abc import Callable
from typing import TypeVar

from prober.clock import Clock, Failed

T = TypeVar("T")
_CAUSES = {62: "tls_name_mismatch", 10: "tls_expired", 9: "tls_expired"}
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH, CERT_HAS_EXPIRED and CERT_NOT_YET_VALID (x509_vfy.h)."""
DATED = frozenset(_CAUSES.values())
"""Causes of a certificate that is refused although somebody trusted vouches for its date."""
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which `ssl` has no name."""
_seconds = functools.lru_cache(maxsize=1000)(ssl.cert_time_to_seconds)


@functools.cache
def trusting() -> ssl.SSLContext:
    """The context that checks everything, made once a process: loading a bundle of authorities takes 25 ms."""
    return ssl.create_default_context()


@functools.cache
def lenient() -> ssl.SSLContext:
    """A context that minds neither name nor date: only to read the date of a certificate that `trusting` refused."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_flags |= _NO_CHECK_TIME
    return context


class Secure:
    """A socket behind TLS; everything ends with the phase of the clock.

    OpenSSL on a socket would read on for as long as anything comes: a server that sends session tickets faster than
    this side takes them would keep it for ever, whatever the timeout. So it gets its bytes from here, a few at a time.
    """

    def __init__(self, plain: socket.socket, server_name: str, clock: Clock, context: ssl.SSLContext) -> None:
        self._plain = plain
        self._clock = clock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=server_name)
        self._fed(self._tls.do_handshake)

    def days_left(self) -> float | None:
        """Days until the server's certificate expires, below 0 after that; None if it cannot be read."""
        with contextlib.suppress(ssl.SSLError, ValueError, KeyError):
            expires = (self._tls.getpeercert() or {})["notAfter"]
            return round((_seconds(str(expires)) - time.time()) / 86400, 2)
        return None

    def settimeout(self, seconds: float) -> None:
        self._plain.settimeout(seconds)

    def sendall(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()

    def recv(self, most: int) -> bytes:
        try:
            return self._fed(lambda: self._tls.read(most))
        except ssl.SSLEOFError:  # many a server hangs up without a word
            return b""

    def _fed(self, step: Callable[[], T]) -> T:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        if self._out.pending:
            self._plain.sendall(self._out.read())

    def _fill(self) -> None:
        self._plain.settimeout(self._clock.left())
        if chunk := self._plain.recv(16384):
            self._in.write(chunk)
        else:
            self._in.write_eof()


def handshake(plain: socket.socket, server_name: str, clock: Clock) -> Secure:
    """TLS with a server whose certificate is good for the name; raises Failed."""
    try:
        return Secure(plain, server_name, clock, trusting())
    except TimeoutError:
        raise Failed("tls_failed", f"no handshake within {clock.timeout:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise Failed(_CAUSES.get(error.verify_code, "tls_untrusted"), error.verify_message) from None
    except ConnectionError as error:
        raise Failed("tcp_refused", f"reset during the handshake: {error.strerror}") from None
    except (OSError, ValueError) as error:
        raise Failed("tls_failed", str(error)) from None


def days_left(address: str, port: int, server_name: str, clock: Clock) -> float | None:
    """How long a certificate lasts that was refused: OpenSSL shows none such, so a second look that asks nothing."""
    with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as stack:
        stack.enter_context(clock.phase("second look"))
        plain = stack.enter_context(socket.create_connection((address, port), clock.left()))
        return Secure(plain, server_name, clock, lenient()).days_left()
    return None
