"""The prober against real sockets: what each kind of trouble is called, and what may not be touched at all."""

import socket
import ssl
from datetime import timedelta

import pytest
from linkgate.health.causes import CAUSES
from prober.scope import Scope
from prober.tls import ALERTS
from prober.verdict import Verdict

from tests.unit.listeners import (
    HOST,
    Authority,
    Behaviour,
    accepting,
    answering,
    babbling,
    dripping,
    dropping,
    endless,
    lingering,
    listening,
    refusing,
    refusing_clients,
    resetting,
    silent,
)
from tests.unit.prober.conftest import Answer, probe_all

NAME = "orders.example"
LOOPBACK = "127.0.0.0/8,::1/128"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SHORT, LONG = 0.3, 5.0
"""Timeouts in seconds: for what will never come, and for what comes at once."""


def scope(*ports: int, names: str = f"{HOST},{NAME}", cidrs: str = LOOPBACK) -> Scope:
    return Scope.parse(names, ",".join(map(str, ports)), cidrs)


def verdict(port: int, rest: str = "", scheme: str = "http", timeout: float = LONG, **wishes: object) -> Verdict:
    """The one verdict on a port of loopback."""
    target = {"endpoint_id": "vpce-1", "service_id": "vpce-svc-1", "name": HOST, "timeout_seconds": timeout}
    (found,) = probe_all([target | {"url": f"{scheme}://{HOST}:{port}{rest}"} | wishes], scope(port))
    assert found.cause == "" or found.cause in CAUSES
    return found


def named(name: str, allowed: Scope, **wishes: object) -> list[Verdict]:
    """The verdicts on a name; port 443 is only in scope unless a test listens there."""
    port = min(allowed.ports)
    return probe_all([{"name": name, "url": f"tcp://{name}:{port}", "timeout_seconds": SHORT} | wishes], allowed)


# ------------------------------------------------------------------ TCP and HTTP


def test_an_open_port_is_good_and_its_phases_are_timed() -> None:
    with listening(accepting) as listener:
        found = verdict(listener.port, scheme="tcp")
    assert found.good
    assert (found.endpoint_id, found.service_id, found.name, found.address) == ("vpce-1", "vpce-svc-1", HOST, HOST)
    assert found.phases.keys() == {"dns", "tcp", "total"}
    assert found.phases["total"] == pytest.approx(found.phases["dns"] + found.phases["tcp"])


def test_a_closed_port_refuses() -> None:
    with refusing() as port:
        assert verdict(port, scheme="tcp").cause == "tcp_refused"


def test_dropped_packets_are_a_timeout() -> None:
    with dropping() as port:
        found = verdict(port, scheme="tcp", timeout=SHORT)
    assert found.cause == "tcp_timeout"
    assert "within 0.3 s" in found.detail


@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"302 Found", b"399 Odd"])
def test_any_status_from_200_to_399_is_good(status: bytes) -> None:
    with listening(answering(b"HTTP/1.1 " + status + b"\r\n\r\n")) as listener:
        found = verdict(listener.port)
    assert found.good
    assert found.http_status == int(status[:3])
    assert found.phases.keys() == {"dns", "tcp", "first_byte", "total"}


@pytest.mark.parametrize(
    "status", [b"503 Service Unavailable", b"404 Not Found", b"101 Switching Protocols", b"600 Odd", b"400 x"]
)
def test_any_other_status_is_bad_and_is_reported(status: bytes) -> None:
    with listening(answering(b"HTTP/1.0 " + status + b"\r\n\r\n")) as listener:
        found = verdict(listener.port)
    assert (found.cause, found.http_status) == ("http_status", int(status[:3]))
    assert f"status {int(status[:3])}, expected 200 to 399" in found.detail


