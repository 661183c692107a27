"""What the kernel says of a connection; every address family."""

import contextlib
import errno
import socket
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
from prober import tcp
from prober.clock import Clock, Failed
from prober.scope import Scope
from prober.verdict import Verdict

from lab.harness.process import free_port
from tests.unit.listeners import HOST, accepting, dropping, listening, refusing, resetting
from tests.unit.prober.conftest import probe_all

linux = pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO is Linux's here")


def verdict(port: int, **wishes: object) -> Verdict:
    (found,) = probe_all(
        [{"url": f"tcp://{HOST}:{port}"} | wishes], Scope.parse(HOST, str(port), "127.0.0.0/8,::1/128")
    )
    return found


@linux
def test_a_connection_without_loss_sends_nothing_again() -> None:
    with listening(accepting) as listener:
        found = verdict(listener.port)
    assert (found.cause, found.retransmits) == ("", 0)


@linux
def test_packets_that_were_sent_again_are_counted_also_if_nobody_ever_answered() -> None:
    with dropping() as port:
        # A SYN is sent again after a second (RFC 6298).
        found = verdict(port, timeout_seconds=1.5)
    assert (found.cause, found.retransmits) == ("tcp_timeout", 1)


def test_a_refused_connection_is_not_tried_again() -> None:
    with refusing() as port:
        found = verdict(port)
    assert (found.cause, found.retransmits) == ("tcp_refused", 0)


@pytest.mark.parametrize(("error", "refused"), [(errno.ECONNREFUSED, True), (errno.ECONNRESET, False)])
def test_a_connection_that_stood_before_it_was_reset_is_no_listeners_fault(error: int, refused: bool) -> None:
    def connect(_: object) -> None:
        raise OSError(error, "reset")

    stream: Any = SimpleNamespace(settimeout=lambda _: None, connect=connect)
    with pytest.raises(Failed, match="reset") if refused else contextlib.nullcontext():
        tcp.connect(stream, "10.0.0.1", 443, Clock(1, time.monotonic() + 60).phase("tcp"))


def test_a_platform_that_does_not_say_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with listening(accepting) as listener:
        found = verdict(listener.port)
    assert (found.good, found.retransmits) == (True, 0)


def test_a_socket_that_is_closed_says_nothing() -> None:
    stream = socket.socket()
    stream.close()
    assert tcp.retransmits(stream) == 0


@pytest.mark.parametrize("scheme", ["tls", "http"])
def test_a_port_that_opens_and_resets_is_open_where_it_must_be_closed(scheme: str) -> None:
    with listening(resetting) as listener:
        found = verdict(listener.port, url=f"{scheme}://{HOST}:{listener.port}", expect="closed")
    assert found.cause == "unexpectedly_open"


def test_an_address_of_version_6_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        except OSError:
            pytest.skip("this machine has no IPv6")
        # One that the kernel gives to nobody by itself, kept in the family in which nobody is to listen.
        port = free_port()
        stack.enter_context(socket.socket()).bind((HOST, port))
        stack.enter_context(socket.create_server(("::1", port), family=socket.AF_INET6))
        both = [(family, socket.SOCK_STREAM, 6, "", (host, 0)) for family, host in ((10, "::1"), (2, HOST))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        found = probe_all(
            [{"url": f"tcp://a.example:{port}"}], Scope.parse("example", str(port), "127.0.0.0/8,::1/128", ipv6="true")
        )
    assert [(one.address, one.cause) for one in found] == [("::1", ""), (HOST, "tcp_refused")]


@linux
@pytest.mark.parametrize("expect", ["open", "closed"])
def test_a_packet_that_cannot_leave_says_nothing_about_a_port(expect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # There is no route for TCP to a group of hosts.
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("224.0.0.1", 0))])
    target = {"url": "tcp://a.example:443", "expect": expect}
    (found,) = probe_all([target], Scope.parse("example", "443", "224.0.0.0/4"))
    assert (found.cause, found.detail) == ("probe_error", "224.0.0.1:443: Network is unreachable")


def test_a_port_that_must_be_closed_is_asked_for_nothing_beyond_its_connection() -> None:
    with listening(resetting) as listener:
        found = verdict(listener.port, url=f"http://{HOST}:{listener.port}", expect="closed")
    assert (found.cause, set(found.phases)) == ("unexpectedly_open", {"dns", "tcp", "total"})
