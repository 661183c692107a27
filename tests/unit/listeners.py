"""Real listening sockets on loopback, well and badly behaved, and certificates made for the occasion."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.network.servers import Handshake

HOST = "127.0.0.1"


@dataclass
class Listener:
    """A port on loopback; `requests` is what came in, `sent` counts a flood, `leaving` is set when the test is over."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    sent: int = 0
    leaving: threading.Event = field(default_factory=threading.Event)


Behaviour = Callable[[socket.socket, Listener], None]


@contextlib.contextmanager
def listening(behave: Behaviour, context: ssl.SSLContext | None = None) -> Iterator[Listener]:
    """Serve every connection with `behave`, over TLS if there is a context, until the block ends."""
    with socket.create_server((HOST, 0)) as server:
        listener = Listener(server.getsockname()[1])

        def serve() -> None:
            while not listener.leaving.is_set():
                with contextlib.suppress(OSError):
                    plain, _ = server.accept()
                    if listener.leaving.is_set():
                        plain.close()
                        return
                    plain.settimeout(5)
                    with context.wrap_socket(plain, server_side=True) if context else plain as stream:
                        behave(stream, listener)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            listener.leaving.set()
            with socket.socket() as last:
                last.settimeout(1)
                last.connect_ex((HOST, listener.port))
            thread.join(5)


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """A port on which nobody listens, kept from everybody else."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield taken.getsockname()[1]


@contextlib.contextmanager
def dropping() -> Iterator[int]:
    """A port whose queue of connections is full, so that the kernel drops what else comes."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind((HOST, 0))
        server.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def answering(answer: bytes) -> Behaviour:
    """Take one request, send an answer, hang up."""

    def behave(stream: socket.socket, listener: Listener) -> None:
        listener.requests.append(stream.recv(65536))
        stream.sendall(answer)

    return behave


def accepting(stream: socket.socket, listener: Listener) -> None:
    """Take the connection and hang up."""


def silent(stream: socket.socket, listener: Listener) -> None:
    """Take a request and never answer."""
    listener.requests.append(stream.recv(65536))
    listener.leaving.wait(5)


def resetting(stream: socket.socket, listener: Listener) -> None:
    """Take what comes first and reset the connection."""
    listener.requests.append(stream.recv(65536))
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def endless(stream: socket.socket, listener: Listener) -> None:
    """Answer with a status line that never ends."""
    listener.requests.append(stream.recv(65536))
    with contextlib.suppress(OSError):
        while not listener.leaving.is_set():
            stream.sendall(b"HTTP/1.1 200 " + b"O" * 4096)


def dripping(stream: socket.socket, listener: Listener) -> None:
    """Answer a byte now and then, each well within any timeout, and never come to the end of the line."""
    listener.requests.append(stream.recv(65536))
    with contextlib.suppress(OSError):
        while not listener.leaving.wait(0.05):
            stream.sendall(b"H")


def babbling(stream: socket.socket, listener: Listener) -> None:
    """Answer a byte at a time without a pause in which a timeout could fall, and never end the line."""
    listener.requests.append(stream.recv(65536))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError):
        while not listener.leaving.wait(0.0002):
            stream.sendall(b"H")


def flooding(start: bytes, flood: bytes) -> Behaviour:
    """Answer `start` and then `flood`, again and again, as fast as it is taken."""

    def behave(stream: socket.socket, listener: Listener) -> None:
        listener.requests.append(stream.recv(65536))
        with contextlib.suppress(OSError):
            stream.sendall(start)
            while not listener.leaving.is_set():
                listener.sent += stream.send(flood)

    return behave


def trickling(start: bytes, drop: bytes) -> Behaviour:
    """Answer `start`, and then a drop now and then, each well within any timeout."""

    def behave(stream: socket.socket, listener: Listener) -> None:
        listener.requests.append(stream.recv(65536))
        with contextlib.suppress(OSError):
            stream.sendall(start)
            while not listener.leaving.wait(0.05):
                stream.sendall(drop)

    return behave


def lingering(answer: bytes) -> Behaviour:
    """Take one request, send an answer, and keep the connection whatever the request said."""

    def behave(stream: socket.socket, listener: Listener) -> None:
        listener.requests.append(stream.recv(65536))
        stream.sendall(answer)
        listener.leaving.wait(5)

    return behave


def refusing_clients(context: ssl.SSLContext) -> Behaviour:
    """Refuse a client without a certificate, and keep the connection, so that no reset overtakes the alert."""

    def behave(stream: socket.socket, listener: Listener) -> None:
        handshake = Handshake(context)
        while not handshake.refused and (received := stream.recv(65536)):
            stream.sendall(handshake.answer(received))
        listener.leaving.wait(5)

    return behave


def nonsense(stream: socket.socket, listener: Listener) -> None:
    """Speak TLS 1.2 (RFC 5246) up to a certificate of nonsense bytes."""
    listener.requests.append(stream.recv(65536))
    cipher, renegotiation = b"\xc0\x2b\x00", b"\x00\x05\xff\x01\x00\x01\x00"
    hello = b"\x03\x03" + bytes(range(32)) + b"\x00" + cipher + renegotiation
    chain = _sized(_sized(b"\xde\xad\xbe\xef" * 100, 3), 3)
    messages = b"\x02" + _sized(hello, 3) + b"\x0b" + _sized(chain, 3)
    stream.sendall(b"\x16\x03\x03" + _sized(messages, 2))
    listener.leaving.wait(5)


def _sized(content: bytes, width: int) -> bytes:
    return len(content).to_bytes(width, "big") + content


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the test's own, in a folder of the test's own."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    above: bytes = b""
    """In PEM, what its servers send beside their own: itself, if another authority stands above it."""

    @classmethod
    def create(cls, folder: Path, until: timedelta = timedelta(days=36_500)) -> "Authority":
        folder.mkdir(exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _named(f"the authority {folder.name[:40]}")
        certificate = _authority(name, name, key.public_key(), until).sign(key, hashes.SHA256())
        (folder / "authority.pem").write_bytes(_pem(certificate))
        return cls(folder, key, certificate)

    def below(self, until: timedelta) -> "Authority":
        """One in the middle, which this one vouches for until a time from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _authority(_named("one in the middle"), self.certificate.subject, key.public_key(), until)
        certificate = builder.sign(self.key, hashes.SHA256())
        return Authority(self.folder, key, certificate, _pem(certificate) + self.above)

    @property
    def path(self) -> Path:
        """The authority's certificate in PEM: what SSL_CERT_FILE names to trust it."""
        return self.folder / "authority.pem"

    @property
    def pem(self) -> str:
        return _pem(self.certificate).decode()

    def server(
        self, name: str, since: timedelta, until: timedelta, names: tuple[str, ...] | None = None
    ) -> ssl.SSLContext:
        """A server's context with a certificate for one name, valid between two times from now.

        `names` are the alternative names that it has instead, () for none.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate(_named(name), self.certificate.subject, key.public_key(), since, until)
        if alternatives := (name,) if names is None else names:
            other = x509.SubjectAlternativeName([x509.DNSName(one) for one in alternatives])
            builder = builder.add_extension(other, critical=False)
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path = self.folder / f"{name}-{until.days}.pem"
        path.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, form, plain)
            + _pem(builder.sign(self.key, hashes.SHA256()))
            + self.above
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _authority(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: timedelta
) -> x509.CertificateBuilder:
    builder = _certificate(subject, issuer, key, timedelta(days=-400), until)
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, since: timedelta, until: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
    )
