"""The phases first_byte and body: one GET, a bounded part of its answer, and not a second longer than the phase."""

import contextlib
import re
import ssl
from collections.abc import Iterator, Sequence

from prober.alerts import refused
from prober.clock import Clock, Failed
from prober.message import LONGEST_BODY, Answer, Head, Stream, Unreadable, body, fields
from prober.target import Target

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
