"""The phases first_byte and body: one GET, a bounded part of its answer, and not a second longer than the phase."""

import contextlib
import http.client
import io
import re
import socket
import ssl
from collections.abc import Iterator

from prober.clock import Clock, Failed
from prober.target import Target
from prober.tls import Secure

Stream = socket.socket | Secure
LONGEST_BODY, LONGEST_ANSWER = 65536, 131072
"""Bytes that are read: of the body, and of all with status, headers and chunks."""


class Answer(io.RawIOBase):
    """What a server sends, as a file that ends after LONGEST_ANSWER bytes; raises TimeoutError with the phase."""

    def __init__(self, stream: Stream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._held = bytearray()
        self._received = 0

    def line(self) -> bytes:
        """What came up to the end of the first line, which stays to be read."""
        while b"\n" not in self._held and (chunk := self._receive(4096)):
            self._held += chunk
        return bytes(self._held)

    def _receive(self, most: int) -> bytes:
        if (most := min(most, LONGEST_ANSWER - self._received)) <= 0:
            return b""
        self._stream.settimeout(self._clock.left())
        chunk = self._stream.recv(most)
        self._received += len(chunk)
        return chunk

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        chunk = bytes(self._held[: len(buffer)]) or self._receive(len(buffer))
        del self._held[: len(chunk)]
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client asks a socket for."""
        return io.BufferedReader(self)


def ask(stream: Stream, target: Target, clock: Clock) -> tuple[Answer, int]:
    """Send the request and wait for the status; the rest of the answer stays to be read. No redirect is followed."""
    headers = f"Host: {target.server_name}\r\nUser-Agent: linkgate-canary\r\nConnection: close"
    answer = Answer(stream, clock)
    with _as_causes(clock):
        stream.settimeout(clock.left())
        stream.sendall(f"GET {target.path} HTTP/1.1\r\n{headers}\r\n\r\n".encode("ascii"))
        head = answer.line()
    words = head.split(b"\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not re.fullmatch(rb"[1-9][0-9]{2}", words[1]):
        raise Failed("http_status", f"not an HTTP answer: {head[:60]!r}")
    return answer, int(words[1])


def expect(status: int, target: Target) -> None:
    """Raises Failed where the status is not the one that is wanted."""
    if not (200 <= status < 400 if target.status is None else status == target.status):
        raise Failed("http_status", f"status {status}, expected {target.status or '200 to 399'}")


def match(answer: Answer, pieces: tuple[bytes, ...], clock: Clock) -> None:
    """Raises Failed unless the pieces occur in this order in the first LONGEST_BODY bytes of the body."""
    with _as_causes(clock):
        body, trouble = _body(answer)
    at = 0
    for piece in pieces:
        if (at := body.find(piece, at)) < 0:
            wanted = piece[:60].decode(errors="replace")
            raise Failed("body_mismatch", f"{wanted!a} is not in its place in {len(body)} bytes of body{trouble}")
        at += len(piece)


def _body(answer: Answer) -> tuple[bytes, str]:
    """What could be read of the body, and why no more if that is odd."""
    response = http.client.HTTPResponse(answer)  # type: ignore[arg-type]
    body, trouble = bytearray(LONGEST_BODY), ""
    try:
        response.begin()
        response.readinto(body)
    except http.client.IncompleteRead:
        trouble = " that broke off"
    except http.client.HTTPException as error:
        trouble = f" that cannot be read: {str(error)[:100]!a}"
    # What came is there, also if it broke off in the middle of a chunk.
    return bytes(body).rstrip(b"\0"), trouble


@contextlib.contextmanager
def _as_causes(clock: Clock) -> Iterator[None]:
    """Turn a socket's errors into causes."""
    try:
        yield
    except TimeoutError:
        raise Failed("http_timeout", f"no full answer within {clock.timeout:g} s") from None
    except ConnectionError as error:
        raise Failed("tcp_refused", f"reset before an answer: {error.strerror}") from None
    except ssl.SSLError as error:
        raise Failed("tls_failed", str(error)) from None
    except OSError as error:
        raise Failed("http_timeout", str(error)) from None
