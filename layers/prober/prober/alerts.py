"""The alerts of TLS: what a server means that refuses a handshake."""

import re
import ssl
from typing import NamedTuple

from prober.clock import Failed


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
