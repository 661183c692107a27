"""Crossing to one address: TCP, then TLS and HTTP as the target says; what was found on the way is the verdict."""

import errno
import socket
from dataclasses import replace
from typing import Any

from linkgate.model import Verdict

from prober import http, tcp, tls
from prober.clock import Clock, Failed
from prober.target import OUT_OF_TIME, Aim

OPEN = "unexpectedly_open"
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
    if found["cause"] not in ("", OPEN) and clock.over:
        found |= {"cause": "probe_error", "detail": OUT_OF_TIME}
    elif aim.closed and found["cause"] == "tcp_refused":
        # It comes from the load balancer: packets get through a gate that is to drop them.
        found |= {"cause": OPEN, "detail": f"packets get through: {found['detail']}"}
    elif aim.closed and found["cause"] == "tcp_timeout":
        found |= {"cause": "", "detail": "closed as expected (tcp_timeout)"}
    phases = clock.phases | {"total": round(sum(clock.phases.values()), 3)}
    phases.pop("body", None)
    if found["cause"] in tls.DATED:
        found["tls_days_left"] = tls.days_left(blank.address, aim.port, aim.server_name, clock)
    return replace(blank, **found, phases=phases)


def _walk(address: str, aim: Aim, clock: Clock, found: dict[str, Any]) -> None:
    """Go phase by phase and note down what is seen; raises Failed at the first that fails."""
    plain = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    stream: http.Stream = plain
    try:
        with clock.phase("tcp"):
            _connect(plain, address, aim.port, clock)
        found["rtt_ms"] = tcp.rtt(plain)
        if aim.closed:
            raise Failed(OPEN, f"{address} answers")
        if aim.secure:
            with clock.phase("tls"):
                stream = secure = tls.shake(plain, aim.server_name, clock)
            found["tls_days_left"] = secure.days_left()
        if aim.asks:
            with clock.phase("first_byte"):
                answer, found["http_status"] = http.ask(stream, aim, clock)
            http.expect(found["http_status"], aim)
            if aim.body is not None:
                with clock.phase("body"):
                    http.match(answer, aim.body, clock)
    finally:
        found["retransmits"] = tcp.retransmits(plain)
        plain.close()


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
