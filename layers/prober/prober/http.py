"""The phases first_byte and body: one GET, and a bounded part of its answer, not a second longer than the phase.

Messages are read as RFC 9110 and RFC 9112 have it for a user agent; what they leave open is read leniently.
"""

import contextlib
import re
import socket
import ssl
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from prober.clock import Clock, Failed
from prober.target import Target
from prober.tls import Secure, refused

Stream = socket.socket | Secure
LONGEST_BODY, LONGEST_ANSWER = 65536, 131072
"""Bytes that are read: of the body, and of all with status, fields and chunks."""
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:(.*)", re.DOTALL)
"""RFC 9112 section 5; blanks before the colon are left out, as a proxy must leave them out of a response (5.1)."""
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.DOTALL)
"""RFC 9112 section 7.1: what follows the size are extensions, which nobody has to know."""


class Head(NamedTuple):
    """A status line: of HTTP/1.`minor`."""

    minor: int
    status: int

    @property
    def interim(self) -> bool:
        """Whether another answer follows (RFC 9110 section 15.2); after 101 it is not HTTP that follows."""
        return self.status < 200 and self.status != 101


class Unreadable(Exception):
    """An answer's fields or chunks are not HTTP, or break off; says why in words."""


class Answer:
    """What a server sends, which ends after LONGEST_ANSWER bytes; raises TimeoutError with the phase."""

    def __init__(self, stream: Stream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._held = bytearray()
        self._received = 0

    @property
    def full(self) -> bool:
        """Whether as much came as is read."""
        return self._received >= LONGEST_ANSWER

    def line(self) -> bytes:
        """The next line with its LF; without one what came until the end."""
        at = 0
        while (end := self._held.find(b"\n", at)) < 0:
            at = len(self._held)
            if not self._receive():
                end = at - 1
                break
        return self._cut(end + 1)

    def take(self, most: int) -> bytes:
        """The next bytes, a few or as many as `most`; none at the end."""
        return self._cut(most) if self._held or self._receive() else b""

    def _cut(self, length: int) -> bytes:
        taken = bytes(self._held[:length])
        del self._held[:length]
        return taken

    def _receive(self) -> bool:
        """Hold some more; False if nothing more comes."""
        if self.full:
            return False
        self._stream.settimeout(self._clock.left())
        chunk = self._stream.recv(min(4096, LONGEST_ANSWER - self._received))
        self._received += len(chunk)
        self._held += chunk
        return bool(chunk)


def body(answer: Answer, head: Head) -> Iterator[bytes]:
    """The parts of the body, by the rules of RFC 9112 section 6.3; raises Unreadable."""
    found = fields(answer)
    codings = [one.strip().lower() for one in _listed(found, b"transfer-encoding")]
    if head.status in (204, 304):
        return
    if packed := [one.strip() for one in _listed(found, b"content-encoding") if one.strip().lower() != b"identity"]:
        raise Unreadable(f"cannot be read: Content-Encoding {b', '.join(packed)[:60]!r}, which was not asked for")
    if codings and head.minor == 0:
        raise Unreadable("cannot be read: HTTP/1.0 knows no Transfer-Encoding")
    if codings == [b"chunked"]:  # goes before any Content-Length
        yield from _chunks(answer)
    elif codings:
        raise Unreadable(f"cannot be read: Transfer-Encoding {b', '.join(codings)[:60]!r}")
    elif lengths := {one.strip() for one in _listed(found, b"content-length")}:
        yield from _counted(answer, _length(lengths))
    else:
        while part := answer.take(LONGEST_BODY):
            yield part


def fields(answer: Answer) -> Mapping[bytes, list[bytes]]:
    """The fields up to the empty line, names in lower case; a value that is folded is put together (RFC 9112 5.2)."""
    found, last = defaultdict[bytes, list[bytes]](list), b""
    while (line := answer.line()).endswith(b"\n"):
        if not (text := line.rstrip(b"\r\n")):
            return found
        if last and text[:1] in b" \t":
            found[last][-1] += b" " + text.strip()
        elif field := _FIELD.fullmatch(text):
            last = field[1].lower()
            found[last].append(field[2].strip())
        else:
            raise Unreadable(f"cannot be read: {text[:60]!r} is no field")
    raise Unreadable("broke off among the fields")


def _listed(fields: Mapping[bytes, list[bytes]], name: bytes) -> list[bytes]:
    """The members of a field that is a list; it may come several times (RFC 9110 section 5.3)."""
    return b",".join(fields[name]).split(b",") if name in fields else []


def _length(values: set[bytes]) -> int:
    (value, *others) = values
    if others or not re.fullmatch(rb"[0-9]{1,18}", value):
        raise Unreadable(f"cannot be read: Content-Length {b', '.join(sorted(values))[:60]!r}")
    return int(value)


def _chunks(answer: Answer) -> Iterator[bytes]:
    """What is in the chunks; trailers are not waited for."""
    while True:
        line = answer.line()
        size = _CHUNK.fullmatch(line.rstrip(b"\r\n"))
        if not line.endswith(b"\n"):
            raise Unreadable("broke off")
        if not size:
            raise Unreadable(f"cannot be read: {line[:60]!r} is no size of a chunk")
        if not int(size[1], 16):
            return
        yield from _counted(answer, int(size[1], 16))
        if (end := answer.line()).rstrip(b"\r\n"):
            raise Unreadable(f"cannot be read: {end[:60]!r} follows a chunk")


def _counted(answer: Answer, length: int) -> Iterator[bytes]:
    while length:
        if not (part := answer.take(min(length, LONGEST_BODY))):
            raise Unreadable("broke off")
        length -= len(part)
        yield part


_PORTS = {"http": 80, "https": 443}
_STATUS = re.compile(rb"HTTP/1\.([0-9])[ \t]+([1-9][0-9]{2})(?:[ \t].*)?", re.DOTALL)
"""RFC 9112 section 4: words may be parted by any blanks, and the reason may be missing, odd or endless."""


def ask(stream: Stream, target: Target, clock: Clock) -> tuple[Answer, Head]:
    """Send the request and wait for the final status, whatever interim answers come before it.

    The rest of the answer stays to be read. No redirect is followed.
    """
    answer = Answer(stream, clock)
    with _as_causes(clock):
        stream.settimeout(clock.left())
        stream.sendall(_request(target))
        head = _head(answer)
        while head.interim:
            with contextlib.suppress(Unreadable):
                fields(answer)
            head = _head(answer, f" after status {head.status}")
    return answer, head


def _request(target: Target) -> bytes:
    """The request. Host has the port unless it is the scheme's own (RFC 9110 section 7.2)."""
    port = "" if target.port == _PORTS[target.scheme] else f":{target.port}"
    return (
        f"GET {target.path} HTTP/1.1\r\nHost: {target.server_name}{port}\r\nUser-Agent: linkgate-canary\r\n"
        # A body that was packed could not be compared.
        "Accept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def _head(answer: Answer, after: str = "") -> Head:
    line = answer.line()
    if match := _STATUS.fullmatch(line.rstrip(b"\r\n")):
        return Head(int(match[1]), int(match[2]))
    if not line and not answer.full:
        raise Failed("http_closed", f"the server hung up without an answer{after}")
    raise Failed("http_status", f"not an HTTP answer: {line[:60]!r}{after}")


def expect(status: int, target: Target) -> None:
    """Raises Failed where the status is not the one that is wanted."""
    if not (200 <= status < 400 if target.status is None else status == target.status):
        raise Failed("http_status", f"status {status}, expected {target.status or '200 to 399'}")


def match(answer: Answer, head: Head, pieces: Sequence[bytes], clock: Clock) -> None:
    """Raises Failed unless the pieces occur in this order in the first LONGEST_BODY bytes of the body."""
    came, trouble = bytearray(), ""
    with _as_causes(clock):
        try:
            for part in body(answer, head):
                came += part[: LONGEST_BODY - len(came)]
                if len(came) >= LONGEST_BODY:
                    break
        except Unreadable as error:
            trouble = f" that {error}"
    at = 0
    for piece in pieces:
        if (at := came.find(piece, at)) < 0:
            wanted = piece[:60].decode(errors="replace")
            raise Failed("body_mismatch", f"{wanted!a} is not in its place in {len(came)} bytes of body{trouble}")
        at += len(piece)


@contextlib.contextmanager
def _as_causes(clock: Clock) -> Iterator[None]:
    """Turn a socket's errors into causes."""
    try:
        yield
    except TimeoutError:
        raise Failed("http_timeout", f"no full answer within {clock.timeout:g} s") from None
    except ConnectionError as error:
        raise Failed("http_closed", f"reset before a full answer: {error.strerror}") from None
    except ssl.SSLError as error:
        raise refused(error) from None
    except OSError as error:
        raise Failed("http_timeout", str(error)) from None
