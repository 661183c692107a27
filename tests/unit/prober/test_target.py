"""Targets that make no sense: a verdict each, and nothing goes out."""

import ipaddress
import json
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prober.clock import Failed
from prober.scope import Scope
from prober.target import Target
from prober.verdict import Verdict, report

from tests.unit.listeners import HOST, accepting, answering, listening
from tests.unit.prober.conftest import probe_all

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SCOPE = Scope.parse("example", "443", "127.0.0.0/8")


def on(port: int) -> Scope:
    return Scope.parse(f"{HOST},example,orders", str(port), "127.0.0.0/8")


@pytest.mark.parametrize("target", [None, 7, "tcp://a.example:443", [], ["tcp"], True, 1.5])
def test_a_target_that_is_no_object_gets_a_verdict_without_a_name(target: object) -> None:
    (found,) = probe_all([target], SCOPE)
    assert found == Verdict("", "", "", "", cause="probe_error", detail=found.detail)
    assert found.detail == f"a target is an object, not {type(target).__name__}"


@pytest.mark.parametrize("targets", [None, {}, "targets", 7, {"url": "tcp://a.example:443"}])
def test_no_list_of_targets_gets_one_verdict(targets: object) -> None:
    (found,) = probe_all(targets, SCOPE)
    assert (found.cause, found.detail) == ("probe_error", "not probed: there is no list of targets")


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"url": None}, "a url is a text, not NoneType"),
        ({"url": ["tcp://a.example:443"]}, "a url is a text, not list"),
        ({"server_name": 7}, "server_name '7' is not a host name"),
        ({"server_name": "a.example\r\nX-Evil: 1"}, "server_name 'a.example\\r\\nX-Evil: 1' is not a host name"),
        ({"server_name": "a.example\n"}, "is not a host name"),
        ({"server_name": "a b"}, "is not a host name"),
        ({"server_name": "a..b"}, "is not a host name"),
        ({"server_name": "*.example"}, "is not a host name"),
        ({"server_name": "b\u00fccher.example"}, "is not a host name"),
        ({"server_name": "or\u017fers.example"}, "is not a host name"),
        ({"server_name": "\u212a.example"}, "is not a host name"),
        ({"server_name": "a:443"}, "is not a host name"),
        ({"server_name": "a" * 64}, "is not a host name"),
        ({"server_name": ".".join(["a" * 60] * 5)}, "is not a host name"),
        ({"expect": "ajar"}, "expect is 'ajar': open or closed"),
        ({"expect": None}, "expect is 'None': open or closed"),
        ({"expect": ["open"]}, "expect is"),
        ({"expect_status": "200"}, "expect_status is '200': a number from 100 to 599"),
        ({"expect_status": True}, "expect_status is 'True'"),
        ({"expect_status": 99}, "expect_status is '99'"),
        ({"expect_status": 600}, "expect_status is '600'"),
        ({"expect_status": 200.0}, "expect_status is '200.0'"),
        ({"expect_body": 7}, "expect_body is a text of up to 1000 characters"),
        ({"expect_body": "x" * 1001}, "expect_body is a text of up to 1000 characters"),
        ({"url": "tcp://a.example:443", "expect_status": 200}, "tcp gives no HTTP answer"),
        ({"url": "tls://a.example:443", "expect_body": "ok"}, "tls gives no HTTP answer"),
    ],
)
def test_what_cannot_be_meant_is_said(wish: dict[str, Any], words: str) -> None:
    target = {"endpoint_id": "vpce-1", "service_id": "vpce-svc-1", "name": "a.example"}
    (found,) = probe_all([target | {"url": "https://a.example:443/"} | wish], SCOPE)
    assert (found.endpoint_id, found.service_id, found.name) == ("vpce-1", "vpce-svc-1", "a.example")
    assert found.cause == "probe_error"
    assert words in found.detail


@pytest.mark.parametrize("wish", ["server_name", "expect", "expect_status"])
def test_nonsense_that_nobody_can_repeat_is_a_verdict_and_the_others_are_probed(wish: str) -> None:
    long = 10**5000  # Python writes no number of so many digits down
    with listening(accepting) as listener:
        target = {"url": f"tcp://{HOST}:{listener.port}"}
        bad, good = probe_all([target | {wish: long}, target], on(listener.port))
    assert bad.cause == "probe_error"
    assert good.good


