"""HTTP as RFC 9110 and RFC 9112 have it, and answers that nobody would send who means well, over real sockets.

A verdict comes in time, and takes little memory.
"""

import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from prober.clock import Clock
from prober.http import LONGEST_ANSWER, LONGEST_BODY, ask, match
from prober.scope import Scope
from prober.target import Target
from prober.verdict import Verdict

from tests.unit.listeners import HOST, Authority, Behaviour, answering, flooding, lingering, listening, trickling
from tests.unit.prober.conftest import probe_all

OK = b"HTTP/1.1 200 OK\r\n"
SHORT, LONG = 0.3, 5.0
KERNEL = 16 * 2**20
"""What the sockets of both sides may hold of a flood, at most."""
MEMORY = 16 * LONGEST_ANSWER
"""Bytes: headers become objects that take several times what came."""


def verdict(behave: Behaviour, timeout: float = LONG, **wishes: object) -> Verdict:
    with listening(behave) as listener:
        target = {"url": f"http://{HOST}:{listener.port}/", "timeout_seconds": timeout} | wishes
        (found,) = probe_all([target], Scope.parse(HOST, str(listener.port), "127.0.0.0/8"))
    return found


def sized(body: bytes) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*chunks: bytes) -> bytes:
    parts = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"


# ------------------------------------------------------------------ what is expected of a body


@pytest.mark.parametrize(
    "pattern", ["ready", "all ready", "", "*", "**", "*ready", "ready*", "all*ready", "*all*ready*", "a*l*r*e*a*d*y"]
)
def test_a_body_that_holds_the_pieces_in_their_order_is_good(pattern: str) -> None:
    assert verdict(answering(sized(b"we are all ready now")), expect_body=pattern).good


@pytest.mark.parametrize("pattern", ["Ready", "ready*all", "ready*ready", "all ready!", "r.ady", "now*now", "[a-z]+"])
def test_a_body_that_does_not_is_a_mismatch_and_stars_are_all_there_is_to_a_pattern(pattern: str) -> None:
    found = verdict(answering(sized(b"we are all ready now")), expect_body=pattern)
    assert (found.cause, found.http_status) == ("body_mismatch", 200)
    assert found.phases.keys() == {"dns", "tcp", "first_byte", "total"}


def test_a_mismatch_names_the_piece_that_is_missing() -> None:
    found = verdict(answering(sized(b"we are ready")), expect_body="ready*steady*go")
    assert found.detail == "'steady' is not in its place in 12 bytes of body"


def test_text_beyond_ascii_is_looked_for_as_utf8() -> None:
    assert verdict(answering(sized("größe: 3".encode())), expect_body="größe").good


def test_a_body_in_chunks_is_put_together() -> None:
    assert verdict(answering(chunked(b"we are all re", b"ad", b"y")), expect_body="all ready").good


@pytest.mark.parametrize("answer", [sized(b"ready"), chunked(b"rea", b"dy")])
def test_a_connection_that_stays_open_is_not_waited_for(answer: bytes) -> None:
    assert verdict(lingering(answer), expect_body="ready").good
    assert verdict(lingering(answer), expect_body="steady").cause == "body_mismatch"


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    assert verdict(answering(OK + b"\r\nready"), expect_body="ready").good


def test_a_status_that_is_wrong_is_told_before_the_body() -> None:
    found = verdict(answering(b"HTTP/1.1 503 Sorry\r\n\r\nready"), expect_body="ready")
    assert (found.cause, found.http_status) == ("http_status", 503)


def test_the_status_and_the_body_may_both_be_expected() -> None:
    answer = b"HTTP/1.1 503 Sorry\r\n\r\nin maintenance"
    assert verdict(answering(answer), expect_status=503, expect_body="maintenance").good


def test_a_body_that_breaks_off_is_judged_by_what_came() -> None:
    answer = OK + b"Content-Length: 100\r\n\r\nready"
    assert verdict(answering(answer), expect_body="ready").good
    broken = OK + b"Transfer-Encoding: chunked\r\n\r\n40\r\nready"
    assert verdict(answering(broken), expect_body="ready").good
    assert verdict(answering(broken), expect_body="steady").detail.endswith("that broke off")


@pytest.mark.parametrize(
    "rest",
    [
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-5\r\nready",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"9" * 100_000,
        b"Content-Length: -5\r\n\r\n",
        b"Content-Length: 1e9\r\n\r\n",
        b"X: 1\r\n" * 200,
        b"X: " + b"y" * 100_000 + b"\r\n\r\nsteady",
        b"\x00\xff: \xfe\r\n\r\n",
        b"",
    ],
)
def test_headers_and_chunks_that_cannot_be_read_are_a_mismatch(rest: bytes) -> None:
    found = verdict(answering(OK + rest), expect_body="steady on")
    assert (found.cause, found.http_status) == ("body_mismatch", 200)