def test_the_status_that_is_expected_is_the_only_good_one() -> None:
    with listening(answering(b"HTTP/1.1 401 Unauthorized\r\n\r\n")) as listener:
        assert verdict(listener.port, expect_status=401).good
    with listening(answering(OK)) as listener:
        assert verdict(listener.port, expect_status=401).detail == "status 200, expected 401"


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ("", b"GET / HTTP/1.1\r\n"),
        ("/healthz", b"GET /healthz HTTP/1.1\r\n"),
        ("/healthz?deep=1", b"GET /healthz?deep=1 HTTP/1.1\r\n"),
    ],
)
def test_the_path_of_the_probe_is_asked_for_by_its_host(rest: str, line: bytes) -> None:
    with listening(answering(OK)) as listener:
        assert verdict(listener.port, rest).good
    assert listener.requests[0].startswith(line)
    assert b"\r\nHost: 127.0.0.1:%d\r\n" % listener.port in listener.requests[0]


def test_the_server_name_is_the_host_that_is_asked_for() -> None:
    with listening(answering(OK)) as listener:
        assert verdict(listener.port, server_name=NAME).good
    assert b"\r\nHost: orders.example:%d\r\n" % listener.port in listener.requests[0]


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with listening(answering(b"")) as elsewhere:
        moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\n\r\n" % elsewhere.port
        with listening(answering(moved)) as listener:
            (found,) = probe_all([{"url": f"http://{HOST}:{listener.port}/"}], scope(listener.port, elsewhere.port))
    assert (found.cause, found.http_status) == ("", 302)
    assert (len(listener.requests), elsewhere.requests) == (1, [])


def test_a_server_that_never_answers_is_a_timeout() -> None:
    with listening(silent) as listener:
        found = verdict(listener.port, timeout=SHORT)
    assert (found.cause, found.detail) == ("http_timeout", "no full answer within 0.3 s")


@pytest.mark.parametrize("behave", [dripping, babbling])
def test_a_server_that_never_comes_to_the_end_of_its_line_is_a_timeout(behave: Behaviour) -> None:
    with listening(behave) as listener:
        assert verdict(listener.port, timeout=SHORT).cause == "http_timeout"


def test_a_reset_instead_of_an_answer_is_not_the_load_balancers() -> None:
    with listening(resetting) as listener:
        found = verdict(listener.port)
    assert (found.cause, found.detail) == ("http_closed", "reset before a full answer: Connection reset by peer")


def test_a_server_that_hangs_up_without_an_answer_has_closed() -> None:
    with listening(answering(b"")) as listener:
        found = verdict(listener.port)
    assert (found.cause, found.detail) == ("http_closed", "the server hung up without an answer")


def test_of_an_endless_header_a_little_is_read() -> None:
    with listening(endless) as listener:
        found = verdict(listener.port)
    assert found.good
    assert found.http_status == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1\r\n",
        b"HTTP/1.1 OK\r\n",
        b"HTTP/1.1 \xff\xfe\r\n",
        b"200 OK\r\n",
        b"\x00" * 70_000,
        b"HTTP/1.1 -200 OK\r\n",
        b"HTTP/1.1 000 OK\r\n",
    ],
)
def test_an_answer_that_is_not_http_is_a_bad_status(answer: bytes) -> None:
    with listening(answering(answer)) as listener:
        found = verdict(listener.port)
    assert (found.cause, found.http_status) == ("http_status", None)
    assert "not an HTTP answer" in found.detail


def test_a_status_of_five_thousand_digits_is_a_bad_status() -> None:
    with listening(answering(b"HTTP/1.1 " + b"9" * 5000 + b" OK\r\n")) as listener:
        assert verdict(listener.port).cause == "http_status"


# ------------------------------------------------------------------ TLS


YESTERDAY, SOON = timedelta(days=-2), timedelta(days=10)


