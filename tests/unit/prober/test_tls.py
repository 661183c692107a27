"""What a server's certificate says, whatever is wrong with it, over real handshakes."""

import contextlib
import math
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prober import tls
from prober.clock import Clock
from prober.scope import Scope
from prober.tls import Secure, refused, trusting
from prober.verdict import Verdict

from tests.unit.listeners import HOST, Authority, accepting, answering, listening, nonsense
from tests.unit.prober.conftest import probe_all

NAME = "orders.example"
YESTERDAY, SOON = timedelta(days=-2), timedelta(days=10)
UNTIL_2050 = datetime(2050, 6, 1, tzinfo=UTC) - datetime.now(UTC)
"""From 2050 on a certificate writes its dates in another form."""


def verdict(port: int, server_name: str = NAME, timeout: float = 5, pem: str = "") -> Verdict:
    target = {"url": f"tls://{HOST}:{port}", "server_name": server_name, "timeout_seconds": timeout}
    scope = Scope.parse(f"{HOST},example", str(port), "127.0.0.0/8", authorities=pem)
    (found,) = probe_all([target], scope)
    return found


@pytest.mark.parametrize("until", [SOON, UNTIL_2050])
def test_a_good_certificate_tells_how_long_it_lasts(trusted: Authority, until: timedelta) -> None:
    with listening(accepting, trusted.server(NAME, YESTERDAY, until)) as listener:
        found = verdict(listener.port)
    assert found.good
    assert found.tls_days_left == pytest.approx(until / timedelta(days=1), abs=0.1)


def test_a_certificate_of_an_unknown_authority_is_untrusted_and_so_is_its_date(authority: Authority) -> None:
    with listening(accepting, authority.server(NAME, YESTERDAY, SOON)) as listener:
        found = verdict(listener.port)
    assert (found.cause, found.tls_days_left) == ("tls_untrusted", None)


@pytest.mark.parametrize(
    ("since", "until", "days"), [(YESTERDAY, timedelta(days=-1), -1), (timedelta(days=1), SOON, 0)]
)
def test_a_certificate_out_of_date_is_expired_also_if_it_is_not_yet_valid_and_has_no_days_left(
    trusted: Authority, since: timedelta, until: timedelta, days: int
) -> None:
    with listening(accepting, trusted.server(NAME, since, until)) as listener:
        found = verdict(listener.port)
    assert (found.cause, found.tls_days_left) == ("tls_expired", days)


# ------------------------------------------------------------------ chains


def test_a_chain_lasts_as_long_as_the_first_of_its_certificates(trusted: Authority) -> None:
    middle = trusted.below(timedelta(days=3))
    with listening(accepting, middle.server(NAME, YESTERDAY, timedelta(days=300))) as listener:
        found = verdict(listener.port)
    assert found.cause == ""
    assert found.tls_days_left == pytest.approx(3, abs=0.1)


def test_an_authority_that_ends_before_what_it_signed_ends_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority.create(tmp_path, timedelta(days=5))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    trusting.cache_clear()
    with listening(accepting, authority.below(SOON).server(NAME, YESTERDAY, SOON)) as listener:
        found = verdict(listener.port)
    trusting.cache_clear()
    assert found.cause == ""
    assert found.tls_days_left == pytest.approx(5, abs=0.1)


