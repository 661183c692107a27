"""A flood of connection requests in the lab, through the real stack: all decided, none lost, none acted on twice.

`python -m bench.flood [requests services seconds]` prints one line of figures. The data plane is the loopback one, and
the services' load balancer has no listener: nothing crosses the endpoints here, and so they cost no sockets.
"""

import json
import math
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from bench.site import Site, Trace
from lab.harness.deploy import deploy
from lab.harness.process import NEW_ACCOUNT_CONCURRENCY, LabProcess

ACCOUNTS = [f"{800000000001 + number}" for number in range(8)]
THREADS = 8
PER_CALL = 100
"""Endpoints that one call of Accept names at most."""
PATIENCE = 600.0
"""Seconds after which what is missing counts as lost; a bell whose run ended early comes back after 360."""
LIVE = {"ACCEPTED", "VERIFIED", "UNHEALTHY"}


def flood(site: Site, requests: int, seconds: float) -> dict[str, Any]:
    """Pour requests over a site, spread evenly, and wait until every bell is answered; figures.

    AssertionError if one is lost, not accepted, or acted on twice, or if a message ended among the dead letters.
    """
    dead = site.waiting("DeadLetters")
    until("wired", site.wired)
    endpoints, lasted = pour(site, requests, seconds)
    calls: list[list[str]] = []

    def accepted() -> bool:
        calls.extend(site.accepts())
        return endpoints <= {endpoint for call in calls for endpoint in call}

    until("accepted", accepted)
    until("available", lambda: endpoints <= site.available())
    until("quiet", lambda: not site.waiting("NotificationQueue") and not site.waiting("BellQueue"))
    calls += site.accepts()
    traces = site.ledger()
    check(endpoints, calls, traces)
    assert site.waiting("DeadLetters") == dead, "dead letters"
    return {"services": len(site.services), **figures(lasted, calls, traces)}


def until(what: str, see: Callable[[], bool]) -> None:
    """Wait until `see()`; AssertionError if patience runs out."""
    deadline = time.monotonic() + PATIENCE
    while not see():
        assert time.monotonic() < deadline, f"not {what} after {PATIENCE:.0f} s"
        time.sleep(0.5)


def pour(site: Site, requests: int, seconds: float) -> tuple[set[str], float]:
    """Create endpoints, over all services and accounts in turn; their ids, and in how many seconds it was done."""
    names, begun = list(site.services.values()), time.monotonic()

    def ask(number: int) -> str:
        time.sleep(max(0.0, begun + seconds * number / requests - time.monotonic()))
        consumer = site.consumers[number // len(names) % len(site.consumers)]
        return consumer.ask(names[number % len(names)])

    with ThreadPoolExecutor(THREADS) as pool:
        made = set(pool.map(ask, range(requests)))
    return made, time.monotonic() - begun


def check(endpoints: set[str], calls: Iterable[Iterable[str]], traces: Mapping[str, Trace]) -> None:
    """That each endpoint has one decision, an accept, and was named in one call of Accept."""
    named = Counter(endpoint for call in calls for endpoint in call)
    wrong = {
        endpoint: named[endpoint] for endpoint in named.keys() | endpoints if named[endpoint] != (endpoint in endpoints)
    }
    assert not wrong, wrong
    assert traces.keys() == endpoints, traces.keys() ^ endpoints
    for endpoint, trace in traces.items():
        assert [(line["outcome"], line.get("answer")) for line in trace.decisions] == [("accept", "done")], endpoint
        assert trace.current["status"] in LIVE, (endpoint, trace.current)


def figures(lasted: float, calls: list[list[str]], traces: Mapping[str, Trace]) -> dict[str, Any]:
    """Times by the ledger: from when EC2 says that a request was made until EC2's answer to its accept."""
    asked = [datetime.fromisoformat(trace.current["requested_at"]) for trace in traces.values()]
    accepted = [datetime.fromisoformat(trace.current["accepted_at"]) for trace in traces.values()]
    waits = sorted((end - start).total_seconds() for start, end in zip(asked, accepted, strict=True))
    by_service = Counter(trace.current["service"] for trace in traces.values())
    return {
        "requests": len(traces),
        "requests_s": round(lasted, 1),
        "last_request_to_last_accept_s": round((max(accepted) - max(asked)).total_seconds(), 1),
        "accepted_after_median_s": round(statistics.median(waits), 1),
        "accepted_after_p95_s": round(waits[math.ceil(0.95 * len(waits)) - 1], 1),
        "accept_calls": len(calls),
        "fewest_calls": sum(math.ceil(count / PER_CALL) for count in by_service.values()),
    }


def measure(requests: int, services: int, seconds: float) -> dict[str, Any]:
    """A flood in a lab of its own, whose schedules keep AWS's pace, as the flood does; its account is a new one."""
    with LabProcess(speed=1, plane="loopback", account_concurrency=NEW_ACCOUNT_CONCURRENCY) as lab:
        return flood(Site(lab, deploy(lab), services, ACCOUNTS), requests, seconds)


if __name__ == "__main__":
    sizes = [int(one) for one in sys.argv[1:]] or [2000, 10, 60]
    print(json.dumps(measure(*sizes)))
