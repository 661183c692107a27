"""A server's certificate: whether it is trusted, what is wrong with it, and how long it lasts."""

import functools
import re
import ssl
import time
from datetime import UTC, datetime

from linkgate.phase import Failed

_CAUSES = {62: "tls_name_mismatch", 10: "tls_expired", 9: "tls_expired"}
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH, CERT_HAS_EXPIRED and CERT_NOT_YET_VALID (x509_vfy.h)."""
BAD = frozenset({"tls_name_mismatch", "tls_expired", "tls_untrusted"})
"""Causes that lie in the certificate."""
_VALIDITY = re.compile(rb"\x30.(?:\x17\x0d\d{12}Z|\x18\x0f\d{14}Z)(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)", re.DOTALL)
"""Validity in DER (RFC 5280, 4.1.2.5): two times in UTC, each YYMMDDHHMMSSZ until 2049, YYYYMMDDHHMMSSZ after."""


@functools.cache
def trusting() -> ssl.SSLContext:
    """The context that checks everything, made once a process: loading a bundle of authorities takes 25 ms."""
    return ssl.create_default_context()


@functools.cache
def unchecking() -> ssl.SSLContext:
    """A context that takes any certificate: only to read the date of one that `trusting` refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def refused(error: ssl.SSLCertVerificationError) -> Failed:
    """What was wrong with a certificate."""
    return Failed(_CAUSES.get(error.verify_code, "tls_untrusted"), error.verify_message)


def days_left(secure: ssl.SSLSocket) -> float | None:
    """Days until the certificate of a finished handshake expires, below 0 after that; None if it cannot be read."""
    found = _VALIDITY.search(secure.getpeercert(binary_form=True) or b"")
    if found is None:
        return None
    short, long = found.groups()
    # RFC 5280: of a year in two digits, 50 to 99 are in the last century.
    text = long or (b"19" if short >= b"5" else b"20") + short
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
    try:
        expires = datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return round((expires.timestamp() - time.time()) / 86400, 2)
