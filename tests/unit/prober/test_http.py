"""HTTP answers that nobody would send who means well, over real sockets: a verdict in time, and little memory."""

import tracemalloc

import pytest
from prober.http import LONGEST_ANSWER, LONGEST_BODY
from prober.scope import Scope
from prober.verdict import Verdict

from tests.unit.listeners import HOST, Behaviour, answering, flooding, lingering, listening, trickling
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
