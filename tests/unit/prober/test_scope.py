"""What the canary's stack does not allow is not even resolved."""

import ipaddress

import pytest
from prober.scope import VARIABLES, Scope

from tests.unit.prober.conftest import Answer, probe_all

SUFFIXES = "vpce.amazonaws.com, .orders.example, vpce.amazonaws.com.cn"
FORBIDDEN = {
    "another name": ("https://example.com:443/", "name 'example.com' does not end in vpce.amazonaws.com or"),
    "a suffix without its dot": ("tcp://evilvpce.amazonaws.com:443", "does not end in"),
    "a suffix in the middle": ("tcp://vpce.amazonaws.com.evil.example:443", "does not end in"),
    "an address": ("tcp://169.254.169.254:443", "does not end in"),
    "an address of version 6": ("tcp://[::1]:443", "does not end in"),
    "no name": ("tcp://:443", "name '' does not end in"),
    "another port": ("tcp://vpce-1.vpce-svc-0a.eu-west-1.vpce.amazonaws.com:22", "port 22 is not one of 80, 443"),
    "no port": ("https://vpce-1.vpce-svc-0a.eu-west-1.vpce.amazonaws.com/", "port None is not one of 80, 443"),
    "another scheme": ("ftp://a.vpce.amazonaws.com:443", "scheme 'ftp' is not tcp, tls, http or https"),
    "a file": ("file:///etc/passwd", "scheme 'file' is not"),
    "no scheme": ("a.vpce.amazonaws.com:443", "cannot be read: expected one such as"),
    "port 0": ("tcp://vpce-1.vpce-svc-0a.eu-west-1.vpce.amazonaws.com:0", "port 0 is not one of 80, 443"),
    "a line break in the path": ("http://a.vpce.amazonaws.com:80/\r\nX-Evil: 1", "has blanks, line breaks"),
    "a line feed in the name": ("http://a.vpce.amazonaws.com\n:80/", "has blanks, line breaks"),
    "a tab": ("http://a.vpce.amazonaws.com:80/\t", "has blanks, line breaks"),
    "a blank": ("http://a.vpce.amazonaws.com:80/ HTTP/1.1", "has blanks, line breaks"),
    "a letter beyond ASCII": ("http://a.vpce.amazonaws.com:80/\u00e9", "has blanks, line breaks"),
    "too long": ("http://a.vpce.amazonaws.com:80/" + "x" * 2000, "a url of 2031 characters"),
    "a password alone": ("https://:secret@a.vpce.amazonaws.com:443", "a URL with credentials is not probed"),
    "an empty user": ("https://@a.vpce.amazonaws.com:443", "a URL with credentials is not probed"),
    "a public address": ("tcp://93.184.215.14:443", "does not end in"),
    "an address as a number": ("tcp://2130706433:443", "does not end in"),
    "an empty label": ("tcp://a..orders.example:443", "is not a host name"),
    "a label too long": (f"tcp://{'a' * 64}.orders.example:443", "is not a host name"),
    "credentials": ("https://ada:secret@a.vpce.amazonaws.com:443", "a URL with credentials is not probed"),
    "a user": ("https://ada@a.vpce.amazonaws.com:443", "a URL with credentials is not probed"),
    "a name in the credentials": ("tcp://a.vpce.amazonaws.com:443@evil.example:443", "credentials"),
    "a port that is none": ("tcp://a.vpce.amazonaws.com:https", "cannot be read"),
    "a port too high": ("tcp://a.vpce.amazonaws.com:65536", "cannot be read"),
    "a broken address": ("tcp://[::1:443", "cannot be read"),
    "nothing": ("", "cannot be read"),
    "a scheme in capitals": ("TCP://a.vpce.amazonaws.com:443", "cannot be read"),
    "a fragment": ("http://a.vpce.amazonaws.com:80/#x", "cannot be read"),
    "a port with a sign": ("tcp://a.vpce.amazonaws.com:+443", "cannot be read"),
    "a port with an underscore": ("tcp://a.vpce.amazonaws.com:4_43", "cannot be read"),
    "a port with zeros": ("tcp://a.vpce.amazonaws.com:000443", "cannot be read"),
    "no port behind its colon": ("tcp://a.vpce.amazonaws.com:", "cannot be read"),
    "a backslash behind the name": ("http://a.vpce.amazonaws.com\\@evil.example:80/", "credentials"),
    "an encoded name": ("tcp://a%2e.vpce-svc-0a.eu-west-1.vpce.amazonaws.com:443", "is not a host name"),
    "an API of AWS's": (
        "https://vpce-1-a.execute-api.eu-west-1.vpce.amazonaws.com:443/prod/",
        "name 'vpce-1-a.execute-api.eu-west-1.vpce.amazonaws.com' is not of an endpoint service",
    ),
    "storage of AWS's": (
        "https://bucket.vpce-1-a.s3.eu-west-1.vpce.amazonaws.com:443/",
        "is not of an endpoint service",
    ),
    "all of AWS's": ("tcp://vpce.amazonaws.com:443", "is not of an endpoint service"),
    "another API whose name has it in front": (
        "tcp://vpce-svc-0a.eu-west-1.s3.eu-west-1.vpce.amazonaws.com:443",
        "is not of an endpoint service",
    ),
}


