"""The grammar of a probe, as people write it into settings: a URL without a host, and what to expect of the answer."""

import re
from dataclasses import dataclass
from typing import Any

FORM = "probe URLs without a host such as tcp://:443 or https://:443/healthz"
LONGEST_BODY = 500
WANTED = "options behind # such as status=204&body=ok, and % only in %25 and the like"

_PROBE = re.compile(r"((?:tcp|tls)://:([0-9]{1,5})|https?://:([0-9]{1,5})(?:/[!\"$-~]*)?)(?:#(.*))?", re.DOTALL)
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})+")
_OPTION = re.compile("([a-z_]+)=((?:[^%&]|%[0-9A-Fa-f]{2})*)", re.DOTALL)
_ENCODED = re.compile(b"%(..)")
_BODY = re.compile(rf"(?!\*+\Z).{{1,{LONGEST_BODY}}}", re.DOTALL)
_OPTIONS = {
    "status": (("http", "https"), re.compile("[2-5][0-9]{2}"), "a status from 200 to 599"),
    "body": (("http", "https"), _BODY, f"a body of 1 to {LONGEST_BODY} characters that are not all *"),
    "server_name": (("tls", "http", "https"), _HOST, "a server_name such as api.example.com"),
}
"""By name: the schemes that can expect it, its form, and the form in words."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a service: a URL without a host, and what to expect.

    `body` is text that the answer must hold, `*` in it stands for anything; None and "" expect nothing in particular.
    """

    url: str
    status: int | None = None
    body: str = ""
    server_name: str = ""

    @classmethod
    def parse(cls, text: str) -> "Probe":
        """Read one probe as people write it; ValueError says what was expected.

        Options stand behind `#`: https://:443/healthz#status=204&body=ok*ready&server_name=api.example.com. As %XX may
        be written what has a meaning of its own; whatever else stands there, `+` too, is itself.
        """
        match = _PROBE.fullmatch(text)
        if match is None or not 0 < int(match[2] or match[3]) < 65536:
            raise ValueError(FORM)
        return cls(match[1], **_options(match[4], match[1].partition(":")[0]))

    @property
    def scheme(self) -> str:
        """tcp, tls, http or https."""
        return self.url.partition(":")[0]

    @property
    def port(self) -> int:
        """The port that is probed."""
        return int(self.url.partition("://:")[2].partition("/")[0])

    def at(self, name: str) -> str:
        """The URL of a name."""
        return self.url.replace("://:", f"://{name}:", 1)


def _options(text: str | None, scheme: str) -> dict[str, Any]:
    if text is None:
        return {}
    values: dict[str, Any] = {}
    for pair in text.split("&"):
        match = _OPTION.fullmatch(pair)
        if match is None:
            raise ValueError(WANTED)
        name, value = match[1], _decoded(match[2])
        if name not in _OPTIONS or name in values:
            raise ValueError(f"options status, body and server_name behind #, once each, not {name[:40]!r}")
        schemes, form, words = _OPTIONS[name]
        if scheme not in schemes:
            raise ValueError(f"{name} behind {' or '.join(f'{one}://' for one in schemes)} only")
        if not form.fullmatch(value):
            raise ValueError(f"{words}, not {value[:40]!r}")
        values[name] = int(value) if name == "status" else value
    return values


def _decoded(text: str) -> str:
    """A value without its %XX, which are UTF-8."""
    try:
        return _ENCODED.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode()).decode()
    except UnicodeError:
        raise ValueError(WANTED) from None
