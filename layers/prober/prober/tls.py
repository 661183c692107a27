"""The phase tls: what is trusted, a handshake with every check, what an alert means, how long the chain lasts."""

import binascii
import contextlib
import functools
import re
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from prober.clock import Clock, Failed


class Alert(NamedTuple):
    """An alert of TLS: its cause, how OpenSSL words it, and what it means from a server to a client like this one."""

    cause: str
    words: str
    meaning: str


_OURS = "a certificate of the client's is wanted"
ALERTS = {
    116: Alert("tls_client_certificate", "certificate required", _OURS),
    112: Alert("tls_name_refused", "unrecognized name", "nothing is served under this server name"),
    70: Alert("tls_version", "protocol version", "neither TLS 1.2 nor 1.3 is spoken"),
    42: Alert("tls_client_certificate", "alert bad certificate", _OURS),
    43: Alert("tls_client_certificate", "alert unsupported certificate", _OURS),
    46: Alert("tls_client_certificate", "alert certificate unknown", _OURS),
    48: Alert("tls_client_certificate", "alert unknown ca", _OURS),
    49: Alert("tls_client_certificate", "alert access denied", _OURS),
    40: Alert("tls_failed", "alert handshake failure", f"no cipher or group is common to both, or {_OURS}"),
    71: Alert("tls_failed", "alert insufficient security", "the server wants stronger ciphers"),
    120: Alert("tls_failed", "alert no application protocol", "the server insists on ALPN, such as HTTP/2"),
    109: Alert("tls_failed", "alert missing extension", "the server insists on an extension"),
    80: Alert("tls_failed", "alert internal error", "the server is at fault: often it has no certificate for the name"),
    47: Alert("tls_failed", "alert illegal parameter", "something between changes the handshake, or a bug does"),
    50: Alert("tls_failed", "alert decode error", "something between changes the handshake, or a bug does"),
    51: Alert("tls_failed", "alert decrypt error", "something between changes the handshake, or a bug does"),
    10: Alert("tls_failed", "alert unexpected message", "something between changes the handshake, or a bug does"),
}
"""By their numbers (RFC 8446 section 6). Python has OpenSSL's words for them alone, whose beginnings differ."""
_NO_TLS = ("wrong version number", "record layer failure", "http request", "packet length too long")
_NO_VERSION = ("unsupported protocol", "version too low", "no protocols available")


def refused(error: ssl.SSLError) -> Failed:
    """What an error of TLS means: an alert of the server's, or what OpenSSL itself cannot go on with."""
    words = re.sub(r"[^a-z]+", " ", f"{error.reason or ''} {error}".lower())
    number = next((number for number, alert in ALERTS.items() if alert.words in words), None)
    if number is not None:
        cause, name, meaning = ALERTS[number]
        return Failed(cause, f"alert {number}, {name}: {meaning}")
    if any(sign in words for sign in _NO_TLS):
        return Failed("tls_failed", f"what answers speaks no TLS: {error}")
    return Failed("tls_version" if any(sign in words for sign in _NO_VERSION) else "tls_failed", str(error))


_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


def authorities(pem: str) -> bytes:
    """The certificates of a PEM text in DER, one after the other, however its lines were folded on the way here.

    CloudFormation's console takes a parameter as one line. ValueError where there is none or one cannot be read.
    """
    texts = [re.sub(r"\\n|\s", "", text) for text in _PEM.findall(pem)]
    try:
        certificates = b"".join(binascii.a2b_base64(text, strict_mode=True) for text in texts)
        _context().load_verify_locations(cadata=certificates)
    except (ValueError, ssl.SSLError) as error:
        raise ValueError(f"{len(texts)} certificates in PEM: {error}") from None
    return certificates


@functools.cache
def trusting(more: bytes = b"") -> ssl.SSLContext:
    """The context that checks everything, made once a process: loading a bundle of authorities takes 25 ms.

    It trusts the authorities of the operating system, and `more` in DER.
    """
    context = _context()
    context.load_default_certs()
    if more:
        context.load_verify_locations(cadata=more)
    return context


def _context() -> ssl.SSLContext:
    """TLS 1.2 or later, by rules that no runtime changes, as `ssl.create_default_context` did in Python 3.13.

    Not VERIFY_X509_STRICT: a canary is to find what consumers' clients find, and they take a chain without key
    identifiers. An authority that is trusted may be one in the middle, as most clients have it (PARTIAL_CHAIN). A
    name stands in subjectAltName; one in the common name alone is none (RFC 9525 section 6.3).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.hostname_checks_common_name = False
    return context


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