@pytest.mark.parametrize(("url", "words"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_what_the_canarys_stack_does_not_allow_is_not_even_resolved(
    url: str, words: str, resolver: dict[str, Answer]
) -> None:
    (found,) = probe_all([{"url": url}], Scope.parse(SUFFIXES, "80,443", "10.0.0.0/8"))
    assert found.cause == "probe_error"
    assert words in found.detail
    assert len(found.detail) <= 300
    assert found.phases == {}


@pytest.mark.parametrize("expect", ["open", "closed"])
def test_what_may_not_be_touched_is_an_error_whatever_was_expected(expect: str) -> None:
    (found,) = probe_all(
        [{"url": "tcp://example.com:443", "expect": expect}], Scope.parse(SUFFIXES, "443", "10.0.0.0/8")
    )
    assert found.cause == "probe_error"


@pytest.mark.parametrize(
    "url",
    [
        "tcp://vpce-1.vpce-svc-0a.eu-west-1.vpce.amazonaws.com:443",
        "tcp://vpce-1.vpce-SVC-0a.eu-west-1.vpce.AMAZONaws.com:443",
        "tcp://vpce-1.vpce-svc-0a.eu-west-1.vpce.amazonaws.com.:443",
        "tcp://vpce-svc-0a.cn-north-1.vpce.amazonaws.com.cn:443",
        "https://api.orders.example:80/",
        "http://orders.example:80/",
    ],
)
def test_names_under_a_suffix_are_allowed_in_any_case_and_with_a_last_dot(
    url: str, resolver: dict[str, Answer]
) -> None:
    host = url.split("/")[2].rsplit(":", 1)[0].lower()
    resolver[host] = ["203.0.113.7"]
    (found,) = probe_all([{"url": url}], Scope.parse(SUFFIXES, "80,443", "10.0.0.0/8"))
    assert found.cause == "dns_unexpected_address"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("api.internal.example", "server_name 'api.internal.example' does not end in"),
        ("vpce-1-a.execute-api.eu-west-1.vpce.amazonaws.com", "is not of an endpoint service"),
    ],
)
def test_what_is_said_to_a_server_is_held_to_the_same_names(name: str, words: str, resolver: dict[str, Answer]) -> None:
    target = {"url": "https://api.orders.example:443/", "server_name": name}
    (found,) = probe_all([target], Scope.parse(SUFFIXES, "443", "10.0.0.0/8"))
    assert (found.cause, found.phases) == ("probe_error", {})
    assert words in found.detail


def test_without_cidrs_nothing_is_probed_and_the_first_verdict_says_so(resolver: dict[str, Answer]) -> None:
    (found,) = probe_all([{"url": "tcp://orders.example:443"}], Scope.parse(SUFFIXES, "443", ""))
    assert (found.cause, found.phases) == ("probe_error", {})
    assert found.detail == "no address may be probed: give the parameter CanaryCidrs the VPC's CIDRs"


def test_a_scope_is_read_from_comma_separated_parameters_with_blanks() -> None:
    found = Scope.parse(" A.example , b.example,", "80, 443", "10.0.0.0/8, fd00::/8")
    expected = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
    assert found == Scope(("a.example", "b.example"), frozenset({80, 443}), expected)


@pytest.mark.parametrize(
    ("ports", "cidrs", "words"),
    [
        ("https", "10.0.0.0/8", "CANARY_PORTS is 'https'"),
        ("+443", "10.0.0.0/8", "CANARY_PORTS is"),
        ("4_43", "10.0.0.0/8", "CANARY_PORTS is"),
        ("\u0664\u0664\u0663", "10.0.0.0/8", "CANARY_PORTS is"),
        ("0", "10.0.0.0/8", "CANARY_PORTS is"),
        ("65536", "10.0.0.0/8", "CANARY_PORTS is"),
        ("443", "10.0.0.0/255.0.0.0", "CANARY_CIDRS is"),
        ("443", "10.0.0.1", "CANARY_CIDRS is"),
        ("443", "fe80::%1/64", "CANARY_CIDRS is"),
        ("443", "10.0.0.1/8", "CANARY_CIDRS is '10.0.0.1/8'"),
        ("443", "x", "CANARY_CIDRS is 'x'"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(ports: str, cidrs: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Scope.parse("example", ports, cidrs)


@pytest.mark.parametrize("names", [".", "a.example, .", "..."])
def test_no_names_let_everything_in(names: str) -> None:
    with pytest.raises(ValueError, match="CANARY_NAMES"):
        Scope.parse(names, "443", "10.0.0.0/8")


def test_of_no_names_nothing_is_allowed() -> None:
    (found,) = probe_all([{"url": "tcp://:443"}], Scope.parse("", "443", "0.0.0.0/0"))
    assert found.cause == "probe_error"


GIVEN = {"CANARY_NAMES": "a.example", "CANARY_PORTS": "443", "CANARY_CIDRS": "10.0.0.0/8"}


def test_a_scope_is_read_from_the_environment() -> None:
    assert Scope.from_env({**GIVEN, "PATH": "/bin"}) == Scope.parse("a.example", "443", "10.0.0.0/8")


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("value", [None, "", " "])
def test_a_variable_that_is_missing_is_named_in_one_sentence(name: str, value: str | None) -> None:
    environ = {one: text for one, text in {**GIVEN, name: value}.items() if text is not None}
    with pytest.raises(ValueError, match=f"^environment variable {name} is missing or empty: [^\n]*$"):
        Scope.from_env(environ)


@pytest.mark.parametrize(
    "pem",
    [
        "ours",
        "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----",
    ],
)
def test_authorities_that_cannot_be_read_are_an_error_at_once(pem: str) -> None:
    with pytest.raises(ValueError, match=r"^CANARY_AUTHORITIES holds [01] certificates in PEM: "):
        Scope.from_env({**GIVEN, "CANARY_AUTHORITIES": pem})


@pytest.mark.parametrize("pem", ["", " "])
def test_no_authorities_are_those_of_the_system(pem: str) -> None:
    assert Scope.from_env({**GIVEN, "CANARY_AUTHORITIES": pem}).authorities == b""
