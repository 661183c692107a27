"""Many targets side by side, so paced that none falsifies what another measures, and more than there is time for."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from prober import run
from prober.run import AT_ONCE, GAP, MOST_TARGETS, probe_all
from prober.scope import Scope
from prober.verdict import OUT_OF_TIME, Verdict, report

from tests.unit.listeners import HOST, accepting, answering, dropping, listening, refusing, silent

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def on(*ports: int) -> Scope:
    return Scope.parse(HOST, ",".join(map(str, ports)), "127.0.0.0/8")


def test_many_targets_are_probed_side_by_side_and_answered_in_their_order() -> None:
    with listening(answering(OK)) as good, refusing() as closed:
        urls = [f"http://{HOST}:{port}/" for port in (good.port, closed, good.port)] + ["ftp://nobody"]
        targets = [{"endpoint_id": f"vpce-{number}", "url": url} for number, url in enumerate(urls)]
        found = probe_all(targets, on(good.port, closed))
    expected = [("vpce-0", ""), ("vpce-1", "tcp_refused"), ("vpce-2", ""), ("vpce-3", "probe_error")]
    assert [(one.endpoint_id, one.cause) for one in found] == expected


def test_no_targets_give_no_verdicts() -> None:
    assert probe_all([], on(443)) == []


def test_targets_that_nobody_came_to_in_time_blame_nobody() -> None:
    with listening(accepting) as listener:
        target = {"endpoint_id": "vpce-1", "url": f"tcp://{HOST}:{listener.port}"}
        found = probe_all([target] * 3, on(listener.port), time.monotonic() - 1)
    assert [(one.endpoint_id, one.cause, one.detail) for one in found] == [("vpce-1", "probe_error", OUT_OF_TIME)] * 3


@pytest.mark.parametrize("scheme", ["tls", "http"])
def test_a_probe_that_the_deadline_cuts_short_blames_nobody(scheme: str) -> None:
    with listening(silent) as listener:
        target = {"url": f"{scheme}://{HOST}:{listener.port}", "timeout_seconds": 10}
        (found,) = probe_all([target], on(listener.port), time.monotonic() + 0.3)
    assert (found.cause, found.detail) == ("probe_error", OUT_OF_TIME)


@pytest.mark.parametrize("expect", ["open", "closed"])
def test_dropped_packets_that_the_deadline_cuts_short_are_neither_open_nor_closed(expect: str) -> None:
    with dropping() as port:
        target = {"url": f"tcp://{HOST}:{port}", "timeout_seconds": 10, "expect": expect}
        (found,) = probe_all([target], on(port), time.monotonic() + 0.3)
    assert (found.cause, found.detail) == ("probe_error", OUT_OF_TIME)


def test_ten_thousand_dead_targets_are_answered_by_the_deadline_and_in_less_than_lambda_carries() -> None:
    with dropping() as port:
        targets = [
            {"endpoint_id": f"vpce-{number:017}", "service_id": "vpce-svc-1", "url": f"tcp://{HOST}:{port}"}
            for number in range(MOST_TARGETS)
        ]
        deadline = time.monotonic() + 1.5
        found = probe_all(targets, on(port), deadline)
    assert [one.endpoint_id for one in found] == [target["endpoint_id"] for target in targets]
    assert {one.cause for one in found} == {"probe_error"}
    assert len(json.dumps(report(found))) < 6_000_000


def test_targets_beyond_the_most_are_counted_in_one_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "MOST_TARGETS", 3)
    found = probe_all([0] * 8, on(443))
    assert len(found) == 4
    assert found[-1].detail == "5 targets beyond 3 were left out"


# ------------------------------------------------------------------ their pace


class Network:
    """A network in which every name has one address and every probe is good; `starts` is when each thing began."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.starts: list[tuple[str, float]] = []
        self.resolving: Callable[[], object] = lambda: None
        self.probing: Callable[[], object] = lambda: None
        """What happens while a name is resolved, and while an address is probed."""
        monkeypatch.setattr(run, "resolve", self._resolve)
        monkeypatch.setattr(run, "probe", self._probe)

    def _resolve(self, host: str, timeout: float, ipv6: bool) -> list[str]:
        self.starts.append(("resolve", time.monotonic()))
        self.resolving()
        return [HOST]

    def _probe(self, blank: Verdict, *_: object) -> Verdict:
        self.starts.append(("probe", time.monotonic()))
        self.probing()
        return replace(blank, cause="", detail="")


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    return Network(monkeypatch)


def probed(names: int, deadline: float = 60) -> list[Verdict]:
    targets = [{"url": f"tcp://{number}.example:443"} for number in range(names)]
    return probe_all(targets, Scope.parse("example", "443", "127.0.0.0/8"), time.monotonic() + deadline)


def test_between_two_starts_there_is_a_gap(network: Network) -> None:
    before = time.monotonic()
    probed(6)
    # Two begin at once.
    assert len(network.starts) == 12
    assert max(start for _, start in network.starts) - before > 9.9 * GAP


def test_a_target_that_is_alone_waits_for_no_gap(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "GAP", 3600)
    (found,) = probed(1, deadline=5)
    assert found.good


def test_what_takes_long_does_not_hold_up_others(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "GAP", 0)
    network.probing = threading.Barrier(AT_ONCE, timeout=10).wait
    assert all(verdict.good for verdict in probed(2 * AT_ONCE))


def test_addresses_are_probed_while_names_are_still_to_be_resolved(network: Network) -> None:
    probed(40)
    steps = [step for step, _ in network.starts]
    last = len(steps) - steps[::-1].index("resolve") - 1
    assert steps[:last].count("probe") > 20


def test_what_waits_for_a_thread_until_the_run_is_over_blames_nobody(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(1) as one:
        monkeypatch.setattr(run, "threads", lambda: one)
        over = threading.Event()
        one.submit(over.wait, 10)
        threading.Timer(0.2, over.set).start()
        found = probed(3, deadline=0.1)
    assert [(verdict.cause, verdict.detail) for verdict in found] == [("probe_error", OUT_OF_TIME)] * 3
    assert network.starts == []


def test_what_was_resolved_too_late_is_not_probed(network: Network) -> None:
    late, until = threading.Event(), time.monotonic() + 1.1

    def slow() -> None:
        while time.monotonic() < until:
            late.wait(0.01)

    network.resolving = slow
    (found,) = probed(1, deadline=1)
    assert (found.address, found.cause, found.detail) == (HOST, "probe_error", OUT_OF_TIME)
    assert [step for step, _ in network.starts] == ["resolve"]


def test_a_probe_that_breaks_keeps_nobody_waiting(network: Network) -> None:
    def broken() -> None:
        raise RuntimeError

    network.probing = broken
    assert [verdict.cause for verdict in probed(2)] == ["probe_error"] * 2
