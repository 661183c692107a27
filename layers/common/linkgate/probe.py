"""The prober: DNS, TCP, TLS and HTTP towards every address of a name, each phase timed, one verdict an address.

Sockets and the clock are the operating system's; no AWS API is called, ever (design section 8). What may be
touched is fixed by the canary's own stack (`Limits`), so that no event makes a port scanner of it.
"""

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, urlsplit

from linkgate.limits import Limits
from linkgate.model import Verdict

LONGEST_HEAD = 65536
"""Bytes of an HTTP answer that are read while its status line is looked for."""
LONGEST_TIMEOUT = 10.0
AT_ONCE = 100
"""Targets side by side: mostly waiting, and a hundred dead ones must not outlast the canary's own timeout."""
UNTOUCHED = ("probe_error", "dns_timeout", "dns_unexpected_address")
"""Causes that say nothing about whether a door is open: nobody knocked."""


@dataclass(slots=True)
class Clock:
    """Phase times of one probe, in milliseconds, from a monotonic clock."""

    phases: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] = round((time.perf_counter() - start) * 1000, 3)


class Failed(Exception):
    """A phase found a cause; ends one probe."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause


def probe_all(targets: Sequence[Mapping[str, object]], limits: Limits) -> list[Verdict]:
    """Probe targets side by side; at least one verdict each, in the order of targets."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [verdict for verdicts in pool.map(lambda target: probe(target, limits), targets) for verdict in verdicts]


def probe(target: Mapping[str, object], limits: Limits) -> list[Verdict]:
    """Probe every address of one target. Never raises: what goes wrong is a verdict's cause."""
    blank = Verdict(
        endpoint_id=str(target.get("endpoint_id", "")),
        service_id=str(target.get("service_id", "")),
        name=str(target.get("name", "")),
        url=str(target.get("url", "")),
    )
    clock = Clock()
    try:
        url, port = _split(blank.url)
        if problem := limits.forbid(url, port):
            raise Failed("probe_error", problem)
        timeout = _timeout(target)
        with clock.phase("dns"):
            addresses = _resolve(url.hostname or "", port or 0, timeout)
    except Failed as failed:
        return [_judged(replace(blank, cause=failed.cause, detail=str(failed), phases=clock.phases), target)]
    return [
        _judged(_visit(replace(blank, address=address), url, port or 0, target, limits, dict(clock.phases)), target)
        for address in addresses
    ]


def _visit(
    blank: Verdict, url: SplitResult, port: int, target: Mapping[str, object], limits: Limits, phases: dict[str, float]
) -> Verdict:
    """One address: TCP, then TLS and HTTP as the scheme says."""
    clock, timeout = Clock(phases), _timeout(target)
    days, status, cause, detail = None, None, "", ""
    try:
        if not limits.reach(blank.address):
            raise Failed("dns_unexpected_address", f"{blank.address} is not in {', '.join(map(str, limits.networks))}")
        with clock.phase("tcp"):
            plain = _connect(blank.address, port, timeout)
        with contextlib.ExitStack() as stack:
            stream: socket.socket = stack.enter_context(plain)
            if url.scheme in ("tls", "https"):
                with clock.phase("tls"):
                    secure = _secure(plain, str(target.get("server_name") or url.hostname))
                stream = stack.enter_context(secure)
                days = _days_left(secure)
            if url.scheme in ("http", "https"):
                with clock.phase("first_byte"):
                    head = _ask(stream, url, str(target.get("server_name") or url.hostname), timeout)
                status = _status(head)
                _expect(status, target.get("expect_status"))
    except Failed as failed:
        cause, detail = failed.cause, str(failed)
    clock.phases["total"] = round(sum(clock.phases.values()), 3)
    return replace(blank, cause=cause, detail=detail, phases=clock.phases, tls_days_left=days, http_status=status)


def _judged(verdict: Verdict, target: Mapping[str, object]) -> Verdict:
    """The verdict as the target expects it: a closed door is good where it must be closed."""
    if target.get("expect") != "closed" or verdict.cause in UNTOUCHED:
        return verdict
    if verdict.cause in ("tcp_timeout", "tcp_refused", "dns_not_found"):
        return replace(verdict, cause="", detail=f"closed as expected ({verdict.cause})")
    return replace(verdict, cause="unexpectedly_open", detail=f"{verdict.address} answers")


