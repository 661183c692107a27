"""Names that do not resolve, or never come to an end, or to one that nobody expects."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from prober import dns
from prober.clock import Failed
from prober.run import MOST_ADDRESSES
from prober.scope import Scope
from prober.verdict import OUT_OF_TIME, Verdict

from tests.unit.listeners import HOST, accepting, answering, listening
from tests.unit.prober.conftest import probe_all

SHORT = 0.3


class Names:
    """A resolver of the test's own: it knows some names, and hangs on all others until the test is over."""

    def __init__(self) -> None:
        self.known: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.release = threading.Event()

    def getaddrinfo(self, host: str, port: object, *_: object, **__: object) -> list[Any]:
        self.asked.append(host)
        if host not in self.known:
            self.release.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in self.known[host]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    dns.threads.cache_clear()
    yield made
    made.release.set()
    dns.threads().shutdown()
    dns.threads.cache_clear()


def probed(targets: Sequence[Mapping[str, object]], port: int = 443) -> list[Verdict]:
    wishes = {"timeout_seconds": SHORT}
    return probe_all([{**wishes, **target} for target in targets], Scope.parse("example", str(port), "127.0.0.0/8"))


def test_names_that_hang_keep_no_more_threads_than_there_are_for_them(names: Names) -> None:
    before = threading.active_count()
    for number in range(3 * dns.AT_ONCE):
        with pytest.raises(Failed):
            dns.resolve(f"{number}.example", 0.001)
    assert threading.active_count() - before <= dns.AT_ONCE
    assert len(names.asked) <= dns.AT_ONCE


def test_a_name_that_was_never_asked_for_says_nothing_about_its_port(names: Names) -> None:
    said = []
    for number in range(dns.AT_ONCE + 1):
        with pytest.raises(Failed) as raised:
            dns.resolve(f"{number}.example", 0.001)
        said.append((raised.value.cause, str(raised.value)))
    assert {cause for cause, _ in said[:-1]} == {"dns_timeout"}
    last = f"{dns.AT_ONCE}.example was not asked for: {dns.AT_ONCE} earlier names hang"
    assert said[-1] == ("probe_error", last)


def test_names_that_hang_do_not_hold_up_others(names: Names) -> None:
    names.known["good.example"] = [HOST]
    with listening(accepting) as listener:
        hosts = [*(f"{number}.example" for number in range(20)), "good.example"]
        found = probed([{"url": f"tcp://{host}:{listener.port}"} for host in hosts], listener.port)
    assert [one.cause for one in found] == ["dns_timeout"] * 20 + [""]


def test_a_name_is_asked_for_once_however_many_targets_share_it(names: Names) -> None:
    names.known["good.example"] = [HOST]
    with listening(accepting) as listener:
        target = {"url": f"tcp://good.example:{listener.port}"}
        found = probed([target] * 5, listener.port)
    assert [one.cause for one in found] == [""] * 5
    assert names.asked == ["good.example"]
    assert len({one.phases["dns"] for one in found}) == 1


def test_of_hundreds_of_addresses_the_first_are_probed_and_the_rest_are_counted(names: Names) -> None:
    names.known["many.example"] = [f"127.0.1.{number}" for number in range(1, 255)]
    with listening(accepting) as listener:
        *probed_ones, last = probed([{"url": f"tcp://many.example:{listener.port}"}], listener.port)
    assert [one.address for one in probed_ones] == [f"127.0.1.{number}" for number in range(1, MOST_ADDRESSES + 1)]
    assert {one.cause for one in probed_ones} == {"tcp_refused"}
    assert (last.cause, last.address) == ("dns_unexpected_address", "")
    assert last.detail == f"the name has {254 - MOST_ADDRESSES} addresses beyond the first {MOST_ADDRESSES}, " + (
        "which were not probed"
    )


def test_a_public_address_is_not_touched_and_a_good_one_beside_it_is(names: Names) -> None:
    names.known["mixed.example"] = ["203.0.113.7", HOST]
    with listening(accepting) as listener:
        public, good = probed([{"url": f"tcp://mixed.example:{listener.port}"}], listener.port)
    assert (public.cause, public.address) == ("dns_unexpected_address", "203.0.113.7")
    assert public.phases.keys() == {"dns", "total"}
    assert good.good


def test_every_address_has_phases_of_its_own(names: Names) -> None:
    names.known["both.example"] = [HOST, "127.0.0.2"]
    with listening(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as listener:
        first, second = probed([{"url": f"http://both.example:{listener.port}/"}], listener.port)
    assert (first.cause, set(first.phases)) == ("", {"dns", "tcp", "first_byte", "total"})
    assert (second.cause, set(second.phases)) == ("tcp_refused", {"dns", "tcp", "total"})


@pytest.mark.parametrize("expect", ["open", "closed"])
def test_a_name_that_hangs_until_the_deadline_blames_nobody(names: Names, expect: str) -> None:
    target = {"url": "tcp://hung.example:443", "timeout_seconds": 10, "expect": expect}
    (found,) = probe_all([target], Scope.parse("example", "443", "127.0.0.0/8"), time.monotonic() + SHORT)
    assert (found.cause, found.detail) == ("probe_error", OUT_OF_TIME)


def test_a_name_that_does_not_exist_counts_as_closed(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", absent)
    (found,) = probed([{"url": "tcp://gone.example:443", "expect": "closed"}])
    assert (found.cause, found.detail) == ("", "closed as expected (dns_not_found)")
