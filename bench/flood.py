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
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from bench.site import Site, Trace, until
from lab.deploy import deploy
from lab.process import LabProcess

ACCOUNTS = [f"{800000000001 + number}" for number in range(8)]
THREADS = 8
PER_CALL = 100
"""Endpoints that one call of Accept names at most."""
PATIENCE = 300.0
"""Seconds from the last request on after which what is missing counts as lost."""
LIVE = {"ACCEPTED", "VERIFIED", "UNHEALTHY"}


def flood(site: Site, requests: int, seconds: float) -> dict[str, Any]:
    """Pour requests over a site, spread evenly, and wait until all of it is still; figures.

    AssertionError if any is lost, not accepted, or acted on twice, or if a message ended among the dead letters.
    """
    dead = site.waiting("DeadLetters")
    until(site.wired, "wired", PATIENCE, 0.2)
    endpoints, lasted = pour(site, requests, seconds)
    calls: list[list[str]] = []

    def accepted() -> bool:
        calls.extend(site.accepts())
        return endpoints <= {endpoint for call in calls for endpoint in call}

    def still() -> bool:
        return not site.waiting("BellQueue") and not site.waiting("NotificationQueue")

    until(accepted, "accepted", PATIENCE, 0.5)
    until(lambda: endpoints <= site.available(), "available", PATIENCE, 0.5)
    until(still, "every bell answered", PATIENCE, 0.5)
    calls += site.accepts()
    traces = site.ledger()
    check(endpoints, calls, traces)
    assert site.waiting("DeadLetters") == dead, "dead letters"
    return figures(endpoints, calls, traces, lasted) | {"services": len(site.services)}


def pour(site: Site, requests: int, seconds: float) -> tuple[set[str], float]:
    """Create endpoints, one account and service after the other; their ids, and in how many seconds it was done."""
    names, begun = list(site.services.values()), time.monotonic()

    def ask(number: int) -> str:
        time.sleep(max(0.0, begun + seconds * number / requests - time.monotonic()))
        consumer = site.consumers[number // len(names) % len(site.consumers)]
        return consumer.ask(names[number % len(names)])

    with ThreadPoolExecutor(THREADS) as pool:
        made = set(pool.map(ask, range(requests)))
    return made, time.monotonic() - begun


def check(endpoints: set[str], calls: Iterable[Iterable[str]], traces: dict[str, Trace]) -> None:
    """That each endpoint was decided on once and accepted in one call."""
    named = Counter(endpoint for call in calls for endpoint in call)
    assert named == dict.fromkeys(endpoints, 1), named - Counter(endpoints)
    assert traces.keys() == endpoints, traces.keys() ^ endpoints
    for endpoint, trace in traces.items():
        outcomes = [(line["outcome"], line.get("answer")) for line in trace.decisions]
        assert outcomes == [("accept", "done")], (endpoint, outcomes)
        assert trace.current["status"] in LIVE, (endpoint, trace.current)


def figures(endpoints: set[str], calls: list[list[str]], traces: dict[str, Trace], lasted: float) -> dict[str, Any]:
    """Times are the ledger's: from the moment that EC2 tells for a request to that of EC2's answer to the accept."""
    asked, answered = (
        {one: datetime.fromisoformat(trace.current[name]) for one, trace in traces.items()}
        for name in ("requested_at", "accepted_at")
    )
    waits = sorted((answered[one] - asked[one]).total_seconds() for one in endpoints)
    by_service = Counter(trace.current["service"] for trace in traces.values())
    return {
        "requests": len(endpoints),
        "requested_in_s": round(lasted, 1),
        "last_request_to_last_accept_s": round((max(answered.values()) - max(asked.values())).total_seconds(), 1),
        "median_s": round(statistics.median(waits), 2),
        "p95_s": round(waits[math.ceil(0.95 * len(waits)) - 1], 2),
        "accept_calls": len(calls),
        "fewest_calls": sum(math.ceil(count / PER_CALL) for count in by_service.values()),
    }


def measure(requests: int, services: int, seconds: float) -> dict[str, Any]:
    """A flood in a lab of its own."""
    with LabProcess(plane="loopback") as lab:
        return flood(Site(lab, deploy(lab), services, ACCOUNTS), requests, seconds)


if __name__ == "__main__":
    sizes = [int(one) for one in sys.argv[1:]] or [2000, 10, 60]
    print(json.dumps(measure(*sizes)))