# ------------------------------------------------------------------ interim answers (RFC 9110 section 15.2)

HINTS, CONTINUE = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"
READY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready"


class Pieces:
    """A socket whose peer's bytes come in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    def settimeout(self, seconds: float) -> None:
        """Nothing is waited for."""

    def sendall(self, data: bytes) -> None:
        """Nobody reads it."""

    def recv(self, most: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def told(stream: Any, port: int = 80) -> int:
    """The status of an answer whose body is `ready`."""
    target = Target.read({"url": f"http://{HOST}:{port}/"}, Scope.parse(HOST, str(port), "127.0.0.0/8"))
    clock = Clock(LONG, float("inf"))
    with clock.phase("first_byte"):
        answer, head = ask(stream, target, clock)
        match(answer, head, (b"ready",), clock)
    return head.status


@pytest.mark.parametrize("interim", [HINTS, CONTINUE, HINTS * 3, CONTINUE + HINTS, b"HTTP/1.1 199 Odd\r\n\r\n"])
def test_interim_answers_are_passed_over(interim: bytes) -> None:
    assert verdict(answering(interim + READY), expect_status=200, expect_body="ready").good
    bad = verdict(answering(interim + b"HTTP/1.1 503 Sorry\r\n\r\n"))
    assert (bad.cause, bad.http_status) == ("http_status", 503)


def test_interim_answers_may_be_split_anywhere() -> None:
    whole = CONTINUE + HINTS + READY
    for at in range(1, len(whole)):
        assert told(Pieces(whole[:at], whole[at:])) == 200, whole[at:]
    assert told(Pieces(*(whole[at : at + 1] for at in range(len(whole))))) == 200


def test_interim_answers_are_passed_over_behind_tls(trusted: Authority) -> None:
    context = trusted.server("orders.example", timedelta(days=-1), timedelta(days=1))
    with listening(answering(HINTS * 2 + READY), context) as listener:
        target = {"url": f"https://{HOST}:{listener.port}/", "server_name": "orders.example", "expect_body": "ready"}
        (found,) = probe_all([target], Scope.parse(f"{HOST},orders.example", str(listener.port), "127.0.0.0/8"))
    assert (found.cause, found.http_status) == ("", 200)


@pytest.mark.parametrize("interim", [HINTS, CONTINUE, b"HTTP/1.1 103 Early Hints\r\nLink: <"])
def test_an_interim_answer_alone_is_no_answer(interim: bytes) -> None:
    found = verdict(answering(interim))
    assert (found.cause, found.http_status) == ("http_closed", None)
    assert found.detail.endswith(f"after status {interim[9:12].decode()}")


def test_a_switch_of_protocols_is_final() -> None:
    assert verdict(answering(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x00\x01"), expect_status=101).good


# ------------------------------------------------------------------ messages (RFC 9110, RFC 9112)


def request(port: int, scheme: str = "http") -> bytes:
    sent = bytearray()

    class Sent(Pieces):
        def sendall(self, data: bytes) -> None:
            sent.extend(data)

    target = Target.read({"url": f"{scheme}://{HOST}:{port}/"}, Scope.parse(HOST, str(port), "127.0.0.0/8"))
    clock = Clock(LONG, float("inf"))
    with clock.phase("first_byte"):
        ask(Sent(READY), target, clock)  # type: ignore[arg-type]
    return bytes(sent)


@pytest.mark.parametrize(
    ("scheme", "port", "host"),
    [
        ("http", 80, b"127.0.0.1"),
        ("https", 443, b"127.0.0.1"),
        ("http", 443, b"127.0.0.1:443"),
        ("https", 80, b"127.0.0.1:80"),
        ("https", 8443, b"127.0.0.1:8443"),
    ],
)
def test_host_has_the_port_unless_it_is_the_schemes_own(scheme: str, port: int, host: bytes) -> None:
    assert b"\r\nHost: %s\r\n" % host in request(port, scheme)


def test_a_body_is_asked_for_as_it_is() -> None:
    assert b"\r\nAccept-Encoding: identity\r\n" in request(80)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200\r\n\r\nready",
        b"HTTP/1.1 200 \r\n\r\nready",
        b"HTTP/1.1 200 \xfc\xffber: all * fine!\r\n\r\nready",
        b"HTTP/1.0 200 OK\r\n\r\nready",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\n\r\nready",
        b"HTTP/1.1 200 OK\n\nready",
        b"HTTP/1.1 200 OK\nCONTENT-LENGTH:5\n\nready",
        b"HTTP/1.1 200 OK\r\ncontent-length : 5\r\n\r\nready",
        b"HTTP/1.1 200 OK\r\nX:\r\nContent-Length:\t 5 \t\r\n\r\nready",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\tc\r\nContent-Length:\r\n 5\r\n\r\nready",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 5, 5\r\n\r\nready",
        b"HTTP/1.1 200 OK\r\nTRANSFER-encoding: Chunked\r\n\r\n5\r\nready\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nready\r\n0\r\n\r\n",
        OK + b'Transfer-Encoding: chunked\r\n\r\n2;a=b;c="d"\r\nre\r\n03 ; x\r\nady\r\n000\r\nX: y\r\n\r\n',
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\nready\n0\n\n",
    ],
)
def test_what_a_user_agent_must_understand_is_understood(answer: bytes) -> None:
    assert verdict(
        lingering(answer) if b"gth" in answer or b"chunk" in answer else answering(answer),
        expect_status=200,
        expect_body="ready",
    ).good


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize("field", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_some_answers_have_no_body_whatever_their_fields_say_and_none_is_waited_for(
    status: bytes, field: bytes
) -> None:
    found = verdict(lingering(b"HTTP/1.1 " + status + b"\r\n" + field + b"\r\n"), expect_body="ready")
    assert (found.cause, found.detail) == ("body_mismatch", "'ready' is not in its place in 0 bytes of body")


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 5 5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length:\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Content-Encoding: gzip\r\n",
        b"no field\r\n",
        b" X: folded onto nothing\r\n",
        b"X(y): z\r\n",
        b": z\r\n",
    ],
)
def test_a_body_whose_end_is_in_doubt_is_not_compared(fields: bytes) -> None:
    found = verdict(answering(OK + fields + b"\r\nready"), expect_body="ready")
    assert (found.cause, found.http_status) == ("body_mismatch", 200)
    assert "cannot be read: " in found.detail


def test_http_1_0_knows_no_chunks() -> None:
    answer = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nready\r\n0\r\n\r\n"
    assert "HTTP/1.0" in verdict(answering(answer), expect_body="ready").detail


@pytest.mark.parametrize(
    "chunks", [b"5\r\nreadyX\r\n0\r\n\r\n", b"0x5\r\nready\r\n0\r\n\r\n", b"\r\nready\r\n0\r\n\r\n"]
)
def test_chunks_of_another_size_than_they_say_cannot_be_read(chunks: bytes) -> None:
    found = verdict(answering(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks), expect_body="steady")
    assert "cannot be read: " in found.detail


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 2000 OK", b"HTTP/1.1 20 OK", b"HTTP/2.0 200 OK", b"HTTP/1.1200 OK", b"HTTP/1.1 200OK"]
)
def test_a_line_that_is_nearly_a_status_line_is_none(line: bytes) -> None:
    assert verdict(answering(line + b"\r\n\r\n")).detail.startswith("not an HTTP answer")


# ------------------------------------------------------------------ answers that never end


@pytest.mark.parametrize(
    ("start", "flood", "cause"),
    [
        (OK, b"X-Filler: " + b"y" * 60_000 + b"\r\n", "body_mismatch"),
        (OK, b"y" * 65_536, "body_mismatch"),
        (OK + b"\r\n", b"y" * 65_536, "body_mismatch"),
        (OK + b"Content-Length: 10000000000\r\n\r\n", b"y" * 65_536, "body_mismatch"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\ny\r\n" * 10_000, "body_mismatch"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"ffffffff\r\n" + b"y" * 60_000, "body_mismatch"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "http_status"),
        (b"", b"\x00" * 65_536, "http_status"),
    ],
    ids=["headers", "one header", "body", "length", "small chunks", "large chunk", "continue", "no line"],
)
def test_of_a_flood_little_is_read_and_little_is_kept(start: bytes, flood: bytes, cause: str) -> None:
    tracemalloc.start()
    with listening(flooding(start, flood)) as listener:
        target = {"url": f"http://{HOST}:{listener.port}/", "expect_body": "steady"}
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        (found,) = probe_all([target], Scope.parse(HOST, str(listener.port), "127.0.0.0/8"))
        peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert found.cause == cause
    assert listener.sent < KERNEL
    assert peak < MEMORY


def test_what_is_looked_for_must_stand_at_the_beginning_of_an_endless_body() -> None:
    assert verdict(flooding(OK + b"\r\nready", b"y" * 65_536), expect_body="ready").good
    late = OK + b"\r\n" + b"y" * LONGEST_BODY + b"ready"
    assert verdict(flooding(late, b"y" * 65_536), expect_body="ready").cause == "body_mismatch"


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b"H"),
        (OK, b"X: y\r\n"),
        (OK, b"y"),
        (OK + b"\r\n", b"y"),
        (OK + b"Content-Length: 100000\r\n\r\n", b"y"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\ny\r\n"),
    ],
    ids=["status", "headers", "one header", "body", "length", "chunks"],
)
def test_the_timeout_is_for_the_whole_answer_however_slowly_it_comes(start: bytes, drop: bytes) -> None:
    found = verdict(trickling(start, drop), SHORT, expect_body="steady")
    assert (found.cause, found.detail) == ("http_timeout", "no full answer within 0.3 s")
