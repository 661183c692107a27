"""One address through its phases: TCP, then TLS and HTTP as the target asks; the first that fails is the cause."""

import contextlib
import socket
from typing import Any

from prober import http, tcp, tls
from prober.clock import Clock, Failed
from prober.http import Stream
from prober.target import Target
from prober.verdict import OUT_OF_TIME, Verdict

OPEN = "unexpectedly_open"
"""The cause where something answers that must not."""


def probe(blank: Verdict, target: Target, clock: Clock) -> Verdict:
    """The verdict on `blank.address`. Never raises; nothing takes longer than the clock's timeouts and deadline."""
    seen: dict[str, Any] = {}
    cause = detail = ""
    try:
        _walk(blank.address, target, clock, seen)
    except Failed as failed:
        cause, detail = failed.cause, str(failed)
    except Exception as error:
        cause, detail = "probe_error", f"{type(error).__name__}: {error}"
    if cause not in ("", OPEN) and clock.over:
        cause, detail = "probe_error", OUT_OF_TIME
    elif target.closed and cause == "tcp_refused":
        # It comes from the load balancer: packets get through although they should be dropped.
        cause, detail = OPEN, f"packets get through: {detail}"
    elif target.closed and cause == "tcp_timeout":
        cause, detail = "", "closed as expected (tcp_timeout)"
    if cause == "tls_expired":
        seen["tls_days_left"], detail = _expired(blank.address, target, clock, detail)
    phases = clock.phases | {"total": round(sum(clock.phases.values()), 3)}
    phases.pop("body", None)
    return blank.saying(cause, detail, phases=phases, **seen)


def _walk(address: str, target: Target, clock: Clock, seen: dict[str, Any]) -> None:
    """Go phase by phase and note down what is seen; raises Failed at the first that fails."""
    plain = _socket(address)
    stream: Stream = plain
    try:
        with clock.phase("tcp"):
            tcp.connect(plain, address, target.port, clock)
        if target.closed:
            raise Failed(OPEN, f"{address} answers")
        if target.secure:
            with clock.phase("tls"):
                stream = secure = tls.handshake(plain, target.server_name, clock, target.authorities)
            seen["tls_days_left"] = secure.days_left()
        if target.asks:
            with clock.phase("first_byte"):
                answer, head = http.ask(stream, target, clock)
            seen["http_status"] = head.status
            http.expect(head.status, target)
            if target.body is not None:
                with clock.phase("body"):
                    http.match(answer, head, target.body, clock)
    finally:
        seen["retransmits"] = tcp.retransmits(plain)
        plain.close()


def _expired(address: str, target: Target, clock: Clock, detail: str) -> tuple[float, str]:
    """Days left, none or fewer, and in words which certificate of the chain is out of date, as far as a look tells."""
    with contextlib.suppress(OSError, Failed), _socket(address) as plain:
        tcp.connect(plain, address, target.port, clock)
        days, whose = tls.look_again(plain, target.server_name, clock)
        if days < 0:
            return days, f"{detail}: {whose}"
    return 0.0, detail


def _socket(address: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
