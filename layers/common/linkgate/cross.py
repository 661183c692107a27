"""Crossing to one address: TCP, then TLS and HTTP as the target says; what was found on the way is the verdict."""

import contextlib
import errno
import socket
import ssl
from dataclasses import replace
from typing import Any

from linkgate import certificate, kernel, wire
from linkgate.aim import OUT_OF_TIME, Aim
from linkgate.model import Verdict
from linkgate.phase import Clock, Failed

_OURS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EACCES,
        errno.EPERM,
    }
)
"""Errors of connect that arise on this side: no packet of the other one says anything."""


def cross(blank: Verdict, aim: Aim, clock: Clock) -> Verdict:
    """The verdict on `blank.address`. Never raises; nothing takes longer than the clock's timeouts and deadline."""
    found: dict[str, Any] = {"cause": "", "detail": ""}
    try:
        _walk(blank.address, aim, clock, found)
    except Failed as failed:
        found |= {"cause": failed.cause, "detail": str(failed)[:300]}
    except Exception as error:
        found |= {"cause": "probe_error", "detail": f"{type(error).__name__}: {error}"[:300]}
    if found["cause"] and clock.over:
        found |= {"cause": "probe_error", "detail": OUT_OF_TIME}
    elif aim.closed and "rtt_ms" in found:
        found |= {"cause": "unexpectedly_open", "detail": f"{blank.address} answers"}
    elif aim.closed and found["cause"] != "probe_error":
        found |= {"cause": "", "detail": f"closed as expected ({found['cause']})"}
    phases = clock.phases | {"total": round(sum(clock.phases.values()), 3)}
    phases.pop("body", None)
    if found["cause"] in certificate.BAD:
        found["tls_days_left"] = _days_left(blank.address, aim, clock)
    return replace(blank, **found, phases=phases)


def _walk(address: str, aim: Aim, clock: Clock, found: dict[str, Any]) -> None:
    """Go phase by phase and note down what is seen; raises Failed at the first that fails."""
    stream = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        with clock.phase("tcp"):
            _connect(stream, address, aim.port, clock)
        found["rtt_ms"] = kernel.rtt(stream)
        if aim.secure:
            with clock.phase("tls"):
                stream = secure = _secure(stream, aim.server_name)
                _shake(secure, clock)
            found["tls_days_left"] = certificate.days_left(secure)
        if aim.asks:
            with clock.phase("first_byte"):
                answer, found["http_status"] = wire.ask(stream, aim, clock)
            wire.expect(found["http_status"], aim)
            if aim.body is not None:
                with clock.phase("body"):
                    wire.match(answer, aim.body, clock)
    finally:
        found["retransmits"] = kernel.retransmits(stream)
        stream.close()


def _connect(stream: socket.socket, address: str, port: int, clock: Clock) -> None:
    where = f"{address}:{port}"
    try:
        stream.settimeout(clock.left())
        stream.connect((address, port))
    except TimeoutError:
        raise Failed("tcp_timeout", f"{where} did not answer within {clock.timeout:g} s") from None
    except ConnectionError as error:
        raise Failed("tcp_refused", f"{where}: {error.strerror}") from None
    except OSError as error:
        cause = "probe_error" if error.errno in _OURS else "tcp_timeout"
        raise Failed(cause, f"{where}: {error.strerror or error}") from None


def _secure(plain: socket.socket, server_name: str) -> ssl.SSLSocket:
    # The handshake is apart, since one that fails inside wrap_socket closes the socket, and with it TCP_INFO.
    return certificate.trusting().wrap_socket(plain, server_hostname=server_name, do_handshake_on_connect=False)


def _shake(secure: ssl.SSLSocket, clock: Clock) -> None:
    try:
        secure.settimeout(clock.left())
        secure.do_handshake()
    except TimeoutError:
        raise Failed("tls_failed", f"no handshake within {clock.timeout:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise certificate.refused(error) from None
    except ConnectionError as error:
        raise Failed("tcp_refused", f"reset during the handshake: {error.strerror}") from None
    except (OSError, ValueError) as error:
        raise Failed("tls_failed", str(error)) from None


def _days_left(address: str, aim: Aim, clock: Clock) -> float | None:
    """How long a certificate lasts that was refused: OpenSSL shows none such, so a second look that sends nothing."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(OSError, ValueError))
        stack.enter_context(clock.phase("second look"))
        plain = stack.enter_context(socket.create_connection((address, aim.port), clock.left()))
        secure = certificate.unchecking().wrap_socket(plain, server_hostname=aim.server_name)
        return certificate.days_left(stack.enter_context(secure))
    return None
