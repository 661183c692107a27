"""What one target asks for, checked word by word and against the scope before anything is sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from prober.clock import Failed
from prober.scope import Scope

DEFAULT_TIMEOUT, SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 3.0, 0.1, 10.0
LONGEST_URL, LONGEST_BODY_PATTERN = 2000, 1000
_LABEL = "[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
_HOST = re.compile(rf"(?=.{{1,253}}\.?\Z){_LABEL}(\.{_LABEL})*\.?")
_URL = re.compile(r"([a-z]+)://([^/?#]*)([/?][^#]*)?")
_AUTHORITY = re.compile(r"([^:\[\]]*|\[[^\[\]]*\])(?::([0-9]{1,5}))?")


class Url(NamedTuple):
    """What a URL says; no `port`: it says none. `path` begins with a slash and has the query."""

    scheme: str
    host: str
    port: int | None
    path: str


@dataclass(frozen=True, slots=True)
class Target:
    """A target that may be probed. `server_name` is for SNI, the certificate and Host; `path` begins with a slash.

    `status` is the one that is expected, None for 200 to 399; `body` are the texts that must occur in this order,
    None where the body does not matter. `timeout` in seconds is for each phase. `authorities` in DER are trusted beside
    the operating system's.
    """

    scheme: str
    host: str
    port: int
    path: str
    server_name: str
    closed: bool
    status: int | None
    body: tuple[bytes, ...] | None
    timeout: float
    authorities: bytes = b""

    @property
    def secure(self) -> bool:
        """Whether the probe speaks TLS."""
        return self.scheme in ("tls", "https")

    @property
    def asks(self) -> bool:
        """Whether the probe speaks HTTP."""
        return self.scheme in ("http", "https")

    @classmethod
    def read(cls, target: object, scope: Scope) -> Self:
        """A target as patrol sends it; raises Failed with `probe_error` and the reason in words."""
        if not isinstance(target, Mapping):
            raise Failed("probe_error", f"a target is an object, not {type(target).__name__}")
        url = _url(target.get("url"))
        if problem := scope.forbid(url.scheme, url.host, url.port):
            raise Failed("probe_error", problem)
        host = _host("name", url.host)
        server_name = _host("server_name", target.get("server_name") or host).rstrip(".")
        if problem := scope.foreign("server_name", server_name):
            raise Failed("probe_error", problem)
        read = cls(
            scheme=url.scheme,
            host=host,
            port=url.port or 0,
            path=url.path,
            server_name=server_name,
            closed=_closed(target.get("expect", "open")),
            status=_status(target.get("expect_status")),
            body=_body(target.get("expect_body")),
            timeout=_timeout(target.get("timeout_seconds")),
            authorities=scope.authorities,
        )
        if not read.asks and (read.status, read.body) != (None, None):
            raise Failed("probe_error", f"{read.scheme} gives no HTTP answer whose status or body could be expected")
        return read


def _url(value: object) -> Url:
    """A scheme, `://`, a name, `:`, a port and perhaps a path and a query, as they stand there: no %XX is decoded, no
    name made punycode."""
    if not isinstance(value, str):
        raise Failed("probe_error", f"a url is a text, not {type(value).__name__}")
    if len(value) > LONGEST_URL:
        raise Failed("probe_error", f"a url of {len(value)} characters, more than {LONGEST_URL}")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise Failed("probe_error", f"url {value[:200]!a} has blanks, line breaks or characters beyond ASCII")
    match = _URL.fullmatch(value)
    if match and "@" in match[2]:
        raise Failed("probe_error", "a URL with credentials is not probed")
    authority = match and _AUTHORITY.fullmatch(match[2])
    if not match or not authority or int(authority[2] or 0) > 65535:
        raise Failed("probe_error", f"url {value[:200]!r} cannot be read: expected one such as https://name:443/path")
    port, path = int(authority[2]) if authority[2] else None, match[3] or "/"
    return Url(match[1], authority[1].lower(), port, path if path.startswith("/") else f"/{path}")


def _host(what: str, value: object) -> str:
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise Failed("probe_error", f"{what} {str(value)[:200]!a} is not a host name")
    return value


def _closed(value: object) -> bool:
    if value not in ("open", "closed"):
        raise Failed("probe_error", f"expect is {str(value)[:200]!a}: open or closed")
    return value == "closed"


def _status(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or not 100 <= value <= 599:
        raise Failed("probe_error", f"expect_status is {str(value)[:200]!a}: a number from 100 to 599")
    return value


def _body(value: object) -> tuple[bytes, ...] | None:
    """The pieces between the stars, which stand for anything: no regular expression that could hang the canary."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST_BODY_PATTERN:
        raise Failed("probe_error", f"expect_body is a text of up to {LONGEST_BODY_PATTERN} characters")
    return tuple(piece.encode(errors="replace") for piece in value.split("*") if piece)


def _timeout(value: object) -> float:
    # Not math.isnan, which cannot look at an integer of hundreds of digits.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return DEFAULT_TIMEOUT
    return float(min(max(value, SHORTEST_TIMEOUT), LONGEST_TIMEOUT))
