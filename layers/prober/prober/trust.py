"""What is trusted: authorities, and the rules by which a certificate is good."""

import binascii
import functools
import re
import ssl

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