def _split(text: str) -> tuple[SplitResult, int | None]:
    try:
        url = urlsplit(text)
        return url, url.port
    except ValueError as error:
        raise Failed("probe_error", f"url {text[:200]!r} cannot be read: {error}") from None


def _timeout(target: Mapping[str, object]) -> float:
    value = target.get("timeout_seconds", 3)
    return min(max(float(value), 0.1), LONGEST_TIMEOUT) if isinstance(value, int | float) else 3.0


def _resolve(host: str, port: int, timeout: float) -> list[str]:
    """Every address of a name, A and AAAA. getaddrinfo knows no timeout, so it runs beside and is left behind."""
    pool = ThreadPoolExecutor(1)
    try:
        found = pool.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM).result(timeout)
    except TimeoutError:
        raise Failed("dns_timeout", f"{host} was not resolved within {timeout:g} s") from None
    except socket.gaierror as error:
        cause = "dns_timeout" if error.errno == socket.EAI_AGAIN else "dns_not_found"
        raise Failed(cause, f"{host}: {error.strerror}") from None
    except (OSError, UnicodeError) as error:  # the latter from names that DNS cannot carry
        raise Failed("dns_not_found", f"{host[:100]}: {error}") from None
    finally:
        pool.shutdown(wait=False)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _connect(address: str, port: int, timeout: float) -> socket.socket:
    try:
        return socket.create_connection((address, port), timeout)
    except TimeoutError:
        raise Failed("tcp_timeout", f"{address}:{port} did not answer within {timeout:g} s") from None
    except (ConnectionRefusedError, ConnectionResetError) as error:
        raise Failed("tcp_refused", f"{address}:{port}: {error.strerror}") from None
    except OSError as error:
        raise Failed("tcp_timeout", f"{address}:{port}: {error.strerror or error}") from None


_VERIFY = {62: "tls_name_mismatch", 10: "tls_expired", 9: "tls_expired"}
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH, CERT_HAS_EXPIRED and CERT_NOT_YET_VALID (x509_vfy.h)."""


def _secure(plain: socket.socket, server_name: str) -> ssl.SSLSocket:
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=server_name)
    except ssl.SSLCertVerificationError as error:
        raise Failed(_VERIFY.get(error.verify_code, "tls_untrusted"), error.verify_message) from None
    except ConnectionResetError as error:
        raise Failed("tcp_refused", f"reset during the handshake: {error.strerror}") from None
    except (OSError, ValueError) as error:
        raise Failed("tls_failed", str(error)) from None


def _days_left(secure: ssl.SSLSocket) -> float | None:
    expires = (secure.getpeercert() or {}).get("notAfter")
    return round((ssl.cert_time_to_seconds(expires) - time.time()) / 86400, 2) if isinstance(expires, str) else None


def _ask(stream: socket.socket, url: SplitResult, host: str, timeout: float) -> bytes:
    """Send one GET; returns what came up to the end of the status line. The deadline is for the whole answer."""
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: linkgate-canary\r\nConnection: close\r\n\r\n"
    deadline, head = time.monotonic() + timeout, b""
    try:
        stream.sendall(request.encode("ascii", "replace"))
        while b"\n" not in head and len(head) < LONGEST_HEAD:
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            stream.settimeout(left)
            if not (chunk := stream.recv(4096)):
                break
            head += chunk
    except TimeoutError:
        raise Failed("http_timeout", f"no answer within {timeout:g} s") from None
    except ConnectionResetError as error:
        raise Failed("tcp_refused", f"reset before an answer: {error.strerror}") from None
    except OSError as error:
        raise Failed("http_timeout", str(error)) from None
    return head


def _status(head: bytes) -> int:
    words = head.split(b"\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not re.fullmatch(rb"[0-9]{3}", words[1]):
        raise Failed("http_status", f"not an HTTP answer: {head[:60]!r}")
    return int(words[1])


def _expect(status: int, wanted: object) -> None:
    good = status == wanted if isinstance(wanted, int) else 200 <= status < 400
    if not good:
        raise Failed("http_status", f"status {status}, expected {wanted if isinstance(wanted, int) else '200 to 399'}")