def test_https_with_a_trusted_certificate_is_good_and_tells_how_long_it_lasts(trusted: Authority) -> None:
    with listening(answering(OK), trusted.server(NAME, YESTERDAY, SOON)) as listener:
        found = verdict(listener.port, "/healthz", "https", server_name=NAME)
    assert (found.cause, found.detail) == ("", "")
    assert found.phases.keys() == {"dns", "tcp", "tls", "first_byte", "total"}
    assert found.tls_days_left is not None
    assert 9.9 < found.tls_days_left <= 10
    assert b"\r\nHost: orders.example:%d\r\n" % listener.port in listener.requests[0]


def test_a_tls_probe_ends_with_the_handshake(trusted: Authority) -> None:
    with listening(accepting, trusted.server(NAME, YESTERDAY, SOON)) as listener:
        found = verdict(listener.port, scheme="tls", server_name=NAME)
    assert found.good
    assert found.phases.keys() == {"dns", "tcp", "tls", "total"}


def test_without_a_server_name_the_certificate_must_be_for_the_name_that_is_probed(
    trusted: Authority, resolver: dict[str, Answer]
) -> None:
    resolver[NAME] = [HOST]
    with listening(accepting, trusted.server(NAME, YESTERDAY, SOON)) as listener:
        target = {"name": NAME, "url": f"tls://{NAME}:{listener.port}"}
        (found,) = probe_all([target], scope(listener.port, names="example"))
    assert found.good


