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
_seconds = functools.lru_cache(maxsize=1000)(ssl.cert_time_to_seconds)


@functools.cache
def trusting() -> ssl.SSLContext:
    """The context that checks everything, made once a process: loading a bundle of authorities takes 25 ms."""
    return ssl.create_default_context()


class Secure:
    """A socket behind TLS; everything ends with the phase of the clock.

    `ssl.SSLSocket` minds its timeout only where it waits, and OpenSSL reads on for as long as anything comes: 97 MiB of
    session tickets held it for 2.8 s against a timeout of 0.2. So it gets its bytes from here, a few at a time.
    """

    def __init__(self, plain: socket.socket, server_name: str, clock: Clock) -> None:
        self._plain = plain
        self._clock = clock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trusting().wrap_bio(self._in, self._out, server_hostname=server_name)
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
        """Do a step of TLS, and carry its bytes in and out meanwhile."""
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
        return Secure(plain, server_name, clock)
    except TimeoutError:
        raise Failed("tls_failed", f"no handshake within {clock.timeout:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise Failed(_CAUSES.get(error.verify_code, "tls_untrusted"), error.verify_message) from None
    except ConnectionError as error:
        raise Failed("tcp_refused", f"reset during the handshake: {error.strerror}") from None
    except (OSError, ValueError) as error:
        raise Failed("tls_failed", str(error)) from None
