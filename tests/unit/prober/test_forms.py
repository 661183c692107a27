"""The forms of a canary's ports and CIDRs (docs/allow-list.md, Canaries), written once more: nothing else is read.

What the forms say is made by strategies; what they do not say is told from it by the operating system's own reader of
addresses, and by patterns. Neither is taken from the code that reads them.
"""

import ipaddress
import re
import socket
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prober.scope import Scope

BLANK = " \t\r\n"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
blanks = st.text(BLANK, max_size=2)


def listed(part: st.SearchStrategy[tuple[str, Any]]) -> st.SearchStrategy[tuple[str, list[Any]]]:
    """Parts between commas and blanks, some of them empty, and what the others mean."""
    padded = st.builds(lambda before, one, after: (before + one[0] + after, [one[1]]), blanks, part, blanks)
    some: st.SearchStrategy[list[tuple[str, list[Any]]]] = st.lists(
        padded | blanks.map(lambda text: (text, [])), min_size=1, max_size=4
    )
    return some.map(lambda parts: (",".join(text for text, _ in parts), [one for _, found in parts for one in found]))


def padded(number: int, most: int) -> st.SearchStrategy[str]:
    """The digits of a number, with zeros at their head up to so many digits, or without."""
    return st.integers(len(str(number)), most).map(str(number).zfill)


ports = st.integers(1, 65535).flatmap(lambda port: padded(port, 5).map(lambda text: (text, port)))


def spelt(address: ipaddress.IPv6Address) -> list[str]:
    """An address in the ways of RFC 4291 section 2.2."""
    groups = address.exploded.split(":")
    tail = f"{int(groups[6], 16) >> 8}.{int(groups[6], 16) & 255}.{int(groups[7], 16) >> 8}.{int(groups[7], 16) & 255}"
    plain = ":".join(f"{int(group, 16):x}" for group in groups)
    return [address.compressed, address.exploded, address.exploded.upper(), plain, ":".join([*groups[:6], tail])]


@st.composite
def cidrs(draw: st.DrawFn) -> tuple[str, Network]:
    width = draw(st.sampled_from([32, 128]))
    bits = draw(st.integers(0, width))
    number = draw(st.integers(0, 2**width - 1)) >> (width - bits) << (width - bits)
    after = draw(padded(bits, 3))
    if width == 32:
        address = ipaddress.IPv4Address(number)
        return f"{address}/{after}", ipaddress.IPv4Network((number, bits))
    text = draw(st.sampled_from(spelt(ipaddress.IPv6Address(number))))
    return f"{text}/{after}", ipaddress.IPv6Network((number, bits))


@given(listed(ports))
def test_every_port_that_the_form_says_is_read(read: tuple[str, list[int]]) -> None:
    text, meant = read
    assert Scope.parse("a.example", text).ports == frozenset(meant)


@given(listed(cidrs()))
def test_every_cidr_that_the_form_says_is_read(read: tuple[str, list[Network]]) -> None:
    text, meant = read
    assert Scope.parse("a.example", "443", text).networks == tuple(meant)


def parts(text: str) -> list[str]:
    return [part for one in text.split(",") if (part := one.strip(BLANK))]


def is_port(part: str) -> bool:
    return bool(re.fullmatch("[0-9]{1,5}", part)) and 1 <= int(part) <= 65535


def is_cidr(part: str) -> bool:
    """By inet_pton, which reads the same addresses."""
    match = re.fullmatch(r"([0-9A-Fa-f:.]+)/([0-9]{1,3})", part)
    if not match:
        return False
    for family, width in ((socket.AF_INET, 32), (socket.AF_INET6, 128)):
        try:
            number = int.from_bytes(socket.inet_pton(family, match[1]))
        except OSError:
            continue
        bits = int(match[2])
        return bits <= width and number % 2 ** (width - bits) == 0
    return False


strange = st.sampled_from(["\u0664", "\u2003", "\x85", "\x1c", "\u00b2", "+", "-", "_", "%", "x", "e", ";", "", "/"])


@st.composite
def nearly(draw: st.DrawFn, form: st.SearchStrategy[tuple[str, Any]]) -> str:
    """What a form says with something put in, taken out or put in its place."""
    text, _ = draw(form)
    start = draw(st.integers(0, len(text)))
    return text[:start] + draw(strange | st.characters()) + text[start + draw(st.integers(0, 2)) :]


def reads(**given: str) -> bool:
    try:
        Scope.parse("a.example", **{"ports": "443", **given})
    except ValueError as error:
        (name,) = given
        if not str(error).startswith(f"CANARY_{name.upper()} is "):
            raise
        return False
    return True


@given(nearly(listed(ports)) | st.text(st.sampled_from("0123456789, +_")) | st.text())
@example("443\u2003")
@example("\x1c443")
@example("0")
@example("00443,080")
@example("000443")
@example("65536")
def test_nothing_else_is_a_port(text: str) -> None:
    assert reads(ports=text) == all(map(is_port, parts(text)))


@given(nearly(listed(cidrs())) | st.text(st.sampled_from("0123456789abcdef:./, ")) | st.text())
@example("10.0.0.0/8\u00a0")
@example("010.0.0.0/8")
@example("10.0.0.0/0008")
@example("10.0.0.0/33")
@example("::/129")
@example("1::2::/64")
@example("fe80::%1/64")
@example("::ffff:10.0.0.0/104")
@example("10.0.0.1/8")
@example("10.0.0.0")
def test_nothing_else_is_a_cidr(text: str) -> None:
    assert reads(cidrs=text) == all(map(is_cidr, parts(text)))


@pytest.mark.parametrize("text", ["", " ,\t", ","])
def test_a_list_of_nothing_is_empty(text: str) -> None:
    found = Scope.parse("a.example", text, text)
    assert (found.ports, found.networks) == (frozenset(), ())