@pytest.mark.parametrize(
    ("behind", "asked"),
    [
        ("", "/"),
        ("/", "/"),
        ("/a%2Fb%zz+c;d=e//", "/a%2Fb%zz+c;d=e//"),
        ("?", "/?"),
        ("/x?", "/x?"),
        ("/?a=/b?c", "/?a=/b?c"),
    ],
)
def test_what_stands_behind_the_port_is_asked_for_as_it_stands(behind: str, asked: str) -> None:
    with listening(answering(OK)) as listener:
        (found,) = probe_all([{"url": f"http://{HOST}:{listener.port}{behind}"}], on(listener.port))
    assert found.good
    assert listener.requests[0].startswith(f"GET {asked} HTTP/1.1\r\n".encode())


ANYWHERE = ipaddress.ip_network("0.0.0.0/0")
HOSTS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,9}(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,9}){0,3}", fullmatch=True)
PATHS = st.just("") | st.from_regex('[/?][!-"$-~]{0,9}', fullmatch=True)


@given(st.sampled_from(["tcp", "tls", "http", "https"]), HOSTS, st.integers(1, 65535), PATHS)
def test_a_url_of_a_scheme_a_name_a_port_and_a_path_is_read(scheme: str, host: str, port: int, path: str) -> None:
    found = Target.read(
        {"url": f"{scheme}://{host}:{port}{path}"}, Scope((host.lower(),), frozenset({port}), (ANYWHERE,))
    )
    assert (found.scheme, found.host, found.port) == (scheme, host.lower(), port)
    assert found.path == (path if path.startswith("/") else f"/{path}")


URL = r"(tcp|tls|https?)://[A-Za-z0-9_-]{1,9}(\.[A-Za-z0-9_-]{1,9})*:[0-9]{1,5}([/?][!-\"$-~]*)?"
WILD = (
    r"(tcp|tls|https?|HTTP|x)?:?/{1,3}([a-z]?@)?(\[?)[a-zA-Z.%\\\u017f_-]{0,4}(\]?)"
    r":?[+]?[0-9_\u0663]{0,4}([/?#][ -~]{0,3})?|http://a:\d{1,6}([/?#][ -~]{0,3})?"
)


@settings(max_examples=500)
@given(st.from_regex(WILD, fullmatch=True) | st.text(max_size=20))
def test_no_other_url_is_read(text: str) -> None:
    everything = Scope(tuple(dict.fromkeys(["", *"abcdefghijklmnopqrstuvwxyz._-"])), frozenset(range(1, 65536)), ())
    try:
        Target.read({"url": text}, everything)
    except Failed:
        return
    assert re.fullmatch(URL, text, re.ASCII)


def test_a_name_is_held_to_its_form_also_if_another_one_is_asked_for() -> None:
    target = {"url": "tls://a..example:443", "server_name": "b.example"}
    (found,) = probe_all([target], SCOPE)
    assert (found.cause, found.detail) == ("probe_error", "name 'a..example' is not a host name")


@pytest.mark.parametrize("name", ["orders.example", "orders.example.", "_srv.orders.example", "127.0.0.1", "ORDERS"])
def test_host_names_are_taken_as_server_names(name: str) -> None:
    with listening(answering(OK)) as listener:
        target = {"url": f"http://{HOST}:{listener.port}/", "server_name": name}
        (found,) = probe_all([target], on(listener.port))
    assert found.good
    assert f"\r\nHost: {name.rstrip('.')}:{listener.port}\r\n".encode() in listener.requests[0]


@pytest.mark.parametrize("nothing", [None, ""])
def test_what_is_null_is_not_wished_for(nothing: object) -> None:
    with listening(answering(OK)) as listener:
        target = {"url": f"http://{HOST}:{listener.port}/", "expect_status": None, "expect_body": None}
        (found,) = probe_all([target | {"server_name": nothing}], on(listener.port))
    assert found.good


@pytest.mark.parametrize(
    "timeout", [math.nan, math.inf, -math.inf, 10**400, -1, 0, 1e9, "3", None, True], ids=range(10)
)
def test_a_timeout_that_makes_no_sense_is_not_used(timeout: object) -> None:
    with listening(accepting) as listener:
        target = {"url": f"tcp://{HOST}:{listener.port}", "timeout_seconds": timeout}
        (found,) = probe_all([target], on(listener.port))
    assert found.good


def test_a_verdict_repeats_little_of_what_it_was_given_and_nothing_that_could_harm_a_log() -> None:
    wild = "\r\n\u2028\x1b[31m\ud83d\ude00" + "x" * 100_000
    (found,) = probe_all([dict.fromkeys(("endpoint_id", "service_id", "name", "url"), wild)], SCOPE)
    assert len(json.dumps(report([found]))) < 3000
    assert found.endpoint_id.isascii()
    assert found.endpoint_id.isprintable()
    assert found.url.isprintable()
