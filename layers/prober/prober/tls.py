"""The phase tls: a handshake with every check, what is wrong with a certificate, and how long its chain lasts."""

import contextlib
import functools
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, TypeVar

from prober.alerts import refused
from prober.clock import Clock, Failed
from prober.trust import trusting

T = TypeVar("T")
_CAUSES = {62: "tls_name_mismatch", 10: "tls_expired", 9: "tls_expired"}
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH, CERT_HAS_EXPIRED and CERT_NOT_YET_VALID (x509_vfy.h)."""
_seconds = functools.lru_cache(maxsize=1000)(ssl.cert_time_to_seconds)


class Secure:
    """A socket behind TLS; everything ends with the phase of the clock.

    `ssl.SSLSocket` minds its timeout only where it waits, and OpenSSL reads on for as long as anything comes: 97 MiB of
    session tickets held it for 2.8 s against a timeout of 0.2. So it gets its bytes from here, a few at a time.
    """

    def __init__(self, plain: socket.socket, server_name: str, clock: Clock, context: ssl.SSLContext) -> None:
        self._plain = plain
        self._clock = clock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=server_name)
        self._fed(self._tls.do_handshake)

    def days_left(self) -> float | None:
        """Days until the first certificate of the verified chain expires; None if it cannot be read."""
        # What SSLObject has of it since 3.13 are bytes; beneath it lies the same with the dates, since 3.10.
        return min(map(_days, self._chain("get_verified_chain")), default=None)

    def first_to_end(self) -> tuple[float, str]:
        """Of what the server sent, verified or not: days until the first certificate expires, and whose it is."""
        sent = self._chain("get_unverified_chain")
        return min(((_days(one), _subject(one)) for one in sent), default=(0.0, ""))

    def _chain(self, which: str) -> list[dict[str, Any]]:
        with contextlib.suppress(AttributeError, TypeError, ValueError, ssl.SSLError):
            return [one.get_info() for one in getattr(self._tls._sslobj, which)()]  # type: ignore[attr-defined]
        leaf = self._tls.getpeercert()
        return [leaf] if leaf else []

    def settimeout(self, seconds: float) -> None:
        self._plain.settimeout(seconds)

    def sendall(self, data: bytes) -> None:
        self._tls.write(data)
        try:
            self._flush()
        except ConnectionError:
            self.recv(1)  # raises what the server said before it hung up
            raise

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


def handshake(plain: socket.socket, server_name: str, clock: Clock, more: bytes = b"") -> Secure:
    """TLS with a server whose certificate is good for the name; raises Failed. `more` are authorities in DER."""
    try:
        return Secure(plain, server_name, clock, trusting(more))
    except TimeoutError:
        raise Failed("tls_timeout", f"no handshake within {clock.timeout:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise Failed(_CAUSES.get(error.verify_code, "tls_untrusted"), error.verify_message) from None
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        raise Failed("tls_closed", "the server hung up during the handshake") from None
    except ConnectionError as error:
        raise Failed("tls_closed", f"reset during the handshake: {error.strerror}") from None
    except ssl.SSLError as error:
        raise refused(error) from None
    except (OSError, ValueError) as error:
        raise Failed("tls_failed", str(error)) from None


def look_again(plain: socket.socket, server_name: str, clock: Clock) -> tuple[float, str]:
    """Days until the first certificate expires of those that a server sends and OpenSSL refused, and whose it is.

    OpenSSL shows nothing of a chain that it refuses. So it is told to refuse nothing, and the server is asked for
    nothing. Raises OSError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return Secure(plain, server_name, clock, context).first_to_end()


def _days(certificate: dict[str, Any]) -> float:
    """Days until a certificate expires, below 0 after that."""
    return round((_seconds(str(certificate["notAfter"])) - time.time()) / 86400, 2)


def _subject(certificate: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for part in certificate.get("subject", ()) for name, value in part)