def test_of_a_chain_that_is_out_of_date_the_certificate_is_named(trusted: Authority) -> None:
    middle = trusted.below(timedelta(days=-1))
    with listening(accepting, middle.server(NAME, YESTERDAY, SOON)) as listener:
        found = verdict(listener.port)
    assert found.cause == "tls_expired"
    assert found.tls_days_left == pytest.approx(-1, abs=0.1)
    assert found.detail == "certificate has expired: commonName=one in the middle"


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), ssl.SSLError("odd")])
def test_a_certificate_out_of_date_is_expired_also_if_nobody_answers_a_second_time(
    trusted: Authority, error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(tls, "look_again", broken)
    with listening(accepting, trusted.server(NAME, YESTERDAY, timedelta(days=-1))) as listener:
        found = verdict(listener.port)
    assert (found.cause, found.detail, found.tls_days_left) == ("tls_expired", "certificate has expired", 0)


def test_a_chain_that_lacks_its_middle_is_untrusted(trusted: Authority) -> None:
    middle = replace(trusted.below(SOON), above=b"")
    with listening(accepting, middle.server(NAME, YESTERDAY, SOON)) as listener:
        assert verdict(listener.port).cause == "tls_untrusted"


# ------------------------------------------------------------------ what is trusted, on every runtime


def test_the_rules_are_ours_and_not_the_runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python 3.13 on `create_default_context` refuses chains that every client takes."""
    monkeypatch.setattr(ssl, "create_default_context", None)
    context = trusting.__wrapped__()
    assert context.verify_flags == ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_name_that_is_the_common_name_alone_is_a_mismatch(trusted: Authority) -> None:
    with listening(accepting, trusted.server(NAME, YESTERDAY, SOON, names=())) as listener:
        assert verdict(listener.port).cause == "tls_name_mismatch"


@pytest.mark.parametrize(
    ("names", "asked", "cause"),
    [
        ((f"*.{NAME}",), f"a.{NAME}", ""),
        ((f"*.{NAME}",), f"a.b.{NAME}", "tls_name_mismatch"),
        ((f"*.{NAME}",), NAME, "tls_name_mismatch"),
        (("ORDERS.example",), NAME, ""),
        ((NAME,), "Orders.Example.", ""),
        (("stock.example", NAME), NAME, ""),
    ],
)
def test_names_are_compared_as_clients_do(trusted: Authority, names: tuple[str, ...], asked: str, cause: str) -> None:
    with listening(accepting, trusted.server("x", YESTERDAY, SOON, names)) as listener:
        assert verdict(listener.port, asked).cause == cause


@pytest.mark.parametrize(
    "folded",
    [str, lambda pem: pem.replace("\n", " "), lambda pem: pem.replace("\n", "\\n"), lambda pem: f"# ours\r\n{pem}\n"],
    ids=["as it is", "in one line", "escaped", "with words"],
)
def test_an_authority_of_ones_own_is_trusted_however_its_text_was_folded(
    authority: Authority, folded: Callable[[str], str]
) -> None:
    with listening(accepting, authority.server(NAME, YESTERDAY, SOON)) as listener:
        assert verdict(listener.port, pem=folded(authority.pem)).good
        assert verdict(listener.port).cause == "tls_untrusted"


def test_an_authority_in_the_middle_may_be_all_that_is_trusted(authority: Authority) -> None:
    middle = authority.below(SOON)
    with listening(accepting, middle.server(NAME, YESTERDAY, timedelta(days=300))) as listener:
        found = verdict(listener.port, pem=middle.pem)
    assert found.cause == ""
    assert found.tls_days_left == pytest.approx(10, abs=0.1)


def test_of_several_authorities_each_is_trusted(authority: Authority, tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "other")
    with listening(accepting, other.server(NAME, YESTERDAY, SOON)) as listener:
        assert verdict(listener.port, pem=authority.pem + other.pem).good


def test_with_an_authority_of_ones_own_those_of_the_system_are_trusted_too(trusted: Authority, tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "other")
    with listening(accepting, trusted.server(NAME, YESTERDAY, SOON)) as listener:
        assert verdict(listener.port, pem=other.pem).good


# ------------------------------------------------------------------ other trouble


def test_a_certificate_for_another_name_is_a_mismatch(trusted: Authority) -> None:
    with listening(accepting, trusted.server("stock.example", YESTERDAY, SOON)) as listener:
        found = verdict(listener.port)
    assert (found.cause, found.tls_days_left) == ("tls_name_mismatch", None)
    assert found.phases.keys() == {"dns", "tcp", "tls", "total"}


def test_a_certificate_of_nonsense_is_a_failed_handshake() -> None:
    with listening(nonsense) as listener:
        found = verdict(listener.port)
    assert (found.cause, found.tls_days_left) == ("tls_failed", None)
    assert found.detail


def test_authorities_are_loaded_once_a_process(trusted: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(accepting, trusted.server(NAME, YESTERDAY, SOON)) as listener:
        assert verdict(listener.port).good
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
        assert verdict(listener.port).good


@pytest.mark.parametrize(("scheme", "loaded"), [("tls", 1), ("https", 1), ("tcp", 0), ("http", 0)])
def test_authorities_are_loaded_before_any_clock_runs_if_they_are_needed(
    trusted: Authority, scheme: str, loaded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    (found,) = probe_all([{"url": f"{scheme}://{HOST}:443"}], Scope.parse(HOST, "443", "127.0.0.0/8"))
    assert (found.cause, found.detail) == ("dns_not_found", f"{HOST} has no address")
    assert trusting.cache_info().currsize == loaded


def test_a_long_answer_of_a_server_that_hangs_up_without_a_word_is_read_to_its_end(trusted: Authority) -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 60_000 + b"ready"
    with listening(answering(answer), trusted.server(NAME, YESTERDAY, SOON)) as listener:
        target = {"url": f"https://{HOST}:{listener.port}/", "server_name": NAME}
        scope = Scope.parse(f"{HOST},{NAME}", str(listener.port), "127.0.0.0/8")
        good, bad = probe_all([target | {"expect_body": body} for body in ("ready", "steady")], scope)
    assert (good.cause, bad.cause) == ("", "body_mismatch")
    assert bad.detail == "'steady' is not in its place in 60005 bytes of body"


class Endless:
    """A socket whose server's tickets never end, so that nobody ever waits; the phase is over after a few reads."""

    def __init__(self, context: ssl.SSLContext, clock: Clock) -> None:
        context.num_tickets = 1000
        self.sent, self._came, self._clock = ssl.MemoryBIO(), ssl.MemoryBIO(), clock
        self._server = context.wrap_bio(self._came, self.sent, server_side=True)
        self.reads = 0

    def settimeout(self, seconds: float) -> None:
        """Nothing is waited for."""

    def sendall(self, data: bytes) -> None:
        self._came.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            self._server.do_handshake()

    def recv(self, most: int) -> bytes:
        self.reads += 1
        if self.reads == 5:
            self._clock.until = 0
        return self.sent.read(most)


def test_tickets_without_end_are_read_until_the_phase_is_over_and_no_longer(trusted: Authority) -> None:
    clock = Clock(5, math.inf)
    endless = Endless(trusted.server(NAME, YESTERDAY, SOON), clock)
    with clock.phase("tls"):
        secure = Secure(endless, NAME, clock, trusting())  # type: ignore[arg-type]
        with pytest.raises(TimeoutError):
            secure.recv(4096)
    assert (endless.reads, endless.sent.pending > 0) == (5, True)


class Refusing(Endless):
    """A socket whose server refuses a client without a certificate, and resets what is sent after that."""

    def __init__(self, context: ssl.SSLContext, clock: Clock) -> None:
        context.verify_mode = ssl.CERT_REQUIRED
        super().__init__(context, clock)
        self.refused = False

    def sendall(self, data: bytes) -> None:
        if self.refused:
            raise ConnectionResetError
        try:
            super().sendall(data)
        except ssl.SSLError:
            self.refused = True


def test_what_a_server_said_before_it_reset_is_read(trusted: Authority) -> None:
    clock = Clock(5, math.inf)
    refusing = Refusing(trusted.server(NAME, YESTERDAY, SOON), clock)
    with clock.phase("tls"):
        secure = Secure(refusing, NAME, clock, trusting())  # type: ignore[arg-type]
        assert refusing.refused
        with pytest.raises(ssl.SSLError) as raised:
            secure.sendall(b"GET / HTTP/1.1")
    assert refused(raised.value).cause == "tls_client_certificate"
