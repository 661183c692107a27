"""Many targets side by side, and more than there is time for."""

import json
import time

import pytest
from prober import run
from prober.run import MOST_TARGETS, probe_all
from prober.scope import Scope
from prober.verdict import OUT_OF_TIME, report

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
