"""The lab's certificate authority: certificates of the servers, good ones and ones with a flaw."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

EXPIRED, WRONG_NAME, UNTRUSTED = "certificate-expired", "certificate-wrong-name", "certificate-untrusted"
CHAIN_EXPIRED = "certificate-chain-expired"
FLAWS = (EXPIRED, WRONG_NAME, UNTRUSTED, CHAIN_EXPIRED)
"""Of several the first is shown."""
_OTHER_NAME = "other.example.com"
_NO_NAME = "hello.invalid"
"""The name in a certificate where the service has no private DNS name; stacks/demo.yaml's servers do the same."""
_DAYS = timedelta(days=30)


@dataclass(frozen=True)
class _Signer:
    name: x509.Name
    key: ec.EllipticCurvePrivateKey


class Authority:
    """Certificates in a folder; `root` is the file that a client must trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = folder / "root.pem"
        self._trusted = _signer("Linkgate lab")
        self._foreign = _signer("Somebody else")
        self._middle = _signer("Linkgate lab, in the middle")
        self._issued: dict[tuple[tuple[str, ...], str], Path] = {}
        self.root.write_bytes(_pem(_certificate(self._trusted, self._trusted, (), authority=True)))

    def load(self, context: ssl.SSLContext, names: tuple[str, ...], flaw: str = "") -> None:
        """Let a server's next handshakes show a certificate for `names`, with one of the flaws, if any."""
        key = (names or (_NO_NAME,), flaw)
        if key not in self._issued:
            self._issued[key] = self._issue(*key)
        context.load_cert_chain(self._issued[key])

    def _issue(self, names: tuple[str, ...], flaw: str) -> Path:
        server = _signer(names[0])
        signer = {UNTRUSTED: self._foreign, CHAIN_EXPIRED: self._middle}.get(flaw, self._trusted)
        names = (_OTHER_NAME,) if flaw == WRONG_NAME else names
        age = 2 * _DAYS if flaw == EXPIRED else timedelta(days=1)
        path = self._folder / f"certificate-{len(self._issued)}.pem"
        private = server.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.touch(mode=0o600)
        above = _certificate(self._middle, self._trusted, (), 2 * _DAYS, authority=True)
        chain = _pem(above) if signer is self._middle else b""
        path.write_bytes(private + _pem(_certificate(server, signer, names, age)) + chain)
        return path


def _signer(name: str) -> _Signer:
    return _Signer(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), ec.generate_private_key(ec.SECP256R1()))


def _certificate(
    subject: _Signer,
    signer: _Signer,
    names: tuple[str, ...],
    age: timedelta = timedelta(days=1),
    authority: bool = False,
) -> x509.Certificate:
    """A certificate that began to hold `age` ago and does so for _DAYS from then."""
    since = datetime.now(UTC) - age
    public = subject.key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject.name)
        .issuer_name(signer.name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + _DAYS)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(signer.key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