@pytest.mark.parametrize("answer", [b"220 mail.example ESMTP\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_port_that_does_not_speak_tls_fails_the_handshake(answer: bytes) -> None:
    with listening(answering(answer)) as listener:
        found = verdict(listener.port, scheme="tls")
    assert found.cause == "tls_failed"
    assert found.detail.startswith("what answers speaks no TLS: ")


@pytest.mark.parametrize("behave", [accepting, resetting, answering(b"")])
def test_a_port_that_hangs_up_or_resets_closes_the_handshake_and_is_no_load_balancers_refusal(
    behave: Behaviour,
) -> None:
    with listening(behave) as listener:
        assert verdict(listener.port, scheme="tls").cause == "tls_closed"


def test_a_handshake_that_is_never_answered_is_a_timeout() -> None:
    with listening(silent) as listener:
        found = verdict(listener.port, scheme="tls", timeout=SHORT)
    assert (found.cause, found.detail) == ("tls_timeout", "no handshake within 0.3 s")


def alert(number: int) -> bytes:
    """A fatal alert before any handshake (RFC 8446 section 6)."""
    return b"\x15\x03\x03\x00\x02\x02" + bytes([number])


@pytest.mark.parametrize("number", ALERTS)
def test_every_alert_has_a_cause_and_a_meaning(number: int) -> None:
    with listening(lingering(alert(number))) as listener:
        found = verdict(listener.port, scheme="tls")
    cause, _, meaning = ALERTS[number]
    assert found.cause == cause
    assert found.detail.startswith(f"alert {number}, ")
    assert found.detail.endswith(meaning)


def test_an_alert_that_has_no_meaning_here_is_a_failed_handshake() -> None:
    with listening(lingering(alert(86))) as listener:
        assert verdict(listener.port, scheme="tls").cause == "tls_failed"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_server_of_an_old_version_says_so(trusted: Authority) -> None:
    context = trusted.server(NAME, YESTERDAY, SOON)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with listening(accepting, context) as listener:
        assert verdict(listener.port, scheme="tls", server_name=NAME).cause == "tls_version"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_certificate_of_ours_says_so(trusted: Authority, version: ssl.TLSVersion) -> None:
    context = trusted.server(NAME, YESTERDAY, SOON)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version
    with listening(refusing_clients(context)) as listener:
        found = verdict(listener.port, scheme="https", server_name=NAME)
    # TLS 1.2 has no alert of its own for it.
    expected = {ssl.TLSVersion.TLSv1_2: "tls_failed", ssl.TLSVersion.TLSv1_3: "tls_client_certificate"}
    assert found.cause == expected[version]
    assert "a certificate of the client's is wanted" in found.detail


def test_a_server_that_does_not_know_the_name_says_so(trusted: Authority) -> None:
    context = trusted.server(NAME, YESTERDAY, SOON)
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    with listening(accepting, context) as listener:
        assert verdict(listener.port, scheme="tls", server_name=NAME).cause == "tls_name_refused"


# ------------------------------------------------------------------ names and addresses


def test_every_address_of_a_name_gets_a_verdict(resolver: dict[str, Answer]) -> None:
    resolver[NAME] = [HOST, "127.0.0.2", HOST]
    with listening(accepting) as listener:
        found = named(NAME, scope(listener.port, names="example"))
    assert [(one.address, one.cause) for one in found] == [(HOST, ""), ("127.0.0.2", "tcp_refused")]


def test_an_address_outside_the_cidrs_is_not_touched(resolver: dict[str, Answer]) -> None:
    resolver[NAME] = [HOST, "127.0.0.2"]
    with listening(answering(OK)) as listener:
        allowed = scope(listener.port, names="example", cidrs="127.0.0.2/32")
        first, second = named(NAME, allowed, url=f"http://{NAME}:{listener.port}/")
    assert (first.cause, sorted(first.phases)) == ("dns_unexpected_address", ["dns", "total"])
    assert second.cause == "tcp_refused"
    assert listener.requests == []


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "dns_not_found"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "dns_timeout"),
        (socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"), "dns_timeout"),
        (socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"), "probe_error"),
        (OSError(5, "Input/output error"), "probe_error"),
    ],
)
def test_a_name_that_cannot_be_resolved_says_how(resolver: dict[str, Answer], error: OSError, cause: str) -> None:
    resolver[NAME] = error
    (found,) = named(NAME, scope(443, names="example"))
    assert (found.cause, found.address) == (cause, "")
    assert found.detail.startswith(NAME)


def test_a_resolver_that_never_answers_is_a_timeout(resolver: dict[str, Answer]) -> None:
    resolver[NAME] = None
    (found,) = named(NAME, scope(443, names="example"))
    assert (found.cause, found.detail) == ("dns_timeout", f"{NAME} was not resolved within 0.3 s")


@pytest.mark.parametrize("name", [f"{'a' * 64}.example", "a..example"])
def test_a_name_that_dns_cannot_carry_is_a_verdict_too(name: str) -> None:
    (found,) = named(name, scope(443, names="example"))
    assert found.cause in ("dns_not_found", "probe_error")


# ------------------------------------------------------------------ ports that must be closed


def test_a_reset_is_not_good_where_the_port_must_be_closed() -> None:
    """Packets get through, if only to a load balancer that has no target."""
    with refusing() as port:
        found = verdict(port, scheme="tcp", expect="closed")
    assert found.cause == "unexpectedly_open"
    assert "packets get through" in found.detail


def test_a_dropped_packet_is_good_where_the_port_must_be_closed() -> None:
    with dropping() as port:
        assert verdict(port, scheme="tcp", timeout=SHORT, expect="closed").good


def test_an_open_port_is_bad_where_it_must_be_closed() -> None:
    with listening(accepting) as listener:
        assert verdict(listener.port, scheme="tcp", expect="closed").cause == "unexpectedly_open"


def test_a_sick_server_behind_a_port_that_must_be_closed_is_an_open_port() -> None:
    with listening(answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")) as listener:
        assert verdict(listener.port, expect="closed").cause == "unexpectedly_open"


def test_a_resolver_that_does_not_answer_says_nothing_about_a_port(resolver: dict[str, Answer]) -> None:
    resolver[NAME] = None
    (found,) = named(NAME, scope(443, names="example"), expect="closed")
    assert found.cause == "dns_timeout"


def test_an_address_that_was_not_touched_says_nothing_about_a_port(resolver: dict[str, Answer]) -> None:
    resolver[NAME] = ["203.0.113.7"]
    (found,) = named(NAME, scope(443, names="example"), expect="closed")
    assert found.cause == "dns_unexpected_address"
