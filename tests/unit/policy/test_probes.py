"""Probes as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkgate.policy.probes import Probe


@pytest.mark.parametrize(
    ("text", "probe"),
    [
        ("tcp://:443", Probe("tcp://:443")),
        ("tls://:8443", Probe("tls://:8443")),
        ("http://:80", Probe("http://:80")),
        ("http://:80/", Probe("http://:80/")),
        ("https://:443/healthz?deep=1", Probe("https://:443/healthz?deep=1")),
        ("https://:443/x#status=204", Probe("https://:443/x", status=204)),
        ("https://:443#body=ok*ready", Probe("https://:443", body="ok*ready")),
        ("http://:80/#body=a%2Cb%20c+d%23", Probe("http://:80/", body="a,b c+d#")),
        ("tls://:443#server_name=api.example.com", Probe("tls://:443", server_name="api.example.com")),
        (
            "https://:443/healthz#status=503&body=maintenance&server_name=API.example.com",
            Probe("https://:443/healthz", 503, "maintenance", "API.example.com"),
        ),
    ],
)
def test_a_probe_is_read_as_people_write_it(text: str, probe: Probe) -> None:
    assert Probe.parse(text) == probe


@pytest.mark.parametrize(
    "text",
    [
        *("", "443", "tcp://", "tcp://:", "tcp://:0", "tcp://:65536", "tcp://:443/", "tcp://host:443", "TCP://:443"),
        *("https://user:secret@:443/", "https://:443/a b", "https://:443/a\r\nHost: x", "https://:443healthz"),
        *("https://:443/\u00e9", "tcp://:443 ", "udp://:53", "tcp://:443\n"),
        *("https://:443/#", "https://:443/#status", "https://:443/#status=", "https://:443/#status=600"),
        *(
            "https://:443/#status=099",
            "https://:443/#status=199",
            "https://:443/#status=2000",
            "https://:443/#Status=200",
        ),
        *("https://:443/#body=", "https://:443/#body=**", f"https://:443/#body={'x' * 501}"),
        *("https://:443/#server_name=", "https://:443/#server_name=localhost", "https://:443/#server_name=a..b"),
        *("https://:443/#server_name=*.example.com", "https://:443/#server_name=a.b%0D%0AX:1"),
        *("tcp://:443#status=200", "tls://:443#body=x", "tcp://:443#server_name=a.b", "https://:443/#port=1"),
    ],
)
def test_what_is_no_probe_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[a-z]"):
        Probe.parse(text)


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_no_text_ends_in_anything_but_a_probe_or_words(text: str) -> None:
    try:
        probe = Probe.parse(text)
    except ValueError:
        return
    assert probe.url
    assert 0 < probe.port < 65536


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("tcp://:443", "tcp://n.example:443"),
        ("https://:8443/a:1/b", "https://n.example:8443/a:1/b"),
        ("http://:80/http://:81", "http://n.example:80/http://:81"),
    ],
)
def test_a_probe_of_a_name_is_a_url(text: str, url: str) -> None:
    assert Probe.parse(text).at("n.example") == url
